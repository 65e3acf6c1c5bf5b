//! What people and scrapers look at. Reading it changes nothing.

use crate::{Action, Engine, Plan, Sight, State, Time, Wall};
use core::time::Duration;
use wire::count::{FIELDS, NODE};

/// The engine as of its last sample, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    engine: &'a Engine,
}

impl<'a> View<'a> {
    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> &'a Plan {
        todo!()
    }

    /// When the last sample was taken; `None` before the first.
    #[must_use]
    pub fn at(&self) -> Option<(Time, Wall)> {
        todo!()
    }

    /// The node's totals over all generations, by `wire::Node::index`.
    #[must_use]
    pub fn node(&self) -> &'a [u64; NODE] {
        todo!()
    }

    /// The totals of a slot over all generations, by `wire::Field`; zeros for a slot that does not exist.
    #[must_use]
    pub fn totals(&self, slot: u32) -> [u64; FIELDS] {
        todo!()
    }

    /// The totals of all extended errors that occurred, as (slot, column, responses), ascending.
    pub fn codes(&self) -> impl Iterator<Item = (u32, u8, u64)> + 'a {
        core::iter::empty()
    }

    /// The rates of the node.
    #[must_use]
    pub fn node_rates(&self) -> Rates {
        todo!()
    }

    /// The rates of a zone or prefix. The slope is known only of those that are watched (see `judge`).
    #[must_use]
    pub fn rates(&self, slot: u32) -> Rates {
        todo!()
    }

    /// The conditions, in the order of the plan.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        todo!()
    }

    /// How each route of the plan should be announced now, in its order.
    #[must_use]
    pub fn actions(&self) -> Vec<Action> {
        todo!()
    }

    /// Whether the conditions are frozen because the capture cannot be trusted.
    #[must_use]
    pub fn blind(&self) -> bool {
        todo!()
    }

    /// What the capture said last.
    #[must_use]
    pub fn sight(&self) -> &'a Sight {
        todo!()
    }
}

/// The rates of a scope; `None` until their window is full.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Rates {
    /// Queries received a second.
    pub queries: Option<f64>,
    /// Its change, in q/s per second.
    pub slope: Option<f64>,
    /// Responses sent a second.
    pub responses: Option<f64>,
    /// Responses sent with an Extended DNS Error, a second.
    pub extended_errors: Option<f64>,
}

/// A condition as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Met or cleared.
    pub state: State,
    /// Its last value; `None` while nothing can be judged.
    pub value: Option<f64>,
    /// How long it has been in each state, by `State as usize`: cleared, met.
    pub spent: [Duration; 2],
    /// How often it changed into each state, by `State as usize`: cleared, met.
    pub transitions: [u64; 2],
}
