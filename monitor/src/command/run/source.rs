//! Where the configuration of `run` comes from, at the start and at every reload.

use super::Error;
use crate::capture::attribution::Attribution;
use crate::cli::{CONFIGURATION, Run};
use crate::config::{Config, Purpose};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wire::Key;

/// Where the configuration comes from, now and at every reload.
pub(super) struct Source {
    file: Option<PathBuf>,
    interfaces: Vec<String>,
}

impl Source {
    pub(super) fn of(arguments: &Run) -> Self {
        let observes = arguments.config.is_none() && !arguments.interfaces.is_empty();
        let default = || (!observes).then(|| Path::new(CONFIGURATION).to_owned());
        Self { file: arguments.config.clone().or_else(default), interfaces: arguments.interfaces.clone() }
    }

    pub(super) const fn observes(&self) -> bool {
        self.file.is_none()
    }

    pub(super) fn load(&self) -> Result<Config, Error> {
        let Some(file) = &self.file else { return Ok(Config::observe(self.interfaces.clone())) };
        let mut config = Config::load(file, Purpose::Run)?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        if !self.interfaces.is_empty() {
            config.capture.interfaces.clone_from(&self.interfaces);
        }
        if config.capture.interfaces.is_empty() { Err(Error::NoInterface) } else { Ok(config) }
    }

    /// How to attribute; keyed anew, unless counters that go on were keyed with `key`.
    pub(super) fn attribution(&self, config: &Config, key: Option<Key>) -> Arc<Attribution> {
        Arc::new(if self.observes() {
            Attribution::learning()
        } else if let Some(key) = key {
            Attribution::keyed(key, &config.plan.names, &config.prefixes)
        } else {
            Attribution::new(&config.plan.names, &config.prefixes)
        })
    }
}
