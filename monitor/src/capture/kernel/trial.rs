//! The programs run on frames that are given to them, attached nowhere: for tests and benches.

use super::half::Maps;
use super::loaded::{self, Entry, Loaded};
use super::read::Read;
use super::room::Room;
use super::sys;
use super::{Error, OBJECT};
use crate::capture::attribution::{Attribution, Slots};
use engine::{Sample, Time, Wall};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::Duration;
use wire::Ports;

/// How many instructions the verifier looked at in each kernel program.
///
/// # Errors
/// What the kernel says.
pub fn verified() -> Result<Vec<(String, u32)>, Error> {
    loaded::verified(OBJECT.ok_or(Error::NoObject)?, &Room::of(Slots { zones: 1, prefixes: 0 }, 1)?)
}

/// A program that the kernel calls for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// What comes in, at XDP.
    IngressXdp,
    /// What comes in, at TC.
    IngressTc,
    /// What goes out, at TC.
    EgressTc,
}

/// The programs in the kernel, with counters of their own.
#[derive(Debug)]
pub struct Trial {
    maps: Maps,
    read: Read,
    loaded: Loaded,
}

impl Trial {
    /// Loads the programs.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(attribution: &Attribution, ports: Ports) -> Result<Self, Error> {
        let (_, buckets) = attribution.table().ok_or(Error::Learning)?;
        let room = Room::of(attribution.slots(), buckets.len())?;
        let loaded = Loaded::new(OBJECT.ok_or(Error::NoObject)?, &room)?;
        let mut maps = Maps::new(&loaded)?;
        maps.fill(attribution, ports)?;
        maps.flip();
        Ok(Self { read: Read::new(&mut maps), maps, loaded })
    }

    /// The totals now, as those that moved since the last call.
    pub fn sample(&mut self, at: Time, wall: Wall) -> Sample {
        self.read.sample(&self.maps, 1, at, wall)
    }

    /// Has the next sample look at all slots, as the first one of pinned counters does.
    pub const fn sweep(&mut self) {
        self.read.sweep();
    }

    /// Has each zone have been queried so often on each CPU. Whether any was at all must be known before.
    pub fn advance(&mut self, to: u64) {
        self.read.advance(&self.maps, to);
    }

    /// CPUs that counters are kept for.
    #[must_use]
    pub const fn cpus(&self) -> usize {
        self.maps.room().cpus
    }

    /// Counts by other zones from now on, as a reload does: the last sample of those before.
    ///
    /// # Errors
    /// There is no room for them.
    pub fn replace(&mut self, attribution: &Attribution, ports: Ports, at: Time, wall: Wall) -> Result<Sample, Error> {
        self.maps.fill(attribution, ports)?;
        self.maps.flip();
        let last = self.sample(at, wall);
        self.read = Read::new(&mut self.maps);
        Ok(last)
    }

    /// Counts as where softirqs can be preempted (PREEMPT_RT): `within` another frame on each CPU, or between two.
    ///
    /// # Errors
    /// The kernel's.
    pub fn preempt(&self, within: bool) -> Result<(), Error> {
        const SCRATCH: &str = "SCRATCH";
        self.maps.share();
        sys::write_on_all_cpus(self.loaded.map(SCRATCH)?, self.maps.room().cpus, u32::from(within))
            .map_err(|source| Error::Map { map: SCRATCH, source })
    }

    /// Runs a program on a frame so many times: what it returned, and how long it took on average.
    ///
    /// # Errors
    /// The kernel's: it takes no frames of less than 14 bytes, and none over a page at TC.
    pub fn run(&self, hook: Hook, frame: &[u8], times: u32) -> io::Result<(u32, Duration)> {
        test_run(self.program(hook), frame, times)
    }

    /// The program itself, for others to call.
    #[must_use]
    pub fn program(&self, hook: Hook) -> BorrowedFd<'_> {
        self.loaded.program(match hook {
            Hook::IngressXdp => Entry::IngressXdp,
            Hook::IngressTc => Entry::IngressTc,
            Hook::EgressTc => Entry::EgressTc,
        })
    }
}

/// Runs any program on a frame, as [`Trial::run`] does.
///
/// # Errors
/// The kernel's.
pub fn test_run(program: BorrowedFd<'_>, frame: &[u8], times: u32) -> io::Result<(u32, Duration)> {
    const PROG_TEST_RUN: libc::c_long = 10;
    #[repr(C)]
    #[derive(Default)]
    struct Run {
        program: i32,
        returned: u32,
        length: u32,
        room: u32,
        frame: u64,
        out: u64,
        repeat: u32,
        nanoseconds: u32,
        context: [u64; 3],
        flags: [u32; 4],
    }
    let mut run = Run {
        program: program.as_raw_fd(),
        length: u32::try_from(frame.len()).map_err(io::Error::other)?,
        frame: frame.as_ptr() as u64,
        repeat: times,
        ..Run::default()
    };
    // SAFETY: the kernel reads the frame, which is as long as said, and writes its answer into `run`.
    match unsafe { libc::syscall(libc::SYS_bpf, PROG_TEST_RUN, &raw mut run, size_of::<Run>()) } {
        0 => Ok((run.returned, Duration::from_nanos(run.nanoseconds.into()))),
        _ => Err(io::Error::last_os_error()),
    }
}
