//! Queries over a cable of the kernel's own, and what the kernel says that the program at its end has taken: ours, and one
//! that does nothing, each on a cable, in turn. Both hold the same constant, the two looks at the clock.

use crate::figure::Figure;
use crate::frames::{self, Chance, Over};
use crate::kernel::load;
use crate::{Outcome, bpf, table};
use oopsd::capture::attribution::Attribution;
use oopsd::capture::kernel::trial::{Hook, Trial};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use wire::Ports;

const WHAT: &str = "live over veth by run_time_ns, query, 3 labels, 1 K zones, XDP";
const ZONES: u64 = 1_000;
const ROUNDS: usize = 15;
const QUERIES: usize = 50_000;

/// Measures it, where it can be.
pub(crate) fn measure() -> Outcome<()> {
    if !bpf::can_run(WHAT)? {
        return Ok(());
    }
    // A network of this thread alone, which goes with it.
    let thread = thread::spawn(|| within().map_err(|error| error.to_string()));
    Ok(thread.join().map_err(|_| "it panicked")??)
}

fn within() -> Outcome<()> {
    // SAFETY: unshare has no preconditions; it changes what network this thread sees.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        table::skipped(WHAT, &format!("no network of its own: {}", io::Error::last_os_error()));
        return Ok(());
    }
    let mut ends = Vec::new();
    for cable in ["ours", "empty"] {
        let made = ip(&format!("link add {cable}0 type veth peer name {cable}1"))
            .and_then(|()| ip(&format!("link set {cable}0 addrgenmode none up")))
            .and_then(|()| ip(&format!("link set {cable}1 addrgenmode none up")));
        if let Err(error) = made {
            table::skipped(WHAT, &error.to_string());
            return Ok(());
        }
        ends.push((Sender::new(index(&format!("{cable}0"))?)?, index(&format!("{cable}1"))?));
    }
    let names = engine::Names::new((0..ZONES).map(frames::zone), [""; 0]);
    let trial = Trial::new(&Attribution::new(&Arc::new(names), &[]), Ports::DNS)?;
    let mut programs = aya::Ebpf::load(&bpf::peers()?)?;
    let empty = load(&mut programs, "empty_xdp")?;
    let (ours, empty) = (trial.program(Hook::IngressXdp), empty.as_fd());
    let _attached = [bpf::attach(ours, ends[0].1)?, bpf::attach(empty, ends[1].1)?];
    let statistics = bpf::statistics();
    if let Err(error) = &statistics {
        table::skipped(WHAT, &format!("the kernel keeps no statistics: {error}"));
        return Ok(());
    }
    let mut chance = Chance(7);
    let frames: Vec<_> =
        (0..1024).map(|_| frames::frame(&frames::query(&frames::zone(chance.below(ZONES))), Over::V4, 7)).collect();
    let [mut net, mut alone] = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        let took = one(&ends[0].0, &frames, ours)?;
        let nothing = one(&ends[1].0, &frames, empty)?;
        // The first warms up.
        if round > 0 {
            net.push(took - nothing);
            alone.push(nothing);
        }
    }
    table::ours(WHAT, "ns", &Figure::of(net), Some(40.0));
    table::ours("    the empty program, taken off; both hold bpf_stats' clock", "ns", &Figure::of(alone), None);
    Ok(())
}

/// Sends queries: what a run of the program at the other end takes, in nanoseconds.
fn one(sender: &Sender, frames: &[Vec<u8>], program: BorrowedFd<'_>) -> Outcome<f64> {
    let (time, count) = bpf::ran(program)?;
    for nth in 0..QUERIES {
        sender.send(&frames[nth % frames.len()])?;
    }
    let (time, count) = {
        let (later, all) = bpf::ran(program)?;
        (later - time, all - count)
    };
    if count < QUERIES as u64 / 2 {
        return Err(format!("of {QUERIES} queries {count} came").into());
    }
    Ok(time as f64 / count as f64)
}

/// Sends frames as they are.
struct Sender(OwnedFd);

impl Sender {
    fn new(interface: u32) -> Outcome<Self> {
        // SAFETY: socket has no preconditions. Of no protocol: it receives nothing.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error().into());
        }
        // SAFETY: the kernel has just made it for us.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        // SAFETY: plain numbers, of which zero is one.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET)?;
        address.sll_ifindex = interface.cast_signed();
        let length = libc::socklen_t::try_from(size_of_val(&address))?;
        // SAFETY: the address is as long as said.
        let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
        if bound == 0 { Ok(Self(socket)) } else { Err(io::Error::last_os_error().into()) }
    }

    fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: the frame is as long as said.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// The index of an interface in this thread's network.
fn index(name: &str) -> Outcome<u32> {
    let name = std::ffi::CString::new(name)?;
    // SAFETY: the name ends with a zero.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error().into()),
        index => Ok(index),
    }
}

fn ip(words: &str) -> Outcome<()> {
    let output = Command::new("ip").args(words.split(' ')).output().map_err(|error| format!("ip: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("ip {words}: {said}").into()) }
}
