//! Other processes: what they spend, by the kernel's own accounts.

use crate::Outcome;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// What a process that has ended spent.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    /// Nanoseconds from its start to its end.
    pub(crate) elapsed: f64,
    /// Nanoseconds on processors, its own and the kernel's for it.
    pub(crate) nanoseconds: f64,
    /// The most memory it had, in MB; at least what this process has, because they were one before `exec`.
    pub(crate) megabytes: f64,
}

/// Runs a command to its end; what it prints is not shown.
pub(crate) fn run(command: &mut Command) -> Outcome<Spent> {
    let text = format!("{command:?}");
    let started = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.map_err(|error| format!("{text}: {error}"))?;
    let pid = i32::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: all zeros is an rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both are ours, and nobody else waits for this child.
    let ended = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    let elapsed = started.elapsed().as_secs_f64() * 1e9;
    if ended != pid || status != 0 {
        return Err(format!("{text}: ended with status {status:#x}").into());
    }
    let nanoseconds = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    Ok(Spent {
        elapsed,
        nanoseconds: nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime),
        megabytes: usage.ru_maxrss as f64 * 1024.0 / 1e6,
    })
}

/// The release build of oopsd, which lies beside this one.
pub(crate) fn oopsd() -> Outcome<Command> {
    let program: Option<PathBuf> = env::current_exe()?.ancestors().nth(2).map(|release| release.join("oopsd"));
    match program.filter(|program| program.exists()) {
        Some(program) => Ok(Command::new(program)),
        None => Err("there is no release build of oopsd: cargo build --release -p oopsd".into()),
    }
}

/// Whether this machine has a program.
pub(crate) fn is_here(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).exists())
}

/// An `oopsd run` that counts, until it is dropped.
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Starts it and waits until it says that it counts.
    pub(crate) fn start(configuration: &Path) -> Outcome<Self> {
        Self::counting(oopsd()?, configuration)
    }

    /// As [`Self::start`], in a network namespace.
    pub(crate) fn start_in(namespace: &str, configuration: &Path) -> Outcome<Self> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(oopsd()?.get_program());
        Self::counting(command, configuration)
    }

    fn counting(mut command: Command, configuration: &Path) -> Outcome<Self> {
        command.arg("run").arg("-c").arg(configuration).env("OOPSD_LOG", "info");
        command.env("STATE_DIRECTORY", configuration.with_extension("state"));
        let mut daemon = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?);
        let mut said = String::new();
        for line in BufReader::new(daemon.0.stderr.take().ok_or("its standard error is a pipe")?).lines() {
            let line = line?;
            if line.contains("counting") {
                return Ok(daemon);
            }
            said = line;
        }
        Err(format!("oopsd run ended: {said}").into())
    }

    /// A memory figure of /proc/PID/status, in MB.
    pub(crate) fn megabytes(&self, field: &str) -> Outcome<f64> {
        megabytes(self.0.id(), field)
    }

    /// Nanoseconds that its threads have spent on processors.
    pub(crate) fn nanoseconds(&self) -> Outcome<f64> {
        nanoseconds(self.0.id())
    }
}

/// A memory figure of a process's status, in MB.
pub(crate) fn megabytes(process: u32, field: &str) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("the process is gone")?;
    let kilobytes: f64 = line.trim_matches([':', '\t', ' ', 'k', 'B']).parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}

/// Nanoseconds that the threads of a process have spent on processors.
pub(crate) fn nanoseconds(process: u32) -> Outcome<f64> {
    let mut sum = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let account = fs::read_to_string(thread?.path().join("schedstat"))?;
        sum += account.split(' ').next().ok_or("schedstat is empty")?.parse::<f64>()?;
    }
    Ok(sum)
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
