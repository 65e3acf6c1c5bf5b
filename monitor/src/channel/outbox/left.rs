//! What waits, while no oopsd runs: read from the file, and changed only under its lock.

use super::super::desk::unknown;
use super::super::row::{Dropped, Line, Row};
use super::asked;
use super::file::{self, Aside, Found};
use crate::state::{self, Lock};
use std::io;
use std::path::{Path, PathBuf};

/// Why what waits cannot be looked at, or not be changed.
#[derive(Debug, thiserror::Error)]
pub enum LeftError {
    /// No outbox there.
    #[error(
        "there is no outbox in {}: no oopsd with channels ran with this state directory (--state-directory names another)",
        state.display()
    )]
    Nothing {
        /// The state directory.
        state: PathBuf,
    },
    /// It is there, and cannot be used.
    #[error("cannot use the outbox {}", folder.display())]
    Unusable {
        /// The outbox.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody has it, and does not answer.
    #[error(
        "{} has the outbox {} and does not answer: nothing was changed. Try again, or stop it first",
        who(*pid), folder.display()
    )]
    Taken {
        /// The outbox.
        folder: PathBuf,
        /// Its process, as far as it said so.
        pid: Option<u32>,
    },
    /// Not as it was written.
    #[error("the outbox {} is {what}: nothing was changed. The next start of oopsd sets it aside and says so", folder.display())]
    Odd {
        /// The outbox.
        folder: PathBuf,
        /// In words.
        what: String,
    },
    /// Whoever asks has a name wrong.
    #[error("{0}")]
    Unknown(String),
}

fn who(pid: Option<u32>) -> String {
    pid.map_or_else(|| String::from("an oopsd"), |pid| format!("an oopsd (pid {pid})"))
}

/// What an oopsd that does not run any more left.
#[derive(Debug)]
pub struct Left {
    folder: PathBuf,
    found: Found,
    /// The channels that are configured.
    channels: Vec<String>,
}

impl Left {
    /// Reads what is in the state directory, and changes nothing there.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn look(state: &Path, channels: Vec<String>) -> Result<Self, LeftError> {
        let folder = state.join(super::FOLDER);
        if !folder.is_dir() {
            return Err(LeftError::Nothing { state: state.to_owned() });
        }
        match file::look(&folder) {
            Ok(found) => Ok(Self { folder, found, channels }),
            Err(source) => Err(LeftError::Unusable { folder, source }),
        }
    }

    /// What is wrong with it, if anything is.
    #[must_use]
    pub fn odd(&self) -> Option<String> {
        self.found.aside.as_ref().map(|aside| match aside {
            Aside::Broken(lines) => format!("damaged in {lines} of its lines"),
            Aside::Version(version) => format!("of another version ({version})"),
        })
    }

    /// What waits for each channel.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let waiting = &self.found.waiting;
        let none = std::collections::BTreeMap::new();
        let configured = self.channels.iter().map(|name| asked::row(name, true, waiting.get(name).unwrap_or(&none)));
        let is_stranger = |name: &&String| !self.channels.contains(name);
        let strangers = waiting.keys().filter(is_stranger).map(|name| asked::row(name, false, &waiting[name]));
        configured.chain(strangers).collect()
    }

    /// The first few hundred signals that wait for a channel, from this number on.
    ///
    /// # Errors
    /// With the names there are, if that is none.
    pub fn waiting(&self, channel: &str, from: u64) -> Result<Vec<Line>, LeftError> {
        match self.found.waiting.get(channel) {
            Some(letters) => Ok(asked::lines(letters, from)),
            None if self.channels.iter().any(|name| name == channel) => Ok(Vec::new()),
            None => Err(LeftError::Unknown(unknown(channel, &self.rows()))),
        }
    }

    /// Drops these of what waits for a channel, or all of it; on the disk when it returns. Reads it anew, once it has the lock.
    ///
    /// # Errors
    /// When another process has it, it cannot be written, or there is no such channel.
    pub fn discard(&mut self, channel: &str, numbers: Option<&[u64]>) -> Result<Dropped, LeftError> {
        let folder = self.folder.clone();
        let unusable = |source| LeftError::Unusable { folder: folder.clone(), source };
        let _lock = Lock::take(&folder).map_err(|error| match error {
            state::Error::Taken { directory, pid } => LeftError::Taken { folder: directory, pid },
            state::Error::Directory { source, .. } => unusable(source),
        })?;
        self.found = file::look(&folder).map_err(unusable)?;
        if let Some(what) = self.odd() {
            return Err(LeftError::Odd { folder, what });
        }
        if self.waiting(channel, 0)?.is_empty() {
            return Ok(Dropped::default());
        }
        let letters = self.found.waiting.entry(channel.to_owned()).or_default();
        let all: Vec<u64> = letters.keys().copied().collect();
        let gone: Vec<u64> = match numbers {
            Some(numbers) => all.into_iter().filter(|number| numbers.contains(number)).collect(),
            None => all,
        };
        file::take_away(&folder, channel, &gone).map_err(unusable)?;
        letters.retain(|number, _| !gone.contains(number));
        Ok(Dropped { dropped: gone.len() as u64, waiting: letters.len() as u64, trying: false })
    }
}
