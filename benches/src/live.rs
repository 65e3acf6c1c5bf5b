//! A name server at 300,000 queries a second over a veth pair, with oopsd beside it, without, and with an empty XDP program
//! in its place, which veth takes another way for than without any: rounds take turns.
//!
//! A second is given to each start; then what all processors spend, and what knotd answers, is counted for as long as
//! kxdpgun sends. On two processors that is more than knotd can answer, so that whatever oopsd takes is missing there.

use crate::figure::Figure;
use crate::kernel::load;
use crate::process::{Daemon, is_here};
use crate::{Outcome, bpf, table};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::Duration;

const RATE: u32 = 300_000;
const SECONDS: u32 = 4;
const ROUNDS: usize = 5;

const PROGRAMS: [&str; 4] = ["ip", "knotd", "kdig", "kxdpgun"];

/// What the difference of paired rounds is when there is none: the noise of a round.
const NOISE: f64 = 1.02;

/// Measures it, where it can be.
pub(crate) fn measure() -> Outcome<()> {
    let what = format!("knotd at {RATE} q/s over veth, oopsd beside it");
    // SAFETY: geteuid has no preconditions and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        table::skipped(&what, "needs root");
        return Ok(());
    }
    if let Some(missing) = PROGRAMS.iter().find(|program| !is_here(program)) {
        table::skipped(&what, &format!("needs {missing}"));
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let lab = Lab::new(folder.path())?;
    let mut all = [Rounds::default(), Rounds::default(), Rounds::default()];
    for round in 0..=ROUNDS {
        for (rounds, beside) in all.iter_mut().zip([Beside::Oopsd, Beside::Nothing, Beside::Empty]) {
            let figures = lab.round(beside)?;
            // The first warms up.
            if round > 0 {
                rounds.push(&figures);
            }
        }
    }
    let [with, without, empty] = all.map(|rounds| rounds.0.map(Figure::of));
    let [busy, per_answer, own] = &with;
    table::ours(&format!("{what}: all processors, a query sent"), "ns", busy, None);
    table::peer("without oopsd", "ns", &without[0], busy, Some(NOISE));
    table::peer("with an empty XDP program", "ns", &empty[0], busy, None);
    table::ours("    time for an answer of knotd", "ns", per_answer, None);
    table::peer("without oopsd", "ns", &without[1], per_answer, Some(NOISE));
    table::peer("with an empty XDP program", "ns", &empty[1], per_answer, None);
    table::ours("    of it oopsd's own process, of one processor", "%", own, None);
    Ok(())
}

/// What is beside knotd in a round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Oopsd,
    Nothing,
    /// An XDP program that lets all pass, on the same interface.
    Empty,
}

/// Nanoseconds of all processors a query; nanoseconds that pass for each answer; percent of one processor that oopsd's
/// process takes.
#[derive(Default)]
struct Rounds([Vec<f64>; 3]);

impl Rounds {
    fn push(&mut self, round: &[f64; 3]) {
        for (all, one) in self.0.iter_mut().zip(round) {
            all.push(*one);
        }
    }
}

/// Two namespaces, a cable, and knotd at one end.
struct Lab<'f> {
    folder: &'f Path,
    host: Namespace,
    client: Namespace,
    knotd: Option<Child>,
}

impl<'f> Lab<'f> {
    fn new(folder: &'f Path) -> Outcome<Self> {
        let mut lab = Self { folder, host: Namespace::new("host")?, client: Namespace::new("client")?, knotd: None };
        let (Namespace(host), Namespace(client)) = (&lab.host, &lab.client);
        ip(&format!("link add eth0 netns {host} type veth peer name eth0 netns {client}"))?;
        for (namespace, own, other) in [(host, 1, 2), (client, 2, 1)] {
            ip(&format!("-n {namespace} link set eth0 address 02:00:00:00:00:0{own} up"))?;
            ip(&format!("-n {namespace} addr add 192.0.2.{own}/24 dev eth0"))?;
            let neighbour = format!("neigh replace 192.0.2.{other} lladdr 02:00:00:00:00:0{other} dev eth0");
            ip(&format!("-n {namespace} {neighbour} nud permanent"))?;
        }
        let here = folder.display();
        fs::write(folder.join("nl"), "@ 60 SOA ns hostmaster 1 3600 600 86400 60\n@ 60 NS ns\n* 60 A 192.0.2.80\n")?;
        fs::write(
            folder.join("knot.conf"),
            format!(
                "server:\n    rundir: \"{here}\"\n    listen: 192.0.2.1@53\ndatabase:\n    storage: \"{here}\"\nzone:\n  - domain: nl\n    \
                 file: \"{here}/nl\"\n"
            ),
        )?;
        let questions: String = (0..10_000).map(|number| format!("w{number}.nl. A\n")).collect();
        fs::write(folder.join("questions"), questions)?;
        fs::write(
            folder.join("oopsd.toml"),
            "[capture]\ninterfaces = [\"eth0\"]\n[zones]\nnames = [\"nl.\", \"example.org.\"]\n",
        )?;
        let said = File::create(folder.join("knotd.log"))?;
        let mut knotd = lab.host.command("knotd");
        knotd.arg("-c").arg(folder.join("knot.conf")).stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        lab.knotd = Some(knotd.spawn()?);
        for _ in 0..100 {
            let answer = lab.client.command("kdig").args(["@192.0.2.1", "nl", "SOA", "+short", "+time=1"]).output()?;
            if answer.stdout.windows(10).any(|it| it == b"hostmaster") {
                return Ok(lab);
            }
            sleep(Duration::from_millis(50));
        }
        Err(format!("knotd does not answer: {}", fs::read_to_string(folder.join("knotd.log"))?).into())
    }

