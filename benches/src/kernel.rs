//! One frame in the kernel, by `BPF_PROG_TEST_RUN`, net of a program that does nothing. Another name is written into the
//! frame before each run, by a program that then calls ours, a peer, or the one that does nothing.

use crate::figure::{in_turn, nanoseconds};
use crate::frames::{self, Chance, Over};
use crate::sketch::Sketch;
use crate::{Outcome, bpf, table};
use aya::Ebpf;
use aya::maps::{Array, Map, MapData, ProgramArray};
use aya::programs::{Program, ProgramFd, SchedClassifier};
use engine::{Moved, Time, Wall};
use oopsd::capture::attribution::Attribution;
use oopsd::capture::kernel::trial::{Hook, Trial, test_run};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use wire::count::OTHER;
use wire::{Field, Node, Ports};

const THOUSAND: u64 = 1_000;
const MILLION: u64 = 1_000_000;
const ROUNDS: usize = 12;
const PEER_ROUNDS: usize = 8;
const TIMES: u32 = 400_000;

/// Where the name begins in a frame, and how many bytes from there on are written.
const NAME: usize = 54;
const BYTES: usize = 64;

/// Measures all of it.
pub(crate) fn measure() -> Outcome<()> {
    if !bpf::can_run("a frame in the kernel")? {
        return Ok(());
    }
    let thousand = Bench::new(THOUSAND)?;
    let zone = |chance: &mut Chance, of: u64| frames::zone(chance.below(of));
    let www = |chance: &mut Chance| frames::query(&zone(chance, THOUSAND));
    let five =
        |chance: &mut Chance| frames::query(&format!("a-long-first-name.a-longer-next-one.{}", zone(chance, THOUSAND)));
    thousand.line("query, 3 labels, 1 K zones, XDP", Hook::IngressXdp, 1024, Some(16.0), www)?;
    thousand.limit(THOUSAND, 1024, www)?;
    thousand.peers(THOUSAND, 1024, www)?;
    thousand.line("the same at TC", Hook::IngressTc, 1024, None, www)?;
    thousand.line("query, 5 labels of 54 bytes, 1 K zones, XDP", Hook::IngressXdp, 1024, Some(27.0), five)?;
    thousand.limit(THOUSAND, 1024, five)?;
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
    thousand.limit(THOUSAND, 1024, |_| Vec::new())?;
    thousand.counted()?;
    let active = |chance: &mut Chance| frames::query(&frames::zone(chance.below(1 << 16) * 15));
    let uniform = |chance: &mut Chance| frames::query(&frames::zone(chance.below(MILLION)));
    let million = Bench::new(MILLION)?;
    million.line("query, 3 labels, 64 K active of 1 M zones, XDP", Hook::IngressXdp, 1 << 16, Some(30.0), active)?;
    million.limit(MILLION, 1 << 16, active)?;
    million.peers(MILLION, 1 << 16, active)?;
    million.line("query, 3 labels, 1 M zones uniformly, XDP", Hook::IngressXdp, 1 << 20, Some(110.0), uniform)?;
    million.limit(MILLION, 1 << 20, uniform)?;
    million.peers(MILLION, 1 << 20, uniform)?;
    million.counted()
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
        message: impl FnMut(&mut Chance) -> Vec<u8>,
    ) -> Outcome<()> {
        let frames = varied(many, message);
        let ours = Varied::new(hook, &frames, Called::Fd(self.trial.program(hook)))?;
        let nothing = Varied::new(hook, &frames, Called::Named("empty"))?;
        let mut net = || ours.run(&frames[0]) - nothing.run(&frames[0]);
        let [net] = in_turn(ROUNDS, [&mut net]);
        table::ours(what, "ns", &net, at_most);
        Ok(())
    }

    /// Fails unless all messages were counted for zones: who counts nothing is fast.
    fn counted(mut self) -> Outcome<()> {
        let sample = self.trial.sample(Time(0), Wall(0));
        let fields = |moved: &Moved| moved.totals[..Field::WithExtendedError as usize].iter().sum::<u64>();
        let counted: u64 = sample.moved.iter().filter(|moved| moved.slot != OTHER).map(fields).sum();
        let messages: u64 = sample.node[..Node::OtherOpcode.index()].iter().sum();
        println!("counted for zones: {counted} of {messages} messages");
        if counted == messages && messages > 0 {
            Ok(())
        } else {
            Err("the programs did not count what they were given".into())
        }
    }

    /// Measures ours and the sketch in C with `zones` zones, and prints a line of it.
    fn limit(&self, zones: u64, many: usize, message: impl FnMut(&mut Chance) -> Vec<u8>) -> Outcome<()> {
        let Some(sketch) = Sketch::new(zones)? else { return Ok(()) };
        let hook = Hook::IngressXdp;
        let frames = varied(many, message);
        let ours = Varied::new(hook, &frames, Called::Fd(self.trial.program(hook)))?;
        let nothing = Varied::new(hook, &frames, Called::Named("empty"))?;
        let sketch = Varied::new(hook, &frames, Called::Fd(sketch.program.as_fd()))?;
        let net = |program: &Varied| program.run(&frames[0]) - nothing.run(&frames[0]);
        let [ours, sketch] = in_turn(ROUNDS, [&mut || net(&ours), &mut || net(&sketch)]);
        table::peer("a sketch in C, the limit here", "ns", &sketch, &ours, None);
        Ok(())
    }

    /// Measures ours and what others do, with `zones` in their maps, and prints lines of the peers.
    fn peers(&self, zones: u64, many: usize, message: impl FnMut(&mut Chance) -> Vec<u8>) -> Outcome<()> {
        let hook = Hook::IngressXdp;
        let frames = varied(many, message);
        let ours = Varied::new(hook, &frames, Called::Fd(self.trial.program(hook)))?;
        let nothing = Varied::new(hook, &frames, Called::Named("empty"))?;
        let hash = Varied::new(hook, &frames, Called::Peer(Peer::Hash, zones))?;
        let trie = Varied::new(hook, &frames, Called::Peer(Peer::Trie, zones))?;
        let line = Varied::new(hook, &frames, Called::Named(LINE))?;
        let net = |program: &Varied| program.run(&frames[0]) - nothing.run(&frames[0]);
        let [ours, line, hash, trie] =
            in_turn(PEER_ROUNDS, [&mut || net(&ours), &mut || net(&line), &mut || net(&hash), &mut || net(&trie)]);
        if zones == MILLION {
            table::peer("the limit: one line of an array of as many bytes", "ns", &line, &ours, None);
        }
        table::peer("by BPF_MAP_TYPE_HASH, each suffix", "ns", &hash, &ours, None);
        table::peer("by BPF_MAP_TYPE_LPM_TRIE, the name turned round", "ns", &trie, &ours, None);
        Ok(())
    }
}

