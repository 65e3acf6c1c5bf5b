//! Inside of the machine: a cable, a client, a server and oopsd on each rung, with and without a VLAN; all counts exact.

use super::dns::{self, QUESTIONS, ZONE};
use crate::command::{output, run};
use anyhow::{Context, Result, ensure};
use clap::Subcommand;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What begins a line that is meant for a person.
pub(super) const MARK: &str = "kernels| ";

/// The last line, if all is well.
pub(super) const WELL: &str = "all counts are exact";

const METRICS: &str = "127.0.0.1:9553";

const SOON: Duration = Duration::from_secs(120);

/// The server's addresses: on the cable, and on its VLAN.
const PLAIN: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const TAGGED: [&str; 2] = ["198.51.100.1", "2001:db8:1::1"];

/// Interface, what `--capture` is, and the rung that it must come to.
const ROUNDS: [(&str, &str, &str); 6] = [
    ("eth0", "auto", "xdp"),
    ("eth0", "tc", "clsact"),
    ("eth0", "socket", "socket"),
    ("eth0.100", "auto", "clsact"),
    ("eth0.100", "tc", "clsact"),
    ("eth0.100", "socket", "socket"),
];

/// Who it is inside of the machine.
#[derive(Subcommand)]
pub(crate) enum Part {
    /// The one that starts the others
    All,
    /// The client
    Ask { server: IpAddr },
    /// The server
    Answer { addresses: Vec<IpAddr> },
}

/// Plays a part.
pub(crate) fn guest(part: &Part) -> Result<()> {
    match part {
        Part::Ask { server } => dns::ask(*server),
        Part::Answer { addresses } => dns::answer(addresses),
        Part::All => {
            match all() {
                Ok(()) => println!("{MARK}{WELL}"),
                Err(error) => println!("{MARK}failed: {error:#}"),
            }
            Ok(())
        }
    }
}

fn all() -> Result<()> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    println!("{MARK}Linux {}", release.trim());
    lay_cable()?;
    let addresses = PLAIN.iter().chain(&TAGGED);
    let mut server = Ended(Command::new("xtask").args(["guest", "answer"]).args(addresses).spawn()?);
    fs::write(
        "/tmp/oopsd.toml",
        format!("[capture]\ninterfaces = [\"eth0\"]\n[zones]\nnames = [{ZONE:?}]\n[metrics]\nlisten = {METRICS:?}\n"),
    )?;
    println!(
        "{MARK}{:10} {:8} {:8} {:>8} {:>9} {:>6}  programs, instructions verified",
        "interface", "asked", "rung", "queries", "responses", "EDE"
    );
    let mut failed = 0;
    for (interface, capture, rung) in ROUNDS {
        if let Err(error) = round((interface, capture, rung)) {
            failed += 1;
            println!(
                "{MARK}{interface} {capture} failed: {}",
                format!("{error:#}").replace('\n', &format!("\n{MARK}"))
            );
        }
    }
    ensure!(server.0.try_wait()?.is_none(), "the server ended");
    ensure!(failed == 0, "{failed} of {}", ROUNDS.len());
    Ok(())
}

fn lay_cable() -> Result<()> {
    let ip = |words: String| output(Command::new("ip").args(words.split(' '))).map(|_| ());
    ip("link set lo up".into())?;
    ip("netns add client".into())?;
    ip("link add eth0 type veth peer name eth0 netns client".into())?;
    for (at, end) in [("", 1), ("-n client ", 2)] {
        ip(format!("{at}link set eth0 up"))?;
        ip(format!("{at}link add link eth0 name eth0.100 type vlan id 100"))?;
        ip(format!("{at}link set eth0.100 up"))?;
        ip(format!("{at}addr add 192.0.2.{end}/24 dev eth0"))?;
        ip(format!("{at}addr add 2001:db8::{end}/64 dev eth0 nodad"))?;
        ip(format!("{at}addr add 198.51.100.{end}/24 dev eth0.100"))?;
        ip(format!("{at}addr add 2001:db8:1::{end}/64 dev eth0.100 nodad"))?;
    }
    Ok(())
}

