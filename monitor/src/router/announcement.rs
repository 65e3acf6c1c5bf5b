//! What a BGP speaker says of a prefix, and which action that is: for routers that are the speakers themselves, `exabgp` and `gobgp`.
//!
//! They change an announcement that is there and keep all of it that no action is about. They never begin one and never end one: whether a
//! site announces at all is for its health check to say, and a path that oopsd put back could lead to a server that is down.

use engine::{Action, Policy, Route};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use thiserror::Error;

/// RFC 8326.
const GRACEFUL_SHUTDOWN: (u16, u16) = (65535, 0);

/// What is known of the announcements of a router without looking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    /// The multi-exit discriminator that they have without oopsd.
    pub med: Option<u32>,
    /// The communities that they have, or may have, without oopsd.
    pub communities: BTreeSet<(u16, u16)>,
    /// What oopsd may turn them into: the steps of all routes of the router.
    pub steps: BTreeSet<Action>,
}

/// Why an announcement is left alone.
#[derive(Debug, Error)]
pub enum Error {
    /// It is not there.
    #[error("{prefix} is not announced: oopsd changes announcements and never begins one")]
    Absent {
        /// The prefix.
        prefix: IpNet,
    },
    /// It is neither plain nor a step.
    #[error(
        "{prefix} is announced {what}, which is none of oopsd's steps: left alone; if it is yours, write it in `med` or `communities` of the [[router]]"
    )]
    Foreign {
        /// The prefix.
        prefix: IpNet,
        /// How it is announced.
        what: String,
    },
    /// A path that cannot be lengthened by repeating our own AS number.
    #[error("{prefix} is announced with {path}, a path that is not of this router's own AS number alone: left alone")]
    Path {
        /// The prefix.
        prefix: IpNet,
        /// The path.
        path: String,
    },
    /// Nothing would take it back if oopsd died.
    #[error(
        "{prefix} is not withdrawn: with this type of router it would stay so if oopsd died; only \"kernel-table\" can"
    )]
    Withdraw {
        /// The prefix.
        prefix: IpNet,
    },
}

/// What an announcement says, as far as actions change it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Announcement {
    /// How often the own AS number is in the path beyond what it has anyway.
    pub(super) prepends: usize,
    pub(super) med: Option<u32>,
    /// In their order.
    pub(super) communities: Vec<(u16, u16)>,
}

impl Plain {
    /// Learns from the routes of `router` what it may be asked for.
    pub(crate) fn learn(&mut self, router: &str, routes: &[Route]) {
        let ladders = routes.iter().filter(|route| route.router == router).filter_map(|route| match &route.policy {
            Policy::Demote(ladder) => Some(&ladder.steps),
            Policy::Absorb => None,
        });
        self.steps = ladders.flatten().copied().collect();
    }

    /// Why a step could not be told from what is announced anyway; `None` if it can.
    pub(super) fn refuses(&self, step: Action) -> Option<&'static str> {
        let already = match step {
            Action::Med(med) => Some(med) == self.med,
            Action::Community(of, value) => self.communities.contains(&(of, value)),
            Action::Plain | Action::Prepend(_) | Action::GracefulShutdown | Action::Withdraw => false,
        };
        already.then_some("the router announces that without oopsd; remove the step")
    }

    /// The action that made `found` of the plain announcement, if one did.
    pub(super) fn action_of(&self, found: &Announcement) -> Option<Action> {
        let prepends = (found.prepends > 0).then(|| u8::try_from(found.prepends).ok().map(Action::Prepend));
        let med = (found.med != self.med).then(|| found.med.map(Action::Med));
        let marks = found.communities.iter().filter(|community| !self.communities.contains(community));
        let marks = marks.map(|mark| Some(action_of_mark(*mark)));
        let mut differences = prepends.into_iter().chain(med).chain(marks);
        let action = match differences.next() {
            None => return Some(Action::Plain),
            Some(action) => action?,
        };
        // Each action replaces the one before: two at once are nobody's of oopsd.
        let known = match action {
            Action::Prepend(times) => times <= engine::MOST_PREPENDS,
            Action::GracefulShutdown => true,
            Action::Plain | Action::Med(_) | Action::Community(..) | Action::Withdraw => self.steps.contains(&action),
        };
        (known && differences.next().is_none()).then_some(action)
    }

    /// What is there, made into what `action` wants.
    pub(super) fn with(&self, action: Action, prefix: IpNet, found: &Announcement) -> Result<Announcement, Error> {
        if self.action_of(found).is_none() {
            return Err(Error::Foreign { prefix, what: said(found) });
        }
        let kept = found.communities.iter().filter(|community| self.communities.contains(community)).copied();
        let mut made = Announcement { prepends: 0, med: self.med, communities: kept.collect() };
        match action {
            Action::Plain => {}
            Action::Prepend(times) => made.prepends = times.into(),
            Action::Med(value) => made.med = Some(value),
            Action::Community(of, value) => made.communities.push((of, value)),
            Action::GracefulShutdown => made.communities.push(GRACEFUL_SHUTDOWN),
            Action::Withdraw => return Err(Error::Withdraw { prefix }),
        }
        Ok(made)
    }
}