/// Frames of `many` messages.
pub(crate) fn varied(many: usize, mut message: impl FnMut(&mut Chance) -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut chance = Chance(7);
    let frame = |_| {
        let message = message(&mut chance);
        let mut frame = frames::frame(if message.is_empty() { &[0; 64] } else { &message }, Over::V4, 7);
        if message.is_empty() {
            // TCP, and no DNS.
            frame[23] = 6;
            frame[34..38].copy_from_slice(&[0, 80, 0, 80]);
        }
        frame.resize(frame.len().max(NAME + BYTES), 0);
        frame
    };
    (0..many).map(frame).collect()
}

/// A program that looks at a line of memory, and does nothing else.
pub(crate) const LINE: &str = "line";

/// As many lines of memory as a table of a million zones has; the program knows it too.
pub(crate) const LINES: u32 = 333_334;

/// Which of them it looks at for a frame.
pub(crate) fn line_of(frame: &[u8]) -> usize {
    let label = frame[NAME + 5..].first_chunk().map_or(0, |label| u64::from_le_bytes(*label));
    let upper = label.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    (upper.wrapping_mul(u64::from(LINES)) >> 32) as usize
}

/// What is called once the name is written.
#[derive(Clone, Copy)]
pub(crate) enum Called<'t> {
    /// A program that is loaded.
    Fd(BorrowedFd<'t>),
    /// One of the benches', without its hook.
    Named(&'static str),
    /// A peer with so many zones.
    Peer(Peer, u64),
}

/// A map of the kernel's own that finds a zone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Hash,
    Trie,
}

