//! One libpcap handle: one interface, one direction, chosen in the kernel.

use super::filter::filter;
use super::stop::poll;
use crate::capture::interface::Interface;
use crate::capture::link;
use pcap::{Active, Capture};
use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU16, Ordering};
use wire::{Direction, Link, Ports};

/// How long the kernel keeps a block of frames that is not full, in milliseconds.
pub(super) const BLOCK_TIMEOUT: u16 = 20;

/// The longest frame that is captured whole; segmentation is offloaded, so frames are far longer than the MTU.
const SNAPLEN: i32 = 65_535;

/// What to open.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    pub(super) interface: String,
    pub(super) ports: Ports,
    /// Bytes of ring buffer for each handle.
    pub(super) buffer: usize,
    /// The PACKET_FANOUT groups to share received and sent frames in.
    pub(super) group: Option<[u16; 2]>,
}

/// An open handle.
pub(super) struct Handle {
    pub(super) capture: Capture<Active>,
    pub(super) link: Link,
    /// Which way its frames go; on the loopback interface, they go both.
    pub(super) known: Option<Direction>,
    /// What libpcap had counted when it was last asked: frames that reached the socket, those lost included, and those lost.
    totals: [u32; 2],
}

impl Handle {
    /// Opens all handles that an interface needs. They count from the return on, and nothing from before it.
    pub(super) fn open(orders: &Orders, interface: Interface) -> Result<Vec<Self>, String> {
        let directions: &[_] = match interface.loopback {
            true => &[None],
            false => &[Some(Direction::Received), Some(Direction::Sent)],
        };
        let mut handles = Vec::new();
        for &known in directions {
            handles.push(Self::open_one(orders, known).map_err(|error| said(&orders.interface, &error))??);
        }
        settle();
        for handle in &mut handles {
            let chosen = handle.drain().and_then(|()| handle.choose(orders.ports));
            chosen.map_err(|error| said(&orders.interface, &error))?;
        }
        Ok(handles)
    }

    fn open_one(orders: &Orders, known: Option<Direction>) -> Result<Result<Self, String>, pcap::Error> {
        let capture = Capture::from_device(&*orders.interface)?
            .promisc(false)
            .snaplen(SNAPLEN)
            .buffer_size(i32::try_from(orders.buffer).unwrap_or(i32::MAX))
            .timeout(BLOCK_TIMEOUT.into())
            .open()?
            .setnonblock()?;
        let datalink = capture.get_datalink();
        let Some(link) = link::of(datalink) else {
            return Ok(Err(format!("link type {}; oopsd reads {}", link::print(datalink), link::KNOWN)));
        };
        let handle = Self { capture, link, known, totals: [0; 2] };
        handle.close()?;
        if let Some([received, sent]) = orders.group {
            handle.join(if known == Some(Direction::Sent) { sent } else { received })?;
        }
        Ok(Ok(handle))
    }

    /// Forgets what came in before the filter that passes nothing: reads as much as the kernel says there was, for as long
    /// as it gives any. (libpcap keeps one of the two copies of what goes over the loopback interface to itself.)
    fn drain(&mut self) -> Result<(), pcap::Error> {
        let mut read = 0;
        loop {
            while self.capture.next_packet().is_ok() {
                read += 1;
            }
            let stat = self.capture.stats()?;
            self.totals = [stat.received, stat.dropped];
            let kept = stat.received.wrapping_sub(stat.dropped);
            if read >= kept || poll([self.fd()], 2 * i32::from(BLOCK_TIMEOUT)) == [0] {
                return Ok(());
            }
        }
    }

