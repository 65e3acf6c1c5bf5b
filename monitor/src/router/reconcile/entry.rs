//! What is known of one prefix, and what it means: whether it is as wanted, since when not, and whether that is somebody's doing.

use super::fight::{self, Fight};
use crate::router::Error;
use core::time::Duration;
use engine::{Action, Of, Trouble, Troubled};
use ipnet::IpNet;
use std::time::SystemTime;
use tokio::time::Instant;

/// How long a route may be other than wanted before that is worth a signal.
const LATE: Duration = Duration::from_secs(5);

/// Why it is not put back yet.
const OVER_BUDGET: &str = "it is put back once its budget of changes allows it";

/// Whether a route that somebody else changed is put back now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Leave {
    /// Nobody was asked.
    #[default]
    Unasked,
    /// Who keeps its budget is to say.
    Asked,
    /// Once.
    Given,
}

/// One prefix.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) wanted: Option<Action>,
    pub(super) because: String,
    pub(super) seen: Option<Action>,
    /// What was wanted was there: where it is no longer, somebody else changed it.
    pub(super) applied: bool,
    pub(super) fight: Fight,
    pub(super) leave: Leave,
    /// Since when it is not as wanted.
    pub(super) differs: Option<Instant>,
    /// What was read back last, if ever, and when that was another than the one before.
    pub(super) read: Option<Action>,
    pub(super) changed: Option<SystemTime>,
    /// What a dry run has said last of this prefix; nothing in any other.
    pub(super) said: Option<Action>,
    pub(super) changes: u64,
    pub(super) errors: u64,
    pub(super) error: Option<String>,
}

impl Entry {
    /// Takes what was read back; `None` is that it could not be.
    pub(super) fn look(&mut self, now: Option<Action>) {
        self.seen = now;
        if now.is_some() {
            if self.read.is_some() && self.read != now {
                self.changed = Some(SystemTime::now());
            }
            self.read = now;
        }
        self.judge();
    }

    /// Compares what is wanted with what is seen.
    pub(super) fn judge(&mut self) {
        let right = self.wanted.is_none() || self.seen == self.wanted;
        self.applied |= self.wanted.is_some() && right;
        self.fight.look(right, Instant::now());
        self.differs = if right { None } else { Some(self.differs.unwrap_or_else(Instant::now)) };
    }

    /// Whether it was read back, and is as wanted.
    pub(super) fn is_settled(&self) -> bool {
        self.seen.is_some() && (self.wanted.is_none() || self.wanted == self.seen)
    }

    /// Whether a route that somebody else changed is changed back now, which then counts; where somebody is to be `asked`, once they say so.
    /// Says when it is not any more.
    pub(super) fn may_repair(&mut self, prefix: IpNet, router: &str, asked: bool) -> bool {
        let before = self.fight.is_given_up();
        let now = Instant::now();
        if !self.fight.may_repair(now) {
            if !before {
                let times = self.fight.repairs();
                tracing::warn!(prefix = %prefix, router, times, "put back so often within the hour: left as it is");
            }
            return false;
        }
        let may = !asked || self.leave == Leave::Given;
        if may {
            self.fight.repaired(now);
        }
        self.leave = if may { Leave::Unasked } else { Leave::Asked };
        may
    }

    /// Takes the answer of whoever keeps its budget. Who keeps removing it gets their way sooner where that is spent; where it was
    /// spent otherwise, the answer is asked for again.
    pub(super) fn answered(&mut self, may: bool, prefix: IpNet, router: &str) {
        if self.leave != Leave::Asked {
            return;
        }
        if may {
            self.leave = Leave::Given;
        } else if self.fight.repairs() > 0 {
            self.fight.give_up();
            self.leave = Leave::Unasked;
            tracing::warn!(prefix = %prefix, router, "removed again, and its budget of changes is spent: left as it is");
        } else if self.error.as_deref() != Some(OVER_BUDGET) {
            tracing::warn!(prefix = %prefix, router, "not as wanted: {OVER_BUDGET}");
            self.error = Some(OVER_BUDGET.to_owned());
        }
    }

    pub(super) fn trouble(&self, router: &str, prefix: IpNet) -> Option<Troubled> {
        let late = self.differs.map(|since| since.elapsed()).filter(|late| *late > LATE);
        let (trouble, value, threshold, window) = if self.fight.is_contested() {
            let repairs = f64::from(self.fight.repairs());
            (Trouble::Contested, repairs, repairs, fight::WINDOW)
        } else {
            (Trouble::NotApplied, late?.as_secs_f64(), LATE.as_secs_f64(), LATE)
        };
        let seen = self.seen.map_or_else(|| String::from("cannot be read"), |seen| format!("reads back as {seen}"));
        let wanted = self.wanted.map(|wanted| format!("{wanted} is wanted on router {router}, and it {seen}"));
        let reasons = wanted.into_iter().chain(self.error.clone()).collect();
        Some(Troubled {
            of: Of::Route { router: router.to_owned(), prefix: prefix.to_string() },
            trouble,
            value,
            threshold,
            window,
            reasons,
        })
    }

    /// Counts a failure, and logs it unless it is the same as the last.
    pub(super) fn fail(&mut self, prefix: IpNet, router: &str, error: &Error) {
        self.errors = self.errors.saturating_add(1);
        let text = chain(error);
        if self.error.as_ref() != Some(&text) {
            tracing::warn!(prefix = %prefix, router, error = text, "not as wanted");
            self.error = Some(text);
        }
    }
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
