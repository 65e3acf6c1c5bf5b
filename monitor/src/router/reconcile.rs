//! Makes what is seen what is wanted: reads back, compares, changes only what differs, reads back again, and looks again later.
//!
//! Knows no routing daemon: that is an [`Announcer`]'s. Knows no limit on how often a route may change: that is the engine's.

use super::{Error, Status};
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use core::future::Future;
use core::time::Duration;
use engine::{Action, Intent};
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

#[derive(Clone, Debug, Default)]
struct Entry {
    wanted: Option<Action>,
    because: String,
    seen: Option<Action>,
    /// What a dry run has already said of this prefix.
    said: Option<Action>,
    changes: u64,
    errors: u64,
    error: Option<String>,
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
        entry.wanted = Some(intent.action);
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

    pub(super) fn status(&self) -> Vec<Status> {
        let routes = self.shared.routes();
        let status = routes.iter().map(|(prefix, entry)| Status {
            router: self.shared.router.clone(),
            prefix: prefix.to_string(),
            wanted: entry.wanted,
            seen: entry.seen,
            changes: entry.changes,
            errors: entry.errors,
            error: entry.error.clone(),
        });
        status.collect()
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
    /// It could not be read back. Looking does no harm, so that the wait is never long.
    Unreadable,
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
            round @ (Round::Troubled | Round::Unreadable) => {
                let delay = delays.next().unwrap_or(LONGEST);
                let delay = if round == Round::Unreadable { delay.min(RECHECK) } else { delay };
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
            return Round::Good;
        }
        let wanted = due.iter().map(|due| (due.prefix, due.wanted)).collect();
        let failures = announcer.announce_all(&wanted).await;
        for Failure { prefixes, error } in &failures {
            prefixes.iter().for_each(|prefix| self.failed(*prefix, error));
        }
        let mut round = if failures.is_empty() { Round::Good } else { Round::Troubled };
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
            let repair = entry.seen.is_some() && entry.seen == entry.wanted && now != entry.seen;
            if now != entry.seen {
                tracing::info!(prefix = %prefix, action = now.map(tracing::field::display), router = self.router, "read back");
            }
            entry.seen = now;
            let Some(wanted) = entry.wanted else {
                entry.error = None;
                continue;
            };
            if now == Some(wanted) {
                entry.error = None;
                entry.said = None;
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
            entry.seen = after.get(prefix).copied();
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
            entry.seen = None;
            entry.fail(*prefix, &self.router, error);
        }
        Round::Unreadable
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

impl Entry {
    /// Counts a failure, and logs it unless it is the same as the last.
    fn fail(&mut self, prefix: IpNet, router: &str, error: &Error) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::kernel_table;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn with_nothing_wanted_it_only_reads() {
        let daemon = Daemon::announcing(Action::Prepend(2));
        let reconciler = daemon.reconciler(false);
        daemon.reads(3).await;
        assert_eq!(reconciler.status()[0].seen, Some(Action::Prepend(2)));
        assert_eq!(reconciler.status()[0].wanted, None);
        assert_eq!(daemon.calls(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_as_wanted_is_not_announced_again() {
        let daemon = Daemon::announcing(Action::Prepend(2));
        let reconciler = daemon.reconciler(false);
        assert!(reconciler.want(&intent(Action::Prepend(2))));
        daemon.reads(5).await;
        assert_eq!(daemon.calls(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_newest_wish_counts() {
        let daemon = Daemon::announcing(Action::Plain);
        let reconciler = daemon.reconciler(false);
        for action in [Action::Prepend(1), Action::Prepend(3), Action::Prepend(2)] {
            reconciler.want(&intent(action));
        }
        daemon.reads(4).await;
        assert_eq!(daemon.calls(), [Action::Prepend(2)]);
        assert_eq!(reconciler.status()[0].changes, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dry_run_changes_nothing() {
        let daemon = Daemon::announcing(Action::Plain);
        let reconciler = daemon.reconciler(true);
        reconciler.want(&intent(Action::Prepend(1)));
        daemon.reads(4).await;
        assert_eq!(daemon.calls(), []);
        assert_eq!(reconciler.status()[0].wanted, Some(Action::Prepend(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_counted_and_tried_again_ever_more_slowly() {
        let daemon = Daemon::announcing(Action::Plain);
        daemon.0.lock().unwrap().broken = true;
        let reconciler = daemon.reconciler(false);
        reconciler.want(&intent(Action::Prepend(1)));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let status = reconciler.status().remove(0);
        assert!((6..20).contains(&status.errors), "{status:?}");
        assert!(status.error.unwrap().contains("CAP_NET_ADMIN"));

        daemon.0.lock().unwrap().broken = false;
        tokio::time::sleep(LONGEST * 2).await;
        let status = reconciler.status().remove(0);
        assert_eq!((status.seen, status.error), (Some(Action::Prepend(1)), None));
    }

    #[tokio::test(start_paused = true)]
    async fn who_undoes_it_each_time_waits_longer_each_time() {
        let daemon = Daemon::announcing(Action::Plain);
        let reconciler = daemon.reconciler(false);
        reconciler.want(&intent(Action::Prepend(1)));
        daemon.reads(3).await;
        for _ in 0..6_000 {
            daemon.0.lock().unwrap().action = Action::Plain;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!((6..25).contains(&daemon.calls().len()), "{} in a minute", daemon.calls().len());
    }

    #[tokio::test(start_paused = true)]
    async fn another_configuration_keeps_what_was_wanted() {
        let daemon = Daemon::announcing(Action::Plain);
        let reconciler = daemon.reconciler(false);
        reconciler.want(&intent(Action::Prepend(1)));
        let more = BTreeSet::from([prefix(), "2001:db8::/48".parse().unwrap()]);
        reconciler.replace(&more);
        let wanted: Vec<_> = reconciler.status().into_iter().map(|status| status.wanted).collect();
        assert_eq!(wanted, [Some(Action::Prepend(1)), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_intent_for_a_prefix_that_is_not_configured_is_refused() {
        let reconciler = Daemon::announcing(Action::Plain).reconciler(false);
        assert!(!reconciler.want(&Intent { prefix: "198.51.100.0/24".to_owned(), ..intent(Action::Plain) }));
    }

    /// A routing daemon that remembers what it was told.
    #[derive(Clone)]
    struct Daemon(Arc<Mutex<Memory>>);

    struct Memory {
        action: Action,
        broken: bool,
        reads: u32,
        calls: Vec<Action>,
    }

    impl Daemon {
        fn announcing(action: Action) -> Self {
            Self(Arc::new(Mutex::new(Memory { action, broken: false, reads: 0, calls: Vec::new() })))
        }

        fn reconciler(&self, dry_run: bool) -> Reconciler {
            Reconciler::start("fake", self.clone(), &BTreeSet::from([prefix()]), dry_run)
        }

        fn calls(&self) -> Vec<Action> {
            self.0.lock().unwrap().calls.clone()
        }

        /// Returns after `count` more looks at it.
        async fn reads(&self, count: u32) {
            let before = self.0.lock().unwrap().reads;
            let seen = async {
                while self.0.lock().unwrap().reads < before + count {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(RECHECK * count * 2, seen).await.expect("it looks");
        }
    }

    impl Announcer for Daemon {
        async fn read_back(&mut self, prefixes: &BTreeSet<IpNet>) -> Result<BTreeMap<IpNet, Action>, Error> {
            let mut memory = self.0.lock().unwrap();
            memory.reads += 1;
            Ok(prefixes.iter().map(|prefix| (*prefix, memory.action)).collect())
        }

        async fn announce(&mut self, prefix: IpNet, action: Action) -> Result<(), Error> {
            let mut memory = self.0.lock().unwrap();
            if memory.broken {
                let source = std::io::Error::from_raw_os_error(libc::EPERM);
                let error = kernel_table::Error::Change { verb: "add", prefix, table: 5353, metric: 103, source };
                return Err(error.into());
            }
            memory.action = action;
            memory.calls.push(action);
            Ok(())
        }

        async fn changed(&mut self) {
            core::future::pending().await
        }
    }

    fn intent(action: Action) -> Intent {
        let because = "a test says so".to_owned();
        Intent { router: "fake".to_owned(), prefix: prefix().to_string(), action, because }
    }

    fn prefix() -> IpNet {
        "192.0.2.0/24".parse().unwrap()
    }
}
