//! oopsd's channels as a process of their own, which can be killed at any moment: signals go in by its standard input.

use crate::lab::{Running, program};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// The folder of a process that may come and go; what it says of itself is in its `stderr`.
#[derive(Debug)]
pub struct Home(TempDir);

impl Home {
    /// With this configuration, and files beside it.
    ///
    /// # Errors
    /// When there is no room.
    pub fn new(config: &str, files: &[(&str, &str)]) -> Result<Self> {
        let home = Self(tempfile::Builder::new().prefix("oopsd-channels-").tempdir()?);
        fs::create_dir(home.path("state"))?;
        fs::write(home.path("oopsd.toml"), config)?;
        for (name, text) in files {
            fs::write(home.path(name), text)?;
        }
        Ok(home)
    }

    /// A file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Starts the process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self) -> Result<Channels> {
        self.start_by(&mut Command::new(program("channels")?))
    }

    /// As [`Self::start`], by a command that ends with the program.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_by(&self, command: &mut Command) -> Result<Channels> {
        let stderr = File::options().append(true).create(true).open(self.path("stderr"))?;
        command.arg(self.path("oopsd.toml")).arg(self.path("state"));
        let mut running = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr))?;
        let answers = BufReader::new(running.0.stdout.take().context("piped")?);
        Ok(Channels { running, answers })
    }

    /// What it said of itself, in all its runs.
    #[must_use]
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    /// Where what waits is kept.
    #[must_use]
    pub fn outbox(&self) -> PathBuf {
        self.path("state/outbox/signals")
    }
}

/// The process; killed when dropped.
#[derive(Debug)]
pub struct Channels {
    /// To kill it.
    pub running: Running,
    answers: BufReader<ChildStdout>,
}

impl Channels {
    /// Gives it signals, and waits for nothing.
    ///
    /// # Errors
    /// When it has ended.
    pub fn send(&mut self, from: u64, to: u64) -> Result<()> {
        Ok(writeln!(self.running.0.stdin.as_ref().context("piped")?, "send {from} {to}")?)
    }

    /// As [`Self::send`], for a disk that may never have them.
    ///
    /// # Errors
    /// When it has ended.
    pub fn post(&mut self, from: u64, to: u64) -> Result<()> {
        Ok(writeln!(self.running.0.stdin.as_ref().context("piped")?, "post {from} {to}")?)
    }

    /// Gives it a signal that says that the condition with this number for a name is met.
    ///
    /// # Errors
    /// When it has ended.
    pub fn meet(&mut self, number: u64) -> Result<()> {
        Ok(writeln!(self.running.0.stdin.as_ref().context("piped")?, "met {number}")?)
    }

    /// The last number that it has on the disk since it was last asked for; `None` if it has ended.
    pub fn kept(&mut self) -> Option<u64> {
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        line.trim().strip_prefix("kept ")?.parse().ok()
    }

    /// How a channel stands.
    ///
    /// # Errors
    /// When it has ended.
    pub fn status(&mut self, channel: &str) -> Result<Value> {
        writeln!(self.running.0.stdin.as_ref().context("piped")?, "status")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let rows: Vec<Value> = serde_json::from_str(&line).with_context(|| format!("answered {line:?}"))?;
        rows.into_iter().find(|row| row["channel"] == channel).context("no such channel")
    }

    /// Stops it by the end of its input.
    ///
    /// # Errors
    /// When it ends badly.
    pub fn stop(mut self) -> Result<()> {
        drop(self.running.0.stdin.take());
        ensure!(self.running.0.wait()?.success(), "it ended badly");
        Ok(())
    }
}
