//! What it costs that no signal is lost: each is on the disk before it is sent to receivers on this machine, which answer at once.
//!
//! By the clock, but for what is said to be on processors. The disk is that of the temporary folder: a forced write is what a signal waits for.

use crate::figure::Figure;
use crate::process::{megabytes, nanoseconds};
use crate::{Outcome, table};
use serde_json::Value;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tests::channels::{Channels, Home};
use tests::lab::{Namespace, program, until};
use tests::receiver::SECRET;
use tests::receivers::{Http, Mood};
use tests::servers::Program;
use tests::{mosquitto, syslog_server};

const PATIENCE: Duration = Duration::from_secs(60);
/// A file, a webhook, rsyslog by TCP and by TLS, mosquitto with QoS 1.
const CHANNELS: [&str; 5] = ["log", "siem", "tcp", "tls", "mqtt"];
const SUSTAINED: u64 = 10_000;

/// Measures it.
pub(crate) fn measure() -> Outcome<()> {
    one_at_a_time()?;
    a_thousand_a_second()?;
    as_fast_as_they_go()?;
    a_hundred_thousand_wait()
}

fn one_at_a_time() -> Outcome<()> {
    let place = Place::new(Mood::Well, &CHANNELS)?;
    let mut channels = place.connected()?;
    for number in 1..=1_000 {
        channels.send(number, number)?;
        channels.kept().ok_or("it ended")?;
        // Each alone: what is measured is one signal's way, not a queue's.
        sleep(Duration::from_millis(2));
    }
    for channel in CHANNELS {
        print("a durable signal", channel, &settled(&mut channels, channel)?, Some(50.0));
    }
    Ok(())
}

fn a_thousand_a_second() -> Outcome<()> {
    let place = Place::new(Mood::Well, &CHANNELS)?;
    let mut channels = place.connected()?;
    let began = Instant::now();
    for tick in 0..SUSTAINED / 10 {
        // Of a hundred conditions: a broker keeps the state of each.
        let first = tick % 10 * 10 + 1;
        channels.post(first, first + 9)?;
        sleep((Duration::from_millis(10) * u32::try_from(tick + 1)?).saturating_sub(began.elapsed()));
    }
    let offered = began.elapsed().as_secs_f64();
    for channel in CHANNELS {
        let status = settled(&mut channels, channel)?;
        if status["sent"] != SUSTAINED + 1 {
            return Err(format!("{SUSTAINED} were sent, but {status}").into());
        }
        print("1000 durable signals a second for 10 s", channel, &status, Some(250.0));
    }
    let behind = began.elapsed().as_secs_f64() - offered;
    table::ours("    and all accepted so long after the last", "ms", &Figure::once(behind * 1e3), Some(250.0));
    Ok(())
}

fn as_fast_as_they_go() -> Outcome<()> {
    let place = Place::new(Mood::Well, &CHANNELS)?;
    let mut channels = place.connected()?;
    let process = channels.running.0.id();
    let (began, before) = (Instant::now(), nanoseconds(process)?);
    channels.send(1, SUSTAINED)?;
    channels.kept().ok_or("it ended")?;
    for channel in CHANNELS {
        settled(&mut channels, channel)?;
    }
    let signals = SUSTAINED as f64;
    let took = Figure::once(began.elapsed().as_secs_f64() * 1e6 / signals);
    table::ours("10,000 to all five at once, each", "us", &took, Some(1_000.0));
    let spent = Figure::once((nanoseconds(process)? - before) / 1e3 / signals);
    table::ours("    on processors, each", "us", &spent, None);
    Ok(())
}

