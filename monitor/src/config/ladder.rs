//! `ladder` of a `[[route]]`, and what keeps it from flapping. What a step says is in `step`.

use super::document::{Document, Table, Value};
use super::{defaults, step};
use engine::{Action, Ladder};
use std::time::Duration;

/// The keys of a route that only one that demotes has, as they were written.
#[derive(Debug)]
pub(super) struct Keys<'i> {
    ladder: Option<Value<'i>>,
    step_every: Option<Value<'i>>,
    hold: Option<Value<'i>>,
    max_hold: Option<Value<'i>>,
    changes: Option<Value<'i>>,
    may_withdraw: Option<Value<'i>>,
}

impl<'i> Keys<'i> {
    pub(super) fn take(table: &mut Table<'i>) -> Self {
        Self {
            ladder: table.take("ladder"),
            step_every: table.take("step-every"),
            hold: table.take("hold"),
            max_hold: table.take("max-hold"),
            changes: table.take("changes-per-hour"),
            may_withdraw: table.take("allow-withdraw"),
        }
    }

    /// A route that absorbs has none of them.
    pub(super) fn refuse(self, document: &mut Document<'i>) {
        let Self { ladder, step_every, hold, max_hold, changes, may_withdraw } = self;
        for value in [ladder, step_every, hold, max_hold, changes, may_withdraw].into_iter().flatten() {
            value.refuse(document, "a route that absorbs climbs nothing; remove it, or write policy = \"demote\"");
        }
    }

    pub(super) fn read(self, document: &mut Document<'i>) -> Option<Ladder> {
        let Self { ladder, step_every, hold, max_hold, changes, may_withdraw } = self;
        let may_withdraw = may_withdraw.and_then(|value| value.truth(document)).is_some_and(|may| may.it);
        let steps = match ladder {
            Some(ladder) => step::read(document, ladder, may_withdraw),
            None => Some(vec![Action::Prepend(defaults::PREPEND)]),
        };
        let step_every = duration(document, step_every, defaults::STEP_EVERY);
        let max_hold = match max_hold {
            Some(value) => value.duration(document, &defaults::MAX_HOLDS).map(|max_hold| max_hold.it),
            None => Some(defaults::MAX_HOLD),
        };
        let at = hold.as_ref().map(|hold| hold.at.clone());
        let hold = duration(document, hold, defaults::HOLD.min(max_hold.unwrap_or(defaults::MAX_HOLD)));
        if let (Some(at), Some(hold), Some(max_hold)) = (at, hold, max_hold)
            && hold > max_hold
        {
            let what = "`hold`: a step ends by itself after `max-hold`, which is shorter; write less";
            document.error(&at, what);
        }
        let changes = match changes {
            Some(value) => value.whole(document, defaults::CHANGES_RANGE).map(|changes| changes.it),
            None => Some(defaults::CHANGES),
        };
        Some(Ladder {
            steps: steps?,
            step_every: step_every?,
            hold: hold?,
            max_hold: max_hold?,
            changes: usize::try_from(changes?).ok()?,
        })
    }
}

fn duration<'i>(document: &mut Document<'i>, value: Option<Value<'i>>, default: Duration) -> Option<Duration> {
    value.map_or(Some(default), |value| value.duration(document, &defaults::LADDER_TIMES).map(|duration| duration.it))
}
