//! What holds for any traffic: random traces, whole and broken, through the whole engine.

use crate::ladder::test::ladder;
use crate::test::{TICK, condition, plan, query_rate};
use crate::*;
use core::time::Duration;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use wire::count::{FIELDS, NODE};

proptest! {
    #[test]
    fn edges_alternate_and_numbers_have_no_gaps(samples in samples()) {
        let mut engine = Engine::new(everything());
        let mut met = BTreeMap::new();
        let mut seq = 0;
        for (index, sample) in samples.iter().enumerate() {
            if index % 50 == 49 {
                engine.replan(if index % 100 == 49 { less() } else { everything() });
            }
            for signal in engine.step(sample).signals {
                seq += 1;
                prop_assert_eq!(signal.seq, seq);
                prop_assert!(signal.value.is_finite());
                let before = met.insert(signal.condition, signal.state).unwrap_or(State::Cleared);
                prop_assert_ne!(before, signal.state);
            }
            look(&engine);
        }
    }

    #[test]
    fn the_same_samples_twice_give_the_same_bytes(samples in samples()) {
        prop_assert_eq!(printed(&samples), printed(&samples));
    }

    #[test]
    fn shifting_all_times_shifts_all_edges(samples in samples(), shift in 0..1_u64 << 40, wall in -1_i64 << 40..1 << 40) {
        let mut shifted = samples.clone();
        for sample in &mut shifted {
            sample.at.0 += shift;
            sample.wall.0 += wall;
        }
        let (mut one, mut other) = (Engine::new(everything()), Engine::new(everything()));
        for (sample, shifted) in samples.iter().zip(&shifted) {
            let mut step = one.step(sample);
            for signal in &mut step.signals {
                signal.at.0 += shift;
                signal.wall.0 += wall;
            }
            prop_assert_eq!(step, other.step(shifted));
            prop_assert_eq!(one.view().standings(), other.view().standings());
        }
    }

    #[test]
    fn no_edge_while_the_value_stays_between_the_thresholds(
        ticks in vec((20_u64..250, 75_u64..95), 1..200),
        met in any::<bool>(),
    ) {
        let mut plan = plan(["a."], []);
        plan.conditions = vec![query_rate("c", Scope::Zone(1), 100_000.0)];
        let mut trace = Steady::new(plan);
        if met {
            (0..20).for_each(|_| trace.pass(100, 110));
            prop_assert_eq!(trace.signals, 1);
        }
        for (millis, rate) in ticks {
            trace.pass(millis, rate);
        }
        prop_assert_eq!(trace.signals, u64::from(met));
    }

    /// The load does what load does: a step takes some of it away, for as long as it is held.
    #[test]
    fn under_a_constant_load_a_ladder_settles(offered in 50_u64..400, left in vec(20_u64..100, 1..4)) {
        let mut trace = Demoted::new(left.len());
        let course = |step: usize| offered * step.checked_sub(1).map_or(100, |index| left[index]) / 100;
        for _ in 0..12 * 360 {
            trace.tick(&course);
        }
        let settled = trace.changes.len();
        for _ in 0..24 * 360 {
            trace.tick(&course);
        }
        prop_assert_eq!(trace.changes.len(), settled, "{:?}", trace.changes);
    }

    /// A load that goes up and down by 1 % around the threshold makes at most one change a hold.
    #[test]
    fn a_square_wave_around_the_threshold_makes_one_change_a_hold(half in 1_u64..3600, around in prop_oneof![Just(70_u64), Just(100)]) {
        let mut trace = Demoted::new(2);
        for tick in 0..8 * 360 {
            let load = if tick * 10 / half % 2 == 0 { around * 99 / 100 } else { (around * 101).div_ceil(100) };
            trace.tick(&|_| load);
        }
        for pair in trace.changes.windows(2) {
            prop_assert!(pair[1] - pair[0] >= 600, "{:?}", trace.changes);
        }
    }

    #[test]
    fn no_break_in_a_steady_load_makes_an_edge(
        breaks in vec((0..6_u8, 1_u64..40), 1..30),
        rate in prop_oneof![Just(90_u64), Just(110)],
    ) {
        let mut plan = plan(["a."], []);
        plan.conditions = vec![
            query_rate("c", Scope::Zone(1), 100_000.0),
            condition("i", Kind::QueryRateIncrease { at_least: 0.0 }, Scope::Node, 1000.0),
        ];
        let mut trace = Steady::new(plan);
        (0..60).for_each(|_| trace.pass(100, rate));
        let before = trace.signals;
        prop_assert_eq!(before, u64::from(rate > 100));
        for (kind, ticks) in breaks {
            match kind {
                0 => trace.pass(30_000, rate),
                1 => trace.at -= 5_000_000_000,
                2 => trace.at -= 150_000_000,
                3 => (trace.generation, trace.total) = (trace.generation + 1, 0),
                4 if trace.total > 20_000 => trace.total = 7,
                _ => trace.pass(1, rate),
            }
            (0..ticks).for_each(|_| trace.pass(100, rate));
        }
        prop_assert_eq!(trace.signals, before);
    }
}

