//! GoBGP in a namespace: its configuration and process, and its own command line to give it paths.

use super::peering::{HOST_AS, UPSTREAM_AS, V4, V6};
use super::{Namespace, Running, run, until};
use anyhow::{Context, Result};
use core::time::Duration;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// GoBGP, running until it is dropped, with its API on port 50051 of 127.0.0.1.
#[derive(Debug)]
pub struct Gobgp {
    namespace: String,
    folder: TempDir,
    /// What each prefix is announced with.
    attributes: String,
    /// To signal or kill it.
    pub running: Running,
}

impl Gobgp {
    /// Starts it with a session for each address family, and gives it both prefixes with `attributes`, as its command line has them.
    ///
    /// # Errors
    /// With its log, when it does not come up.
    pub fn start(namespace: &Namespace, attributes: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("oopsd-gobgp-").tempdir()?;
        fs::write(folder.path().join("gobgpd.toml"), config())?;
        let running = spawn(namespace.name(), folder.path())?;
        let (namespace, attributes) = (namespace.name().to_owned(), attributes.to_owned());
        let gobgp = Self { namespace, folder, attributes, running };
        gobgp.announce()?;
        Ok(gobgp)
    }

    /// Kills it, as SIGKILL does, and starts it again; it then announces nothing.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.running.kill();
        self.running = spawn(&self.namespace, self.folder.path())?;
        self.answering()
    }

    /// Gives it both prefixes as at first.
    ///
    /// # Errors
    /// What its command line says.
    pub fn announce(&self) -> Result<()> {
        self.answering()?;
        let Self { attributes, .. } = self;
        self.ask(&format!("global rib add {V4} nexthop 10.53.0.1 {attributes}"))?;
        self.ask(&format!("global rib add -a ipv6 {V6} nexthop fd53::1 {attributes}"))?;
        Ok(())
    }

    /// Runs its command line, with words split at white space.
    ///
    /// # Errors
    /// What it says.
    pub fn ask(&self, words: &str) -> Result<String> {
        let mut command = Command::new("ip");
        run(command.args(["netns", "exec", &self.namespace, "gobgp"]).args(words.split_whitespace()))
    }

    fn answering(&self) -> Result<()> {
        let answered = until("GoBGP answers", Duration::from_secs(20), || self.ask("global").ok());
        answered.map(|_| ()).with_context(|| fs::read_to_string(self.folder.path().join("log")).unwrap_or_default())
    }
}

fn spawn(namespace: &str, folder: &Path) -> Result<Running> {
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "gobgpd", "--api-hosts", "127.0.0.1:50051", "--pprof-disable", "-f"]);
    command.arg(folder.join("gobgpd.toml"));
    Running::start(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))
}

fn config() -> String {
    let session = |remote: &str, family: &str| {
        format!(
            "[[neighbors]]
[neighbors.config]
neighbor-address = \"{remote}\"
peer-as = {UPSTREAM_AS}
[neighbors.timers.config]
connect-retry = 1
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = \"{family}-unicast\"\n"
        )
    };
    let global = format!("[global.config]\nas = {HOST_AS}\nrouter-id = \"192.0.2.1\"\n");
    global + &session("10.53.0.2", "ipv4") + &session("fd53::2", "ipv6")
}
