//! Three network namespaces in a row, client, upstream and host, and the processes in them. Dropping it removes all of it.

use crate::command::{output, run};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Set when a person or the system wants the demo to stop.
static STOP: AtomicBool = AtomicBool::new(false);

/// The namespaces, the folder and the processes of the demo.
pub(super) struct Lab {
    folder: PathBuf,
    processes: Vec<Process>,
    /// The folder that the lab's folder is in, locked while the lab is up: there is one on a host.
    _lock: File,
}

/// One running program. Dropping it ends it.
pub(super) struct Process {
    name: &'static str,
    pub(super) child: Child,
}

const NAMESPACES: [&str; 3] = ["oopsd-demo-client", "oopsd-demo-upstream", "oopsd-demo-host"];

/// What makes the network, one `ip` command a line.
const NETWORK: &str = "\
    netns add oopsd-demo-client
    netns add oopsd-demo-upstream
    netns add oopsd-demo-host
    link add eth0 netns oopsd-demo-client type veth peer name client netns oopsd-demo-upstream
    link add eth0 netns oopsd-demo-host type veth peer name host netns oopsd-demo-upstream
    -n oopsd-demo-client address add 198.51.100.2/30 dev eth0
    -n oopsd-demo-client link set eth0 up
    -n oopsd-demo-client route add default via 198.51.100.1 dev eth0
    -n oopsd-demo-upstream address add 198.51.100.1/30 dev client
    -n oopsd-demo-upstream link set client up
    -n oopsd-demo-upstream address add 203.0.113.1/30 dev host
    -n oopsd-demo-upstream link set host up
    netns exec oopsd-demo-upstream sysctl -qw net.ipv4.ip_forward=1
    -n oopsd-demo-host link set lo up
    -n oopsd-demo-host address add 192.0.2.1/32 dev lo
    -n oopsd-demo-host address add 203.0.113.2/30 dev eth0
    -n oopsd-demo-host link set eth0 up
    -n oopsd-demo-host route add default via 203.0.113.1 dev eth0";

impl Lab {
    /// Makes the namespaces and the folder. Replaces what a killed demo left.
    pub(super) fn new() -> Result<Self> {
        ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;
        let lock = File::open("/run").context("cannot open /run")?;
        if lock.try_lock().is_err() {
            bail!("another demo runs on this host");
        }
        remove()?;
        let folder = folder();
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lab = Self { folder, processes: Vec::new(), _lock: lock };
        for line in NETWORK.lines() {
            output(&mut ip(line)).context("no network for the demo; in a container root needs --privileged for it")?;
        }
        Ok(lab)
    }

    /// Where its files lie.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file with the folder's name put in.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        let text = text.replace("{folder}", &self.folder.to_string_lossy());
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Starts a program in the namespace of `host`, for as long as the lab is; what it says goes to a file.
    pub(super) fn start(&mut self, host: &str, name: &'static str, command: &str) -> Result<()> {
        let process = self.spawn(host, name, command, Stdio::null())?;
        self.processes.push(process);
        Ok(())
    }

    /// Starts a program in the namespace of `host`, for as long as it is held.
    pub(super) fn spawn(&self, host: &str, name: &'static str, command: &str, stdout: Stdio) -> Result<Process> {
        let log = File::create(self.folder.join(format!("{name}.log"))).context("cannot make a log")?;
        // Should this program be killed, so is what it started. Ctrl-C is for this program alone, which ends the others.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "ip", "netns", "exec", &format!("oopsd-demo-{host}")])
            .args(command.split_whitespace())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Process { name, child })
    }

    /// Keeps a process for as long as the lab is.
    pub(super) fn keep(&mut self, process: Process) {
        self.processes.push(process);
    }

    /// Fails if a person wants to stop or if a program that should run does not.
    pub(super) fn goes_on(&mut self) -> Result<()> {
        if STOP.load(Ordering::Relaxed) {
            bail!("stopped");
        }
        for Process { name, child } in &mut self.processes {
            if let Some(status) = child.try_wait()? {
                let log = fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default();
                bail!("{name} ended with {status}: {}", log.trim());
            }
        }
        Ok(())
    }

    /// Waits until `is_so`, for at most `limit`.
    pub(super) fn wait(&mut self, what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !is_so() {
            self.goes_on()?;
            if Instant::now() > deadline {
                bail!("no {what} after {limit:?}");
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Removes everything and looks whether it is gone.
    pub(super) fn close(self) -> Result<()> {
        drop(self);
        let left = output(&mut ip("netns list"))?;
        if NAMESPACES.iter().any(|name| left.contains(name)) || folder().exists() {
            bail!("something is left of the demo: {left}");
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.processes.clear();
        if let Err(error) = remove() {
            eprintln!("demo: {error:#}");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            eprintln!("demo: cannot end {}: {error}", self.name);
        }
    }
}

/// Removes the namespaces and the folder that there are.
fn remove() -> Result<()> {
    let here = output(&mut ip("netns list"))?;
    for name in NAMESPACES {
        if here.lines().any(|line| line.split(' ').next() == Some(name)) {
            run(&mut ip(&format!("netns delete {name}")))?;
        }
    }
    let folder = folder();
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// `ip` with these words, in a process group of its own: Ctrl-C does not end it half-way.
fn ip(words: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(words.split_whitespace()).process_group(0);
    command
}

fn folder() -> PathBuf {
    PathBuf::from("/run/oopsd-demo")
}
