//! What people and scrapers look at. Reading it changes nothing.

use crate::measure::{Track, Windows};
use crate::{Engine, Plan, Route, Rung, Scope, Sight, State, Time, Wall};
use core::time::Duration;
use wire::count::{FIELDS, NODE};

/// The engine as of its last sample, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    engine: &'a Engine,
}

impl<'a> View<'a> {
    pub(crate) const fn new(engine: &'a Engine) -> Self {
        Self { engine }
    }

    /// The plan in force.
    #[must_use]
    pub const fn plan(&self) -> &'a Plan {
        &self.engine.plan
    }

    /// When the last sample was taken; `None` before the first.
    #[must_use]
    pub const fn at(&self) -> Option<(Time, Wall)> {
        self.engine.last
    }

    /// The node's totals over all generations, by `wire::Node::index`.
    #[must_use]
    pub const fn node(&self) -> &'a [u64; NODE] {
        self.engine.totals.node()
    }

    /// The totals of a slot over all generations, by `wire::Field`; zeros for a slot that does not exist.
    #[must_use]
    pub fn totals(&self, slot: u32) -> [u64; FIELDS] {
        self.engine.totals.slot(slot)
    }

    /// The totals of all extended errors that occurred, as (slot, column, responses), ascending.
    pub fn codes(&self) -> impl Iterator<Item = (u32, u8, u64)> + 'a {
        self.engine.totals.codes()
    }

    /// The rates of the node.
    #[must_use]
    pub fn node_rates(&self) -> Rates {
        self.watched(&Scope::Node).unwrap_or_default()
    }

    /// The rates of a zone or prefix. The slope is known only of those that are watched: prefixes, zones that a condition
    /// names, and all zones while there are no more than 10,000. The rates of the others are those of the last window that
    /// has ended.
    #[must_use]
    pub fn rates(&self, slot: u32) -> Rates {
        let prefix = self.engine.plan.names.is_prefix(slot);
        let scope = if prefix { Scope::Prefix(slot) } else { Scope::Zone(slot) };
        self.watched(&scope).or_else(|| self.tumbled(slot)).unwrap_or_default()
    }

    fn watched(&self, scope: &Scope) -> Option<Rates> {
        let track = self.engine.tracks.get(self.engine.watch.find(scope)?)?;
        Some(if self.blind() { Rates::default() } else { self.of(track) })
    }

    fn of(&self, track: &Track) -> Rates {
        let windows = Windows::new(&self.engine.clock, &self.engine.plan);
        let slope = windows.slope.and_then(|base| track.slope(windows.clock, base));
        let rates = windows.rate.and_then(|base| track.rates(base));
        Rates { slope, ..Rates::new(rates) }
    }

    fn tumbled(&self, slot: u32) -> Option<Rates> {
        (!self.blind()).then(|| Rates::new(self.engine.tumble.rates(slot)))
    }

    /// The conditions, in the order of the plan.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        let machines = self.engine.watched.iter().map(|watched| &watched.machine);
        let standing = machines.map(|machine| Standing {
            state: State::from(machine.known()),
            value: machine.value(),
            spent: machine.spent(),
            transitions: machine.transitions(),
        });
        standing.collect()
    }

    /// Where each route of the plan is on its ladder, in its order.
    #[must_use]
    pub fn rungs(&self) -> Vec<Rung> {
        let routes = self.engine.plan.routes.iter().zip(&self.engine.climbs);
        routes.map(|(route, climb)| climb.rung(&route.policy)).collect()
    }

    /// The routes that are in the plan no more and still come down, or whose changes still count.
    #[must_use]
    pub fn leaving(&self) -> Vec<(&'a Route, Rung)> {
        self.engine.leaving.iter().map(|(route, climb)| (route, climb.rung(&route.policy))).collect()
    }

    /// Whether the conditions are frozen because the capture cannot be trusted.
    #[must_use]
    pub const fn blind(&self) -> bool {
        self.engine.blindness.is_blind()
    }

    /// What the capture said last.
    #[must_use]
    pub const fn sight(&self) -> &'a Sight {
        &self.engine.sight
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

impl Rates {
    fn new(rates: Option<[f64; 3]>) -> Self {
        let [queries, responses, extended_errors] = rates.map_or([None; 3], |rates| rates.map(Some));
        Self { queries, slope: None, responses, extended_errors }
    }
}

/// A condition as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Met or cleared.
    pub state: State,
    /// Its value; `None` while nothing can be judged.
    pub value: Option<f64>,
    /// How long it has been in each state, by `State as usize`: cleared, met.
    pub spent: [Duration; 2],
    /// How often it changed into each state, by `State as usize`: cleared, met.
    pub transitions: [u64; 2],
}
