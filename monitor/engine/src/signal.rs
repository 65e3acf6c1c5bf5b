//! A condition changed state.

use crate::ladder::HOUR;
use crate::{Condition, Plan, Route, Time, Wall, measure};
use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

/// A condition changed state. Edge-triggered, numbered without gaps from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Its number.
    pub seq: u64,
    /// The tick that crossed.
    pub at: Time,
    /// The same, to print.
    pub wall: Wall,
    /// The condition's name; `blind` for blindness, `over-budget` for a route that may not be changed again yet, `route-not-applied` and
    /// `route-contested` for one that is not as wanted, `signals-given-up` for a channel.
    pub condition: String,
    /// `query-rate`, `query-rate-increase`, `extended-error`, or what `condition` says beside the names of conditions.
    pub kind: &'static str,
    /// What it is now.
    pub state: State,
    /// What it watches, in words.
    pub scope: Named,
    /// The value at the edge, in the kind's unit.
    pub value: f64,
    /// The threshold that it crossed: rising when met, falling when cleared.
    pub threshold: f64,
    /// Over how long the value was measured.
    pub window: Duration,
    /// What else the draft asks for.
    pub arguments: Arguments,
}

impl Signal {
    /// One that is yet to be numbered and dated.
    pub(crate) fn new(condition: &Condition, plan: &Plan, scope: Named, state: State, value: f64) -> Self {
        Self {
            seq: 0,
            at: Time::default(),
            wall: Wall::default(),
            condition: condition.name.clone(),
            kind: condition.kind.as_str(),
            state,
            scope,
            value,
            threshold: match state {
                State::Cleared => condition.thresholds.falling(),
                State::Met => condition.thresholds.rising(),
            },
            window: measure::window(&condition.kind, plan),
            arguments: Arguments::default(),
        }
    }

    /// That the budget of a route keeps it from a change, or no longer does; yet to be numbered and dated.
    pub(crate) fn over_budget(route: &Route, over: bool, changes: usize, limit: usize) -> Self {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).into();
        Self {
            seq: 0,
            at: Time::default(),
            wall: Wall::default(),
            condition: OVER_BUDGET.to_owned(),
            kind: OVER_BUDGET,
            state: if over { State::Met } else { State::Cleared },
            scope: Named::Prefix(route.prefix.clone()),
            value: number(changes),
            threshold: number(limit),
            window: HOUR,
            arguments: Arguments::default(),
        }
    }
}

/// Name and kind of the signal that a route stays as it is because it was changed as often as it may be.
pub const OVER_BUDGET: &str = "over-budget";

/// A scope by name, free of slots, so that a signal outlives the plan that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// The whole node.
    Node,
    /// A service prefix.
    Prefix(String),
    /// A zone.
    Zone(String),
    /// A group of zones.
    Group(String),
    /// A channel: what a signal about the signals themselves is about.
    Channel(String),
}

impl fmt::Display for Named {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => to.write_str("node"),
            Self::Prefix(name) => write!(to, "prefix {name}"),
            Self::Zone(name) => write!(to, "zone {name}"),
            Self::Group(name) => write!(to, "group {name}"),
            Self::Channel(name) => write!(to, "channel {name}"),
        }
    }
}

/// What the draft asks for beside the value.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Arguments {
    /// The info-codes that occurred in the window, and how often; 63 stands for all above 62.
    pub codes: BTreeMap<u8, u64>,
    /// The zones in which they did, or, of a query rate of the node or a group, those with most queries in the window: most
    /// first, at most eight. None of a query rate while there are more than 10,000 zones.
    pub zones: Vec<(String, u64)>,
    /// Why the node is blind.
    pub reasons: Vec<String>,
}

/// Of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// No longer, or not yet, met.
    Cleared,
    /// Met.
    Met,
}

impl State {
    /// `met` or `cleared`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cleared => "cleared",
            Self::Met => "met",
        }
    }
}