fn a_hundred_thousand_wait() -> Outcome<()> {
    const WAITING: u64 = 100_000;
    let place = Place::new(Mood::BlackHole, &["log", "siem"])?;
    let mut channels = place.start()?;
    channels.send(1, 1)?;
    channels.kept().ok_or("it ended")?;
    let before = megabytes(channels.running.0.id(), "VmRSS")?;
    for thousand in 0..WAITING / 1_000 {
        channels.send(thousand * 1_000 + 2, (thousand + 1) * 1_000 + 1)?;
        channels.kept().ok_or("it ended")?;
    }
    settled(&mut channels, "log")?;
    let grown = megabytes(channels.running.0.id(), "VmRSS")? - before;
    table::ours("memory with 100,000 waiting", "MB", &Figure::once(grown), Some(128.0));
    channels.running.kill();
    let began = Instant::now();
    let mut channels = place.start()?;
    if channels.status("siem")?["waiting"].as_u64() < Some(WAITING) {
        return Err("some are gone".into());
    }
    let took = began.elapsed().as_secs_f64() * 1e3;
    table::ours("    found again after a kill", "ms", &Figure::once(took), Some(3_000.0));
    Ok(())
}

/// A namespace with all receivers in it.
struct Place {
    host: Arc<Namespace>,
    home: Home,
    _receivers: (Http, Program, Program),
    _folder: TempDir,
}

impl Place {
    /// These channels, of which the webhook's receiver is like this; the others are well.
    fn new(mood: Mood, channels: &[&str]) -> Outcome<Self> {
        let (host, folder) = (Arc::new(Namespace::new("bench-signals")?), tempfile::tempdir()?);
        let http = host.inside(Http::start)?;
        http.mood(mood);
        let syslog = syslog_server::Place::new(&host, folder.path())?;
        let broker = mosquitto::Place::new(&host, folder.path(), "allow_anonymous true")?;
        let receivers = (http, syslog.start("gtls")?, broker.start()?);
        let webhook = format!("url = \"http://{}/\"\nsecret-file = \"webhook.secret\"\n", receivers.0.address);
        let waits = "queue = 1000000\nqueue-size = \"256MiB\"\n";
        let config: String = [
            ("log", "log", "file = \"signals.jsonl\"\n"),
            ("siem", "webhook", &format!("{webhook}timeout = \"60s\"\n")),
            ("tcp", "syslog", "address = \"tcp://127.0.0.1\"\n"),
            ("tls", "syslog", &syslog.tls()),
            ("mqtt", "mqtt", "broker = \"mqtt://127.0.0.1\"\n"),
        ]
        .into_iter()
        .filter(|(name, ..)| channels.contains(name))
        .map(|(name, kind, rest)| format!("[[channel]]\nname = \"{name}\"\ntype = \"{kind}\"\n{waits}{rest}"))
        .collect();
        let home = Home::new(&config, &[("webhook.secret", SECRET)])?;
        Ok(Self { host, home, _receivers: receivers, _folder: folder })
    }

    /// With one signal behind all of them, so that no connection is waited for.
    fn connected(&self) -> Outcome<Channels> {
        let mut channels = self.start()?;
        channels.send(0, 0)?;
        channels.kept().ok_or("it ended")?;
        for channel in CHANNELS {
            settled(&mut channels, channel)?;
        }
        Ok(channels)
    }

    fn start(&self) -> Outcome<Channels> {
        let path = program("channels")?;
        Ok(self.home.start_by(&mut self.host.command(path.to_str().ok_or("UTF-8")?))?)
    }
}

/// Its counts once nothing waits for it.
fn settled(channels: &mut Channels, channel: &str) -> Outcome<Value> {
    Ok(until("nothing waits", PATIENCE, || channels.status(channel).ok().filter(|status| status["waiting"] == 0))?)
}

fn print(what: &str, channel: &str, status: &Value, most: Option<f64>) {
    let figure = |key: &str| Figure::once(status[key].as_f64().unwrap_or(f64::NAN));
    table::ours(&format!("{what}, tick to {channel}'s yes, p50"), "ms", &figure("p50_ms"), None);
    table::ours(&format!("{what}, tick to {channel}'s yes, p99"), "ms", &figure("p99_ms"), most);
}
