//! One round of a reconciler: read back, compare, change what differs, read back again; and how long until the next.

use super::entry::Leave;
use super::{Announcer, Failure, Shared};
use crate::router::Error;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use core::sync::atomic::Ordering;
use core::time::Duration;
use engine::Action;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long until a look that nothing asked for.
pub(super) const RECHECK: Duration = Duration::from_secs(2);
/// How long after the first failure, or the first repair, until the next attempt; each further one waits twice as long, to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(100);
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// What a round came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// All is as wanted, or a new wish was carried out.
    Good,
    /// Something failed, or something that had been right was wrong. Who fights over a route waits longer each time.
    Troubled,
    /// It could not be read back, or was left alone. Looking does no harm, so that the wait is never long.
    Untouched,
    /// What there was to do is left to somebody else, who may change it as often as they like: no need to look each time.
    Contested,
}

pub(super) async fn keep(shared: Arc<Shared>, mut announcer: impl Announcer) {
    let mut delays = delays();
    loop {
        match shared.round(&mut announcer).await {
            Round::Good => {
                delays = self::delays();
                tokio::select! {
                    () = shared.asked.notified() => {}
                    () = announcer.changed() => {}
                    () = tokio::time::sleep(RECHECK) => {}
                }
            }
            round @ (Round::Troubled | Round::Untouched | Round::Contested) => {
                let delay = match round {
                    Round::Contested => RECHECK,
                    Round::Untouched => delays.next().unwrap_or(LONGEST).min(RECHECK),
                    Round::Troubled | Round::Good => delays.next().unwrap_or(LONGEST),
                };
                tokio::select! {
                    () = shared.asked.notified() => {}
                    () = tokio::time::sleep(delay) => {}
                }
            }
        }
    }
}

fn delays() -> ExponentialBackoff {
    let builder = ExponentialBuilder::new().with_min_delay(SHORTEST).with_max_delay(LONGEST);
    builder.without_max_times().with_jitter().build()
}

impl Shared {
    async fn round(&self, announcer: &mut impl Announcer) -> Round {
        let prefixes: BTreeSet<IpNet> = self.routes().keys().copied().collect();
        let before = match announcer.read_back(&prefixes).await {
            Ok(seen) => seen,
            Err(error) => return self.unreadable(&error),
        };
        let due = self.due(&before, announcer.flaw().as_ref());
        if due.is_empty() || self.dry_run {
            let contested = self.routes().values().any(|entry| entry.fight.is_given_up());
            return if contested { Round::Contested } else { Round::Good };
        }
        let wanted = due.iter().map(|due| (due.prefix, due.wanted)).collect();
        let failures = announcer.announce_all(&wanted).await;
        for Failure { prefixes, error } in &failures {
            prefixes.iter().for_each(|prefix| self.failed(*prefix, error));
        }
        let untouched = |failure: &Failure| matches!(failure.error, Error::Announcement(_));
        let mut round = match failures.as_slice() {
            [] => Round::Good,
            some if some.iter().all(untouched) => Round::Untouched,
            _ => Round::Troubled,
        };
        let failed = |due: &Due| failures.iter().any(|failure| failure.prefixes.contains(&due.prefix));
        let applied: Vec<Due> = due.into_iter().filter(|due| !failed(due)).collect();
        for Due { prefix, wanted, repair, because } in &applied {
            if *repair {
                tracing::warn!(prefix = %prefix, action = %wanted, router = self.router, "put back");
                round = Round::Troubled;
            } else {
                tracing::info!(prefix = %prefix, action = %wanted, router = self.router, because, "announced");
            }
        }
        match announcer.read_back(&prefixes).await {
            Ok(after) if self.settle(&applied, &after) => round,
            Ok(_) => Round::Troubled,
            Err(error) => self.unreadable(&error),
        }
    }

    /// Takes what was read back, and finds what differs from what is wanted.
    fn due(&self, seen: &BTreeMap<IpNet, Action>, flaw: Option<&Error>) -> Vec<Due> {
        let mut due = Vec::new();
        for (prefix, entry) in self.routes().iter_mut() {
            let now = seen.get(prefix).copied();
            if now != entry.seen {
                let action = now.map(tracing::field::display);
                tracing::info!(prefix = %prefix, action, router = self.router, "read back");
            }
            entry.look(now);
            // In a dry run what was said last is what would stand.
            let stands = entry.said.or(now);
            let Some(wanted) = entry.wanted.filter(|wanted| stands != Some(*wanted)) else {
                entry.leave = Leave::default();
                match flaw {
                    Some(flaw) => entry.fail(*prefix, &self.router, flaw),
                    None => entry.error = None,
                }
                continue;
            };
            let repair = entry.applied;
            let asks = self.asks.load(Ordering::Relaxed);
            if !self.dry_run && repair && !entry.may_repair(*prefix, &self.router, asks) {
                continue;
            }
            if self.dry_run {
                let because = &entry.because;
                tracing::info!(prefix = %prefix, action = %wanted, router = self.router, because, "would announce");
                entry.said = Some(wanted);
            }
            due.push(Due { prefix: *prefix, wanted, repair, because: entry.because.clone() });
        }
        due
    }

    /// Takes what was read back after changes; says whether each of them holds.
    fn settle(&self, applied: &[Due], after: &BTreeMap<IpNet, Action>) -> bool {
        let mut all = true;
        let mut routes = self.routes();
        for Due { prefix, wanted, .. } in applied {
            let Some(entry) = routes.get_mut(prefix) else { continue };
            let before = entry.seen;
            // It was said without complaint: where it is not so, somebody has changed it already.
            entry.applied = true;
            entry.look(after.get(prefix).copied());
            if entry.seen != before {
                entry.changes = entry.changes.saturating_add(1);
            }
            match entry.seen {
                Some(seen) if seen == *wanted => entry.error = None,
                Some(seen) => {
                    all = false;
                    let router = self.router.clone();
                    let error = Error::NotKept { router, prefix: *prefix, wanted: *wanted, seen };
                    entry.fail(*prefix, &self.router, &error);
                }
                None => all = false,
            }
        }
        all
    }

    fn failed(&self, prefix: IpNet, error: &Error) {
        if let Some(entry) = self.routes().get_mut(&prefix) {
            entry.fail(prefix, &self.router, error);
        }
    }

    fn unreadable(&self, error: &Error) -> Round {
        for (prefix, entry) in self.routes().iter_mut() {
            entry.look(None);
            // A daemon that went away and came back has not been fought over.
            entry.applied = false;
            entry.fail(*prefix, &self.router, error);
        }
        Round::Untouched
    }
}

/// A prefix that is not as wanted.
struct Due {
    prefix: IpNet,
    wanted: Action,
    /// It had been right, and nobody wanted anything new of it.
    repair: bool,
    because: String,
}