/// A zone with a steady rate, in thousands of queries a second.
struct Steady {
    engine: Engine,
    at: u64,
    generation: u64,
    total: u64,
    signals: u64,
}

impl Steady {
    fn new(plan: Plan) -> Self {
        Self { engine: Engine::new(plan), at: 1 << 45, generation: 0, total: 0, signals: 0 }
    }

    fn pass(&mut self, millis: u64, rate: u64) {
        self.at += millis * 1_000_000;
        self.total += millis * rate;
        let mut sample = empty(self.at, self.generation);
        sample.moved.push(moved(1, self.total));
        self.signals += self.engine.step(&sample).signals.len() as u64;
    }
}

/// A zone whose load depends on the step that its route is on, in thousands of queries a second; met from 100 on.
struct Demoted {
    engine: Engine,
    second: u64,
    total: u64,
    changes: Vec<u64>,
}

impl Demoted {
    /// As many steps, with the defaults of the configuration.
    fn new(steps: usize) -> Self {
        let mut plan = plan(["a."], []);
        (plan.tick, plan.window) = (Duration::from_secs(10), Duration::from_secs(10));
        let mut busy = query_rate("c", Scope::Zone(1), 100_000.0);
        busy.hold_falling = Duration::from_secs(60);
        plan.conditions = vec![busy];
        let policy = Policy::Demote(ladder(&[1, 2, 3][..steps]));
        plan.routes.push(Route { prefix: "p".into(), router: "r".into(), when: "c".into(), policy });
        Self { engine: Engine::new(plan), second: 0, total: 0, changes: Vec::new() }
    }

    fn tick(&mut self, load: &dyn Fn(usize) -> u64) {
        let action = self.engine.view().rungs()[0].action;
        let step = if let Some(Action::Prepend(times)) = action { usize::from(times) } else { 0 };
        self.second += 10;
        self.total += load(step) * 10_000;
        let mut sample = empty(self.second * 1_000_000_000, 0);
        sample.moved.push(moved(1, self.total));
        let before = self.engine.view().rungs()[0].action.unwrap_or(Action::Plain);
        let intents = self.engine.step(&sample).intents;
        self.changes.extend(intents.iter().filter(|intent| intent.action != before).map(|_| self.second));
    }
}

