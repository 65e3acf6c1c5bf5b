//! Routes in a private kernel table, over rtnetlink: BIRD learns the table, and its filter turns the metric into an action.
//!
//! A route is `blackhole PREFIX table N proto 253 metric M`, or `PREFIX dev oopsdN` with the same where it must end with this process; no
//! route means plain. Nothing forwards by that table. The other half, the text for bird.conf, is `kernel_table/fragment.rs`; what the
//! metrics mean is `kernel_table/level.rs`; the messages themselves are `kernel_table/message.rs`.

mod error;
mod fragment;
mod lease;
mod level;
mod message;

pub use error::Error;
pub use fragment::bird_fragment;
pub use lease::TUN;
pub use level::is_leased;

use super::reconcile::Announcer;
use core::time::Duration;
use engine::Action;
use futures_util::TryStreamExt;
use ipnet::IpNet;
use lease::Lease;
use level::metric_of;
use message::Held;
use rtnetlink::{Handle, MulticastGroup};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The kernel answers at once; a lost answer must not hold up everything else.
const PATIENCE: Duration = Duration::from_secs(2);

/// A kernel table as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// The table's number, none of the kernel's own (253 to 255).
    pub table: u32,
}

/// The table, by a socket for questions and one that hears of changes.
#[derive(Debug)]
pub(super) struct KernelTable {
    config: Config,
    sockets: Option<Sockets>,
    /// Once something was leased.
    lease: Option<Lease>,
    /// What was last reported as not ours.
    foreign: Vec<Held>,
}

#[derive(Debug)]
struct Sockets {
    handle: Handle,
    changed: Arc<Notify>,
    listener: JoinHandle<()>,
}

impl KernelTable {
    /// Opens the sockets in the network namespace of the calling thread, on the runtime that is entered.
    pub(super) fn open(config: Config) -> Result<Self, Error> {
        let mut table = Self { config, sockets: None, lease: None, foreign: Vec::new() };
        table.sockets()?;
        Ok(table)
    }

    fn sockets(&mut self) -> Result<&mut Sockets, Error> {
        let table = self.config.table;
        let opened = match self.sockets.take() {
            Some(sockets) => sockets,
            None => Sockets::open(table).map_err(|source| Error::Open { table, source })?,
        };
        Ok(self.sockets.insert(opened))
    }

