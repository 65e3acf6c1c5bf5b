//! What a route is to do while its condition is met: the steps that it may climb, and how slowly. How it climbs is in `climb`.

use core::fmt;
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
}

/// What to do about a met condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Make the path less attractive, step by step.
    Demote(Ladder),
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

impl fmt::Display for Action {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => to.write_str("plain"),
            Self::Prepend(times) => write!(to, "prepend {times}"),
        }
    }
}

/// The steps of a route, and what keeps it from flapping.
///
/// Once a path is demoted, the rate says what load is left, not what was offered. So a step is kept for longer than BGP and
/// resolvers need to settle, then released to see; and if the condition comes back, longer each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// Ascending, at least one, none of them plain.
    pub steps: Vec<Action>,
    /// No step up comes sooner than this after the last change.
    pub step_every: Duration,
    /// How long the condition must be cleared and the step kept before one step is released.
    pub hold: Duration,
    /// The path is plain again after this long, whatever the rate; `hold` is never doubled beyond it.
    pub max_hold: Duration,
    /// As many changes as there may be within [`HOUR`]: at least 2, one of which is kept for the way back.
    pub changes: usize,
}

/// The time that a budget of changes is for.
pub const HOUR: Duration = Duration::from_secs(3600);

impl Ladder {
    /// What the step with this number says; plain below the first.
    #[must_use]
    pub fn action(&self, step: usize) -> Action {
        step.checked_sub(1).and_then(|index| self.steps.get(index)).copied().unwrap_or(Action::Plain)
    }
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

/// Where a route is on its ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// How it should be announced; `None` until its condition is known: until that was met, or was under falling for
    /// `keep-for`.
    pub action: Option<Action>,
    /// Changes that there may still be within the hour; `None` if it absorbs.
    pub budget_left: Option<usize>,
}

#[cfg(test)]
pub(crate) mod test {
    use super::*;

    /// Steps of ten minutes, two hours in all, four changes an hour.
    pub(crate) fn ladder(prepends: &[u8]) -> Ladder {
        Ladder {
            steps: prepends.iter().map(|&times| Action::Prepend(times)).collect(),
            step_every: Duration::from_secs(600),
            hold: Duration::from_secs(600),
            max_hold: Duration::from_secs(7200),
            changes: 4,
        }
    }
}
