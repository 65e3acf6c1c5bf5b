//! One tick of the engine: a million zones, a thousand of them active, a hundred conditions.

use crate::figure::{in_turn, nanoseconds};
use crate::{Outcome, frames, table};
use engine::{Condition, Engine, Judged, Kind, Names, Plan, Sample, Scope, Sight, Thresholds, Time, Wall};
use oopsd::capture::attribution::Attribution;
use oopsd::capture::collector::Collector;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use wire::{Counters as _, Field};

const ZONES: u64 = 1_000_000;
const ACTIVE: u32 = 1_000;
const TICK: u64 = 100_000_000;

/// Measures a sample being taken, and the step that it leads to.
pub(crate) fn measure() -> Outcome<()> {
    let names = Arc::new(Names::new((0..ZONES).map(frames::zone), [""; 0]));
    let mut collector = Collector::new(1, &Arc::new(Attribution::new(&names, &[])));
    let mut engine = Engine::new(plan(names));
    let desk = Arc::clone(&collector.desks()[0]);
    let mut at = 0;
    // A slope window goes by before anything is judged whole.
    for _ in 0..100 {
        move_on(&desk);
        at += TICK;
        engine.step(&sample(&mut collector, at));
    }
    let taken = RefCell::new(None);
    let [sampled, stepped] = in_turn(
        300,
        [
            &mut || {
                move_on(&desk);
                at += TICK;
                nanoseconds(1000, || *taken.borrow_mut() = Some(sample(&mut collector, at)))()
            },
            &mut || {
                let sample = taken.take().expect("a sample was taken just before");
                assert_eq!(sample.moved.len(), ACTIVE as usize);
                nanoseconds(1000, || drop(engine.step(&sample)))()
            },
        ],
    );
    assert!(engine.view().standings().iter().all(|standing| standing.value.is_some()), "all conditions are judged");
    table::ours("engine tick: 1 M zones, 1 K active, 100 conditions", "us", &stepped, Some(200.0));
    table::ours("sample for it, from one thread's tally", "us", &sampled, None);
    Ok(())
}

/// A hundred conditions: most over the rates of zones, some over slopes, some over extended errors of zones or the node.
fn plan(names: Arc<Names>) -> Plan {
    let conditions = (0..100_u32).map(|number| {
        let kind = match number % 10 {
            0 => Kind::ExtendedError { codes: 1 << 22 | 1 << 23, judged: Judged::Rate },
            1 => Kind::ExtendedError { codes: 1 << 22, judged: Judged::Share { at_least: 10 } },
            2 | 3 => Kind::QueryRateIncrease { at_least: 10.0 },
            _ => Kind::QueryRate,
        };
        Condition {
            name: format!("c{number}"),
            kind,
            scope: if number % 20 == 0 { Scope::Node } else { Scope::Zone(1 + number * 7) },
            thresholds: Thresholds::new(1e9, 7e8).expect("falling is below rising"),
            hold_rising: Duration::ZERO,
            hold_falling: Duration::ZERO,
        }
    });
    Plan {
        names,
        groups: Vec::new(),
        tick: Duration::from_nanos(TICK),
        window: Duration::from_secs(1),
        slope_window: Duration::from_secs(5),
        lost_share: 0.01,
        conditions: conditions.collect(),
        routes: Vec::new(),
    }
}

/// Queries and responses in a thousand zones, extended errors in every tenth of them.
fn move_on(desk: &std::sync::Mutex<oopsd::capture::collector::Desk>) {
    let mut desk = desk.lock().expect("nobody panicked with it");
    for slot in 1..=ACTIVE {
        desk.tally.slot(slot, Field::Queries);
        desk.tally.slot(slot, Field::ServFail);
        if slot % 10 == 0 {
            desk.tally.slot(slot, Field::WithExtendedError);
            desk.tally.extended_errors(slot, 1 << 22 | 1 << 6);
        }
    }
}

fn sample(collector: &mut Collector, at: u64) -> Sample {
    collector.sample(Time(at), Wall(0), Sight::default())
}
