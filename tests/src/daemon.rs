//! `oopsd run` as a process in a namespace, and what it says: its signals, its metrics, its errors.

use crate::lab::{Namespace, Running, oopsd, until};
use anyhow::{Context, Result, bail, ensure};
use core::time::Duration;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;

/// How long anything may take that should take well under a second: eight times that, on a machine that does much else.
pub const SOON: Duration = Duration::from_secs(8);

/// The file that every test's log channel writes.
const SIGNALS: &str = "signals.jsonl";

/// Where what its routes have been through is kept.
pub const STATE: &str = "state";

/// Where every test's metrics are.
pub const METRICS: &str = "127.0.0.1:9553";

/// What comes before a test's own configuration: short windows, metrics, and a log of signals.
const BASE: &str = r#"
interfaces = ["eth0"]
prefixes = ["192.0.2.0/24", "2001:db8::/48"]
[rate]
tick = "50ms"
window = "500ms"
slope-window = "1s"
[metrics]
[[channel]]
type = "log"
file = "signals.jsonl"
"#;

/// A condition that a load of some 2,000 queries a second meets, and its end clears.
pub const BUSY: &str = r#"
[[condition]]
name = "busy"
kind = "query-rate"
rising = 500
keep-for = "100ms"
"#;

/// A route for each family that [`BUSY`] demotes, in the host's own table, as often as it likes.
pub const ROUTES: &str = r#"
[[router]]
name = "bird"
type = "kernel-table"
table = 5353
[[route]]
prefix = "192.0.2.0/24"
router = "bird"
when = "busy"
policy = "demote"
ladder = [{ prepend = 3 }]
step-every = "0s"
hold = "0s"
changes-per-hour = 100
[[route]]
prefix = "2001:db8::/48"
router = "bird"
when = "busy"
policy = "demote"
ladder = [{ prepend = 1 }]
step-every = "0s"
hold = "0s"
changes-per-hour = 100
"#;

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
        fs::write(&file, text(orders))?;
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
        Ok(fs::write(self.path("oopsd.toml"), text(orders))?)
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

    /// What `path` answers with, as a status.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self, path: &str) -> Result<u16> {
        let (head, _) = self.get(path)?;
        Ok(head.split(' ').nth(1).context("no status")?.parse()?)
    }

    /// Its metrics now.
    ///
    /// # Errors
    /// When it does not answer, or with anything but 200.
    pub fn metrics(&self) -> Result<Metrics> {
        let (head, text) = self.get("/metrics")?;
        if !head.starts_with("HTTP/1.1 200 ") {
            bail!("/metrics: {head}");
        }
        Ok(Metrics(text))
    }

    /// Waits until a series has this value; an absent one has none.
    ///
    /// # Errors
    /// With all series of its family as they are, if it does not come to that.
    pub fn shows(&self, series: &str, value: u64) -> Result<()> {
        let family = series.split('{').next().unwrap_or(series);
        let value = value.to_string();
        until(&format!("{series} {value}"), SOON, || {
            (self.metrics().ok()?.series().get(series)? == &value).then_some(())
        })
        .with_context(|| self.metrics().map(|metrics| metrics.family(family)).unwrap_or_default())
        .with_context(|| self.stderr())
    }

    /// Waits until a route is `wanted` or `seen` so on the router `bird`.
    ///
    /// # Errors
    /// With what it is instead, if it does not come to that.
    pub fn shows_route(&self, what: &str, prefix: &str, action: &str) -> Result<()> {
        self.shows(&format!("oopsd_route_{what}{{prefix=\"{prefix}\",router=\"bird\",action=\"{action}\"}}"), 1)
    }

    /// Waits until each of these families of totals sums to `value`.
    ///
    /// # Errors
    /// With the sums, if it does not come to that.
    pub fn sums(&self, families: &[&str], value: u64) -> Result<()> {
        let sums = || {
            let metrics = self.metrics().ok()?;
            Some(families.iter().map(|family| metrics.sum(family)).collect::<Vec<_>>())
        };
        until("all that was sent", SOON, || sums()?.iter().all(|&sum| sum == value).then_some(()))
            .with_context(|| format!("{families:?} should be {value} and are {:?}; {}", sums(), self.stderr()))
    }

    /// Waits until what was counted and what the capture lost is `sent`.
    ///
    /// # Errors
    /// With the metrics, if it does not come to that.
    pub fn comes_to(&self, sent: u64) -> Result<()> {
        let accounted = || {
            let metrics = self.metrics().ok()?;
            Some(metrics.sum("oopsd_queries_total") + metrics.sum("oopsd_capture_dropped_total"))
        };
        until("all is counted or said to be lost", SOON, || (accounted()? == sent).then_some(()))
            .with_context(|| format!("{sent} sent; {}", self.metrics().map(|metrics| metrics.0).unwrap_or_default()))
    }

    /// The edges of conditions in order, each as `NAME STATE`; not those of blindness.
    #[must_use]
    pub fn judged(&self) -> Vec<String> {
        let edges = self.edges().into_iter().filter(|(condition, _)| condition != "blind");
        edges.map(|(condition, state)| format!("{condition} {state}")).collect()
    }

    fn get(&self, path: &str) -> Result<(String, String)> {
        let mut stream = self.namespace.inside(|| Ok(TcpStream::connect(self.metrics)?))?;
        stream.set_read_timeout(Some(SOON))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: oopsd\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
        Ok((head.to_owned(), body.to_owned()))
    }
}

fn folder() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("oopsd-daemon-").tempdir()?)
}

fn text(orders: &Orders<'_>) -> String {
    let Orders { config, capture, metrics, .. } = orders;
    let base = BASE.replace("[metrics]", &format!("[metrics]\nlisten = \"{}\"", metrics.unwrap_or(METRICS)));
    format!("[capture]\n{capture}\n{base}{config}")
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

/// The text of `/metrics`.
#[derive(Clone, Debug)]
pub struct Metrics(pub String);

impl Metrics {
    /// Every series with its value as printed.
    #[must_use]
    pub fn series(&self) -> BTreeMap<&str, &str> {
        self.0.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' ')).collect()
    }

    /// The sum over all series of a family of totals.
    #[must_use]
    pub fn sum(&self, family: &str) -> u64 {
        let of_family = |series: &str| series.split('{').next() == Some(family);
        self.series()
            .iter()
            .filter(|(series, _)| of_family(series))
            .filter_map(|(_, value)| value.parse::<u64>().ok())
            .sum()
    }

    /// The lines of a family, for people.
    #[must_use]
    pub fn family(&self, family: &str) -> String {
        self.0.lines().filter(|line| line.starts_with(family)).collect::<Vec<_>>().join("\n")
    }
}