    /// Lets the kernel pass on what `filter` matches, in this handle's direction.
    ///
    /// libpcap compiles the program but does not install it: it would run it once more over the first block of frames in
    /// userspace, where it cannot see the direction and so drops them all.
    fn choose(&mut self, ports: Ports) -> Result<(), pcap::Error> {
        let direction = if self.known == Some(Direction::Sent) { "outbound" } else { "inbound" };
        let text = format!("{direction} and ({})", filter(ports));
        if self.link == Link::Cooked {
            // The direction is in the frame then, and libpcap moves the program's offsets to where the kernel has them.
            return self.capture.filter(&text, true);
        }
        let program = self.capture.compile(&text, true)?;
        let instructions = program.get_instructions();
        // SAFETY: BpfInstruction is transparent over libpcap's bpf_insn, which is the kernel's sock_filter.
        let program = unsafe { std::slice::from_raw_parts(instructions.as_ptr().cast(), instructions.len()) };
        self.attach(program)
    }

    /// Lets the kernel pass on nothing more: what is in the ring is what there is to read.
    pub(super) fn close(&self) -> Result<(), pcap::Error> {
        self.attach(&NOTHING)
    }

    fn attach(&self, program: &[libc::sock_filter]) -> Result<(), pcap::Error> {
        let length = u16::try_from(program.len()).map_err(|_| pcap::Error::BufferOverflow)?;
        let option = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &option)
    }

    fn join(&self, group: u16) -> Result<(), pcap::Error> {
        let option: c_int = c_int::from(group) | (libc::PACKET_FANOUT_HASH as c_int) << 16;
        self.set(libc::SOL_PACKET, libc::PACKET_FANOUT, &option)
    }

    fn set<T>(&self, level: c_int, name: c_int, option: &T) -> Result<(), pcap::Error> {
        let value: *const c_void = (&raw const *option).cast();
        let length = libc::socklen_t::try_from(size_of::<T>()).map_err(|_| pcap::Error::BufferOverflow)?;
        // SAFETY: the option, and the program it may point to, live for the length of the call; the kernel copies them.
        match unsafe { libc::setsockopt(self.fd(), level, name, value, length) } {
            0 => Ok(()),
            _ => Err(pcap::Error::PcapError(io::Error::last_os_error().to_string())),
        }
    }

    /// To be polled for reading.
    pub(super) fn fd(&self) -> RawFd {
        self.capture.as_raw_fd()
    }

    /// How many frames were kept for reading since the last call, and how many were lost.
    pub(super) fn grown(&mut self) -> [u64; 2] {
        let Ok(stat) = self.capture.stats() else { return [0; 2] };
        let before = std::mem::replace(&mut self.totals, [stat.received, stat.dropped]);
        let (arrived, lost) = (stat.received.wrapping_sub(before[0]), stat.dropped.wrapping_sub(before[1]));
        // What arrived includes what was lost (packet(7), PACKET_STATISTICS).
        [arrived.saturating_sub(lost), lost].map(u64::from)
    }
}

/// Returns once every frame that met an older filter has gone its way: the kernel changes a filter without waiting for
/// those, but waits for all of them here (`synchronize_rcu`). Where it refuses, one may count that came before.
pub(super) fn settle() {
    const MEMBARRIER_CMD_GLOBAL: c_int = 1;
    // SAFETY: membarrier takes two numbers and no pointers.
    unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0) };
}

/// A program that passes nothing: `ret #0` (BPF_RET | BPF_K).
const NOTHING: [libc::sock_filter; 1] = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 }];

/// Two groups of PACKET_FANOUT that nobody else in this process uses, and other processes hardly do.
pub(super) fn fanout_groups() -> [u16; 2] {
    static USED: AtomicU16 = AtomicU16::new(0);
    let [low, high, ..] = std::process::id().to_le_bytes();
    let first = u16::from_le_bytes([low, high]).wrapping_mul(64).wrapping_add(USED.fetch_add(2, Ordering::Relaxed));
    [first, first.wrapping_add(1)]
}

/// What libpcap says, without the interface's name, which the error has already.
pub(super) fn said(interface: &str, error: &pcap::Error) -> String {
    let text = if let pcap::Error::PcapError(text) = error { text.clone() } else { error.to_string() };
    text.strip_prefix(&format!("{interface}: ")).map_or(text.clone(), str::to_owned)
}