/// Both kinds of traffic in each round: what is on the VLAN also passes the cable, and not the other way round.
fn round((interface, capture, rung): (&str, &str, &str)) -> Result<()> {
    let said = || fs::read_to_string("/tmp/oopsd.log").unwrap_or_default();
    let mut oopsd = Ended(
        Command::new("oopsd")
            .args(["run", "-c", "/tmp/oopsd.toml", "--json", "--interval", "1h", "-i", interface, "--capture", capture])
            .stdout(File::create("/tmp/oopsd.json")?)
            .stderr(File::create("/tmp/oopsd.log")?)
            .spawn()?,
    );
    until("oopsd is ready", || ensure_status("/readyz")).with_context(said)?;
    let metrics = get("/metrics")?;
    let active = |line: &&str| line.starts_with("oopsd_capture_active{") && line.ends_with(" 1");
    let kind =
        metrics.lines().find(active).and_then(|line| line.split("kind=\"").nth(1)?.split('"').next()).unwrap_or("none");
    let verified = if capture == "socket" { String::new() } else { verified()? };

    for address in PLAIN.iter().chain(&TAGGED) {
        output(Command::new("ip").args(["netns", "exec", "client", "xtask", "guest", "ask", address]))?;
    }
    let seen = if interface == "eth0" { 4 * QUESTIONS } else { 2 * QUESTIONS };
    let all_counted = || {
        let metrics = get("/metrics")?;
        let sum = |family: &str| -> u64 {
            let values =
                metrics.lines().filter(|line| line.starts_with(family)).filter_map(|line| line.rsplit(' ').next());
            values.filter_map(|value| value.parse::<u64>().ok()).sum()
        };
        ensure!(sum("oopsd_queries_total{") >= seen && sum("oopsd_responses_total{") >= seen, "not all is counted");
        Ok(())
    };
    // What is missing is said below.
    let _ = within(Duration::from_secs(5), all_counted);
    run(Command::new("kill").arg(oopsd.0.id().to_string()))?;
    until("oopsd ends", || oopsd.0.try_wait()?.context("it runs"))?;

    let text = fs::read_to_string("/tmp/oopsd.json")?;
    let summary: Value = serde_json::from_str(text.lines().last().unwrap_or_default()).with_context(said)?;
    let [total, zone, other] = [&summary["total"], &summary["zones"][ZONE], &summary["zones"]["other"]];
    println!(
        "{MARK}{interface:10} {capture:8} {kind:8} {:>8} {:>9} {:>6}  {verified}",
        total["queries"].to_string(),
        total["responses"].to_string(),
        total["ede"]["20"].to_string()
    );
    ensure!(kind == rung, "it stands on {kind}, and not on {rung}: {}", said());
    for (part, expected, ede) in [(total, seen, seen / 2), (zone, seen / 2, 0), (other, seen / 2, seen / 2)] {
        let counted =
            [&part["queries"], &part["responses"], &part["ede"]["20"]].map(|count| count.as_u64().unwrap_or(0));
        ensure!(
            counted == [expected, expected, ede],
            "{part}, where {expected} were asked and answered, {ede} with EDE 20: {summary}"
        );
    }
    for reason in ["malformed", "fragment", "truncated", "segment"] {
        ensure!(summary["skipped"][reason].as_u64().unwrap_or(0) == 0, "skipped: {summary}");
    }
    Ok(())
}

/// All programs of this kernel, each with how many instructions the verifier went through.
fn verified() -> Result<String> {
    let shown: Value = serde_json::from_str(&output(Command::new("bpftool").args(["-j", "prog", "show"]))?)?;
    let mut programs = Vec::new();
    for program in shown.as_array().context("no list")? {
        let id = program["id"].as_u64().context("no id")?;
        let program_fd = opened(u32::try_from(id)?)?;
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", program_fd.as_raw_fd()))?;
        let count = text.lines().find_map(|line| line.strip_prefix("verified_insns:")).context("no count")?;
        programs.push(format!("{} {}", program["name"].as_str().unwrap_or("unnamed"), count.trim()));
    }
    programs.sort();
    Ok(programs.join(", "))
}

/// The program with this number.
fn opened(id: u32) -> Result<OwnedFd> {
    const PROG_GET_FD_BY_ID: libc::c_long = 13;
    let attributes = [id, 0, 0];
    // SAFETY: the kernel reads as many bytes as there are.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, PROG_GET_FD_BY_ID, attributes.as_ptr(), size_of_val(&attributes)) };
    ensure!(fd >= 0, "program {id}: {}", std::io::Error::last_os_error());
    // SAFETY: the kernel has just given it to us.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd)?) })
}

fn ensure_status(path: &str) -> Result<()> {
    ensure!(get(path)?.starts_with("HTTP/1.1 200 "), "not yet");
    Ok(())
}

fn get(path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(METRICS)?;
    stream.set_read_timeout(Some(SOON))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: oopsd\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn until<T>(what: &str, look: impl FnMut() -> Result<T>) -> Result<T> {
    within(SOON, look).with_context(|| format!("within {SOON:?}: {what}"))
}

fn within<T>(limit: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => sleep(Duration::from_millis(20)),
        }
    }
}

/// A process that does not outlive this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
