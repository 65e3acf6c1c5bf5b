//! oopsd's routers as a process of their own: what is wanted goes in by its standard input, how things are comes back as values.

use crate::lab::{Running, SOON, until};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// The process; killed when dropped, which changes no route.
#[derive(Debug)]
pub struct Routers {
    /// To kill it, or to send it a signal.
    pub running: Running,
    answers: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Routers {
    /// Starts `command`, which is the program `routers` (in a namespace), with `config`; with `mode` `dry` it changes nothing, with
    /// `wet` it does.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start(command: &mut Command, config: &str, mode: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(file(&folder), config)?;
        command.arg(file(&folder)).arg(mode).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running::start(command)?;
        let answers = BufReader::new(running.0.stdout.take().context("piped")?);
        let mut routers = Self { running, answers, folder };
        routers.rows()?;
        Ok(routers)
    }

    fn say(&mut self, line: &str) -> Result<()> {
        writeln!(self.running.0.stdin.as_ref().context("piped")?, "{line}")?;
        Ok(())
    }

    /// Wants `prefix` announced so.
    ///
    /// # Errors
    /// When it has ended.
    pub fn want(&mut self, prefix: &str, action: &str) -> Result<()> {
        self.say(&format!("want {prefix} {action}"))
    }

    /// Reloads with another configuration.
    ///
    /// # Errors
    /// When it has ended.
    pub fn reload(&mut self, config: &str) -> Result<()> {
        std::fs::write(file(&self.folder), config)?;
        self.say("reload")
    }

    fn rows(&mut self) -> Result<Vec<Value>> {
        self.say("status")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("answered {line:?}"))
    }

    /// The state of a route: `wanted`, `seen`, `changes`, `errors`, `error`.
    ///
    /// # Errors
    /// When there is no such route.
    pub fn status(&mut self, prefix: &str) -> Result<Value> {
        self.rows()?.into_iter().find(|row| row["prefix"] == prefix).context("no such route")
    }

    /// Waits until it has read back `action`.
    ///
    /// # Errors
    /// With the state of the route, if it does not come to that.
    pub fn sees(&mut self, prefix: &str, action: &str) -> Result<()> {
        let seen = until(&format!("read back {prefix} as {action}"), SOON, || {
            self.status(prefix).ok().filter(|row| row["seen"] == action)
        });
        seen.map(|_| ()).with_context(|| format!("{:?}", self.status(prefix)))
    }

    /// Waits until it reports an error.
    ///
    /// # Errors
    /// When it does not.
    pub fn fails(&mut self, prefix: &str) -> Result<String> {
        until("an error", SOON, || self.status(prefix).ok()?["error"].as_str().map(str::to_owned))
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

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("oopsd.toml")
}
