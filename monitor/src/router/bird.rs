//! BIRD by an include file and its control socket: sets of prefixes as constants, `configure`, and a look at what is exported.
//!
//! A change is: a look whether BIRD could take its configuration as it is (if not, that is the operator's work in progress, and nothing is
//! touched), the new file by rename(2), `configure`, the former file back if BIRD refuses. `configure check` after the rename would say no
//! more than `configure` does, which applies nothing that it cannot parse; before the rename it sees only the former constants; and a copy
//! cannot be checked without the operator's files around it. The constants themselves are sound because of how they are made (`constants`).
//!
//! All that is wanted at once is one file and one `configure`. What is said to have been done counts for nothing: what BIRD runs with is
//! asked for, and whether the exported route shows it: that is `look`'s.

mod constants;
mod control;
mod error;
mod exported;
mod fragment;
mod include;
mod look;

pub use control::Error as ControlError;
pub use error::Error;
pub use fragment::bird_fragment;
pub use include::Error as IncludeError;

use super::reconcile::{Announcer, Failure};
use constants::{Constants, Level, SUM};
use control::Control;
use core::time::Duration;
use engine::{Action, Policy, Route};
use include::{Found, Include};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex as Shared, PoisonError};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

/// How long until a change must show in what is exported: BIRD 3 exports after it says that it is done.
const EXPORTING: Duration = Duration::from_secs(2);
/// Between two looks at that.
const POLL: Duration = Duration::from_millis(10);

/// BIRD as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// The control socket.
    pub socket: PathBuf,
    /// The file of constants, by an absolute path without what BIRD would read as a pattern.
    pub include: PathBuf,
    /// The BGP protocols whose export filters call the functions of [`bird_fragment`]: names that need no quotes.
    pub protocols: Vec<String>,
}

impl Config {
    /// The levels that are defined for `routes`.
    fn levels(&self, routes: &[Route]) -> BTreeSet<Level> {
        let mut levels = Level::always();
        for route in routes.iter().filter(|route| route.router == self.name) {
            if let Policy::Demote(ladder) = &route.policy {
                levels.extend(ladder.steps.iter().filter_map(|action| Level::of(*action)));
            }
        }
        levels
    }

    /// Writes the file of constants, with empty sets, if it is not there: BIRD does not start without it. Says whether it did.
    ///
    /// # Errors
    /// When it cannot be written, or something else is in its place.
    pub fn write_include(&self, routes: &[Route]) -> Result<bool, IncludeError> {
        Include::new(&self.include).create(&self.levels(routes))
    }
}

/// What stays when a reload replaces a [`Bird`] of the same name. Clones are of the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Lasting {
    /// The levels that the file is to define, as the configuration is now.
    levels: Arc<Shared<BTreeSet<Level>>>,
    /// Held by whoever changes the file: one `configure` of ours at a time.
    changing: Arc<Mutex<()>>,
}

impl Lasting {
    /// Takes up the levels of other routes.
    pub(super) fn replace(&self, config: &Config, routes: &[Route]) {
        *self.levels.lock().unwrap_or_else(PoisonError::into_inner) = config.levels(routes);
    }

    fn levels(&self) -> BTreeSet<Level> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// BIRD, asked anew each time.
#[derive(Debug)]
pub(super) struct Bird {
    config: Config,
    include: Include,
    lasting: Lasting,
    dry_run: bool,
    /// What was last reported as in the file and of no route.
    foreign: BTreeSet<IpNet>,
    /// One of `protocols` that BIRD did not have at the last look.
    missing: Option<String>,
}

impl Bird {
    /// With `dry_run` it writes nothing, not even a first file.
    pub(super) fn new(config: Config, lasting: Lasting, dry_run: bool) -> Self {
        let include = Include::new(&config.include);
        Self { config, include, lasting, dry_run, foreign: BTreeSet::new(), missing: None }
    }

