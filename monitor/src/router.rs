//! Routers: who announces the prefixes. One file each, one reconciler in front of them all.
//!
//! An intent is level-triggered: only the newest for a prefix matters, and it is made so, read back and kept so. Starting, stopping, reloading
//! and crashing change no route: a prefix nothing is wanted of is only read. How prefixes come to be wanted so is `engine::ladder`'s.

pub mod announcement;
pub mod bird;
mod error;
pub mod exabgp;
pub mod gobgp;
pub mod kernel_table;
mod reconcile;
mod retire;

pub use error::Error;

use engine::{Action, Intent, Route, Troubled};
use ipnet::IpNet;
use reconcile::Reconciler;
use retire::Retiring;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;
use tokio::runtime::Handle;

/// A router as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Config {
    /// A route in a private kernel table, which BIRD (or another daemon) learns.
    KernelTable(kernel_table::Config),
    /// BIRD by a file that its configuration includes, and its control socket.
    Bird(bird::Config),
    /// ExaBGP, over its named pipes.
    Exabgp(exabgp::Config),
    /// GoBGP, over its gRPC API.
    Gobgp(gobgp::Config),
}

impl Config {
    /// Its name, unique among routers.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::KernelTable(config) => &config.name,
            Self::Bird(config) => &config.name,
            Self::Exabgp(config) => &config.name,
            Self::Gobgp(config) => &config.name,
        }
    }

    /// Whether what it announces can be gone with oopsd: a prefix must not stay withdrawn because oopsd died.
    #[must_use]
    pub fn may_withdraw(&self) -> bool {
        match self {
            Self::KernelTable(_) => true,
            Self::Bird(_) | Self::Exabgp(_) | Self::Gobgp(_) => false,
        }
    }

    /// Learns what the routes may ask of it.
    pub(crate) fn learn(&mut self, routes: &[Route]) {
        match self {
            Self::KernelTable(_) | Self::Bird(_) => {}
            Self::Exabgp(config) => config.plain.learn(&config.name, routes),
            Self::Gobgp(config) => config.plain.learn(&config.name, routes),
        }
    }

    /// Why this router cannot announce anything so, and what to write instead; `None` if it can.
    #[must_use]
    pub fn refuses(&self, action: Action) -> Option<&'static str> {
        match self {
            Self::KernelTable(_) => kernel_table::refuses(action),
            Self::Bird(_) => None,
            Self::Exabgp(config) => config.plain.refuses(action),
            Self::Gobgp(config) => config.plain.refuses(action),
        }
    }
}

/// A route as wanted and as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The router, by name.
    pub router: String,
    /// The prefix.
    pub prefix: String,
    /// What the engine wants; `None` until it said so.
    pub wanted: Option<Action>,
    /// What was read back last; `None` if it could not be read.
    pub seen: Option<Action>,
    /// Changes made.
    pub changes: u64,
    /// When what is read back last became another, whoever changed it; `None` if it did not since the start.
    pub changed: Option<SystemTime>,
    /// Somebody else keeps changing it, and it is left to them.
    pub contested: bool,
    /// Attempts that failed.
    pub errors: u64,
    /// The last failure, until the next success.
    pub error: Option<String>,
}

/// All routers, running: keeps what is seen equal to what is wanted.
///
/// Dropping it stops the work and leaves every route as it is.
#[derive(Debug)]
pub struct Routers {
    reconcilers: Vec<(Config, Reconciler)>,
    /// What of a BIRD outlives a reload, by router: other ladders do not make another router.
    birds: BTreeMap<String, bird::Lasting>,
    /// Kernel tables that are not used any more, until nothing of ours is in them.
    retiring: Vec<Retiring>,
    dry_run: bool,
    runtime: Handle,
}

impl Routers {
    /// Starts one reconciler for each router, in the network namespace of the calling thread. Until [`Self::want`] is called it only reads.
    ///
    /// With `dry_run` it logs what it would do, and never changes anything.
    ///
    /// # Errors
    /// A route that names no router or no prefix; a socket that cannot be opened. A table that cannot be read is retried and in [`Self::status`].
    pub fn start(configs: &[Config], routes: &[Route], dry_run: bool, runtime: Handle) -> Result<Self, Error> {
        let mut routers =
            Self { reconcilers: Vec::new(), birds: BTreeMap::new(), retiring: Vec::new(), dry_run, runtime };
        routers.replace(configs, routes)?;
        Ok(routers)
    }

    /// Takes up another configuration. What was wanted of a route that is in both stays wanted; a route that is gone is left as it is.
    ///
    /// # Errors
    /// As [`Self::start`]; the former configuration then goes on.
    pub fn replace(&mut self, configs: &[Config], routes: &[Route]) -> Result<(), Error> {
        let prefixes =
            configs.iter().map(|config| prefixes_of(config.name(), routes)).collect::<Result<Vec<_>, _>>()?;
        if let Some(route) = routes.iter().find(|route| configs.iter().all(|config| config.name() != route.router)) {
            return Err(Error::UnknownRouter { prefix: route.prefix.clone(), router: route.router.clone() });
        }
        for config in configs {
            if let Config::Bird(config) = config {
                self.birds.entry(config.name.clone()).or_default().replace(config, routes);
            }
        }
        let mut fresh = Vec::new();
        for (config, prefixes) in configs.iter().zip(&prefixes) {
            if !self.reconcilers.iter().any(|(running, _)| running == config) {
                let reconciler = self.reconciler(config, prefixes)?;
                if let Some((before, former)) =
                    self.reconcilers.iter().find(|(former, _)| former.name() == config.name())
                {
                    reconciler.inherit(former);
                    if left_table(before, config).is_some() {
                        reconciler.take_over(former);
                    }
                }
                fresh.push((config.clone(), reconciler));
            }
        }
        self.retire(configs, &fresh);
        for (config, prefixes) in configs.iter().zip(&prefixes) {
            if let Some((_, reconciler)) = self.reconcilers.iter().find(|(running, _)| running == config) {
                reconciler.replace(prefixes);
            }
        }
        self.reconcilers.extend(fresh);
        Ok(())
    }

