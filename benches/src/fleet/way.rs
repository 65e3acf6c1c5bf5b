//! The ways of answering load that are compared: what each does at one site, by what it sees there.

use crate::chance::Chance;
use engine::{Action, Engine, Moved, Plan, Sample, Sight, Time, Wall};
use oopsd::config::{Config, Purpose};
use std::collections::VecDeque;
use std::path::Path;
use wire::Field;
use wire::count::{FIELDS, NODE, OTHER};

/// A way of answering load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Absorb it: no path is ever changed.
    Nothing,
    /// FastNetMon's way: at a threshold this is done, and undone 1900 s later without a look.
    Threshold(Action),
    /// `anycast_healthchecker`'s way: withdrawn after two failed checks, announced after two answered ones.
    UpDown,
    /// The engine, by a configuration that leaves everything to its defaults.
    Ours,
    /// The same, and no step up without unanswered queries: the threshold is where a site begins to look, not to act.
    OursByEvidence,
}

impl Way {
    /// All that are compared, ours last.
    pub const ALL: [Self; 6] = [
        Self::Nothing,
        Self::Threshold(Action::Prepend(1)),
        Self::Threshold(Action::Withdraw),
        Self::UpDown,
        Self::Ours,
        Self::OursByEvidence,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Nothing => "no action".to_owned(),
            Self::Threshold(action) => format!("ban time, {action}"),
            Self::UpDown => "up/down check".to_owned(),
            Self::Ours => "oopsd".to_owned(),
            Self::OursByEvidence => "oopsd, with evidence".to_owned(),
        }
    }
}

/// What a site saw in the last second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Queries that arrived.
    pub(crate) arrived: f64,
    /// The share of them that went unanswered.
    pub(crate) lost: f64,
}

/// The way of one site, at work.
#[derive(Clone, Debug)]
pub(crate) enum Keeper {
    Nothing,
    Threshold(Threshold),
    UpDown(UpDown),
    Ours(Box<Ours>),
}

impl Keeper {
    /// For a site with this capacity; thresholds are at [`RISING`] of it.
    pub(crate) fn new(way: Way, capacity: f64, seed: u64) -> Self {
        match way {
            Way::Nothing => Self::Nothing,
            Way::Threshold(action) => Self::Threshold(Threshold::new(action, RISING * capacity)),
            Way::UpDown => Self::UpDown(UpDown::new(seed)),
            Way::Ours => Self::Ours(Box::new(Ours::new(RISING * capacity, ""))),
            Way::OursByEvidence => Self::Ours(Box::new(Ours::new(RISING * capacity, EVIDENCE))),
        }
    }

    /// Sees one more second; how the prefix should be announced, if that changed.
    pub(crate) fn see(&mut self, second: usize, seen: Seen) -> Option<Action> {
        match self {
            Self::Nothing => None,
            Self::Threshold(threshold) => threshold.see(second, seen),
            Self::UpDown(check) => check.see(second, seen),
            Self::Ours(ours) => ours.see(second, seen),
        }
    }
}

/// As in the example of a configuration.
const EVIDENCE: &str = "evidence = { unanswered = 0.05 }";

/// What all thresholds are of a site's capacity.
const RISING: f64 = 0.9;

/// `ban_time` and `average_calculation_time` as in FastNetMon's own configuration file.
#[derive(Clone, Debug)]
pub(crate) struct Threshold {
    action: Action,
    rising: f64,
    last: VecDeque<f64>,
    until: Option<usize>,
}

impl Threshold {
    const BAN: usize = 1900;
    const AVERAGED: usize = 5;

    fn new(action: Action, rising: f64) -> Self {
        Self { action, rising, last: VecDeque::new(), until: None }
    }

    fn see(&mut self, second: usize, seen: Seen) -> Option<Action> {
        self.last.push_back(seen.arrived);
        if self.last.len() > Self::AVERAGED {
            self.last.pop_front();
        }
        match self.until {
            Some(until) if second < until => None,
            Some(_) => {
                self.until = None;
                Some(Action::Plain)
            }
            None => {
                let average = self.last.iter().sum::<f64>() / Self::AVERAGED as f64;
                self.until = (average >= self.rising).then_some(second + Self::BAN);
                self.until.map(|_| self.action)
            }
        }
    }
}

/// `check_interval`, `check_fail` and `check_rise` as in the defaults of `anycast_healthchecker`. A check is one query to the
/// server, which is lost like any other.
#[derive(Clone, Debug)]
pub(crate) struct UpDown {
    up: bool,
    /// Checks in a row that spoke against it.
    against: u32,
    chance: Chance,
}

impl UpDown {
    const INTERVAL: usize = 10;
    const IN_A_ROW: u32 = 2;

    const fn new(seed: u64) -> Self {
        Self { up: true, against: 0, chance: Chance::new(seed) }
    }

    fn see(&mut self, second: usize, seen: Seen) -> Option<Action> {
        if !second.is_multiple_of(Self::INTERVAL) {
            return None;
        }
        let answered = self.chance.share() >= seen.lost;
        self.against = if answered == self.up { 0 } else { self.against + 1 };
        if self.against < Self::IN_A_ROW {
            return None;
        }
        (self.up, self.against) = (answered, 0);
        Some(if self.up { Action::Plain } else { Action::Withdraw })
    }
}

/// One of oopsd's own engines.
#[derive(Clone, Debug)]
pub(crate) struct Ours {
    engine: Engine,
    sample: Sample,
    /// Queries that arrived and responses that were sent, with the parts of one.
    totals: [f64; 2],
    action: Action,
}

impl Ours {
    fn new(rising: f64, more: &str) -> Self {
        let sample = Sample {
            at: Time(0),
            wall: Wall(0),
            generation: 1,
            node: [0; NODE],
            moved: Vec::new(),
            codes: Vec::new(),
            sight: Sight::default(),
        };
        Self { engine: Engine::new(plan(rising, more)), sample, totals: [0.0; 2], action: Action::Plain }
    }

    fn see(&mut self, second: usize, seen: Seen) -> Option<Action> {
        let [queries, responses] = &mut self.totals;
        *queries += seen.arrived;
        *responses += seen.arrived * (1.0 - seen.lost);
        let mut totals = [0; FIELDS];
        totals[Field::Queries as usize] = *queries as u64;
        totals[Field::NoError as usize] = *responses as u64;
        self.sample.at = Time(second as u64 * 1_000_000_000);
        self.sample.sight.frames = (*queries + *responses) as u64;
        self.sample.moved.clear();
        // All queries are for one zone, which nobody watches, and for one prefix, the route's.
        self.sample.moved.extend([OTHER, OTHER + 1].map(|slot| Moved { slot, totals }));
        let step = self.engine.step(&self.sample);
        let action = step.intents.last()?.action;
        (std::mem::replace(&mut self.action, action) != action).then_some(action)
    }
}

/// What an operator would write, read by oopsd's own reader: what is not here has its default. Only the tick is longer, to
/// simulate faster; the window is one second all the same.
fn plan(rising: f64, more: &str) -> Plan {
    let text = format!(
        r#"
        [rate]
        tick = "1s"
        [[condition]]
        name = "overload"
        kind = "query-rate"
        rising = "{rising:.0}"
        [[router]]
        name = "bird"
        type = "kernel-table"
        table = 5353
        [[route]]
        prefix = "192.0.2.0/24"
        router = "bird"
        when = "overload"
        policy = "demote"
        {more}
        "#
    );
    Config::parse(Path::new("fleet.toml"), &text, Purpose::Judge).expect("the configuration is sound").plan
}
