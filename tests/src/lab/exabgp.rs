//! ExaBGP 4 or 5 in a namespace: its configuration, pipes and process in a temporary folder.

use super::peering::{HOST_AS, UPSTREAM_AS, V4, V6};
use super::{Namespace, Running, run};
use anyhow::Result;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Which ExaBGP an operator's host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// That of Debian 12.
    Four,
    /// That of the Python package, which `cargo xtask setup --for test` puts beside what cargo builds.
    Five,
}

impl Version {
    /// What starts it.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Four => "exabgp",
            Self::Five => concat!(env!("CARGO_MANIFEST_DIR"), "/../target/exabgp5/bin/exabgp"),
        }
    }
}

/// ExaBGP, running until it is dropped; it announces both prefixes from its own configuration.
#[derive(Debug)]
pub struct Exabgp {
    version: Version,
    namespace: String,
    folder: TempDir,
    /// To signal or kill it.
    pub running: Running,
}

impl Exabgp {
    /// Starts it with a session for each address family; `attributes` are those of its routes.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(version: Version, namespace: &Namespace, attributes: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("oopsd-exabgp-").tempdir()?;
        let pipes = folder.path().join("run/exabgp");
        fs::create_dir_all(&pipes)?;
        // Of a name that is nowhere else: ExaBGP looks in the system's folders first.
        for end in ["in", "out"] {
            run(Command::new("mkfifo").arg(pipes.join(format!("{}.{end}", name(folder.path())))))?;
        }
        fs::write(folder.path().join("exabgp.conf"), config(attributes))?;
        let running = spawn(version, namespace.name(), folder.path())?;
        Ok(Self { version, namespace: namespace.name().to_owned(), folder, running })
    }

    /// The pipes, without `.in` and `.out`.
    #[must_use]
    pub fn pipes(&self) -> PathBuf {
        self.folder.path().join("run/exabgp").join(name(self.folder.path()))
    }

    /// Kills it, as SIGKILL does, and starts it again.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.running.kill();
        self.running = spawn(self.version, &self.namespace, self.folder.path())?;
        Ok(())
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// The name of the pipes: that of the folder, which is like no other.
fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn spawn(version: Version, namespace: &str, folder: &Path) -> Result<Running> {
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, version.program()]);
    match version {
        Version::Four => command.arg("--root").arg(folder),
        Version::Five => command
            .env("EXABGP_ROOT", folder)
            .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/../target/exabgp5")),
    };
    command.arg(folder.join("exabgp.conf"));
    command.env("exabgp_daemon_user", "root").env("exabgp_api_pipename", name(folder)).env("exabgp_log_level", "INFO");
    Running::start(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))
}

fn config(attributes: &str) -> String {
    let session = |local: &str, remote: &str, family: &str, prefix: &str| {
        format!(
            "neighbor {remote} {{ router-id 192.0.2.1; local-address {local}; local-as {HOST_AS}; peer-as {UPSTREAM_AS};
  family {{ {family} unicast; }}
  static {{ route {prefix} next-hop self {attributes}; }} }}\n"
        )
    };
    session("10.53.0.1", "10.53.0.2", "ipv4", V4) + &session("fd53::1", "fd53::2", "ipv6", V6)
}
