//! What the daemon does with the kernel's counters: a tick, a look at all of them, other zones in their place.

use crate::figure::{Figure, in_turn, nanoseconds};
use crate::frames::{self, Chance};
use crate::kernel::{Called, LINE, LINES, Varied, line_of, varied};
use crate::{Outcome, bpf, table};
use engine::{Time, Wall};
use oopsd::capture::attribution::Attribution;
use oopsd::capture::kernel::trial::{Hook, Trial};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use wire::Ports;

const ACTIVE: usize = 1_000;
const MILLION: u64 = 1_000_000;
const ROUNDS: usize = 20;
/// A tick is short, and what else the machine does is soon in it.
const TICKS: usize = 200;
const MICROSECOND: f64 = 1e3;
const MILLISECOND: f64 = 1e6;

/// Measures it, where it can be.
pub(crate) fn measure() -> Outcome<()> {
    if !bpf::can_run("a tick, a sweep, other zones")? {
        return Ok(());
    }
    let names = engine::Names::new((0..MILLION).map(frames::zone), [""; 0]);
    let mut trial = Trial::new(&Attribution::new(&names, &[]), Ports::DNS)?;
    tick(&mut trial)?;
    // Each of the two halves is filled with what the other has: the zones do not matter.
    let attribution = Attribution::new(&names, &[]);
    let [mut took, mut passed] = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        let start = Instant::now();
        let mut replaced = Ok(());
        let on_processor = nanoseconds(1, || {
            replaced = trial.replace(&attribution, Ports::DNS, AT, WALL).map(drop);
        })();
        replaced?;
        if round > 0 {
            took.push(on_processor / MILLISECOND);
            passed.push(start.elapsed().as_nanos() as f64 / MILLISECOND);
        }
    }
    table::ours("1 M zones put in place of others", "ms", &Figure::of(took), Some(150.0));
    table::ours("    by the clock, with the wait for programs to end", "ms", &Figure::of(passed), None);
    let mut build = || nanoseconds(1, || drop(Attribution::new(&names, &[])))() / MILLISECOND;
    let [build] = in_turn(5, [&mut build]);
    table::ours("    before that, the table made of the names", "ms", &build, None);
    Ok(())
}

const AT: Time = Time(0);
const WALL: Wall = Wall(0);

/// Counts in 1,000 zones of a million between two ticks. They are far from each other, so that each is on pages of its own
/// in memory; what that alone costs is seen beside neighbours. Who sleeps between two ticks finds its addresses forgotten, and
/// other work where its caches were: that is measured apart, beside the limit.
fn tick(trial: &mut Trial) -> Outcome<()> {
    let [near, far] = [queries(trial, 1)?, queries(trial, 999)?];
    let mut limit = Limit::new(999)?;
    let [neighbours, _] = ticks(trial, &near, None)?;
    // What moved for the last time is looked at once more.
    drop(trial.sample(AT, WALL));
    let [warm, _] = ticks(trial, &far, None)?;
    let [cold, limit] = ticks(trial, &far, Some(&mut limit))?;
    table::ours("tick, 1 K active of 1 M zones", "us", &warm, Some(50.0));
    table::ours("    neighbours in memory", "us", &neighbours, None);
    table::ours("    far from each other, addresses forgotten since", "us", &cold, Some(50.0));
    table::peer("the limit: 1 K lines of an array of as many bytes", "us", &limit, &cold, None);
    let mut sweeps = Vec::new();
    for round in 0..=ROUNDS {
        far.run();
        trial.sweep();
        let took = nanoseconds(1, || drop(trial.sample(AT, WALL)))();
        if round > 0 {
            sweeps.push(took / MILLISECOND);
        }
    }
    table::ours("full sweep, 1 K active of 1 M zones", "ms", &Figure::of(sweeps), Some(2.0));
    Ok(())
}

const MANY: u32 = 1024;

/// A query for each of 1,000 zones and for some of them again.
struct Queries {
    program: Varied,
    frame: Vec<u8>,
}

