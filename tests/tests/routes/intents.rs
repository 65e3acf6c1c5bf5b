//! Hundreds of intents, and hundreds of deaths of oopsd, against a real BIRD: the end is right, and nothing passed that nobody ordered.

use anyhow::{Result, ensure};
use core::time::Duration;
use engine::Action;
use std::thread;
use std::time::Instant;
use tests::lab::learner::{ACTIONS, Learner};
use tests::lab::peering::{V4, V6};

/// How long after its order a withdrawal may still be on its way.
const LATE: Duration = Duration::from_secs(1);

#[test]
fn three_hundred_random_intents_end_right_and_nothing_passes_that_was_not_ordered() -> Result<()> {
    let Some(lab) = Learner::new()? else { return Ok(()) };
    random_intents(&lab, 300)
}

#[expect(clippy::print_stdout, reason = "a figure for whoever runs the tests")]
pub(crate) fn random_intents(lab: &Learner, count: u32) -> Result<()> {
    let mut oopsd = lab.oopsd(env!("CARGO_BIN_EXE_routers"))?;
    let mark = lab.peering.listener.mark();
    let (mut random, mut orders, mut took) = (Random(20_261_121), Orders::default(), Vec::new());
    for _ in 0..count {
        let (prefix, action) = (random.one_of(&[V4, V6]), random.one_of(&ACTIONS));
        let start = orders.add(prefix, action);
        oopsd.want(prefix, &action.to_string())?;
        // Some come while the one before is being made so, and some after.
        if random.below(2) == 0 {
            lab.reaches(prefix, action)?;
            took.push(start.elapsed());
        }
    }
    for prefix in [V4, V6] {
        lab.reaches(prefix, orders.last(prefix))?;
        oopsd.sees(prefix, &orders.last(prefix).to_string())?;
    }
    took.sort_unstable();
    println!(
        "{count} intents, of which {} were waited for: median {:?}, longest {:?}; {} UPDATEs, {} withdrawals",
        took.len(),
        took[took.len() / 2],
        took[took.len() - 1],
        lab.peering.listener.updates(mark).len(),
        lab.peering.listener.withdrawals(mark).len(),
    );
    orders.judge(lab, mark)
}

#[test]
fn two_hundred_kills_at_random_moments_end_right() -> Result<()> {
    let Some(lab) = Learner::new()? else { return Ok(()) };
    let mark = lab.peering.listener.mark();
    let (mut random, mut orders) = (Random(8326), Orders::default());
    let begun = Instant::now();
    for round in 0..200 {
        let mut oopsd = lab.oopsd(env!("CARGO_BIN_EXE_routers"))?;
        for prefix in [V4, V6] {
            let action = random.one_of(&ACTIONS);
            orders.add(prefix, action);
            oopsd.want(prefix, &action.to_string())?;
        }
        // The moment at which it dies: in the middle of what it does, or after.
        thread::sleep(Duration::from_micros(random.below(4_000).into()));
        if round % 20 == 19 {
            for prefix in [V4, V6] {
                lab.reaches(prefix, orders.last(prefix))?;
            }
        }
        oopsd.running.kill();
    }
    let took = begun.elapsed();
    // What it left is what the last one wanted, or what there was before, or nothing; never a lease.
    ensure!(!lab.table().contains("oopsd"), "{}", lab.table());
    let mut oopsd = lab.oopsd(env!("CARGO_BIN_EXE_routers"))?;
    for prefix in [V4, V6] {
        let action = random.one_of(&ACTIONS);
        orders.add(prefix, action);
        oopsd.want(prefix, &action.to_string())?;
        lab.reaches(prefix, action)?;
        oopsd.sees(prefix, &action.to_string())?;
    }
    println!("200 kills in {took:?}: {} UPDATEs", lab.peering.listener.updates(mark).len());
    orders.judge(&lab, mark)
}

/// What was ordered, and when.
#[derive(Default)]
struct Orders(Vec<(Instant, &'static str, Action)>);

impl Orders {
    fn add(&mut self, prefix: &'static str, action: Action) -> Instant {
        let now = Instant::now();
        self.0.push((now, prefix, action));
        now
    }

    fn last(&self, prefix: &str) -> Action {
        let last = self.0.iter().rev().find(|(_, of, _)| *of == prefix);
        last.map_or(Action::Plain, |(_, _, action)| *action)
    }

    /// No session changed, and each withdrawal came while one was wanted, or not long after.
    fn judge(&self, lab: &Learner, mark: usize) -> Result<()> {
        let changes = lab.peering.listener.session_changes(mark);
        ensure!(changes.is_empty(), "a session changed: {changes:?}");
        for (at, prefix) in lab.peering.listener.withdrawals(mark) {
            let orders: Vec<_> = self.0.iter().filter(|(_, of, _)| *of == prefix.to_string()).collect();
            let ordered = orders.iter().enumerate().any(|(index, (from, _, action))| {
                let until = orders.get(index + 1).map(|(until, ..)| *until);
                *action == Action::Withdraw && *from <= at && until.is_none_or(|until| at <= until + LATE)
            });
            ensure!(ordered, "{prefix} was withdrawn at {at:?}, which nobody had ordered: {orders:?}");
        }
        Ok(())
    }
}

/// The same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(u32::try_from(choices.len()).expect("few")) as usize]
    }
}
