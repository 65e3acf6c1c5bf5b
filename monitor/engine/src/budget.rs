//! The changes of a route within the last hour: what flap damping elsewhere would hold against its prefix.

use crate::ladder::{HOUR, HeldBack, Ladder};
use crate::{Action, Change, Time};
use core::time::Duration;
use std::collections::VecDeque;

/// The changes of the last hour, the oldest first, and whether they were withdrawals.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Budget {
    changes: VecDeque<(Moment, bool)>,
}

impl Budget {
    /// Changes that were made before: how long before `at` each was.
    pub(crate) fn of(changes: &[Change], at: Time) -> Self {
        let mut changes: Vec<_> =
            changes.iter().map(|change| (Moment::before(at, change.ago), change.withdrawal)).collect();
        changes.sort_unstable();
        Self { changes: changes.into() }
    }

    /// How long ago the changes were.
    pub(crate) fn changes(&self, at: Time) -> Vec<Change> {
        self.changes.iter().map(|&(when, withdrawal)| Change { ago: when.ago(at), withdrawal }).collect()
    }

    /// Forgets what was an hour ago or longer.
    pub(crate) fn pass(&mut self, at: Time) {
        while self.changes.front().is_some_and(|(when, _)| when.ago(at) >= HOUR) {
            self.changes.pop_front();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// What keeps it from `to`. The last change of an hour is kept for the way back to the plain path.
    pub(crate) fn forbids(&self, ladder: &Ladder, to: Action) -> Option<HeldBack> {
        let withdrawals = self.changes.iter().filter(|(_, withdrawal)| *withdrawal).count();
        if to == Action::Withdraw && withdrawals >= ladder.withdrawals {
            return Some(HeldBack::OverBudget { changes: withdrawals, limit: ladder.withdrawals });
        }
        let needed = if to == Action::Plain { 1 } else { 2 };
        let (changes, limit) = (self.changes.len(), ladder.changes);
        (self.left(ladder) < needed).then_some(HeldBack::OverBudget { changes, limit })
    }

    pub(crate) fn left(&self, ladder: &Ladder) -> usize {
        ladder.changes.saturating_sub(self.changes.len())
    }

    pub(crate) fn spend(&mut self, at: Time, to: Action) {
        self.changes.push_back((Moment::from(at), to == Action::Withdraw));
    }
}

/// An instant that may be from before the engine's time began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i128);

impl Moment {
    pub(crate) fn before(at: Time, ago: Duration) -> Self {
        Self(Self::from(at).0.saturating_sub(nanos(ago)))
    }

    pub(crate) fn after(at: Time, ahead: Duration) -> Self {
        Self(Self::from(at).0.saturating_add(nanos(ahead)))
    }

    /// How long before `at` it was; zero if it was not.
    pub(crate) fn ago(self, at: Time) -> Duration {
        since(Self::from(at), self)
    }

    /// How long after `at` it is; zero if it is not.
    pub(crate) fn ahead(self, at: Time) -> Duration {
        since(self, Self::from(at))
    }
}

impl From<Time> for Moment {
    fn from(at: Time) -> Self {
        Self(i128::from(at.0))
    }
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

fn since(later: Moment, earlier: Moment) -> Duration {
    let nanos = later.0.saturating_sub(earlier.0).max(0);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