/// Samples as a capture gives them, and, sometimes, as none ever should.
fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let code = (0..7_u32, 0..64_u8, 0..100_u64);
    let passed = prop_oneof![20 => 95_i64..105, 2 => 0_i64..50, 1 => -3000_i64..3000, 1 => Just(30_000)];
    let broken = prop_oneof![200 => Just(0_u8), 1 => Just(1), 1 => Just(2), 3 => Just(3), 1 => Just(4)];
    let tick = (passed, vec((0..7_u32, 0..400_u64), 0..6), vec(code, 0..4), broken, any::<u64>());
    vec(tick, 0..200).prop_map(|ticks| {
        let (mut at, mut generation, mut sight) = (1_i64 << 40, 0, Sight::default());
        let (mut totals, mut codes) = (BTreeMap::new(), BTreeMap::new());
        let mut samples = Vec::new();
        for (millis, slots, errors, broken, wild) in ticks {
            at += millis * 1_000_000;
            sight.frames = sight.frames.wrapping_add(1000);
            sight.blind.clear();
            match broken {
                1 => {
                    generation += 1;
                    totals.clear();
                    codes.clear();
                }
                2 => _ = totals.insert(1, [wild; FIELDS]),
                3 => sight.dropped = sight.dropped.wrapping_add(500),
                4 => sight.blind.push("eth0: down".into()),
                _ => {}
            }
            for (slot, count) in slots {
                let fields = totals.entry(slot).or_default();
                for (field, count) in fields.iter_mut().zip([count, count / 2, 0, count / 3, 0, 0, count / 3]) {
                    *field = field.wrapping_add(count);
                }
            }
            for (slot, column, count) in errors {
                *codes.entry((slot, column)).or_default() += count;
            }
            let mut sample = empty(u64::try_from(at).unwrap(), generation);
            sample.moved = totals.iter().map(|(&slot, &totals)| Moved { slot, totals }).collect();
            sample.codes = codes.iter().map(|(&(slot, column), &total)| MovedCodes { slot, column, total }).collect();
            sample.sight = sight.clone();
            samples.push(sample);
        }
        samples
    })
}

/// A condition of every kind and scope, and a route.
fn everything() -> Plan {
    let mut plan = plan(["a.", "b.", "c."], ["192.0.2.0/24", "2001:db8::/32"]);
    plan.groups.push(Group { name: "g".into(), slots: vec![1, 3] });
    let errors = |judged| Kind::ExtendedError { codes: u64::MAX, judged };
    let mut slow = query_rate("slow", Scope::Zone(1), 1500.0);
    slow.hold_rising = Duration::from_millis(500);
    slow.hold_falling = Duration::from_millis(700);
    plan.conditions = vec![
        slow,
        query_rate("rate", Scope::Node, 5000.0),
        query_rate("prefix", Scope::Prefix(4), 1500.0),
        condition("increase", Kind::QueryRateIncrease { at_least: 500.0 }, Scope::Group(0), 100.0),
        condition("errors", errors(Judged::Rate), Scope::Node, 500.0),
        condition("share", errors(Judged::Share { at_least: 5 }), Scope::Group(0), 0.3),
    ];
    plan.routes.push(Route {
        prefix: "192.0.2.0/24".into(),
        router: "bird".into(),
        when: "slow".into(),
        policy: Policy::Demote(Ladder {
            steps: vec![Action::Prepend(1), Action::Prepend(2)],
            step_every: Duration::from_secs(1),
            hold: Duration::from_millis(300),
            max_hold: Duration::from_secs(3),
            changes: 6,
            withdrawals: 1,
            evidence: None,
        }),
    });
    plan
}

/// Some of it, under other slots.
fn less() -> Plan {
    let mut plan = everything();
    plan.names = std::sync::Arc::new(Names::new(["b.", "a.", "c."], ["192.0.2.0/24", "2001:db8::/32"]));
    plan.conditions.remove(1);
    plan.conditions[0].scope = Scope::Zone(2);
    plan.conditions[2].hold_rising = TICK;
    plan
}

fn printed(samples: &[Sample]) -> String {
    let mut engine = Engine::new(everything());
    let steps: Vec<Step> = samples.iter().map(|sample| engine.step(sample)).collect();
    format!("{steps:?} {engine:?}")
}

fn look(engine: &Engine) {
    let view = engine.view();
    for slot in 0..8 {
        let _ = (view.rates(slot), view.totals(slot));
    }
    let _ = (view.node_rates(), view.standings(), view.rungs(), view.codes().count());
}

fn moved(slot: u32, queries: u64) -> Moved {
    let mut totals = [0; FIELDS];
    totals[0] = queries;
    Moved { slot, totals }
}

fn empty(at: u64, generation: u64) -> Sample {
    let (moved, codes) = (Vec::new(), Vec::new());
    Sample { at: Time(at), wall: Wall(0), generation, node: [0; NODE], moved, codes, sight: Sight::default() }
}
