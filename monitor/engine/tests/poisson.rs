//! Whether conditions hold against chance: queries that arrive independently of each other, at a rate. Every test prints
//! the seed that broke it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "means and draws are small and not negative"
)]

use core::time::Duration;
use engine::{
    Condition, Engine, Kind, Moved, Names, Plan, Sample, Scope, Sight, Signal, State, Thresholds, Time, Wall,
};
use std::sync::Arc;
use wire::count::{FIELDS, NODE};

const TICK: u64 = 100_000_000;

#[test]
fn a_day_at_nine_tenths_of_rising_gives_no_signal() {
    let seed = 1;
    let rate = 10_000.0;
    let mut node = Node::new(seed, rate / 0.9, Duration::ZERO, Some(0.5 * rate));
    let arrivals = Poisson::new(rate / 10.0);
    for tick in 0..864_000_u64 {
        let queries = arrivals.draw(&mut node.random);
        assert_eq!(node.step(TICK, queries), [], "seed {seed}, tick {tick}");
    }
    assert!((node.total as f64 / 86_400.0 - rate).abs() < 5.0, "the load was {} q/s", node.total / 86_400);
}

#[test]
fn a_step_from_half_to_one_and_a_half_is_signalled_within_window_and_hold_and_a_tick() {
    for seed in 0..300 {
        for hold in [0, 2] {
            let (rising, hold) = (10_000.0, Duration::from_secs(hold));
            let mut node = Node::new(seed, rising, hold, None);
            let start = node.at + 3_000_000_000 + node.random.below(TICK);
            let deadline = start + 1_000_000_000 + hold.as_nanos() as u64 + TICK;
            let signal = loop {
                let before = node.at;
                // Ticks come up to 5 ms late.
                let now = before + TICK + node.random.below(5_000_000);
                let low = now.min(start).saturating_sub(before) as f64 / 1e9;
                let high = now.saturating_sub(start.max(before)) as f64 / 1e9;
                let queries = Poisson::new(rising * (0.5 * low + 1.5 * high)).draw(&mut node.random);
                if let Some(signal) = node.step(now - before, queries).pop() {
                    break signal;
                }
                assert!(node.at <= deadline, "seed {seed}: no signal {} ns after the step", node.at - start);
            };
            assert_eq!((signal.seq, signal.state), (1, State::Met));
            assert!(signal.at.0 > start, "seed {seed}: signalled before the step");
            let late = TICK + 5_000_000;
            assert!(signal.at.0 <= deadline + late - TICK, "seed {seed}: {} ns too late", signal.at.0 - deadline);
        }
    }
}

#[test]
fn arrivals_have_the_mean_and_the_variance_of_poisson() {
    let mut random = Random(7);
    for mean in [0.5, 20.0, 1000.0] {
        let poisson = Poisson::new(mean);
        let draws: Vec<f64> = (0..100_000).map(|_| poisson.draw(&mut random) as f64).collect();
        let average = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|draw| (draw - average).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!((average / mean - 1.0).abs() < 0.02 && (variance / mean - 1.0).abs() < 0.03, "{average} {variance}");
    }
}

/// One zone under an engine that watches its rate and, maybe, its increase.
struct Node {
    engine: Engine,
    random: Random,
    sample: Sample,
    at: u64,
    total: u64,
}

impl Node {
    fn new(seed: u64, rising: f64, hold: Duration, increase: Option<f64>) -> Self {
        let condition = |name: &str, kind, rising: f64| Condition {
            name: name.into(),
            kind,
            scope: Scope::Zone(1),
            thresholds: Thresholds::new(rising, 0.7 * rising).expect("rising is over 0"),
            hold_rising: hold,
            hold_falling: Duration::from_secs(60),
        };
        let mut conditions = vec![condition("rate", Kind::QueryRate, rising)];
        conditions.extend(increase.map(|rising| condition("surge", Kind::QueryRateIncrease { at_least: 0.0 }, rising)));
        let engine = Engine::new(Plan {
            names: Arc::new(Names::new(["nl."], [""; 0])),
            groups: Vec::new(),
            tick: Duration::from_nanos(TICK),
            window: Duration::from_secs(1),
            slope_window: Duration::from_secs(5),
            lost_share: 0.01,
            conditions,
            routes: Vec::new(),
        });
        let sample = Sample {
            at: Time(0),
            wall: Wall(0),
            generation: 0,
            node: [0; NODE],
            moved: Vec::new(),
            codes: Vec::new(),
            sight: Sight::default(),
        };
        Self { engine, random: Random(seed), sample, at: 0, total: 0 }
    }

    fn step(&mut self, nanos: u64, queries: u64) -> Vec<Signal> {
        self.at += nanos;
        self.total += queries;
        self.sample.at = Time(self.at);
        let mut totals = [0; FIELDS];
        totals[wire::Field::Queries as usize] = self.total;
        self.sample.moved.clear();
        self.sample.moved.push(Moved { slot: 1, totals });
        self.engine.step(&self.sample).signals
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From 0 to 1, without 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The Poisson distribution, as its cumulative probabilities within twelve standard deviations.
struct Poisson {
    first: u64,
    cumulative: Vec<f64>,
}

impl Poisson {
    fn new(mean: f64) -> Self {
        let mode = mean.floor();
        let far = (12.0 * mean.sqrt()).ceil() + 12.0;
        // Relative to the mode: P(k - 1) = P(k) * k / mean, P(k + 1) = P(k) * mean / (k + 1).
        let (mut below, mut above) = (Vec::new(), vec![1.0]);
        let (mut k, mut weight) = (mode, 1.0);
        while k > 0.0 && mode - k < far {
            weight *= k / mean;
            k -= 1.0;
            below.push(weight);
        }
        let (mut up, mut weight) = (mode, 1.0);
        while up - mode < far {
            up += 1.0;
            weight *= mean / up;
            above.push(weight);
        }
        let weights = below.into_iter().rev().chain(above);
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = weights
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        cumulative.iter_mut().for_each(|part| *part /= sum);
        Self { first: k as u64, cumulative }
    }

    fn draw(&self, random: &mut Random) -> u64 {
        let unit = random.unit();
        self.first + self.cumulative.partition_point(|&part| part <= unit) as u64
    }
}
