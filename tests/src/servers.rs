//! Name servers, load and captures in a namespace, with their own configuration in their own folder.
//!
//! All of them are Debian's programs. What they need of a network, and what is looked at afterwards, is the test's.

use crate::lab::{Namespace, SOON, run, until};
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The first label of the question that is asked last.
pub const LAST: &str = "this-is-the-last-question";

/// A zone with an address for every name.
pub const ZONE: &str =
    "@ 60 SOA ns hostmaster 1 3600 600 86400 60\n@ 60 NS ns\nns 60 A 192.0.2.53\n* 60 A 192.0.2.80\n";

/// A program that is asked to end when dropped, so that it can end its own children; and is made to if it does not.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a program; what it says goes to the file `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log)?;
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn();
        Ok(Self { child: child.with_context(|| format!("cannot run {command:?}"))?, log: log.to_owned() })
    }

    /// What it said so far.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: kill has no preconditions, and the child is not yet waited for, so that its number is its own.
        unsafe { libc::kill(libc::pid_t::try_from(self.child.id()).expect("a process number"), signal) };
    }

    /// Sends it a signal and waits until it is gone.
    ///
    /// # Errors
    /// When it is still there after a while.
    pub fn end(&mut self, signal: i32) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            self.signal(signal);
        }
        let child = &mut self.child;
        until("the end of a program", SOON, || child.try_wait().ok().flatten())?;
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.end(libc::SIGTERM).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Starts knotd with these zones in `host`, on these addresses.
///
/// # Errors
/// When it cannot be started.
pub fn knotd(host: &Namespace, folder: &Path, addresses: &[&str], zones: &[&str]) -> Result<Program> {
    let here = folder.display();
    let listen: Vec<String> = addresses.iter().map(|address| format!("{address}@53")).collect();
    let mut text = format!(
        "server:\n    rundir: \"{here}\"\n    listen: [ {} ]\ndatabase:\n    storage: \"{here}\"\nzone:\n",
        listen.join(", ")
    );
    for zone in zones {
        let file = write(folder, zone, ZONE)?;
        text += &format!("  - domain: {zone}\n    file: \"{}\"\n", file.display());
    }
    let file = write(folder, "knot.conf", &text)?;
    Program::start(host.command("knotd").arg("-c").arg(file), &folder.join("knotd.log"))
}

/// Starts nsd with these zones in `host`, on these addresses.
///
/// # Errors
/// When it cannot be started.
pub fn nsd(host: &Namespace, folder: &Path, addresses: &[&str], zones: &[&str]) -> Result<Program> {
    let here = folder.display();
    let mut text = format!(
        "server:\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{here}\"\n  database: \"\"\n  pidfile: \"{here}/nsd.pid\"\n  \
         xfrdfile: \"{here}/xfrd\"\n  xfrdir: \"{here}\"\n  zonelistfile: \"{here}/list\"\n  server-count: 1\n  rrl-ratelimit: 0\n"
    );
    for address in addresses {
        text += &format!("  ip-address: {address}\n");
    }
    text += "remote-control:\n  control-enable: no\n";
    for zone in zones {
        let file = write(folder, zone, ZONE)?;
        text += &format!("zone:\n  name: {zone}\n  zonefile: \"{}\"\n", file.display());
    }
    let file = write(folder, "nsd.conf", &text)?;
    Program::start(host.command("nsd").arg("-d").arg("-c").arg(file), &folder.join("nsd.log"))
}

/// Starts unbound in `host` with these lines in its `server:` clause and these clauses behind it.
///
/// # Errors
/// When it cannot be started.
pub fn unbound(host: &Namespace, folder: &Path, server: &str, clauses: &str) -> Result<Program> {
    let here = folder.display();
    let text = format!(
        "server:\n  username: \"\"\n  chroot: \"\"\n  directory: \"{here}\"\n  pidfile: \"{here}/unbound.pid\"\n  use-syslog: no\n  \
         num-threads: 1\n  module-config: \"iterator\"\n  ede: yes\n{server}\nremote-control:\n  control-enable: no\n{clauses}\n"
    );
    let file = write(folder, "unbound.conf", &text)?;
    Program::start(host.command("unbound").arg("-d").arg("-c").arg(file), &folder.join("unbound.log"))
}

/// Waits until the server at `address` answers for the apex of `zone`.
///
/// # Errors
/// When it does not for a while; with what the server said.
pub fn answers(client: &Namespace, server: &mut Program, address: &str, zone: &str) -> Result<()> {
    let question = [&format!("@{address}"), zone, "SOA", "+short", "+time=1", "+retry=0"];
    until(&format!("an answer for {zone}"), SOON, || {
        run(client.command("kdig").args(question)).ok().filter(|text| text.contains("hostmaster"))
    })
    .with_context(|| server.said())?;
    Ok(())
}

