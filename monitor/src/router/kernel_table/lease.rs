//! A network interface that is there as long as this process: a TUN that it holds open. A route through it ends with the process, however that
//! ends, because the kernel takes the interface away and all routes through it.
//!
//! Nothing is ever sent through it: no rule leads to the table of those routes, and it has no address.

use rtnetlink::packet_route::link::{AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute};
use rtnetlink::{Handle, LinkUnspec};
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

/// The file that makes such interfaces.
pub const TUN: &str = "/dev/net/tun";

/// The interface, until dropped. Programs that oopsd starts do not inherit it.
#[derive(Debug)]
pub(super) struct Lease {
    _open: File,
    index: u32,
}

/// What it is called; a table of its own has one of its own.
pub(super) fn name(table: u32) -> String {
    format!("oopsd{table}")
}

impl Lease {
    /// Makes it, in the network namespace of the calling thread. Nobody else can, while this process has it.
    pub(super) fn open(table: u32) -> io::Result<Self> {
        let open = OpenOptions::new().read(true).write(true).open(TUN)?;
        let name = CString::new(name(table))?;
        // SAFETY: ifreq is plain memory, for which zeros are valid.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // At most 15 letters: five, and ten digits.
        for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_flags =
            libc::c_short::try_from(libc::IFF_TUN | libc::IFF_NO_PI).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open, and the request as long as this call wants it.
        if unsafe { libc::ioctl(open.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the name is a C string.
        match unsafe { libc::if_nametoindex(name.as_ptr()) } {
            0 => Err(io::Error::last_os_error()),
            index => Ok(Self { _open: open, index }),
        }
    }

    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// Sets it up, without an address of its own making. Does nothing to one that is up.
    pub(super) async fn up(&self, handle: &Handle) -> Result<(), rtnetlink::Error> {
        let no_address = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
        let message = LinkUnspec::new_with_index(self.index)
            .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![no_address]))
            .build();
        // Without IPv6 there is nothing to keep it from.
        let _ = handle.link().set(message).execute().await;
        handle.link().set(LinkUnspec::new_with_index(self.index).up().build()).execute().await
    }
}
