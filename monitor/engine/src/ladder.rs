//! From conditions to how a prefix should be announced now.

use crate::Time;
use crate::machine::Known;
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

impl fmt::Display for Action {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => to.write_str("plain"),
            Self::Prepend(times) => write!(to, "prepend {times}"),
        }
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Climb {
    /// The condition it follows, as an index.
    pub(crate) condition: Option<usize>,
    began: Option<Time>,
    action: Option<Action>,
    because: String,
}

impl Climb {
    /// Follows the condition; whether the action changed. `why` says how the condition became what it is.
    pub(crate) fn follow(&mut self, route: &Route, known: Known, at: Time, why: &str) -> bool {
        let (action, because) = match (known, route.policy) {
            // What the router announces is from before this engine, or from before the plan changed: it stays.
            (Known::Unknown, _) => return false,
            (Known::Cleared, _) => {
                self.began = None;
                (Action::Plain, why.to_owned())
            }
            (Known::Met, Policy::Absorb) => (Action::Plain, format!("{why}; absorbed")),
            (Known::Met, Policy::Demote(step)) => {
                if at.since(*self.began.get_or_insert(at)) < route.max_hold {
                    (step, why.to_owned())
                } else {
                    (Action::Plain, format!("{why}; held for {:?}, which is the longest", route.max_hold))
                }
            }
        };
        if self.action == Some(action) {
            return false;
        }
        self.action = Some(action);
        self.because = because;
        true
    }

    /// How the prefix should be announced; `None` until its condition says so.
    pub(crate) const fn action(&self) -> Option<Action> {
        self.action
    }

    /// The same, for a router.
    pub(crate) fn intent(&self, route: &Route) -> Option<Intent> {
        let (router, prefix) = (route.router.clone(), route.prefix.clone());
        self.action.map(|action| Intent { router, prefix, action, because: self.because.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_left_alone_until_its_condition_is_known() {
        let mut climb = Climb::default();
        assert!(!follow(&mut climb, Policy::Demote(Action::Prepend(2)), Known::Unknown, 0));
        assert_eq!(climb.action(), None);
        assert!(follow(&mut climb, Policy::Demote(Action::Prepend(2)), Known::Met, 1));
        assert_eq!(climb.action(), Some(Action::Prepend(2)));
        assert!(follow(&mut climb, Policy::Demote(Action::Prepend(2)), Known::Cleared, 2));
        assert_eq!(climb.action(), Some(Action::Plain));
    }

    #[test]
    fn a_step_ends_after_max_hold_until_the_condition_has_cleared() {
        let (mut climb, policy) = (Climb::default(), Policy::Demote(Action::Prepend(1)));
        follow(&mut climb, policy, Known::Met, 0);
        assert!(!follow(&mut climb, policy, Known::Met, 9));
        assert!(follow(&mut climb, policy, Known::Met, 10));
        assert_eq!(climb.action(), Some(Action::Plain));
        assert_eq!(climb.because, "c met; held for 10s, which is the longest");
        assert!(!follow(&mut climb, policy, Known::Met, 11));
        assert!(!follow(&mut climb, policy, Known::Cleared, 12));
        assert!(follow(&mut climb, policy, Known::Met, 13));
        assert_eq!(climb.action(), Some(Action::Prepend(1)));
    }

    #[test]
    fn absorbing_keeps_the_path_plain() {
        let mut climb = Climb::default();
        follow(&mut climb, Policy::Absorb, Known::Met, 0);
        assert_eq!(climb.action(), Some(Action::Plain));
    }

    fn follow(climb: &mut Climb, policy: Policy, known: Known, seconds: u64) -> bool {
        let route = Route {
            prefix: "192.0.2.0/24".into(),
            router: "bird".into(),
            when: "c".into(),
            policy,
            max_hold: Duration::from_secs(10),
        };
        climb.follow(&route, known, Time(seconds * 1_000_000_000), "c met")
    }
}
