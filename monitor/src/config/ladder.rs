//! `ladder` of a `[[route]]`, and what keeps it from flapping. What a step says is in `step`.

use super::document::{Document, Table, Value};
use super::{defaults, step};
use engine::{Action, Evidence, Ladder};
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
    withdrawals: Option<Value<'i>>,
    evidence: Option<Value<'i>>,
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
            withdrawals: table.take("withdrawals-per-hour"),
            evidence: table.take("evidence"),
        }
    }

    /// A route that absorbs has none of them.
    pub(super) fn refuse(self, document: &mut Document<'i>) {
        let Self { ladder, step_every, hold, max_hold, changes, may_withdraw, withdrawals, evidence } = self;
        let keys = [ladder, step_every, hold, max_hold, changes, may_withdraw, withdrawals, evidence];
        for value in keys.into_iter().flatten() {
            value.refuse(document, "a route that absorbs climbs nothing; remove it, or write policy = \"demote\"");
        }
    }

    /// On a router that would leave it withdrawn if oopsd died.
    pub(super) fn refuse_withdrawal(&self, document: &mut Document<'i>) {
        if let Some(value) = &self.may_withdraw {
            let what = "a router of this type could not take a withdrawal back if oopsd died; remove it, or announce this prefix by type = \"kernel-table\"";
            value.refuse(document, what);
        }
    }

    pub(super) fn read(self, document: &mut Document<'i>) -> Option<Ladder> {
        let Self { ladder, step_every, hold, max_hold, changes, may_withdraw, withdrawals, evidence } = self;
        let may_withdraw = may_withdraw.and_then(|value| value.truth(document)).is_some_and(|may| may.it);
        let [first, second] = defaults::PREPENDS.map(Action::Prepend);
        let steps = match ladder {
            Some(ladder) => step::read(document, ladder, may_withdraw),
            None if evidence.is_some() => Some(vec![first, second]),
            None => Some(vec![first]),
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
        let at = withdrawals.as_ref().map(|withdrawals| withdrawals.at.clone());
        let withdrawals = match withdrawals {
            Some(value) => value.whole(document, defaults::WITHDRAWALS_RANGE).map(|withdrawals| withdrawals.it),
            None => Some(defaults::WITHDRAWALS),
        };
        if let (Some(at), Some(steps)) = (at, &steps)
            && !steps.contains(&Action::Withdraw)
        {
            let what =
                "`withdrawals-per-hour`: no step of `ladder` withdraws; remove it, or write { withdraw = true } last";
            document.error(&at, what);
        }
        let evidence = match evidence {
            Some(value) => Some(self::evidence(document, value)?),
            None => None,
        };
        Some(Ladder {
            steps: steps?,
            step_every: step_every?,
            hold: hold?,
            max_hold: max_hold?,
            changes: usize::try_from(changes?).ok()?,
            withdrawals: usize::try_from(withdrawals?).ok()?,
            evidence,
        })
    }
}

fn duration<'i>(document: &mut Document<'i>, value: Option<Value<'i>>, default: Duration) -> Option<Duration> {
    value.map_or(Some(default), |value| value.duration(document, &defaults::LADDER_TIMES).map(|duration| duration.it))
}

fn evidence<'i>(document: &mut Document<'i>, value: Value<'i>) -> Option<Evidence> {
    let at = value.at.clone();
    let mut table = value.table(document, "`evidence`")?;
    let unanswered = table.take("unanswered").map(|value| {
        let at = value.at.clone();
        let share = value.share(document)?;
        if share.it <= 0.0 {
            document.error(&at, "`unanswered`: 0 would always be reached; write a share over it, such as 0.05");
        }
        Some(share.it)
    });
    let drops = table.take("drops").map(|value| value.truth(document).map(|drops| drops.it));
    table.close(document);
    let evidence = Evidence {
        unanswered: unanswered.map_or(Some(None), |share| share.map(Some))?,
        drops: drops.unwrap_or(Some(false))?,
    };
    if evidence.unanswered.is_none() && !evidence.drops {
        document.error(&at, "`evidence` asks for nothing; write { unanswered = 0.05 } or { drops = true }, or both");
    }
    Some(evidence)
}