impl Peer {
    const fn program(self) -> &'static str {
        match self {
            Self::Hash => "hash_xdp",
            Self::Trie => "trie_xdp",
        }
    }

    const fn map(self) -> &'static str {
        match self {
            Self::Hash => "NAMES",
            Self::Trie => "TRIE",
        }
    }

    /// The keys of so many zones.
    fn keys(self, zones: u64) -> Vec<u8> {
        let mut keys = Vec::new();
        for zone in 0..zones {
            let mut name = oopsd::name::to_wire(&frames::zone(zone));
            let length = name.len();
            if self == Self::Trie {
                name.reverse();
                keys.extend(u32::try_from(8 * length).expect("names are short").to_ne_bytes());
            }
            keys.extend(name);
            keys.resize(keys.len() + BYTES - length, 0);
        }
        keys
    }
}

/// A program that writes a name and calls another.
pub(crate) struct Varied {
    programs: Ebpf,
    first: &'static str,
}

impl Varied {
    pub(crate) fn new(hook: Hook, frames: &[Vec<u8>], called: Called<'_>) -> Outcome<Self> {
        let many = u32::try_from(frames.len())?;
        let mut loader = aya::EbpfLoader::new();
        loader.map_max_entries("BYTES", many);
        if matches!(called, Called::Named(LINE)) {
            loader.map_max_entries("LINES", LINES);
        }
        if let Called::Peer(peer, zones) = called {
            loader.map_max_entries(peer.map(), u32::try_from(zones)?);
        }
        let mut programs = loader.load(&bpf::peers()?)?;
        let (map, first) = match hook {
            Hook::IngressXdp => ("XDP", "vary_xdp"),
            Hook::IngressTc | Hook::EgressTc => ("TC", "vary_tc"),
        };
        load(&mut programs, first)?;
        let called = match called {
            Called::Fd(program) => bpf::program(program)?.fd()?,
            Called::Named(name) => load(&mut programs, &format!("{name}_{}", map.to_lowercase()))?,
            Called::Peer(peer, zones) => {
                let keys = peer.keys(zones);
                let filled = programs.map(peer.map()).ok_or("a map is missing")?;
                bpf::fill(filled, &keys, u32::try_from(zones)?)?;
                load(&mut programs, peer.program())?
            }
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
    fn run(&self, frame: &[u8]) -> f64 {
        nanoseconds(TIMES as usize, || self.times(frame, TIMES))()
    }

    /// One of its maps.
    pub(crate) fn map(&self, name: &str) -> Option<&Map> {
        self.programs.map(name)
    }

    /// Runs it so many times.
    pub(crate) fn times(&self, frame: &[u8], times: u32) {
        let program = fd(&self.programs, self.first).expect("it is loaded").as_fd();
        let (returned, _) = test_run(program, frame, times).expect("it runs on this frame");
        assert_ne!(returned, 0, "what was to be called was not, or found no zone");
    }
}

/// Loads a program of the benches into the kernel.
pub(crate) fn load(programs: &mut Ebpf, name: &str) -> Outcome<ProgramFd> {
    let program = programs.program_mut(name).ok_or("a program is missing")?;
    if let Program::Xdp(program) = program {
        program.load()?;
    } else if let Program::SchedClassifier(program) = program {
        program.load()?;
    }
    Ok(fd(programs, name)?.try_clone()?)
}

fn fd<'p>(programs: &'p Ebpf, name: &str) -> Outcome<&'p ProgramFd> {
    let program = programs.program(name).ok_or("a program is missing")?;
    if let Program::Xdp(program) = program {
        return Ok(program.fd()?);
    }
    Ok(<&SchedClassifier>::try_from(program)?.fd()?)
}
