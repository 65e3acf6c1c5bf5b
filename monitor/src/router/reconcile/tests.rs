//! The reconciler against a routing daemon that remembers what it was told.

use super::round::{LONGEST, RECHECK};
use super::*;
use crate::router::kernel_table;
use core::time::Duration;
use engine::Trouble;
use tokio::time::{Instant, timeout};

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
async fn who_keeps_undoing_it_gets_their_way_until_something_new_is_wanted() {
    let daemon = Daemon::announcing(Action::Plain);
    let reconciler = daemon.reconciler(false);
    reconciler.want(&intent(Action::Prepend(1)));
    daemon.reads(3).await;
    daemon.is_undone_for(Duration::from_secs(120)).await;
    assert_eq!(daemon.calls().len(), 1 + fight::REPAIRS as usize);
    let troubles = reconciler.troubles();
    assert_eq!(troubles.iter().map(|it| it.trouble).collect::<Vec<_>>(), [Trouble::Contested]);
    assert_eq!(troubles[0].reasons, ["prepend 1 is wanted on router fake, and it reads back as plain"]);
    assert!(reconciler.status()[0].contested);

    reconciler.want(&intent(Action::Prepend(1)));
    daemon.reads(3).await;
    assert_eq!(daemon.calls().len(), 6, "that is nothing new");
    reconciler.want(&intent(Action::Prepend(2)));
    daemon.reads(2).await;
    assert_eq!(daemon.calls().last(), Some(&Action::Prepend(2)));
    assert_eq!(reconciler.troubles().len(), 1, "it is yet to hold");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(reconciler.troubles(), []);
}

#[tokio::test(start_paused = true)]
async fn where_there_is_a_budget_a_route_is_put_back_only_when_that_allows_it() {
    let daemon = Daemon::announcing(Action::Plain);
    let reconciler = daemon.reconciler(false);
    assert_eq!(reconciler.asking(), []);
    reconciler.want(&intent(Action::Prepend(1)));
    daemon.reads(3).await;
    assert_eq!(daemon.calls().len(), 1, "what is wanted needs no leave");

    daemon.0.lock().unwrap().action = Action::Plain;
    daemon.reads(3).await;
    assert_eq!(reconciler.asking(), [prefix()]);
    reconciler.answer(prefix(), false);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((daemon.calls().len(), reconciler.asking()), (1, vec![prefix()]));
    let troubles = reconciler.troubles();
    assert_eq!(troubles[0].trouble, Trouble::NotApplied);
    assert!(troubles[0].reasons[1].contains("budget"), "{troubles:?}");

    reconciler.answer(prefix(), true);
    daemon.reads(3).await;
    assert_eq!((daemon.calls().len(), reconciler.asking()), (2, vec![]));
    daemon.0.lock().unwrap().action = Action::Plain;
    daemon.reads(3).await;
    reconciler.answer(prefix(), false);
    assert_eq!(reconciler.troubles()[0].trouble, Trouble::Contested, "somebody keeps removing it");
    daemon.reads(3).await;
    assert_eq!((daemon.calls().len(), reconciler.asking()), (2, vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_is_right_again_by_itself_is_kept_again() {
    let daemon = Daemon::announcing(Action::Plain);
    let reconciler = daemon.reconciler(false);
    reconciler.want(&intent(Action::Prepend(1)));
    daemon.reads(3).await;
    daemon.is_undone_for(Duration::from_secs(60)).await;
    daemon.0.lock().unwrap().action = Action::Prepend(1);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(reconciler.troubles(), []);
    daemon.0.lock().unwrap().action = Action::Plain;
    daemon.reads(3).await;
    assert_eq!(reconciler.status()[0].seen, Some(Action::Prepend(1)));
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_comes_back_without_its_routes_is_no_opponent() {
    let daemon = Daemon::announcing(Action::Plain);
    let reconciler = daemon.reconciler(false);
    reconciler.want(&intent(Action::Prepend(1)));
    daemon.reads(2).await;
    for _ in 0..20 {
        daemon.0.lock().unwrap().gone = true;
        daemon.reads(3).await;
        daemon.0.lock().unwrap().action = Action::Plain;
        daemon.0.lock().unwrap().gone = false;
        daemon.reads(3).await;
        assert_eq!(reconciler.status()[0].seen, Some(Action::Prepend(1)));
    }
    assert!(!reconciler.status()[0].contested);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_as_wanted_for_five_seconds_is_trouble_until_it_is() {
    let daemon = Daemon::announcing(Action::Plain);
    daemon.0.lock().unwrap().broken = true;
    let reconciler = daemon.reconciler(false);
    reconciler.want(&intent(Action::Prepend(1)));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(reconciler.troubles(), []);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let troubles = reconciler.troubles();
    assert_eq!(troubles.iter().map(|it| it.trouble).collect::<Vec<_>>(), [Trouble::NotApplied]);
    assert!(troubles[0].reasons[1].contains("CAP_NET_ADMIN"), "{troubles:?}");
    assert_eq!(reconciler.status()[0].changed, None);

    daemon.0.lock().unwrap().broken = false;
    tokio::time::sleep(LONGEST * 2).await;
    assert_eq!(reconciler.troubles(), []);
    assert!(reconciler.status()[0].changed.is_some());
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
    gone: bool,
    reads: u32,
    calls: Vec<Action>,
}

impl Daemon {
    fn announcing(action: Action) -> Self {
        Self(Arc::new(Mutex::new(Memory { action, broken: false, gone: false, reads: 0, calls: Vec::new() })))
    }

    fn reconciler(&self, dry_run: bool) -> Reconciler {
        Reconciler::start("fake", self.clone(), &BTreeSet::from([prefix()]), dry_run)
    }

    fn calls(&self) -> Vec<Action> {
        self.0.lock().unwrap().calls.clone()
    }

    /// Somebody sets it to plain again and again.
    async fn is_undone_for(&self, long: Duration) {
        let end = Instant::now() + long;
        while Instant::now() < end {
            self.0.lock().unwrap().action = Action::Plain;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
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
        if memory.gone {
            let source = std::io::Error::from_raw_os_error(libc::ECONNREFUSED);
            return Err(kernel_table::Error::Read { table: 5353, source }.into());
        }
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
