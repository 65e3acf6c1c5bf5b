//! What the engine judges: the configuration as meant, free of files and text.

use crate::{Condition, Named, Names, Route};
use core::time::Duration;
use std::sync::Arc;

/// What the engine judges, and over which time.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What each slot is called.
    pub names: Arc<Names>,
    /// Zone slots of each named group.
    pub groups: Vec<Group>,
    /// How far apart samples are meant to be.
    pub tick: Duration,
    /// Over how long a rate is measured.
    pub window: Duration,
    /// Over how long a slope is fitted.
    pub slope_window: Duration,
    /// The share of frames lost, over the rate window, from which the capture counts as blind.
    pub lost_share: f64,
    /// The conditions, each name once.
    pub conditions: Vec<Condition>,
    /// The routes, each prefix once.
    pub routes: Vec<Route>,
}

/// A named set of zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// As the configuration calls it.
    pub name: String,
    /// Its zones, ascending.
    pub slots: Vec<u32>,
}

/// What a condition watches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All zones and `other` together.
    Node,
    /// The service prefix in this slot.
    Prefix(u32),
    /// The zone in this slot; `other` is a zone here.
    Zone(u32),
    /// The group with this index in [`Plan::groups`].
    Group(usize),
}

impl Plan {
    /// A scope by name.
    #[must_use]
    pub fn named(&self, scope: &Scope) -> Named {
        match *scope {
            Scope::Node => Named::Node,
            Scope::Prefix(slot) => Named::Prefix(self.names.get(slot).to_owned()),
            Scope::Zone(slot) => Named::Zone(self.names.get(slot).to_owned()),
            Scope::Group(index) => {
                Named::Group(self.groups.get(index).map_or_else(String::new, |group| group.name.clone()))
            }
        }
    }
}
