//! What the daemon does with the kernel's counters: a tick, a look at all of them, other zones in their place.

use crate::figure::{Figure, in_turn, nanoseconds};
use crate::frames;
use crate::kernel::{Called, Varied, varied};
use crate::{Outcome, bpf, table};
use engine::{Time, Wall};
use oopsd::capture::attribution::Attribution;
use oopsd::capture::kernel::trial::{Hook, Trial};
use std::time::Instant;
use wire::Ports;

const ACTIVE: usize = 1_000;
const MILLION: u64 = 1_000_000;
const ROUNDS: usize = 20;
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

/// Counts in 1,000 zones of a million between two ticks.
fn tick(trial: &mut Trial) -> Outcome<()> {
    let mut next = 0;
    let frames = varied(1024, |_| {
        next = (next + 1) % ACTIVE;
        frames::query(&frames::zone(next as u64 * 999))
    });
    let queries = Varied::new(Hook::IngressXdp, &frames, Called::Fd(trial.program(Hook::IngressXdp)))?;
    let mut ticks = Vec::new();
    for round in 0..=ROUNDS {
        queries.times(&frames[0], 1024);
        let mut moved = 0;
        let took = nanoseconds(1, || moved = trial.sample(AT, WALL).moved.len())();
        if moved != ACTIVE {
            return Err(format!("{moved} zones moved, not {ACTIVE}").into());
        }
        if round > 0 {
            ticks.push(took / MICROSECOND);
        }
    }
    table::ours("tick, 1 K active of 1 M zones", "us", &Figure::of(ticks), Some(50.0));
    let mut sweeps = Vec::new();
    for round in 0..=ROUNDS {
        queries.times(&frames[0], 1024);
        trial.sweep();
        let took = nanoseconds(1, || drop(trial.sample(AT, WALL)))();
        if round > 0 {
            sweeps.push(took / MILLISECOND);
        }
    }
    table::ours("full sweep, 1 K active of 1 M zones", "ms", &Figure::of(sweeps), Some(2.0));
    Ok(())
}