/// Asks each of `questions` (name and type a line, as dnsperf reads them) once, with EDNS, and waits for the answers.
///
/// # Errors
/// When one of them has no answer.
pub fn ask(client: &Namespace, folder: &Path, address: &str, arguments: &str, questions: &[String]) -> Result<()> {
    let file = write(folder, "questions", &(questions.join("\n") + "\n"))?;
    let mut dnsperf = client.command("dnsperf");
    dnsperf.args(["-e", "-n", "1", "-Q", "4000", "-c", "4", "-s", address, "-d"]).arg(file);
    let said = run(dnsperf.args(arguments.split_whitespace()))?;
    let completed = format!("Queries completed:    {} ", questions.len());
    ensure!(said.contains(&completed), "dnsperf, which had {} to ask: {said}", questions.len());
    Ok(())
}

/// Sends all of `messages` in one piece on a TCP connection to `server`, and waits for as many answers.
///
/// # Errors
/// What the connection says.
pub fn ask_in_one_segment(client: &Namespace, server: SocketAddr, messages: &[Vec<u8>]) -> Result<()> {
    let mut piece = Vec::new();
    for message in messages {
        piece.extend(u16::try_from(message.len())?.to_be_bytes());
        piece.extend(message);
    }
    client.inside(|| {
        let mut stream = TcpStream::connect_timeout(&server, SOON)?;
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(&piece)?;
        for _ in messages {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            stream.read_exact(&mut vec![0; usize::from(u16::from_be_bytes(length))])?;
        }
        Ok(())
    })
}

/// A capture of everything on an interface, to a file.
#[derive(Debug)]
pub struct Dump {
    program: Program,
    /// The file.
    pub file: PathBuf,
}

impl Dump {
    /// Starts tcpdump with these arguments and waits until it listens.
    ///
    /// # Errors
    /// When it does not for a while; with what it said.
    pub fn tcpdump(host: &Namespace, folder: &Path, interface: &str, arguments: &str) -> Result<Self> {
        let mut command = host.command("tcpdump");
        command.args(["-Z", "root", "-B", "32768", "-U", "-i", interface]).args(arguments.split_whitespace());
        Self::start(&mut command, folder, "listening on")
    }

    /// Starts dumpcap, which writes pcapng, and waits until it has opened its file.
    ///
    /// # Errors
    /// As [`Dump::tcpdump`].
    pub fn dumpcap(host: &Namespace, folder: &Path, interface: &str) -> Result<Self> {
        let mut command = host.command("dumpcap");
        command.args(["-q", "-B", "32", "-i", interface]);
        Self::start(&mut command, folder, "File: ")
    }

    fn start(command: &mut Command, folder: &Path, listens: &str) -> Result<Self> {
        let file = folder.join("capture");
        let program = Program::start(command.arg("-w").arg(&file), &folder.join("capture.log"))?;
        until("a capture that listens", SOON, || program.said().contains(listens).then_some(()))
            .with_context(|| program.said())?;
        Ok(Self { program, file })
    }

    /// Ends it once it has the last question, which this asks, and its answer.
    ///
    /// # Errors
    /// When they are not in the file after a while, or the capture lost frames.
    pub fn end(self, client: &Namespace, folder: &Path, address: &str, zone: &str) -> Result<PathBuf> {
        ask(client, folder, address, "-c 1", &[format!("{LAST}.{zone} A")])?;
        self.closed(2)
    }

    /// Ends it once it has [`LAST`] so many times.
    ///
    /// # Errors
    /// As [`Dump::end`].
    pub fn closed(mut self, times: usize) -> Result<PathBuf> {
        let last = LAST.as_bytes();
        let has = |bytes: Vec<u8>| bytes.windows(last.len()).filter(|it| *it == last).count() >= times;
        until("the last message in the file", SOON, || has(end_of(&self.file).ok()?).then_some(()))?;
        self.program.end(libc::SIGINT)?;
        let said = self.program.said();
        let lossless = said.contains("\n0 packets dropped by kernel") || said.contains("(100.0%)");
        ensure!(lossless, "the capture lost frames: {said}");
        Ok(self.file.clone())
    }
}

/// The last bytes of a file, which may be a large one.
fn end_of(file: &Path) -> Result<Vec<u8>> {
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(1 << 16)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let file = folder.join(name);
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
