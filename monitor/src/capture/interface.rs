//! What the kernel says of an interface, asked by its name.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Why nothing is seen of an interface that is down.
pub(super) const DOWN: &str = "the interface is down";

/// Why nothing is seen of an interface that is not there.
pub(super) const GONE: &str = "the interface is gone";

/// An interface as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    /// Its number: another one has the same name later, if it is deleted and made again.
    pub(super) index: u32,
    /// It is up.
    pub(super) up: bool,
    /// What it sends, it receives.
    pub(super) loopback: bool,
    /// Its frames begin with an Ethernet header.
    pub(super) ethernet: bool,
}

/// The interfaces that there are, as the end of a sentence that says which one is not.
pub(super) fn here() -> String {
    let names = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let mut names: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    if names.is_empty() { String::new() } else { format!("; there are {}", names.join(", ")) }
}

/// Looks an interface up; `None` if there is none of this name.
pub(super) fn look(name: &str) -> Option<Interface> {
    let index = number_of(name)?;
    let socket = socket(libc::AF_INET, libc::SOCK_DGRAM).ok()?;
    // SAFETY: ifreq is plain memory, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
        *to = from.cast_signed();
    }
    // SAFETY: SIOCGIFFLAGS reads ifr_name and writes ifru_flags of the request, which outlives the call.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) } == -1 {
        return None;
    }
    // SAFETY: the call has written this member of the union.
    let flags = i32::from(unsafe { request.ifr_ifru.ifru_flags });
    // SAFETY: SIOCGIFHWADDR likewise, and ifru_hwaddr.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFHWADDR, &raw mut request) } == -1 {
        return None;
    }
    // SAFETY: the call has written this member of the union.
    let hardware = unsafe { request.ifr_ifru.ifru_hwaddr.sa_family };
    Some(Interface {
        index,
        up: flags & libc::IFF_UP != 0,
        loopback: flags & libc::IFF_LOOPBACK != 0,
        ethernet: hardware == libc::ARPHRD_ETHER,
    })
}

/// The number of the interface of this name.
pub(super) fn number_of(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name is a C string for the length of the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// What the interface of this number is called now; `None` if there is none here.
pub(super) fn name_of(index: u32) -> Option<String> {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: there is room for the longest name that there can be.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr()) };
    // SAFETY: the kernel has written a C string.
    (!found.is_null()).then(|| unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned())
}

/// Whether this process may open packet sockets.
pub(super) fn may_open_packet_sockets() -> bool {
    let denied = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    !socket(libc::AF_PACKET, libc::SOCK_RAW).is_err_and(denied)
}

fn socket(family: i32, kind: i32) -> io::Result<OwnedFd> {
    // SAFETY: socket takes no pointers.
    match unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, 0) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the kernel has just given this descriptor, and nobody else has it.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_known_as_such() {
        let interface = look("lo").unwrap();
        assert!(interface.loopback && !interface.ethernet);
        assert_eq!(name_of(interface.index).as_deref(), Some("lo"));
    }

    #[test]
    fn there_is_no_interface_without_a_name() {
        assert_eq!(look("nosuch0"), None);
        assert_eq!(look(""), None);
        assert_eq!(name_of(0), None);
    }
}
