//! What a route is to do while its condition is met: the steps that it may climb, and how slowly. How it climbs is in `climb`.

use core::fmt;
use core::str::FromStr;
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

/// How a prefix should be announced. One replaces the other: a community is added to the path as it would be without oopsd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// As the router's own configuration has it.
    Plain,
    /// With the AS path longer by this many, 1 to [`MOST_PREPENDS`].
    Prepend(u8),
    /// With this multi-exit discriminator (RFC 4271, section 5.1.4).
    Med(u32),
    /// With this community (RFC 1997).
    Community(u16, u16),
    /// With the community 65535:0 (RFC 8326): neighbours prefer any other path.
    GracefulShutdown,
    /// Not at all.
    Withdraw,
}

/// By as many hops a path may be lengthened.
pub const MOST_PREPENDS: u8 = 10;

impl fmt::Display for Action {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => to.write_str("plain"),
            Self::Prepend(times) => write!(to, "prepend {times}"),
            Self::Med(value) => write!(to, "med {value}"),
            Self::Community(of, value) => write!(to, "community {of}:{value}"),
            Self::GracefulShutdown => to.write_str("graceful-shutdown"),
            Self::Withdraw => to.write_str("withdraw"),
        }
    }
}

/// Reads what [`fmt::Display`] writes.
impl FromStr for Action {
    type Err = NotAnAction;

    fn from_str(text: &str) -> Result<Self, NotAnAction> {
        let read = || {
            Some(match text.split_once(' ') {
                None if text == "plain" => Self::Plain,
                None if text == "graceful-shutdown" => Self::GracefulShutdown,
                None if text == "withdraw" => Self::Withdraw,
                Some(("prepend", times)) => {
                    Self::Prepend(times.parse().ok().filter(|times| (1..=MOST_PREPENDS).contains(times))?)
                }
                Some(("med", value)) => Self::Med(value.parse().ok()?),
                Some(("community", community)) => {
                    let (of, value) = community.split_once(':')?;
                    Self::Community(of.parse().ok()?, value.parse().ok()?)
                }
                Some(_) | None => return None,
            })
        };
        read().ok_or(NotAnAction)
    }
}

/// No action is written so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnAction;

impl fmt::Display for NotAnAction {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("not plain, prepend N, med N, community N:N, graceful-shutdown or withdraw")
    }
}

impl core::error::Error for NotAnAction {}

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

    #[test]
    fn an_action_is_read_as_it_was_written() {
        let actions = [
            Action::Plain,
            Action::Prepend(10),
            Action::Med(0),
            Action::Community(64999, 666),
            Action::GracefulShutdown,
            Action::Withdraw,
        ];
        for action in actions {
            assert_eq!(action.to_string().parse(), Ok(action));
        }
        for text in ["", "prepend", "prepend 0", "prepend 11", "med -1", "community 1", "community 65536:1", "Plain"] {
            assert_eq!(text.parse::<Action>(), Err(NotAnAction), "{text}");
        }
    }

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
