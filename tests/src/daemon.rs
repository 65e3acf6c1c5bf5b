//! `oopsd run` as a process in a namespace, and what it says: its signals, its errors, and in `metrics` what it answers. What is
//! in its configuration is in `sections`.

mod metrics;
mod sections;

pub use crate::lab::SOON;
pub use metrics::Metrics;
pub use sections::{BUSY, DEMOTED, NL_BUSY, routes};

use crate::lab::{Namespace, Running, oopsd, until};
use anyhow::{Context, Result, ensure};
use core::time::Duration;
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;

/// The file that every test's log channel writes.
const SIGNALS: &str = "signals.jsonl";

/// Where what its routes have been through is kept.
pub const STATE: &str = "state";

/// Where every test's metrics are.
pub const METRICS: &str = "127.0.0.1:9553";

/// How oopsd is to be started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Orders<'o> {
    /// What the file says behind the common beginning: `eth0`, short windows, metrics, a log channel.
    pub config: &'o str,
    /// What `[capture]` says besides.
    pub capture: &'o str,
    /// Arguments besides the file.
    pub arguments: &'o [&'o str],
    /// Files beside the configuration.
    pub files: &'o [(&'o str, &'o str)],
    /// The environment, besides the test's.
    pub variables: &'o [(&'o str, &'o str)],
    /// Where its metrics are, if not at [`METRICS`].
    pub metrics: Option<&'static str>,
    /// A program that starts it, and its arguments; then everybody may write to its folder.
    pub through: &'o [&'o str],
}

/// `oopsd run`, until it is dropped.
#[derive(Debug)]
pub struct Oopsd {
    namespace: Arc<Namespace>,
    folder: TempDir,
    running: Running,
    metrics: &'static str,
    /// Besides the file.
    arguments: Vec<String>,
}

impl Oopsd {
    /// Starts it and waits until it judges.
    ///
    /// # Errors
    /// With what it wrote to standard error, if it does not come to that.
    pub fn start(namespace: &Arc<Namespace>, orders: &Orders<'_>) -> Result<Self> {
        let folder = folder()?;
        let file = folder.path().join("oopsd.toml");
        fs::write(&file, sections::text(orders))?;
        for (name, text) in orders.files {
            fs::write(folder.path().join(name), text)?;
        }
        let arguments = [&["-c", file.to_str().context("UTF-8")?], orders.arguments].concat();
        if !orders.through.is_empty() {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
        }
        let running = spawn(namespace, folder.path(), &arguments, orders)?;
        let metrics = orders.metrics.unwrap_or(METRICS);
        let arguments = orders.arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut daemon = Self { namespace: Arc::clone(namespace), folder, running, metrics, arguments };
        daemon.answers("/healthz")?;
        Ok(daemon)
    }

