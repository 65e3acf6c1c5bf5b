//! Makes what is seen what is wanted: reads back, compares, changes only what differs, reads back again, and looks again later.
//!
//! Knows no routing daemon: that is an [`Announcer`]'s. Knows no limit on how often a route may change: that is the engine's. How often one is
//! put back that somebody else changed is in `fight`.

mod entry;
mod fight;
#[cfg(test)]
mod tests;

use super::{Error, Status};
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use core::future::Future;
use core::time::Duration;
use engine::{Action, Intent, Troubled};
use entry::Entry;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long until a look that nothing asked for.
const RECHECK: Duration = Duration::from_secs(2);
/// How long after the first failure, or the first repair, until the next attempt; each further one waits twice as long, to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// A routing daemon, or what stands in front of it.
pub(super) trait Announcer: Send + 'static {
    /// How each of `prefixes` is announced now.
    fn read_back(
        &mut self,
        prefixes: &BTreeSet<IpNet>,
    ) -> impl Future<Output = Result<BTreeMap<IpNet, Action>, Error>> + Send;

    /// Announces `prefix` so. Doing it twice does no more than doing it once.
    fn announce(&mut self, prefix: IpNet, action: Action) -> impl Future<Output = Result<(), Error>> + Send;

    /// Announces several, and returns what failed, each with the prefixes that it failed for. One after the other, unless the daemon can
    /// change them all at once.
    fn announce_all(&mut self, wanted: &BTreeMap<IpNet, Action>) -> impl Future<Output = Vec<Failure>> + Send {
        async move {
            let mut failures = Vec::new();
            for (prefix, action) in wanted {
                if let Err(error) = self.announce(*prefix, *action).await {
                    failures.push(Failure { prefixes: BTreeSet::from([*prefix]), error });
                }
            }
            failures
        }
    }

    /// Returns when somebody may have changed what was read back, or never. May be dropped at any time.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
}

/// What kept these prefixes from being announced as they were to be.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) prefixes: BTreeSet<IpNet>,
    pub(super) error: Error,
}

/// One router's reconciler, running until dropped.
#[derive(Debug)]
pub(super) struct Reconciler {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    router: String,
    dry_run: bool,
    routes: Mutex<BTreeMap<IpNet, Entry>>,
    asked: Notify,
}

impl Reconciler {
    /// Starts on the runtime that is entered.
    pub(super) fn start(router: &str, announcer: impl Announcer, prefixes: &BTreeSet<IpNet>, dry_run: bool) -> Self {
        let routes = prefixes.iter().map(|prefix| (*prefix, Entry::default())).collect();
        let shared =
            Arc::new(Shared { router: router.to_owned(), dry_run, routes: Mutex::new(routes), asked: Notify::new() });
        let task = tokio::spawn(keep(Arc::clone(&shared), announcer));
        Self { shared, task }
    }

    /// Takes one intent; says whether its prefix is one of ours.
    pub(super) fn want(&self, intent: &Intent) -> bool {
        let Ok(prefix) = intent.prefix.parse::<IpNet>() else { return false };
        let mut routes = self.shared.routes();
        let Some(entry) = routes.get_mut(&prefix) else { return false };
        if entry.wanted != Some(intent.action) {
            entry.fight.renew();
            entry.applied = false;
        }
        entry.wanted = Some(intent.action);
        entry.judge();
        entry.because.clone_from(&intent.because);
        self.shared.asked.notify_one();
        true
    }

    /// Takes up other prefixes; those in both keep what was wanted of them.
    pub(super) fn replace(&self, prefixes: &BTreeSet<IpNet>) {
        let mut routes = self.shared.routes();
        routes.retain(|prefix, _| prefixes.contains(prefix));
        for prefix in prefixes {
            routes.entry(*prefix).or_default();
        }
        self.shared.asked.notify_one();
    }

    /// Takes over what is wanted of the prefixes that both have, from the reconciler of the same router as it was configured before.
    pub(super) fn inherit(&self, former: &Self) {
        let former = former.shared.routes().clone();
        for (prefix, entry) in self.shared.routes().iter_mut() {
            if let Some(before) = former.get(prefix) {
                entry.wanted = before.wanted;
                entry.because.clone_from(&before.because);
            }
        }
        self.shared.asked.notify_one();
    }

    pub(super) fn status(&self) -> Vec<Status> {
        let routes = self.shared.routes();
        let status = routes.iter().map(|(prefix, entry)| Status {
            router: self.shared.router.clone(),
            prefix: prefix.to_string(),
            wanted: entry.wanted,
            seen: entry.seen,
            changes: entry.changes,
            changed: entry.changed,
            contested: entry.fight.is_contested(),
            errors: entry.errors,
            error: entry.error.clone(),
        });
        status.collect()
    }

    /// The routes that are not as wanted, and will not soon be.
    pub(super) fn troubles(&self) -> Vec<Troubled> {
        if self.shared.dry_run {
            return Vec::new();
        }
        let routes = self.shared.routes();
        let troubled = routes.iter().filter_map(|(prefix, entry)| entry.trouble(&self.shared.router, *prefix));
        troubled.collect()
    }
}

impl Drop for Reconciler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

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

async fn keep(shared: Arc<Shared>, mut announcer: impl Announcer) {
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
        let due = self.due(&before);
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
    fn due(&self, seen: &BTreeMap<IpNet, Action>) -> Vec<Due> {
        let mut due = Vec::new();
        for (prefix, entry) in self.routes().iter_mut() {
            let now = seen.get(prefix).copied();
            if now != entry.seen {
                let action = now.map(tracing::field::display);
                tracing::info!(prefix = %prefix, action, router = self.router, "read back");
            }
            entry.look(now);
            let Some(wanted) = entry.wanted else {
                entry.error = None;
                continue;
            };
            if now == Some(wanted) {
                entry.error = None;
                entry.said = None;
                continue;
            }
            let repair = entry.applied;
            if !self.dry_run && repair && !entry.may_repair(*prefix, &self.router) {
                continue;
            }
            if self.dry_run && entry.said != Some(wanted) {
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

    /// The routes hold plain values, so a thread that died holding them left them whole.
    fn routes(&self) -> MutexGuard<'_, BTreeMap<IpNet, Entry>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
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
