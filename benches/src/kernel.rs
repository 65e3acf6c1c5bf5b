//! One frame in the kernel, by `BPF_PROG_TEST_RUN`, net of a program that does nothing. Another name is written into the
//! frame before each run, by a program that then calls ours, or the one that does nothing.

use crate::figure::{in_turn, nanoseconds};
use crate::frames::{self, Chance, Over};
use crate::{Outcome, table};
use aya::Ebpf;
use aya::maps::{Array, MapData, ProgramArray};
use aya::programs::{Program, ProgramFd, ProgramInfo, SchedClassifier};
use oopsd::capture::attribution::Attribution;
use oopsd::capture::kernel::trial::{Hook, Trial, test_run};
use std::fs;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use wire::Ports;

const THOUSAND: u64 = 1_000;
const MILLION: u64 = 1_000_000;
const ROUNDS: usize = 12;
const TIMES: u32 = 400_000;

/// Where the name begins in a frame, and how many bytes from there on are written.
const NAME: usize = 54;
const BYTES: usize = 64;

/// Measures all of it.
pub(crate) fn measure() -> Outcome<()> {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let mitigations =
        ["spectre_v2", "retbleed"].map(|name| read(&format!("/sys/devices/system/cpu/vulnerabilities/{name}")));
    println!(
        "kernel.bpf_stats_enabled: {}; mitigations: {}",
        read("/proc/sys/kernel/bpf_stats_enabled"),
        mitigations.join("; ")
    );
    let thousand = Bench::new(THOUSAND)?;
    let zone = |chance: &mut Chance, of: u64| frames::zone(chance.below(of));
    let www = |chance: &mut Chance| frames::query(&zone(chance, THOUSAND));
    let five =
        |chance: &mut Chance| frames::query(&format!("a-long-first-name.a-longer-next-one.{}", zone(chance, THOUSAND)));
    thousand.line("query, 3 labels, 1 K zones, XDP", Hook::IngressXdp, 1024, Some(16.0), www)?;
    thousand.line("the same at TC", Hook::IngressTc, 1024, None, www)?;
    thousand.line("query, 5 labels of 54 bytes, 1 K zones, XDP", Hook::IngressXdp, 1024, Some(27.0), five)?;
    for (what, answers, error) in [
        ("response, no answer, no extended error, TC", 0, None),
        ("response, 1 answer, no extended error, TC", 1, None),
        ("response, 2 answers, no extended error, TC", 2, None),
        ("response, 2 answers, extended error, TC", 2, Some(22)),
    ] {
        thousand.line(what, Hook::EgressTc, 1024, None, |chance| {
            frames::response(&format!("www.{}", zone(chance, THOUSAND)), 2, answers, error)
        })?;
    }
    thousand.line("not DNS, XDP", Hook::IngressXdp, 1024, Some(3.0), |_| Vec::new())?;
    drop(thousand);
    let million = Bench::new(MILLION)?;
    million.line(
        "query, 3 labels, 64 K active of 1 M zones, XDP",
        Hook::IngressXdp,
        1 << 16,
        Some(30.0),
        |chance| frames::query(&frames::zone(chance.below(1 << 16) * 15)),
    )?;
    million.line("query, 3 labels, 1 M zones uniformly, XDP", Hook::IngressXdp, 1 << 20, Some(110.0), |chance| {
        frames::query(&frames::zone(chance.below(MILLION)))
    })
}

/// Our programs with a table of zones.
struct Bench {
    trial: Trial,
}

impl Bench {
    fn new(zones: u64) -> Outcome<Self> {
        let names = engine::Names::new((0..zones).map(frames::zone), [""; 0]);
        Ok(Self { trial: Trial::new(&Attribution::new(&Arc::new(names), &[]), Ports::DNS)? })
    }