    /// Starts it with these arguments and nothing else, and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn bare(namespace: &Arc<Namespace>, arguments: &[&str]) -> Result<Self> {
        let folder = folder()?;
        let running = spawn(namespace, folder.path(), arguments, &Orders::default())?;
        Ok(Self { namespace: Arc::clone(namespace), folder, running, metrics: METRICS, arguments: Vec::new() })
    }

    /// Waits until it counts and its first window is full.
    ///
    /// # Errors
    /// With what it wrote to standard error, if it does not come to that or ends.
    pub fn ready(&mut self) -> Result<()> {
        self.answers("/readyz")
    }

    /// Waits until it answers with 200.
    fn answers(&mut self, path: &str) -> Result<()> {
        let well = until("ready or at an end", SOON, || match self.running.0.try_wait() {
            Ok(None) => (self.status(path).ok()? == 200).then_some(true),
            Ok(Some(_)) | Err(_) => Some(false),
        });
        ensure!(well.with_context(|| self.stderr())?, "it ended: {}", self.stderr());
        Ok(())
    }

    /// Writes another configuration behind the common beginning. It is read at the next SIGHUP.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure(&self, config: &str) -> Result<()> {
        self.configure_by(&Orders { config, ..Orders::default() })
    }

    /// As [`Self::configure`], with what these orders say of the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure_by(&self, orders: &Orders<'_>) -> Result<()> {
        Ok(fs::write(self.path("oopsd.toml"), sections::text(orders))?)
    }

    /// Its number, as the operating system has it.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.running.0.id()
    }

    /// Kills it, as SIGKILL does.
    pub fn end_by_kill(&mut self) {
        self.running.kill();
    }

    /// A file in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sends it a signal of the operating system.
    pub fn kill(&self, signal: i32) {
        self.running.signal(signal);
    }

    /// Kills it, as SIGKILL does, and starts it again in the same folder, waiting for nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn kill_and_start(&mut self) -> Result<()> {
        self.running.kill();
        let file = self.path("oopsd.toml");
        let arguments = self.arguments.iter().map(String::as_str);
        let arguments: Vec<&str> = ["-c", file.to_str().context("UTF-8")?].into_iter().chain(arguments).collect();
        self.running = spawn(&self.namespace, self.folder.path(), &arguments, &Orders::default())?;
        Ok(())
    }

    /// Kills it, as SIGKILL does, and starts it again in the same folder, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.kill_and_start()?;
        self.ready()
    }

    /// Sends SIGTERM and waits for the end; how it ended, and after how long.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<(ExitStatus, Duration)> {
        let asked = Instant::now();
        self.kill(libc::SIGTERM);
        let status = self.end()?;
        Ok((status, asked.elapsed()))
    }

    /// Sends SIGTERM and sees that it ends well and in time: within two seconds, as it promises, and as long again for a busy
    /// machine.
    ///
    /// # Errors
    /// With what it wrote to standard error, if it does not.
    pub fn stops_in_time(&mut self) -> Result<()> {
        let (status, after) = self.stop()?;
        ensure!(status.success() && after < Duration::from_secs(4), "{status} after {after:?}: {}", self.stderr());
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub fn end(&mut self) -> Result<ExitStatus> {
        let running = &mut self.running;
        until("ended", SOON, || running.0.try_wait().ok().flatten()).with_context(|| self.stderr())
    }

    /// Signals so far, each by condition and state, in order.
    #[must_use]
    pub fn edges(&self) -> Vec<(String, String)> {
        let text = |signal: &Value, key: &str| signal[key].as_str().unwrap_or_default().to_owned();
        self.signals().iter().map(|signal| (text(signal, "condition"), text(signal, "state"))).collect()
    }

    /// Signals so far, as the log channel has them.
    #[must_use]
    pub fn signals(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path(SIGNALS)).unwrap_or_default();
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).expect("the log channel writes JSON"))
            .collect()
    }

    /// Waits for the signal with this number.
    ///
    /// # Errors
    /// With all that there are, if it does not come.
    pub fn signal(&self, seq: usize) -> Result<Value> {
        until(&format!("signal {seq}"), SOON, || self.signals().get(seq - 1).cloned())
            .with_context(|| format!("{:?}\n{}", self.edges(), self.stderr()))
    }

    /// The lines it printed, as JSON.
    #[must_use]
    pub fn rows(&self) -> Vec<Value> {
        self.stdout().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What it printed.
    #[must_use]
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.path("stdout")).unwrap_or_default()
    }

    /// What it says of itself.
    #[must_use]
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    /// Its memory in the machine, in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
    }

    /// The edges of conditions in order, each as `NAME STATE`; not those of blindness.
    #[must_use]
    pub fn judged(&self) -> Vec<String> {
        let edges = self.edges().into_iter().filter(|(condition, _)| condition != "blind");
        edges.map(|(condition, state)| format!("{condition} {state}")).collect()
    }
}

fn folder() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("oopsd-daemon-").tempdir()?)
}

/// Its standard output and error are files in the folder, and are appended to.
fn spawn(namespace: &Namespace, folder: &Path, arguments: &[&str], orders: &Orders<'_>) -> Result<Running> {
    let append = |name| File::options().append(true).create(true).open(folder.join(name));
    // The variables are for oopsd, not for what starts it.
    let mut command = namespace.command("env");
    command.arg(format!("STATE_DIRECTORY={}", folder.join(STATE).display()));
    command.args(orders.variables.iter().map(|(name, value)| format!("{name}={value}")));
    command.args(orders.through).arg(oopsd()?).arg("run").args(arguments);
    command.stdin(Stdio::null()).stdout(append("stdout")?).stderr(append("stderr")?);
    Running::start(&mut command)
}
