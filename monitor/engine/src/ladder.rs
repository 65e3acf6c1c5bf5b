//! What a route is to do while its condition is met: the steps that it may climb, and how slowly. How it climbs is in `climb`.

use crate::{Action, When};
use core::time::Duration;

/// A prefix, what it follows, and what to do while that is met.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The prefix, as its router's configuration wants it: canonical text.
    pub prefix: String,
    /// The router that announces it, by name.
    pub router: String,
    /// The condition, or several.
    pub when: When,
    /// What to do.
    pub policy: Policy,
}

/// What to do about a met condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Policy {
    /// Make the path less attractive, step by step.
    Demote(Ladder),
    /// Keep the path short and only signal.
    Absorb,
}

/// The steps of a route, and what keeps it from flapping.
///
/// Once a path is demoted, the rate says what load is left, not what was offered. So a step is kept for longer than BGP and
/// resolvers need to settle, then released to see; and if the condition comes back, longer each time.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    /// Ascending, at least one, none of them plain.
    pub steps: Vec<Action>,
    /// No step up comes sooner than this after the last change.
    pub step_every: Duration,
    /// How long the condition must have been cleared, and the step kept, before one step is released.
    pub hold: Duration,
    /// The path is plain again after this long, whatever the rate; `hold` is never doubled beyond it.
    pub max_hold: Duration,
    /// As many changes as there may be within [`HOUR`]: at least 2, one of which is kept for the way back.
    pub changes: usize,
    /// As many of them as may be withdrawals.
    pub withdrawals: usize,
    /// The harm beside the condition without which no step up is made.
    pub evidence: Option<Evidence>,
}

/// Harm beside a met condition: a rate alone may be what the site can bear, or what somebody wants it to react to. One of
/// those that are asked for is enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// At least this share of the queries that came to the route's prefix went without a response, 0 to 1.
    pub unanswered: Option<f64>,
    /// Frames were lost before the capture could read them, or by the interfaces that are counted.
    pub drops: bool,
}

/// The time that a budget of changes is for.
pub const HOUR: Duration = Duration::from_secs(3600);

impl Ladder {
    /// What the step with this number says; plain below the first.
    #[must_use]
    pub fn action(&self, step: usize) -> Action {
        step.checked_sub(1).and_then(|index| self.steps.get(index)).copied().unwrap_or(Action::Plain)
    }

    /// Whether this step makes the path longer, and the next one only longer still.
    pub(crate) fn lengthens_again(&self, step: usize) -> bool {
        let next = self.action(step.saturating_add(1));
        matches!((self.action(step), next), (Action::Prepend(_), Action::Prepend(_)))
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
    /// What keeps it from the change that is due.
    pub held_back: Option<HeldBack>,
}

/// What keeps a route from a change that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// It was changed, or withdrawn, as often as it may be.
    OverBudget {
        /// How often, within the hour.
        changes: usize,
        /// How often it may be.
        limit: usize,
    },
    /// The harm that the route asks for is not there; or, for a further step, crept up and has not lasted yet.
    NoEvidence,
    /// A path that is longer already moved too little for a longer one to be enough.
    Futile,
    /// An operator released it, and wants it plain for a while.
    Released,
}

impl HeldBack {
    /// `over-budget`, `no-evidence`, `futile` or `released`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OverBudget { .. } => "over-budget",
            Self::NoEvidence => "no-evidence",
            Self::Futile => "futile",
            Self::Released => "released",
        }
    }
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
            withdrawals: 1,
            evidence: None,
        }
    }
}
