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

/// One prefix.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) wanted: Option<Action>,
    pub(super) because: String,
    pub(super) seen: Option<Action>,
    /// What was wanted was there: where it is no longer, somebody else changed it.
    pub(super) applied: bool,
    pub(super) fight: Fight,
    /// Since when it is not as wanted.
    pub(super) differs: Option<Instant>,
    /// What was read back last, if ever, and when that was another than the one before.
    pub(super) read: Option<Action>,
    pub(super) changed: Option<SystemTime>,
    /// What a dry run has already said of this prefix.
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

    /// Whether a route that somebody else changed is changed back; says so when it is not any more.
    pub(super) fn may_repair(&mut self, prefix: IpNet, router: &str) -> bool {
        let before = self.fight.is_given_up();
        let may = self.fight.may_repair(Instant::now());
        if !may && !before {
            let times = fight::REPAIRS;
            tracing::warn!(prefix = %prefix, router, times, "put back so often within the hour: left as it is");
        }
        may
    }

    pub(super) fn trouble(&self, router: &str, prefix: IpNet) -> Option<Troubled> {
        let late = self.differs.map(|since| since.elapsed()).filter(|late| *late > LATE);
        let (trouble, value, threshold, window) = if self.fight.is_contested() {
            let repairs = f64::from(fight::REPAIRS);
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
