//! BIRD 2 or 3 in a namespace: its own configuration, control socket and process in a temporary folder; its tables and sessions as values.

use super::{Namespace, Running, SOON, until};
use anyhow::{Context, Result, bail};
use core::time::Duration;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What an operator of an anycast host has anyway.
pub const HOST: &str = "
router id 192.0.2.1;
protocol device {}
protocol kernel { ipv4 { import none; export all; }; }
protocol kernel { ipv6 { import none; export all; }; }
protocol static own4 { ipv4; route 192.0.2.0/24 blackhole; }
protocol static own6 { ipv6; route 2001:db8::/48 blackhole; }
";

/// Sessions of the host with its upstream, `up4` and `up6`, of both of which the channel is given.
#[must_use]
pub fn sessions([four, six]: [&str; 2]) -> String {
    let mut text = String::new();
    for (version, network, channel) in [("4", "10.53.0.", four), ("6", "fd53::", six)] {
        text += &format!("protocol bgp up{version} {{ local {network}1 as OOPSD_AS; neighbor {network}2 as 64998;\n");
        text += "connect delay time 1; connect retry time 1; error wait time 1, 2;\n";
        text += &format!("ipv{version} {{ next hop self; import none; {channel} }}; }}\n");
    }
    text
}

/// Which BIRD an operator's host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// That of Debian 12.
    Two,
    /// That of its successor, which `cargo xtask setup --for test` puts beside what cargo builds.
    Three,
}

impl Version {
    /// What starts it.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Two => "bird",
            Self::Three => concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bird3/bird"),
        }
    }

    /// Whether it takes the configuration in `file`.
    ///
    /// # Errors
    /// With what it says, if not.
    pub fn takes(self, file: &Path) -> Result<()> {
        super::run(Command::new(self.program()).arg("-p").arg("-c").arg(file)).map(|_| ())
    }
}

/// BIRD, running until it is dropped.
#[derive(Debug)]
pub struct Bird {
    version: Version,
    namespace: String,
    folder: TempDir,
    running: Running,
}

/// A BGP session as BIRD shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `Established`, or what else it is.
    pub state: String,
    /// Since when, in seconds of the day.
    pub since: u64,
    /// Announcements that came in.
    pub updates: u64,
    /// Withdrawals that came in.
    pub withdrawals: u64,
}

impl Bird {
    /// Starts BIRD with `config` and waits until it answers.
    ///
    /// # Errors
    /// With its log, if it does not come up.
    pub fn start(version: Version, namespace: &Namespace, config: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("oopsd-bird-").tempdir()?;
        fs::write(folder.path().join("bird.conf"), config)?;
        let running = spawn(version, namespace.name(), folder.path())?;
        let bird = Self { version, namespace: namespace.name().to_owned(), folder, running };
        bird.answering()?;
        Ok(bird)
    }

