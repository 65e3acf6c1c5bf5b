//! What a climb goes on from: what a router announces, another policy, a record of another engine.

use super::Climb;
use crate::budget::{Budget, Moment};
use crate::effect::Effect;
use crate::ladder::Ladder;
use crate::{Action, Policy, Record, Route, Time};
use core::time::Duration;

impl Climb {
    /// The router announces it so, and this engine has wanted nothing of it yet: it is on that step.
    pub(crate) fn found(&mut self, policy: &Policy, action: Action, at: Time) {
        self.awaited = false;
        if self.wanted || self.action == Some(action) {
            return;
        }
        let ladder = match (policy, &self.left) {
            (Policy::Demote(ladder), _) | (Policy::Absorb, Some(ladder)) => ladder,
            (Policy::Absorb, None) => return,
        };
        self.step = step_of(ladder, action);
        self.action = Some(action);
        self.effect = Effect::new();
        if self.step == 0 {
            self.began = None;
        } else {
            self.kept = Duration::ZERO;
            self.began.get_or_insert(at.into());
        }
    }

    /// Goes on under another policy. Nothing changes by that alone: what comes next is by the new one.
    pub(crate) fn under(&self, old: &Policy, new: &Policy) -> Self {
        let mut climb = self.clone();
        if steps(old) != steps(new) {
            climb.effect = Effect::new();
        }
        let ladder = match (old, &self.left) {
            (Policy::Demote(ladder), _) | (Policy::Absorb, Some(ladder)) => Some(ladder),
            (Policy::Absorb, None) => None,
        };
        match new {
            Policy::Demote(ladder) => {
                climb.step = self.action.map_or(0, |action| step_of(ladder, action));
                climb.left = None;
            }
            Policy::Absorb => climb.left = ladder.filter(|_| self.step > 0).cloned(),
        }
        climb
    }

    /// What it does once it is in no plan any more: it comes down; `None` if there is nothing left to do or to remember.
    pub(crate) fn leave(&self, policy: &Policy) -> Option<Policy> {
        let ladder = match (policy, &self.left) {
            (Policy::Demote(ladder), _) | (Policy::Absorb, Some(ladder)) => ladder,
            (Policy::Absorb, None) => return None,
        };
        (!self.is_done()).then(|| Policy::Demote(ladder.clone()))
    }

    /// What is to be remembered of it; `None` if there is nothing.
    pub(crate) fn record(&self, route: &Route, at: Time) -> Option<Record> {
        let ladder = match (&route.policy, &self.left) {
            (Policy::Demote(ladder), _) | (Policy::Absorb, Some(ladder)) => ladder,
            (Policy::Absorb, None) => return None,
        };
        let nothing = self.is_done() && !self.spent && !self.released && self.doubled == 0 && self.plain.is_none();
        (!nothing).then(|| Record {
            router: route.router.clone(),
            prefix: route.prefix.clone(),
            action: self.action.unwrap_or(Action::Plain),
            kept: self.kept,
            doubled: self.doubled,
            released: self.released,
            spent: self.spent,
            began: self.began.map(|began| began.ago(at)),
            plain_for: self.plain.map(|(until, to_clear)| (until.ahead(at), to_clear)),
            changes: self.budget.changes(at),
            divided: self.effect.divided(),
            ladder: ladder.clone(),
        })
    }

    /// Goes on from a record. Nothing is done before it is known what the router announces.
    pub(crate) fn restored(self, record: &Record, policy: &Policy, at: Time) -> Self {
        let old = Policy::Demote(record.ladder.clone());
        let step = step_of(&record.ladder, record.action);
        let remembered = Self {
            action: Some(record.action),
            step,
            awaited: true,
            kept: record.kept,
            doubled: record.doubled,
            released: record.released,
            began: (step > 0).then(|| Moment::before(at, record.began.unwrap_or_default())),
            spent: record.spent,
            plain: record.plain_for.map(|(left, to_clear)| (Moment::after(at, left), to_clear)),
            budget: Budget::of(&record.changes, at),
            effect: Effect::of(&record.divided),
            ..self
        };
        remembered.under(&old, policy)
    }
}

fn steps(policy: &Policy) -> &[Action] {
    match policy {
        Policy::Demote(ladder) => &ladder.steps,
        Policy::Absorb => &[],
    }
}

/// The step that says this; what no step says counts as the last.
fn step_of(ladder: &Ladder, action: Action) -> usize {
    let last = ladder.steps.len();
    (0..=last).find(|&step| ladder.action(step) == action).unwrap_or(last)
}
