//! `ladder` of a `[[route]]`, and what keeps it from flapping.

use super::defaults;
use super::document::{Document, Table, Value};
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
}

impl<'i> Keys<'i> {
    pub(super) fn take(table: &mut Table<'i>) -> Self {
        Self {
            ladder: table.take("ladder"),
            step_every: table.take("step-every"),
            hold: table.take("hold"),
            max_hold: table.take("max-hold"),
            changes: table.take("changes-per-hour"),
        }
    }

    /// A route that absorbs has none of them.
    pub(super) fn refuse(self, document: &mut Document<'i>) {
        let Self { ladder, step_every, hold, max_hold, changes } = self;
        for value in [ladder, step_every, hold, max_hold, changes].into_iter().flatten() {
            value.refuse(document, "a route that absorbs climbs nothing; remove it, or write policy = \"demote\"");
        }
    }

    pub(super) fn read(self, document: &mut Document<'i>) -> Option<Ladder> {
        let Self { ladder, step_every, hold, max_hold, changes } = self;
        let steps = match ladder {
            Some(ladder) => steps(document, ladder),
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

/// The steps, each a longer path than the one before.
fn steps<'i>(document: &mut Document<'i>, ladder: Value<'i>) -> Option<Vec<Action>> {
    const RIGHT: &str = "a list of steps, such as [{ prepend = 1 }, { prepend = 3 }]";
    let at = ladder.at.clone();
    let mut steps = Vec::new();
    let written = ladder.list(document, RIGHT);
    if written.is_empty() {
        document.error(&at, format!("`ladder` has no step; write {RIGHT}"));
    }
    for step in written {
        let at = step.at.clone();
        let mut step = step.table(document, "a step of `ladder`")?;
        let prepend = step.need(document, "prepend", "by how many the AS path gets longer, 1 to 3");
        let prepend = prepend.and_then(|prepend| prepend.whole(document, 1..=3));
        step.close(document);
        let action = Action::Prepend(u8::try_from(prepend?.it).ok()?);
        if steps.last().is_some_and(|last| *last >= action) {
            document.error(
                &at,
                "`ladder`: this step makes the path no longer than the one before; write them from short to long",
            );
        }
        steps.push(action);
    }
    (!steps.is_empty()).then_some(steps)
}