    fn round(&self, beside: Beside) -> Outcome<[f64; 3]> {
        let configuration = self.folder.join("oopsd.toml");
        let oopsd = (beside == Beside::Oopsd).then(|| Daemon::start_in(&self.host.0, &configuration)).transpose()?;
        let _empty = (beside == Beside::Empty).then(|| self.host.attach_empty()).transpose()?;
        // What starting costs is not measured.
        sleep(Duration::from_secs(1));
        let own = || oopsd.as_ref().map_or(Ok(0.0), Daemon::nanoseconds);
        let (busy_before, own_before) = (busy()?, own()?);
        let mut gun = self.client.command("kxdpgun");
        gun.args(["-t", &SECONDS.to_string(), "-Q", &RATE.to_string(), "-I", "eth0", "-i"]);
        let output = gun.arg(self.folder.join("questions")).arg("192.0.2.1").stdin(Stdio::null()).output()?;
        let (busy_after, own_after) = (busy()?, own()?);
        let said = String::from_utf8_lossy(&output.stdout);
        let number = |what| -> Outcome<f64> {
            let line = said.lines().find_map(|line| line.trim().strip_prefix(what));
            let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            number.ok_or_else(|| format!("kxdpgun: {said} {}", String::from_utf8_lossy(&output.stderr)).into())
        };
        let (sent, answered) = (number("total queries:")?, number("total replies:")?);
        let length = f64::from(SECONDS) * 1e9;
        Ok([(busy_after - busy_before) / sent, length / answered, (own_after - own_before) / length * 100.0])
    }
}

impl Drop for Lab<'_> {
    fn drop(&mut self) {
        if let Some(knotd) = &mut self.knotd {
            let _ = knotd.kill();
            let _ = knotd.wait();
        }
    }
}

/// A network namespace, until it is dropped.
struct Namespace(String);

impl Namespace {
    fn new(label: &str) -> Outcome<Self> {
        let name = format!("oopsd-bench-{label}-{}", std::process::id());
        ip(&format!("netns add {name}"))?;
        let namespace = Self(name);
        ip(&format!("-n {} link set lo up", namespace.0))?;
        Ok(namespace)
    }

    /// Attaches an XDP program that lets all pass, until what it gives is dropped.
    fn attach_empty(&self) -> Outcome<OwnedFd> {
        let namespace = File::open(format!("/run/netns/{}", self.0))?;
        let attach = move || -> Outcome<OwnedFd> {
            // SAFETY: the descriptor is open; only this thread sees another network, and it ends here.
            if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error().into());
            }
            // SAFETY: the name ends with 0.
            let index = unsafe { libc::if_nametoindex(c"eth0".as_ptr()) };
            let mut programs = aya::Ebpf::load(&bpf::peers()?)?;
            Ok(bpf::attach(load(&mut programs, "empty_xdp")?.as_fd(), index)?)
        };
        let thread = thread::spawn(move || attach().map_err(|error| error.to_string()));
        Ok(thread.join().map_err(|_| "it panicked")??)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&format!("netns del {}", self.0));
    }
}

fn ip(words: &str) -> Outcome<()> {
    let output = Command::new("ip").args(words.split(' ')).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("ip {words}: {said}").into()) }
}

/// Nanoseconds that all processors together have been busy, interrupts and all.
fn busy() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().ok_or("/proc/stat is empty")?;
    let ticks: Vec<f64> = first.split_whitespace().skip(1).filter_map(|ticks| ticks.parse().ok()).collect();
    // user, nice, system, then idle and waiting for a disk, then interrupts; what other machines stole is not ours.
    let [user, nice, system, _, _, hard, soft, ..] = ticks[..] else { return Err("/proc/stat is short".into()) };
    Ok((user + nice + system + hard + soft) * 1e7)
}
