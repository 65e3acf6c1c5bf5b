//! What outlives the process: what routes have been through, in a directory that one oopsd at a time may use.
//!
//! `file` is how it is written down, `writer` the thread that does it, `lock` who may. What there is to remember is
//! `engine::Record`'s.

mod file;
mod lock;
mod writer;

pub use lock::Lock;

use crate::config::defaults;
use engine::Record;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thiserror::Error;
use writer::Writer;

/// How long an announcement waits for the disk: a change that is not written down in time is made all the same.
const PATIENCE: Duration = Duration::from_millis(50);
/// How often it is written how long a step was kept.
const EVERY: Duration = Duration::from_secs(60);
/// How soon it is tried again when it could not be written.
const AGAIN: Duration = Duration::from_secs(5);

/// Why the state directory cannot be used.
#[derive(Debug, Error)]
pub enum Error {
    /// Another oopsd does.
    #[error("another oopsd{} uses the state directory {}: one at a time may change routes", whose(*pid), directory.display())]
    Taken {
        /// The directory.
        directory: PathBuf,
        /// Its process, as far as it said so.
        pid: Option<u32>,
    },
    /// It is not there, or not ours.
    #[error(
        "cannot use the state directory {} (`state-directory` names another)",
        directory.display()
    )]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn whose(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

/// Where the state is: as configured, or as systemd says, or where it always was.
#[must_use]
pub fn directory(configured: Option<&Path>) -> PathBuf {
    let of_systemd = || std::env::var("STATE_DIRECTORY").ok()?.split(':').next().map(PathBuf::from);
    let named = configured.map(Path::to_owned).or_else(of_systemd).filter(|path| !path.as_os_str().is_empty());
    named.unwrap_or_else(|| PathBuf::from(defaults::STATE_DIRECTORY))
}

/// The state directory, ours until dropped.
#[derive(Debug)]
pub struct State {
    directory: PathBuf,
    writer: Writer,
    /// What was written last, or would have been.
    last: Vec<Record>,
    at: Instant,
    /// The disk did not answer in time, and nobody waits for it until it has.
    late: bool,
    _lock: Lock,
}

impl State {
    /// Takes the directory, and reads what is remembered there. What cannot be read is set aside and said.
    ///
    /// # Errors
    /// When another oopsd has it, or it cannot be made or written to.
    pub fn open(directory: &Path) -> Result<(Self, Vec<Record>), Error> {
        let failed = |source| Error::Directory { directory: directory.to_owned(), source };
        if !directory.exists() {
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        let lock = Lock::take(directory)?;
        let records = file::read(directory);
        let writer = Writer::start(directory).map_err(failed)?;
        let (directory, last) = (directory.to_owned(), records.clone());
        Ok((Self { directory, writer, last, at: Instant::now(), late: false, _lock: lock }, records))
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes the records down if more than time has passed, before a change that they speak of is made: waits for the disk,
    /// but not for long.
    pub fn keep(&mut self, records: Vec<Record>) {
        let same =
            records.len() == self.last.len() && records.iter().zip(&self.last).all(|(now, then)| now.is_as(then));
        let due = match same {
            false => Duration::ZERO,
            true if self.writer.is_failing() => AGAIN,
            true if records.is_empty() => Duration::MAX,
            true => EVERY,
        };
        if self.at.elapsed() < due {
            return;
        }
        self.at = Instant::now();
        self.last.clone_from(&records);
        let written = self.writer.write(records);
        if same || self.late {
            self.late &= !self.writer.is_idle();
            return;
        }
        self.late = !self.writer.wait(written, PATIENCE);
        if self.late {
            tracing::warn!(directory = %self.directory.display(), "the disk is slow: changes are made before they are written down");
        }
    }

    /// Writes the records down, whatever has passed, and waits for the disk a while.
    pub fn close(self, records: Vec<Record>) {
        if !records.is_empty() || !self.last.is_empty() {
            let written = self.writer.write(records);
            self.writer.wait(written, PATIENCE);
        }
    }

    /// How often it could not be written down.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.writer.failures()
    }
}