    /// Kills it, as SIGKILL does, and starts it again.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.running.kill();
        let _ = fs::remove_file(self.socket());
        self.running = spawn(self.version, &self.namespace, self.folder.path())?;
        self.answering()
    }

    /// Whether it would start with the files as they are.
    ///
    /// # Errors
    /// With what it says, if not.
    pub fn boots(&self) -> Result<()> {
        self.version.takes(&self.file())
    }

    /// Sends it a signal of the operating system.
    pub fn signal(&self, signal: i32) {
        self.running.signal(signal);
    }

    /// Gives it another configuration, as an operator does, and waits until that is in force.
    ///
    /// # Errors
    /// With what BIRD says against it; the one before then stays in force.
    pub fn configure(&self, config: &str) -> Result<()> {
        fs::write(self.folder.path().join("bird.conf"), config)?;
        self.ask("configure")?;
        let settled = || {
            self.ask("configure status").ok().filter(|said| said.iter().any(|line| line == "Daemon is up and running"))
        };
        until("the configuration is in force", SOON, settled).map(|_| ())
    }

    fn answering(&self) -> Result<()> {
        let answered = until("BIRD answers", SOON, || self.ask("show status").ok());
        answered.map(|_| ()).with_context(|| fs::read_to_string(self.folder.path().join("log")).unwrap_or_default())
    }

    /// Its process, to kill it or to send it a signal.
    pub fn running(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Its configuration file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("bird.conf")
    }

    /// What it logged: nothing but what its configuration sends to stderr.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Its control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("bird.ctl")
    }

    /// Asks on the control socket, as `birdc` does; the lines of the answer without their codes.
    ///
    /// # Errors
    /// When it does not answer, or with a code of 8000 or more.
    pub fn ask(&self, question: &str) -> Result<Vec<String>> {
        let mut socket = UnixStream::connect(self.socket())?;
        socket.set_read_timeout(Some(SOON))?;
        let mut lines = BufReader::new(socket.try_clone()?).lines();
        let greeting = lines.next().context("BIRD hung up")??;
        if !greeting.starts_with("0001 ") {
            bail!("not BIRD: {greeting}");
        }
        writeln!(socket, "{question}")?;
        let mut answer = Vec::new();
        for line in lines {
            let line = line?;
            let (code, text) = line.split_at_checked(5).unwrap_or(("", &line));
            if line.starts_with(' ') {
                answer.push(line.trim_start().to_owned());
                continue;
            }
            answer.push(text.to_owned());
            if code.starts_with(['8', '9']) {
                bail!("BIRD: {question}: {text}");
            }
            if code.ends_with(' ') {
                return Ok(answer);
            }
        }
        bail!("BIRD hung up after {answer:?}")
    }

    /// The AS path of the best route to `prefix`; `None` if there is no such route or BIRD does not answer.
    #[must_use]
    pub fn path(&self, prefix: &str) -> Option<Vec<u32>> {
        let lines = self.ask(&format!("show route {prefix} primary all")).ok()?;
        // As BIRD 2 and BIRD 3 call it.
        let path = lines
            .iter()
            .find_map(|line| line.strip_prefix("BGP.as_path:").or_else(|| line.strip_prefix("bgp_path:")))?;
        path.split_whitespace().map(|asn| asn.parse().ok()).collect()
    }

    /// A BGP session by the name of its protocol.
    ///
    /// # Errors
    /// When there is none, or what BIRD says of it cannot be read.
    pub fn session(&self, name: &str) -> Result<Session> {
        let lines = self.ask(&format!("show protocols all {name}"))?;
        let row = lines.iter().find(|line| line.starts_with(name)).context("no such protocol")?;
        // Name, protocol, table, state, since, information.
        let mut columns = row.split_whitespace().skip(4);
        let since = columns.next().and_then(seconds).with_context(|| format!("no time: {row}"))?;
        let state = columns.next().unwrap_or_default().to_owned();
        let count = |what| lines.iter().find_map(|line| line.strip_prefix(what)).and_then(first_number).unwrap_or(0);
        Ok(Session { state, since, updates: count("Import updates:"), withdrawals: count("Import withdraws:") })
    }

    /// Waits until a session is established.
    ///
    /// # Errors
    /// When it is not after 20 seconds.
    pub fn established(&self, name: &str) -> Result<Session> {
        let up = || self.session(name).ok().filter(|session| session.state == "Established");
        until(&format!("session {name} established"), Duration::from_secs(20), up)
    }
}

/// Whether BIRD takes `config`.
///
/// # Errors
/// With what it says, if not.
pub fn parses(config: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bird.conf");
    fs::write(&file, config)?;
    Version::Two.takes(&file)
}

fn spawn(version: Version, namespace: &str, folder: &Path) -> Result<Running> {
    let log = File::create(folder.join("log"))?;
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, version.program(), "-f"]);
    command.arg("-c").arg(folder.join("bird.conf"));
    command.arg("-s").arg(folder.join("bird.ctl"));
    command.arg("-P").arg(folder.join("bird.pid"));
    Running::start(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))
}

/// `HH:MM:SS` or `HH:MM:SS.mmm`, in seconds.
fn seconds(time: &str) -> Option<u64> {
    let whole = time.split('.').next()?;
    whole.split(':').try_fold(0, |sum, part| Some(sum * 60 + part.parse::<u64>().ok()?))
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}
