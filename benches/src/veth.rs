//! Queries over a cable of the kernel's own, and what the kernel says that the program at its end has taken: ours, the sketch
//! in C, and one that does nothing, each on a cable, in turn. All hold the same constant, the two looks at the clock.

use crate::figure::Figure;
use crate::frames::{self, Chance, Over};
use crate::kernel::load;
use crate::sketch::Sketch;
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
    let names = engine::Names::new((0..ZONES).map(frames::zone), [""; 0]);
    let trial = Trial::new(&Attribution::new(&Arc::new(names), &[]), Ports::DNS)?;
    let mut programs = aya::Ebpf::load(&bpf::peers()?)?;
    let empty = load(&mut programs, "empty_xdp")?;
    let sketch = Sketch::new(ZONES)?;
    let mut cables = Vec::new();
    let ours_and_empty = [("empty", empty.as_fd()), ("ours", trial.program(Hook::IngressXdp))];
    for (name, program) in ours_and_empty.into_iter().chain(sketch.as_ref().map(|it| ("sketch", it.program.as_fd()))) {
        match Cable::new(name, program) {
            Ok(cable) => cables.push(cable),
            Err(error) => {
                table::skipped(WHAT, &error.to_string());
                return Ok(());
            }
        }
    }
    let statistics = bpf::statistics();
    if let Err(error) = &statistics {
        table::skipped(WHAT, &format!("the kernel keeps no statistics: {error}"));
        return Ok(());
    }
    let mut chance = Chance(7);
    let frames: Vec<_> =
        (0..1024).map(|_| frames::frame(&frames::query(&frames::zone(chance.below(ZONES))), Over::V4, 7)).collect();
    let took = in_turn(&cables, &frames)?;
    let [empty, programs @ ..] = &took[..] else { return Err("nothing was measured".into()) };
    let mut programs = programs.iter().map(|took| net(took, empty));
    let ours = programs.next().ok_or("ours was not measured")?;
    table::ours(WHAT, "ns", &ours, Some(40.0));
    if let Some(sketch) = programs.next() {
        table::peer("a sketch in C, the limit here", "ns", &sketch, &ours, None);
    }
    table::ours("    the empty program, taken off; all hold bpf_stats' clock", "ns", &Figure::of(empty.clone()), None);
    let took = in_turn(&cables[..2], &spoofed())?;
    let flood = net(&took[1], &took[0]);
    table::ours("    names and sources by chance, half of the names in no zone", "ns", &flood, None);
    Ok(())
}

/// What a run takes on each cable, round by round.
fn in_turn(cables: &[Cable<'_>], frames: &[Vec<u8>]) -> Outcome<Vec<Vec<f64>>> {
    let mut took = vec![Vec::new(); cables.len()];
    for round in 0..=ROUNDS {
        for (cable, took) in cables.iter().zip(&mut took) {
            let nanoseconds = cable.run(frames)?;
            // The first warms up.
            if round > 0 {
                took.push(nanoseconds);
            }
        }
    }
    Ok(took)
}

/// What is left without what the program takes that does nothing.
fn net(took: &[f64], empty: &[f64]) -> Figure {
    Figure::of(took.iter().zip(empty).map(|(took, nothing)| took - nothing).collect())
}

/// Names that were never asked for before, from sources that are not theirs.
fn spoofed() -> Vec<Vec<u8>> {
    let mut chance = Chance(11);
    let frame = |client| {
        // Zones that there are, and as many more that there are not.
        let name = format!("{:016x}.{}", chance.below(u64::MAX), frames::zone(chance.below(2 * ZONES)));
        frames::frame(&frames::query(&name), Over::V4, client)
    };
    (0..=u16::MAX).take(QUERIES).map(frame).collect()
}

/// A cable with a program at its far end.
struct Cable<'a> {
    near: Sender,
    program: BorrowedFd<'a>,
    /// The program is attached as long as this is open.
    _attached: OwnedFd,
}

impl<'a> Cable<'a> {
    fn new(name: &str, program: BorrowedFd<'a>) -> Outcome<Self> {
        ip(&format!("link add {name}0 type veth peer name {name}1"))?;
        for end in 0..2 {
            ip(&format!("link set {name}{end} addrgenmode none up"))?;
        }
        let near = Sender::new(index(&format!("{name}0"))?)?;
        Ok(Self { near, program, _attached: bpf::attach(program, index(&format!("{name}1"))?)? })
    }

    /// Sends queries: what a run of the program takes, in nanoseconds.
    fn run(&self, frames: &[Vec<u8>]) -> Outcome<f64> {
        let (earlier, some) = bpf::ran(self.program)?;
        for nth in 0..QUERIES {
            self.near.send(&frames[nth % frames.len()])?;
        }
        let (later, all) = bpf::ran(self.program)?;
        let (time, count) = (later - earlier, all - some);
        if count < QUERIES as u64 / 2 {
            return Err(format!("of {QUERIES} queries {count} came").into());
        }
        Ok(time as f64 / count as f64)
    }
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