    /// All routes in the table of the families that `prefixes` have.
    async fn held(&mut self, prefixes: &BTreeSet<IpNet>) -> Result<Vec<Held>, Error> {
        let table = self.config.table;
        let handle = self.sockets()?.handle.clone();
        let mut held = Vec::new();
        for query in message::queries(table, prefixes) {
            let answer = within(handle.route().get(query).execute().try_collect::<Vec<_>>()).await;
            match answer {
                Ok(routes) => held.extend(routes.iter().filter_map(|route| message::held(table, route))),
                // A table nobody has put a route into.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                Err(source) => {
                    self.sockets = None;
                    return Err(Error::Read { table, source });
                }
            }
        }
        Ok(held)
    }

    async fn add(&mut self, prefix: IpNet, action: Action, metric: u32) -> Result<(), Error> {
        let through = if is_leased(action) { Some(self.lease().await?) } else { None };
        self.change("add", prefix, metric, through).await
    }

    /// The interface that ends with this process, up.
    async fn lease(&mut self) -> Result<u32, Error> {
        let table = self.config.table;
        let failed = |source| Error::Lease { table, source };
        let handle = self.sockets()?.handle.clone();
        let lease = match self.lease.take() {
            Some(lease) => lease,
            None => Lease::open(table).map_err(failed)?,
        };
        let (up, index) = (within(lease.up(&handle)).await, lease.index());
        // Other routes may go through it: only one that somebody deleted is given up.
        self.lease =
            Some(lease).filter(|_| !up.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ENODEV)));
        up.map(|()| index).map_err(failed)
    }

    /// Adds or deletes a route; one to add is through an interface, or a blackhole.
    async fn change(
        &mut self,
        verb: &'static str,
        prefix: IpNet,
        metric: u32,
        through: Option<u32>,
    ) -> Result<(), Error> {
        let table = self.config.table;
        let route = self.sockets()?.handle.route();
        let message = message::route(table, prefix, metric, through);
        let (done, already) = match verb {
            "add" => (within(route.add(message).execute()).await, libc::EEXIST),
            _ => (within(route.del(message).execute()).await, libc::ESRCH),
        };
        match done {
            Err(source) if source.raw_os_error() != Some(already) => {
                if source.raw_os_error().is_none() {
                    self.sockets = None;
                }
                Err(Error::Change { verb, prefix, table, metric, source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Says which routes of the table are nobody's business of ours, when they change.
    fn report(&mut self, foreign: Vec<Held>) {
        for route in foreign.iter().filter(|route| !self.foreign.contains(route)) {
            let (table, route) = (self.config.table, route.to_string());
            tracing::warn!(router = self.config.name, table, route, "not a configured route of oopsd's: left alone");
        }
        self.foreign = foreign;
    }
}

/// Why a kernel table cannot hold this, and what to write instead.
#[must_use]
pub fn refuses(action: Action) -> Option<&'static str> {
    level::unwritable(action)
}

impl Announcer for KernelTable {
    async fn read_back(&mut self, prefixes: &BTreeSet<IpNet>) -> Result<BTreeMap<IpNet, Action>, super::Error> {
        let held = self.held(prefixes).await?;
        let seen = prefixes.iter().map(|prefix| (*prefix, action_of(*prefix, &held))).collect();
        self.report(held.into_iter().filter(|route| !route.is_ours() || !prefixes.contains(&route.prefix)).collect());
        Ok(seen)
    }

    async fn announce(&mut self, prefix: IpNet, action: Action) -> Result<(), super::Error> {
        let table = self.config.table;
        let metric = metric_of(action);
        if metric.is_none() && action != Action::Plain {
            return Err(Error::Level { prefix, table, action }.into());
        }
        // The new one comes before the old one goes, so that the plain path is never exposed in between.
        if let Some(metric) = metric {
            self.add(prefix, action, metric).await?;
        }
        let held = self.held(&BTreeSet::from([prefix])).await?;
        for route in held.iter().filter(|route| route.is_ours() && route.prefix == prefix) {
            if Some(route.metric) != metric {
                self.change("delete", prefix, route.metric, route.through).await?;
            }
        }
        let first =
            held.iter().filter(|route| route.prefix == prefix).min_by_key(|route| (route.metric, route.is_ours()));
        match first {
            Some(foreign) if !foreign.is_ours() && metric.is_some() => {
                Err(Error::Hidden { table, foreign: foreign.to_string() }.into())
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn changed(&mut self) {
        match &self.sockets {
            Some(sockets) => sockets.changed.notified().await,
            None => core::future::pending().await,
        }
    }
}

impl Sockets {
    fn open(table: u32) -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection_with_strict_check()?;
        tokio::spawn(connection);
        // A socket of its own: when changes come faster than they are read, the kernel drops some, and no answer may be among them.
        // What goes with an interface is said of the interface only.
        let groups = [MulticastGroup::Ipv4Route, MulticastGroup::Ipv6Route, MulticastGroup::Link];
        let (connection, keep_open, mut notices) = rtnetlink::new_multicast_connection(&groups)?;
        tokio::spawn(connection);
        let changed = Arc::new(Notify::new());
        let said = Arc::clone(&changed);
        // Always reading: a host with a full table has a million changes while somebody here waits.
        let listener = tokio::spawn(async move {
            let _keep_open = keep_open;
            while let Ok((notice, _)) = notices.recv().await {
                if message::concerns(table, &notice.payload) {
                    said.notify_one();
                }
            }
        });
        Ok(Self { handle, changed, listener })
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// How a prefix is announced: by the lowest metric, if that is ours and we know it.
fn action_of(prefix: IpNet, held: &[Held]) -> Action {
    let first = held.iter().filter(|route| route.prefix == prefix).min_by_key(|route| (route.metric, route.is_ours()));
    let metric = first.filter(|route| route.is_ours()).map(|route| route.metric);
    metric.and_then(level::action_of).unwrap_or(Action::Plain)
}

async fn within<T>(answer: impl Future<Output = Result<T, rtnetlink::Error>>) -> io::Result<T> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(rtnetlink::Error::NetlinkError(error))) => Err(error.to_io()),
        Ok(Err(error)) => Err(io::Error::other(error.to_string())),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel did not answer")),
    }
}