fn action_of_mark(mark: (u16, u16)) -> Action {
    if mark == GRACEFUL_SHUTDOWN { Action::GracefulShutdown } else { Action::Community(mark.0, mark.1) }
}

fn said(found: &Announcement) -> String {
    let mut text = found.med.map_or_else(|| String::from("without a med"), |med| format!("with med {med}"));
    if found.prepends > 0 {
        let _ = write!(text, ", a path longer by {}", found.prepends);
    }
    for (of, value) in &found.communities {
        let _ = write!(text, ", community {of}:{value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Action; 4] =
        [Action::Prepend(3), Action::Med(200), Action::Community(64999, 666), Action::GracefulShutdown];

    #[test]
    fn every_step_is_known_again_and_taken_back() {
        for (med, communities) in [(None, vec![]), (Some(50), vec![(64999, 1), (64999, 2)])] {
            let plain = plain(med, &communities);
            let found = Announcement { prepends: 0, med, communities };
            assert_eq!(plain.action_of(&found), Some(Action::Plain));
            for first in STEPS {
                let once = plain.with(first, prefix(), &found).unwrap();
                assert_eq!(plain.action_of(&once), Some(first));
                for second in STEPS {
                    let twice = plain.with(second, prefix(), &once).unwrap();
                    assert_eq!(twice, plain.with(second, prefix(), &found).unwrap());
                }
                assert_eq!(plain.with(Action::Plain, prefix(), &once).unwrap(), found);
            }
        }
    }

    #[test]
    fn what_no_step_says_is_left_alone() {
        let plain = plain(None, &[(64999, 1)]);
        let foreign = [
            Announcement { med: Some(7), ..Announcement::default() },
            Announcement { communities: vec![(64999, 9)], ..Announcement::default() },
            Announcement { prepends: 11, ..Announcement::default() },
            Announcement { prepends: 1, med: Some(200), ..Announcement::default() },
            Announcement { communities: vec![(64999, 666), (65535, 0)], ..Announcement::default() },
        ];
        for found in foreign {
            assert_eq!(plain.action_of(&found), None, "{found:?}");
            assert!(matches!(plain.with(Action::Plain, prefix(), &found), Err(Error::Foreign { .. })), "{found:?}");
        }
    }

    #[test]
    fn a_med_that_is_missing_is_foreign() {
        assert_eq!(plain(Some(50), &[]).action_of(&Announcement::default()), None);
    }

    #[test]
    fn nothing_is_withdrawn() {
        let refused = plain(None, &[]).with(Action::Withdraw, prefix(), &Announcement::default());
        assert!(matches!(refused, Err(Error::Withdraw { .. })));
    }

    fn plain(med: Option<u32>, communities: &[(u16, u16)]) -> Plain {
        Plain { med, communities: communities.iter().copied().collect(), steps: BTreeSet::from(STEPS) }
    }

    fn prefix() -> IpNet {
        "192.0.2.0/24".parse().unwrap()
    }
}
