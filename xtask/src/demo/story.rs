//! What happens, in order: the load, what has to follow from it, and the line a person reads for each thing seen.

use super::PATIENCE;
use super::lab::{Lab, Process};
use super::watch::{Seen, What};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

/// The upstream's path without oopsd, and with the one step of the ladder.
const PLAIN: &str = "64999";
const LONGER: &str = "64999 64999 64999";

/// The demo as it goes.
pub(super) struct Story<'l> {
    pub(super) lab: &'l mut Lab,
    seen: Receiver<Seen>,
    began: SystemTime,
    listening: bool,
    path: String,
    signals: Vec<Value>,
    /// The condition and state of each webhook that came with the right signature.
    webhooks: Vec<(String, String)>,
    /// When the load last changed, once there is one.
    loaded: Option<SystemTime>,
    paths: Vec<Changed>,
}

/// A path that the upstream changed to.
#[derive(Debug)]
struct Changed {
    path: String,
    at: SystemTime,
    since_load: Duration,
}

impl<'l> Story<'l> {
    pub(super) fn new(lab: &'l mut Lab, seen: Receiver<Seen>) -> Self {
        let (signals, webhooks, paths) = (Vec::new(), Vec::new(), Vec::new());
        let (began, listening, path) = (SystemTime::now(), false, String::new());
        Self { lab, seen, began, loaded: None, listening, path, signals, webhooks, paths }
    }

    /// Raises and lowers the load; each step has to show before the next begins.
    pub(super) fn tell(&mut self) -> Result<()> {
        self.began = SystemTime::now();
        println!(
            "\n  nl-overload: over 10000 q/s for nl. lengthens the AS path of 192.0.2.0/24; under 7000 q/s for 2 s takes it back."
        );
        println!("  not-our-zone: over 50 responses a second with EDE 20 (Not Authoritative); a signal, no route.\n");
        println!("{:>8}  {:>10}  {:<20}  what", "time", "nl. q/s", "AS path at upstream");
        let mut load = None;
        // Far enough under the threshold for what dnsperf makes up for when it was held up.
        for rate in [2_000, 4_000, 6_000] {
            self.load(&mut load, "nl", rate)?;
            self.go_on(Duration::from_secs(3))?;
        }
        ensure!(self.signals.is_empty() && self.path == PLAIN, "something happened before the threshold was crossed");
        self.load(&mut load, "nl", 15_000)?;
        self.until("longer path after nl-overload is met", PATIENCE, |story| {
            story.path == LONGER && story.is_signalled("nl-overload", "met")
        })?;
        self.go_on(Duration::from_secs(2))?;
        self.load(&mut load, "nl", 8_500)?;
        self.go_on(Duration::from_secs(4))?;
        ensure!(self.path == LONGER, "the path went back between the thresholds");
        self.load(&mut load, "nl", 2_000)?;
        self.until("plain path after nl-overload is cleared", PATIENCE, |story| {
            story.is_plain() && story.is_signalled("nl-overload", "cleared")
        })?;
        self.load(&mut load, "elsewhere", 200)?;
        self.until("not-our-zone met", PATIENCE, |story| story.is_signalled("not-our-zone", "met"))?;
        self.load(&mut load, "nl", 1_000)?;
        self.until("not-our-zone cleared", PATIENCE, |story| story.is_signalled("not-our-zone", "cleared"))?;
        drop(load);
        self.judge()
    }

    /// Replaces the load by queries of a file, so many a second; they have EDNS, without which no server sends an extended error.
    fn load(&mut self, load: &mut Option<Process>, queries: &str, rate: u32) -> Result<()> {
        let file = self.lab.folder().join(format!("{queries}.queries"));
        let command = format!("dnsperf -e -s 192.0.2.1 -d {} -Q {rate} -l 120 -c 4", file.display());
        let next = self.lab.spawn("client", "dnsperf", &command, Stdio::null())?;
        drop(load.replace(next));
        let what =
            if queries == "nl" { "names under nl." } else { "names under example.net., which knotd does not serve" };
        let now = SystemTime::now();
        self.loaded = Some(now);
        self.say(now, "", &format!("dnsperf: {rate} q/s, {what}"));
        Ok(())
    }

    /// Says what is seen, for so long.
    fn go_on(&mut self, long: Duration) -> Result<()> {
        let end = Instant::now() + long;
        while Instant::now() < end {
            self.step()?;
        }
        Ok(())
    }