    /// Lets go of what is not configured any more; of a kernel table in whose place there is another, once that one stands.
    fn retire(&mut self, configs: &[Config], fresh: &[(Config, Reconciler)]) {
        self.retiring.retain(|retiring| !retiring.is_over() && configs.iter().all(|config| !retiring.is_of(config)));
        let (staying, gone) =
            std::mem::take(&mut self.reconcilers).into_iter().partition(|(running, _)| configs.contains(running));
        self.reconcilers = staying;
        for (before, former) in gone {
            let Some((now, next)) = fresh.iter().find(|(now, _)| now.name() == before.name()) else { continue };
            let Some(table) = left_table(&before, now).filter(|_| !self.dry_run) else { continue };
            let elsewhere = configs.iter().any(|config| matches!(config, Config::KernelTable(it) if it.table == table));
            if !elsewhere {
                let _entered = self.runtime.enter();
                self.retiring.push(Retiring::start(table, former, next));
            }
        }
    }

    fn reconciler(&self, config: &Config, prefixes: &BTreeSet<IpNet>) -> Result<Reconciler, Error> {
        let _entered = self.runtime.enter();
        match config {
            Config::KernelTable(config) => {
                let announcer = kernel_table::KernelTable::open(config.clone())?;
                Ok(Reconciler::start(&config.name, announcer, prefixes, self.dry_run))
            }
            Config::Gobgp(config) => {
                let announcer = gobgp::Gobgp::new(config.clone())?;
                Ok(Reconciler::start(&config.name, announcer, prefixes, self.dry_run))
            }
            Config::Exabgp(config) => {
                let announcer = exabgp::Exabgp::new(config.clone());
                Ok(Reconciler::start(&config.name, announcer, prefixes, self.dry_run))
            }
            Config::Bird(config) => {
                let lasting = self.birds.get(&config.name).cloned().unwrap_or_default();
                let announcer = bird::Bird::new(config.clone(), lasting, self.dry_run);
                Ok(Reconciler::start(&config.name, announcer, prefixes, self.dry_run))
            }
        }
    }

    /// Says how prefixes should be announced now. Does not wait.
    pub fn want(&self, intents: &[Intent]) {
        for intent in intents {
            let found = self.reconcilers.iter().find(|(config, _)| config.name() == intent.router);
            let taken = found.is_some_and(|(_, reconciler)| reconciler.want(intent));
            if !taken {
                tracing::warn!(router = intent.router, prefix = intent.prefix, "an intent for no configured route");
            }
        }
    }

    /// The routes that somebody else changed and that are to be put back, by router: each waits for [`Self::answer`]. Who never calls this is
    /// not asked.
    #[must_use]
    pub fn asking(&self) -> Vec<(String, String)> {
        let asking = self.reconcilers.iter().flat_map(|(config, reconciler)| {
            let all = reconciler.asking().into_iter();
            all.map(|prefix| (config.name().to_owned(), prefix.to_string()))
        });
        asking.collect()
    }

    /// Says whether such a route may be put back now.
    pub fn answer(&self, router: &str, prefix: &str, may: bool) {
        let found = self.reconcilers.iter().find(|(config, _)| config.name() == router);
        if let (Some((_, reconciler)), Ok(prefix)) = (found, prefix.parse()) {
            reconciler.answer(prefix, may);
        }
    }

    /// The routes that are not as wanted, and will not soon be: for [`engine::Engine::troubled`].
    #[must_use]
    pub fn troubles(&self) -> Vec<Troubled> {
        self.reconcilers.iter().flat_map(|(_, reconciler)| reconciler.troubles()).collect()
    }

    /// Every route as wanted and as seen.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        self.reconcilers.iter().flat_map(|(_, reconciler)| reconciler.status()).collect()
    }
}

/// The kernel table that is left for whatever router has this name now.
fn left_table(before: &Config, now: &Config) -> Option<u32> {
    let table = |config: &Config| if let Config::KernelTable(it) = config { Some(it.table) } else { None };
    table(before).filter(|left| table(now) != Some(*left))
}

fn prefixes_of(router: &str, routes: &[Route]) -> Result<BTreeSet<IpNet>, Error> {
    routes.iter().filter(|route| route.router == router).map(|route| prefix(&route.prefix)).collect()
}

fn prefix(text: &str) -> Result<IpNet, Error> {
    let parsed: Option<IpNet> = text.parse().ok();
    parsed
        .filter(|prefix| prefix.prefix_len() > 0 && prefix.trunc() == *prefix)
        .ok_or_else(|| Error::Prefix { prefix: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_route_is_refused() {
        assert!(prefix("0.0.0.0/0").is_err());
        assert!(prefix("::/0").is_err());
    }

    #[test]
    fn host_bits_and_words_are_refused() {
        assert!(prefix("192.0.2.1/24").is_err());
        assert!(prefix("anycast").is_err());
        assert!(prefix("2001:db8::/48").is_ok());
    }
}
