//! `cargo xtask demo` itself, but for the building: interrupted, killed, started twice, and to its end. It leaves nothing behind.
//!
//! It shows the oopsd that the other tests use, so that nothing is built for it.

use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;
use tempfile::TempDir;
use tests::lab::{self, Running, SOON, oopsd, program, run, until};

/// What it needs besides itself.
const PROGRAMS: [&str; 5] = ["ip", "knotd", "bird", "dnsperf", "setpriv"];

/// Where it has its files; the command line of each program that it starts names it.
const FOLDER: &str = "/run/oopsd-demo";

#[test]
fn an_interrupt_in_the_middle_ends_it_at_once_and_leaves_nothing() -> Result<()> {
    if !lab::ready(&PROGRAMS) {
        return Ok(());
    }
    let before = Traces::now()?;
    let mut demo = Demo::start()?;
    demo.reaches_its_middle()?;
    let asked = Instant::now();
    demo.interrupt();
    let status = demo.end(SOON)?;
    let took = asked.elapsed();
    ensure!(status.code() == Some(1) && took < Duration::from_secs(10), "{status} after {took:?}: {}", demo.said());
    ensure!(demo.said().ends_with("xtask: stopped\n"), "{}", demo.said());
    println!("gone {took:?} after the interrupt");
    before.again()
}

#[test]
fn after_a_kill_the_next_one_clears_up_and_all_of_it_happens_while_a_third_is_refused() -> Result<()> {
    if !lab::ready(&PROGRAMS) {
        return Ok(());
    }
    let before = Traces::now()?;
    let mut killed = Demo::start()?;
    killed.reaches_its_middle()?;
    killed.running.kill();
    until("its programs are gone", SOON, || processes().ok()?.is_empty().then_some(()))?;
    ensure!(before.more()?.contains(&FOLDER.to_owned()), "a killed demo removes nothing");

    let mut next = Demo::start()?;
    next.reaches_its_middle()?;
    let mut third = Demo::start()?;
    let status = third.end(SOON)?;
    ensure!(status.code() == Some(1), "{status}: {}", third.said());
    ensure!(third.said() == "xtask: another demo runs on this host\n", "{}", third.said());

    let status = next.end(Duration::from_secs(150))?;
    println!("{}", next.said());
    ensure!(status.success() && next.said().ends_with("All of it happened; nothing is left behind.\n"), "{status}");
    before.again()
}

/// A demo in a process group of its own, as a terminal would start it.
struct Demo {
    running: Running,
    folder: TempDir,
}

impl Demo {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let said = File::create(folder.path().join("said"))?;
        let mut command = Command::new(program("xtask")?);
        command.arg("show").arg(oopsd()?).process_group(0);
        let running = Running::start(command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said))?;
        Ok(Self { running, folder })
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }

    /// Waits until the first condition is met, which is when everything runs and the path is about to change.
    fn reaches_its_middle(&mut self) -> Result<()> {
        let middle = || match self.running.0.try_wait() {
            Ok(None) => self.said().contains("signal 1: nl-overload met").then_some(true),
            _ => Some(false),
        };
        let limit = Duration::from_secs(90);
        ensure!(until("signal 1", limit, middle).with_context(|| self.said())?, "it ended: {}", self.said());
        Ok(())
    }

    /// Sends SIGINT to the whole group, as a terminal does on Ctrl-C.
    fn interrupt(&self) {
        let group = libc::pid_t::try_from(self.running.0.id()).expect("a process number");
        // SAFETY: the group was made here, and its leader has not been waited for.
        unsafe { libc::kill(-group, libc::SIGINT) };
    }

    fn end(&mut self, limit: Duration) -> Result<ExitStatus> {
        let running = &mut self.running;
        until("the end of the demo", limit, || running.0.try_wait().ok().flatten()).with_context(|| self.said())
    }
}

impl Drop for Demo {
    /// A test that fails lets it remove what it made.
    fn drop(&mut self) {
        if matches!(self.running.0.try_wait(), Ok(None)) {
            self.interrupt();
            let _ = self.end(SOON);
        }
    }
}

/// What a demo could leave on a host.
#[derive(Debug)]
struct Traces(BTreeSet<String>);

impl Traces {
    fn now() -> Result<Self> {
        let mut all = BTreeSet::new();
        let namespaces = run(Command::new("ip").args(["netns", "list"]))?;
        all.extend(namespaces.lines().filter(|name| name.starts_with("oopsd-demo")).map(str::to_owned));
        for words in ["-brief link", "-4 route show table all", "-6 route show table all", "rule"] {
            let shown = run(Command::new("ip").args(words.split(' ')))?;
            all.extend(shown.lines().map(|line| format!("{words}: {}", line.trim())));
        }
        all.extend(Path::new(FOLDER).exists().then(|| FOLDER.to_owned()));
        all.extend(processes()?);
        Ok(Self(all))
    }

    /// What is here now and was not then.
    fn more(&self) -> Result<Vec<String>> {
        Ok(Self::now()?.0.difference(&self.0).cloned().collect())
    }

    /// Waits until there is no more than then: what others on this host make comes and goes.
    fn again(&self) -> Result<()> {
        until("nothing left behind", SOON, || self.more().ok()?.is_empty().then_some(()))
            .with_context(|| format!("{:?}", self.more()))
    }
}

/// The command lines of what runs for a demo.
fn processes() -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for process in fs::read_dir("/proc")? {
        // One that has ended meanwhile has none.
        let line = fs::read(process?.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        all.extend(line.contains(FOLDER).then_some(line));
    }
    Ok(all)
}