    /// Says what is seen, until `is_so`; fails after `limit`.
    pub(super) fn until(&mut self, what: &str, limit: Duration, is_so: fn(&Self) -> bool) -> Result<()> {
        let end = Instant::now() + limit;
        while !is_so(self) {
            ensure!(Instant::now() < end, "no {what} after {limit:?}");
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        self.lab.goes_on()?;
        match self.seen.recv_timeout(Duration::from_millis(50)) {
            Ok(seen) => self.take(seen),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => bail!("nothing is watched any more"),
        }
    }

    fn take(&mut self, Seen { at, what }: Seen) -> Result<()> {
        match what {
            What::Oopsd(line) => match line["type"].as_str() {
                Some("interval") => {
                    let rate = line["zones"]["nl."]["query_rate"].as_f64().unwrap_or_default();
                    self.say(at, &format!("{rate:.0}"), "");
                }
                Some("signal") => self.signal(at, line),
                _ => {}
            },
            What::Path(path) => self.path(at, path),
            What::Webhook(line) => self.webhook(at, &line)?,
        }
        Ok(())
    }

    fn signal(&mut self, at: SystemTime, signal: Value) {
        let [seq, value, threshold] = ["seq", "value", "threshold"].map(|key| signal[key].as_f64().unwrap_or_default());
        if self.signals.iter().any(|earlier| earlier["seq"] == signal["seq"]) {
            return;
        }
        let (condition, state) = (text(&signal["condition"]), text(&signal["state"]));
        let arguments = &signal["arguments"];
        self.say(at, "", &format!("signal {seq}: {condition} {state}, {value:.0} against {threshold:.0} {arguments}"));
        self.signals.push(signal);
    }

    /// It may be seen before the signal that it follows from: the two come by different ways.
    fn path(&mut self, at: SystemTime, path: String) {
        self.path.clone_from(&path);
        let Some(loaded) = self.loaded else { return };
        let since_load = at.duration_since(loaded).unwrap_or_default();
        self.say(at, "", &format!("path at the upstream: {path}"));
        self.paths.push(Changed { path, at, since_load });
    }

    fn webhook(&mut self, at: SystemTime, line: &Value) -> Result<()> {
        if !line["listening"].is_null() {
            self.listening = true;
            return Ok(());
        }
        ensure!(line["verified"] == true, "a webhook is refused: {}", line["why"]);
        let signal = &line["body"]["data"];
        let (condition, state) = (text(&signal["condition"]).to_owned(), text(&signal["state"]).to_owned());
        self.say(at, "", &format!("webhook: {condition} {state}, signature verified"));
        self.webhooks.push((condition, state));
        Ok(())
    }

    fn say(&self, at: SystemTime, rate: &str, what: &str) {
        let time = at.duration_since(self.began).unwrap_or_default().as_secs_f64();
        println!("{time:>6.1} s  {rate:>10}  {:<20}  {what}", self.path);
    }

    /// Whether the path at the upstream is as without oopsd.
    pub(super) fn is_plain(&self) -> bool {
        self.path == PLAIN
    }

    /// Whether the receiver listens.
    pub(super) fn can_receive(&self) -> bool {
        self.listening
    }

    /// Whether the signal came, by the log and by a webhook whose signature is right.
    fn is_signalled(&self, condition: &str, state: &str) -> bool {
        self.signals.iter().any(|signal| signal["condition"] == condition && signal["state"] == state)
            && self.webhooks.iter().any(|webhook| (webhook.0.as_str(), webhook.1.as_str()) == (condition, state))
    }

    /// The whole of it: these signals and no others, each once, and the path longer once and then back.
    fn judge(&self) -> Result<()> {
        let expected =
            [("nl-overload", "met"), ("nl-overload", "cleared"), ("not-our-zone", "met"), ("not-our-zone", "cleared")];
        let signals: Vec<_> =
            self.signals.iter().map(|signal| (text(&signal["condition"]), text(&signal["state"]))).collect();
        ensure!(signals == expected, "the signals are {signals:?}");
        let codes = &self.signals[2]["arguments"]["codes"];
        ensure!(codes["20"].as_u64() > Some(0), "not-our-zone names the codes {codes}");
        let webhooks: Vec<_> =
            self.webhooks.iter().map(|(condition, state)| (condition.as_str(), state.as_str())).collect();
        ensure!(webhooks == expected, "the webhooks are {webhooks:?}");
        let [longer, plain] = self.paths.as_slice() else { bail!("the paths are {:?}", self.paths) };
        ensure!(longer.path == LONGER && plain.path == PLAIN, "the paths are {:?}", self.paths);
        println!("\n  4 signals, 4 webhooks with the right signature. AS path at the upstream:");
        println!("    before  {PLAIN}");
        for (when, changed, signal) in [("during", longer, 0), ("after ", plain, 1)] {
            let Changed { path, at, since_load } = changed;
            let tick = since_tick(*at, text(&self.signals[signal]["at"]))?.as_millis();
            let load = since_load.as_secs_f64();
            println!(
                "    {when}  {path:<18} {tick} ms after the tick that crossed, {load:.1} s after the load changed"
            );
        }
        Ok(())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// From the tick of a signal, in RFC 3339 and UTC, to `now`; of less than a day.
fn since_tick(now: SystemTime, tick: &str) -> Result<Duration> {
    let clock = tick.strip_suffix('Z').and_then(|tick| tick.split_once('T')).context("a time that is not in UTC")?.1;
    let mut seconds = 0.0;
    for part in clock.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>()?;
    }
    let day = 86_400.0;
    let now = now.duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64() % day;
    Ok(Duration::from_secs_f64((now - seconds).rem_euclid(day)))
}
