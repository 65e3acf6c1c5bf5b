//! From conditions to how a prefix should be announced now.

use core::time::Duration;

/// A prefix, the condition it follows, and what to do while that is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The prefix, as its router's configuration wants it: canonical text.
    pub prefix: String,
    /// The router that announces it, by name.
    pub router: String,
    /// The condition, by name.
    pub when: String,
    /// What to do.
    pub policy: Policy,
    /// A step ends by itself after this long, until the condition has cleared.
    pub max_hold: Duration,
}

/// What to do about a met condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Make the path less attractive.
    Demote(Action),
    /// Keep the path short and only signal.
    Absorb,
}

/// How a prefix should be announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// As the router's own configuration has it.
    Plain,
    /// With the AS path longer by this many, 1 to 3.
    Prepend(u8),
}

/// How a prefix should be announced now. Level-triggered: only the newest for a prefix matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The router, by name.
    pub router: String,
    /// The prefix.
    pub prefix: String,
    /// How.
    pub action: Action,
    /// Why, in words for a log.
    pub because: String,
}