impl Queries {
    /// In one go. For that Linux rewrites the code by which it calls the program, and addresses are forgotten.
    fn run(&self) {
        self.program.times(&self.frame, MANY);
    }

    /// One after the other.
    fn run_singly(&self) {
        (0..MANY).for_each(|_| self.program.times(&self.frame, 1));
    }
}

/// Of each zone so many numbers from the next.
fn queries(trial: &Trial, apart: u64) -> Outcome<Queries> {
    let mut frames = frames_of(apart);
    let program = Varied::new(Hook::IngressXdp, &frames, Called::Fd(trial.program(Hook::IngressXdp)))?;
    Ok(Queries { program, frame: frames.swap_remove(0) })
}

/// As many orders as zones are asked for in, one after the other: a processor learns the order of numbers that it sorts often.
const ORDERS: usize = 16;

/// Each zone once in as many messages as are sent at once, in an order of chance, and some of them again.
fn frames_of(apart: u64) -> Vec<Vec<u8>> {
    let mut order: Vec<_> = (0..ACTIVE as u64).collect();
    let mut chance = Chance(7);
    let mut zones: Vec<u64> = Vec::new();
    for _ in 0..ORDERS {
        order.sort_by_cached_key(|_| chance.below(u64::MAX));
        zones.extend(order.iter().cycle().take(MANY as usize));
    }
    let mut zones = zones.into_iter();
    varied(zones.len(), |_| frames::query(&frames::zone(zones.next().unwrap_or_default() * apart)))
}

/// The least that reading so many counters can take: a program has counted in a line of an array for each query, and these
/// lines are looked at. Nothing says which they are or what was in them before.
struct Limit {
    queries: Queries,
    array: &'static [AtomicU64],
    /// The first word of each line.
    words: Vec<usize>,
    /// Of them.
    sum: u64,
}

impl Limit {
    /// Of zones as far from each other as `queries`.
    fn new(apart: u64) -> Outcome<Self> {
        let mut frames = frames_of(apart);
        let program = Varied::new(Hook::IngressXdp, &frames, Called::Named(LINE))?;
        let array = bpf::mapped(program.map("LINES").ok_or("a map is missing")?, WORDS * LINES as usize)?;
        let words = frames[..ACTIVE].iter().map(|frame| WORDS * line_of(frame)).collect();
        Ok(Self { queries: Queries { program, frame: frames.swap_remove(0) }, array, words, sum: 0 })
    }

    /// The nanoseconds that it took.
    fn run(&mut self) -> Outcome<f64> {
        self.queries.run();
        let before = self.sum;
        let words = self.words.iter().map(|word| self.array[*word].load(Ordering::Relaxed));
        let took = nanoseconds(1, || self.sum = words.clone().fold(0, u64::wrapping_add))();
        if self.sum == before { Err("nothing was counted in these lines".into()) } else { Ok(took) }
    }
}

/// Words in a line of memory.
const WORDS: usize = 8;

/// What it takes to read all of these; if there is a `limit`, with addresses forgotten, and to read as many lines in between.
fn ticks(trial: &mut Trial, queries: &Queries, mut limit: Option<&mut Limit>) -> Outcome<[Figure; 2]> {
    let [mut ticks, mut lines] = [Vec::new(), Vec::new()];
    for round in 0..=TICKS {
        if limit.is_some() {
            queries.run()
        } else {
            queries.run_singly()
        }
        let mut moved = 0;
        let took = nanoseconds(1, || moved = trial.sample(AT, WALL).moved.len())();
        if moved != ACTIVE {
            return Err(format!("{moved} zones moved, not {ACTIVE}").into());
        }
        let least = limit.as_mut().map(|limit| limit.run()).transpose()?;
        if round > 0 {
            ticks.push(took / MICROSECOND);
            lines.extend(least.map(|least| least / MICROSECOND));
        }
    }
    Ok([ticks, lines].map(Figure::of))
}