    async fn change(&self, wanted: &BTreeMap<IpNet, Option<Level>>) -> Result<Vec<Failure>, Error> {
        let _one = self.lasting.changing.lock().await;
        let mut control = Control::open(&self.config.socket).await?;
        control.knows_empty_sets()?;
        let found = self.file(Include::read).await?;
        let Found::Constants(there) = &found else {
            // What it said of other prefixes is not known here: the next look asks BIRD, and writes it anew.
            return Err(Error::Vanished { include: self.config.include.clone() });
        };
        let mut wanted = wanted.clone();
        let mut failures = Vec::new();
        if let Some(protocol) = exported::missing(&mut control, &self.config.protocols).await? {
            // Nobody could see whether a step is exported; the way down is open.
            let up = wanted.extract_if(.., |prefix, level| *level > there.level(*prefix));
            let prefixes: BTreeSet<IpNet> = up.map(|(prefix, _)| prefix).collect();
            if !prefixes.is_empty() {
                failures.push(Failure { prefixes, error: Error::NoProtocol { protocol }.into() });
            }
            if wanted.is_empty() {
                return Ok(failures);
            }
        }
        let mut constants = there.clone();
        constants.define(&self.lasting.levels());
        for (prefix, level) in &wanted {
            constants.set(*prefix, *level);
        }
        let sum = constants.sum().to_string();
        let same = *there == constants;
        if !same || control.eval(SUM).await?.as_ref() != Some(&sum) {
            self.configure(&mut control, (!same).then_some(constants)).await?;
            if control.eval(SUM).await? != Some(sum) {
                return Err(Error::NotTaken { include: self.config.include.clone() });
            }
        }
        failures.extend(self.shown(&mut control, &wanted).await?);
        Ok(failures)
    }

    /// Has BIRD take its configuration, with another file of constants.
    async fn configure(&self, control: &mut Control, constants: Option<Constants>) -> Result<(), Error> {
        control.check().await?;
        let Some(constants) = constants else { return Ok(control.configure().await?) };
        self.file(move |include| include.replace(&constants)).await?;
        match control.configure().await {
            Ok(()) => Ok(self.file(Include::settle).await?),
            Err(error) => {
                // With any other error BIRD may have taken it, and the next look tells.
                if let ControlError::Configuration { .. } = &error {
                    self.file(Include::restore).await?;
                }
                Err(error.into())
            }
        }
    }

    /// Waits until what is exported shows what is wanted.
    async fn shown(
        &self,
        control: &mut Control,
        wanted: &BTreeMap<IpNet, Option<Level>>,
    ) -> Result<Vec<Failure>, Error> {
        let deadline = Instant::now() + EXPORTING;
        let mut failures = Vec::new();
        for (prefix, level) in wanted {
            let Some(level) = level else { continue };
            while let Some(protocol) = exported::hidden(control, &self.config.protocols, *prefix, *level).await? {
                if Instant::now() > deadline {
                    let error = Error::NotExported { protocol, prefix: *prefix, action: level.action() };
                    failures.push(Failure { prefixes: BTreeSet::from([*prefix]), error: error.into() });
                    break;
                }
                sleep(POLL).await;
            }
        }
        Ok(failures)
    }

    /// Works on the file without holding up who else runs on this thread. If this is dropped, the work still comes to its end.
    async fn file<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Include) -> Result<T, IncludeError> + Send + 'static,
    ) -> Result<T, IncludeError> {
        let include = self.include.clone();
        match spawn_blocking(move || work(&include)).await {
            Ok(done) => done,
            // The runtime ends, and this with it at its next await.
            Err(_) => core::future::pending().await,
        }
    }
}

impl Announcer for Bird {
    async fn read_back(&mut self, prefixes: &BTreeSet<IpNet>) -> Result<BTreeMap<IpNet, Action>, super::Error> {
        Ok(self.look(prefixes).await?)
    }

    async fn announce(&mut self, prefix: IpNet, action: Action) -> Result<(), super::Error> {
        let failures = self.announce_all(&BTreeMap::from([(prefix, action)])).await;
        failures.into_iter().next().map_or(Ok(()), |failure| Err(failure.error))
    }

    async fn announce_all(&mut self, wanted: &BTreeMap<IpNet, Action>) -> Vec<Failure> {
        let (mut levels, mut failures) = (BTreeMap::new(), Vec::new());
        for (&prefix, &action) in wanted {
            let level = Level::of(action);
            if level.is_some() || action == Action::Plain {
                levels.insert(prefix, level);
            } else {
                let error = Error::Level { prefix, action }.into();
                failures.push(Failure { prefixes: BTreeSet::from([prefix]), error });
            }
        }
        if levels.is_empty() {
            return failures;
        }
        match self.change(&levels).await {
            Ok(hidden) => failures.extend(hidden),
            Err(error) => failures.push(Failure { prefixes: levels.into_keys().collect(), error: error.into() }),
        }
        failures
    }

    fn flaw(&self) -> Option<super::Error> {
        self.missing.as_ref().map(|protocol| Error::NoProtocol { protocol: protocol.clone() }.into())
    }

    /// BIRD tells nobody: the regular look has to do.
    async fn changed(&mut self) {
        core::future::pending().await
    }
}
