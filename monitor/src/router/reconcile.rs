//! Makes what is seen what is wanted: reads back, compares, changes only what differs, reads back again, and looks again later.
//!
//! Knows no routing daemon: that is an [`Announcer`]'s. Knows no limit on how often a route may change: that is the engine's, which is asked before
//! one is put back that somebody else changed; how often that may be is in `fight`. The work itself is in `round`.

mod entry;
mod fight;
mod round;
#[cfg(test)]
mod tests;

use super::{Error, Status};
use core::future::Future;
use core::sync::atomic::{AtomicBool, Ordering};
use engine::{Action, Intent, Troubled};
use entry::{Entry, Leave};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

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

    /// What is wrong although all could be read back: it is said of every prefix until it is right.
    fn flaw(&self) -> Option<Error> {
        None
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
    /// Somebody keeps a budget, and is asked before a route is put back.
    asks: AtomicBool,
    routes: Mutex<BTreeMap<IpNet, Entry>>,
    asked: Notify,
}

impl Reconciler {
    /// Starts on the runtime that is entered.
    pub(super) fn start(router: &str, announcer: impl Announcer, prefixes: &BTreeSet<IpNet>, dry_run: bool) -> Self {
        let routes = prefixes.iter().map(|prefix| (*prefix, Entry::default())).collect();
        let shared = Arc::new(Shared {
            router: router.to_owned(),
            dry_run,
            asks: AtomicBool::new(false),
            routes: Mutex::new(routes),
            asked: Notify::new(),
        });
        let task = tokio::spawn(round::keep(Arc::clone(&shared), announcer));
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
            entry.leave = Leave::default();
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

    /// Takes over what is seen of those prefixes, too, of which nothing is wanted yet: the router it is for knows nothing of them.
    pub(super) fn take_over(&self, former: &Self) {
        let former = former.shared.routes().clone();
        for (prefix, entry) in self.shared.routes().iter_mut() {
            let seen = former.get(prefix).and_then(|before| before.seen).filter(|seen| *seen != Action::Plain);
            if entry.wanted.is_none() && seen.is_some() {
                entry.wanted = seen;
                "as it was".clone_into(&mut entry.because);
            }
        }
        self.shared.asked.notify_one();
    }

    /// The routes that are to be put back, of those that may be, and have not been answered about.
    pub(super) fn asking(&self) -> Vec<IpNet> {
        self.shared.asks.store(true, Ordering::Relaxed);
        let routes = self.shared.routes();
        routes.iter().filter(|(_, entry)| entry.leave == Leave::Asked).map(|(prefix, _)| *prefix).collect()
    }

    /// Answers that a route may be put back, or may not now.
    pub(super) fn answer(&self, prefix: IpNet, may: bool) {
        if let Some(entry) = self.shared.routes().get_mut(&prefix) {
            entry.answered(may, prefix, &self.shared.router);
        }
        if may {
            self.shared.asked.notify_one();
        }
    }

    /// Tells, at any time, whether all that is wanted was read back.
    pub(super) fn stands(&self) -> impl Fn() -> bool + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.routes().values().all(Entry::is_settled)
    }

    /// Wants all of its prefixes plain.
    pub(super) fn clear(&self, because: &str) {
        for entry in self.shared.routes().values_mut() {
            entry.wanted = Some(Action::Plain);
            entry.applied = false;
            because.clone_into(&mut entry.because);
            entry.judge();
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

impl Shared {
    /// The routes hold plain values, so a thread that died holding them left them whole.
    fn routes(&self) -> MutexGuard<'_, BTreeMap<IpNet, Entry>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
