//! Network namespaces, the cables between them and the programs in them, gone when dropped. Needs root and iproute2.
//!
//! Routing daemons are in [`bird`], [`exabgp`] and [`gobgp`], a host with its upstream in [`peering`]. Programs of the project itself are started by the tests that need them, with [`Namespace::command`].

pub mod bird;
pub mod exabgp;
pub mod gobgp;
pub mod learner;
pub mod peering;

use anyhow::{Context, Result, bail};
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

/// How long anything may take that usually takes well under a second. Only a test that fails waits for so long, so that it is
/// long enough for the slowest and busiest of machines.
pub const SOON: Duration = Duration::from_secs(30);

/// How long between two looks at what is waited for.
const POLL: Duration = Duration::from_millis(2);

/// Says whether a test that needs root and these programs can run; if not, prints why.
///
/// # Panics
/// When `CI=true`, with root, and a program or a capability is missing: there a skipped test is a failure.
#[must_use]
#[expect(clippy::print_stdout, reason = "a skipped test says so where a passing one says so")]
pub fn ready(programs: &[&str]) -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: needs root");
        return false;
    }
    let missing = programs.iter().find(|program| !is_installed(program));
    let missing = missing.map(|program| format!("{program}, which is not installed: cargo xtask setup --for test"));
    let Some(missing) = missing.or_else(lacking) else { return true };
    assert!(std::env::var("CI").as_deref() != Ok("true"), "needs {missing}");
    println!("skipped: needs {missing}");
    false
}

/// What root may not do here, if this is a container: make network namespaces, send frames, mount.
fn lacking() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let held = u64::from_str_radix(held.trim(), 16).ok()?;
    let needed = [("CAP_NET_ADMIN", 12), ("CAP_NET_RAW", 13), ("CAP_SYS_ADMIN", 21)];
    let missing = needed.iter().filter(|(_, number)| held & (1 << number) == 0).map(|(name, _)| *name);
    let missing = missing.collect::<Vec<_>>().join(", ");
    (!missing.is_empty())
        .then(|| format!("{missing}, which root does not have in this container: start it with --privileged"))
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin".into(), "/sbin".into()]);
    folders.iter().any(|folder| folder.join(program).is_file())
}

/// Where oopsd is; see [`program`].
///
/// # Errors
/// When it is not there.
pub fn oopsd() -> Result<PathBuf> {
    program("oopsd")
}

/// Where a program of this workspace is: beside this test, which does not build it (`cargo xtask test` does, or `cargo build`).
///
/// # Errors
/// When it is not there.
pub fn program(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let program = this.ancestors().nth(2).context("tests are in target/PROFILE/deps")?.join(name);
    if !program.is_file() {
        bail!("{} is not built: cargo build -p {name}", program.display());
    }
    Ok(program)
}

/// A network namespace with its loopback interface up.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one; its name holds `label`, this process and a number, so that labs can run side by side.
    ///
    /// # Errors
    /// What `ip netns` says.
    pub fn new(label: &str) -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("oopsd-{label}-{}-{number}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let made = Self { name };
        made.ip("link set lo up")?;
        Ok(made)
    }

    /// Its name, as `ip netns` knows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lays a cable: `here` in this namespace, `there` in `other`, both up.
    ///
    /// # Errors
    /// What `ip link` says.
    pub fn cable(&self, here: &str, other: &Self, there: &str) -> Result<()> {
        let Self { name } = self;
        let far = &other.name;
        let add = format!("link add name {here} netns {name} type veth peer name {there} netns {far}");
        run(Command::new("ip").args(add.split_whitespace()))?;
        self.ip(&format!("link set dev {here} up"))?;
        other.ip(&format!("link set dev {there} up"))?;
        Ok(())
    }

    /// Runs `ip` in it, with words split at white space, and returns what it printed.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn ip(&self, words: &str) -> Result<String> {
        run(Command::new("ip").args(["-n", &self.name]).args(words.split_whitespace()))
    }

    /// A program to be run in it. The process that is then started is the program itself.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Does `work` in it. Sockets that `work` opens stay in it.
    ///
    /// # Errors
    /// What `work` returns, or that the namespace cannot be entered.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = File::open(format!("/run/netns/{}", self.name))?;
        let enter_and_work = || {
            // SAFETY: the descriptor is open; only this thread changes its namespace, and it ends here.
            if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                bail!("cannot enter {}: {}", self.name, std::io::Error::last_os_error());
            }
            work()
        };
        thread::scope(|scope| scope.spawn(enter_and_work).join().ok().context("panicked in a namespace")?)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).stderr(Stdio::null()).status();
    }
}

/// A program that runs until it is dropped.
#[derive(Debug)]
pub struct Running(pub Child);

impl Running {
    /// Sends it a signal of the operating system.
    pub fn signal(&self, signal: i32) {
        // SAFETY: the process was started here and has not been waited for, so that its number is its own.
        unsafe { libc::kill(libc::pid_t::try_from(self.0.id()).expect("a process number"), signal) };
    }

    /// Starts `command`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        Ok(Self(child))
    }

    /// Kills it, as SIGKILL does, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `command` to its end and returns what it printed.
///
/// # Errors
/// With what it wrote to standard error, if it ends badly.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits until `look` finds something.
///
/// # Errors
/// After `limit`, naming `what` was waited for.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("after {limit:?} still not: {what}");
        }
        // The one sleep of all that waits: what is looked at is other programs', which do not call back.
        thread::sleep(POLL);
    }
}