    /// Measures `many` messages in turn, and prints a line of it. A message of no bytes is none.
    fn line(
        &self,
        what: &str,
        hook: Hook,
        many: usize,
        at_most: Option<f64>,
        mut message: impl FnMut(&mut Chance) -> Vec<u8>,
    ) -> Outcome<()> {
        let mut chance = Chance(7);
        let frames: Vec<_> = (0..many)
            .map(|_| {
                let message = message(&mut chance);
                let mut frame = frames::frame(if message.is_empty() { &[0; 64] } else { &message }, Over::V4, 7);
                if message.is_empty() {
                    // TCP, and no DNS.
                    frame[23] = 6;
                    frame[34..38].copy_from_slice(&[0, 80, 0, 80]);
                }
                frame.resize(frame.len().max(NAME + BYTES), 0);
                frame
            })
            .collect();
        let mut ours = Varied::new(hook, &frames, Some(&self.trial))?;
        let mut nothing = Varied::new(hook, &frames, None)?;
        let frame = &frames[0];
        let mut net = || ours.run(frame) - nothing.run(frame);
        let [net] = in_turn(ROUNDS, [&mut net]);
        table::ours(what, "ns", &net, at_most);
        Ok(())
    }
}

/// A program that writes a name and calls another.
struct Varied {
    programs: Ebpf,
    first: &'static str,
}

impl Varied {
    /// Calls the program of `trial`, or the one that does nothing.
    fn new(hook: Hook, frames: &[Vec<u8>], trial: Option<&Trial>) -> Outcome<Self> {
        let file = std::env::current_exe()?;
        let file =
            file.ancestors().find(|folder| folder.join("bpf").is_dir()).ok_or("the kernel programs are not built")?;
        let object = fs::read(file.join("bpf/bpfel-unknown-none/release/peers"))?;
        let many = u32::try_from(frames.len())?;
        let mut programs = aya::EbpfLoader::new().map_max_entries("BYTES", many).load(&object)?;
        let (map, first, empty) = match hook {
            Hook::IngressXdp => ("XDP", "vary_xdp", "empty_xdp"),
            Hook::IngressTc | Hook::EgressTc => ("TC", "vary_tc", "empty_tc"),
        };
        for name in [first, empty] {
            let program = programs.program_mut(name).ok_or("a program is missing")?;
            if let Program::Xdp(program) = program {
                program.load()?;
            } else if let Program::SchedClassifier(program) = program {
                program.load()?;
            }
        }
        let called = match trial {
            Some(trial) => known(trial.program(hook))?,
            None => fd(&programs, empty)?.try_clone()?,
        };
        let array = programs.map_mut(map).ok_or("a map is missing")?;
        ProgramArray::try_from(array)?.set(0, &called, 0)?;
        let bytes = programs.map_mut("BYTES").ok_or("a map is missing")?;
        let mut bytes: Array<&mut MapData, [u64; 8]> = Array::try_from(bytes)?;
        for (nth, frame) in (0..).zip(frames) {
            let mut words = [0; BYTES / 8];
            for (word, bytes) in words.iter_mut().zip(frame[NAME..].as_chunks().0) {
                *word = u64::from_ne_bytes(*bytes);
            }
            bytes.set(nth, words, 0)?;
        }
        let turn = programs.map_mut("TURN").ok_or("a map is missing")?;
        Array::<_, [u64; 2]>::try_from(turn)?.set(0, [0, u64::from(many) - 1], 0)?;
        Ok(Self { programs, first })
    }

    /// Nanoseconds of one of many runs.
    fn run(&mut self, frame: &[u8]) -> f64 {
        let program = fd(&self.programs, self.first).expect("it is loaded").as_fd();
        nanoseconds(TIMES as usize, || {
            test_run(program, frame, TIMES).expect("it runs on this frame");
        })()
    }
}

fn fd<'p>(programs: &'p Ebpf, name: &str) -> Outcome<&'p ProgramFd> {
    let program = programs.program(name).ok_or("a program is missing")?;
    if let Program::Xdp(program) = program {
        return Ok(program.fd()?);
    }
    Ok(<&SchedClassifier>::try_from(program)?.fd()?)
}

/// A program of which there is but a file descriptor.
fn known(program: std::os::fd::BorrowedFd<'_>) -> Outcome<ProgramFd> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(&program)))?;
    let id =
        text.lines().find_map(|line| line.strip_prefix("prog_id:")).ok_or("it is no program")?.trim().parse::<u32>()?;
    let all = aya::programs::loaded_programs().filter_map(Result::ok);
    let found = all.into_iter().find(|info: &ProgramInfo| info.id() == id).ok_or("the program is gone")?;
    Ok(found.fd()?)
}
