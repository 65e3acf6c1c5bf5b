//! Receivers that are other people's programs, in a namespace of their own: rsyslog and mosquitto.

use super::Kind;
use crate::receivers::Arrival;
use crate::syslog::{arrival, way};
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::Arc;
use tests::lab::{self, Namespace, SOON, until};
use tests::mosquitto::{self, Listener};
use tests::servers::Program;
use tests::syslog_server;

/// All that can be had here, on `host`.
pub(crate) fn all(host: &Arc<Namespace>, folder: &Path) -> Result<Vec<Box<dyn Kind>>> {
    let mut kinds: Vec<Box<dyn Kind>> = Vec::new();
    if lab::ready(&["openssl", "rsyslogd"]) {
        let place = Arc::new(syslog_server::Place::new(host, folder)?);
        let server = place.start("gtls")?;
        for way in ["tls", "local", "udp"] {
            kinds.push(Box::new(Syslog { way, place: Arc::clone(&place), server: None }));
        }
        kinds.push(Box::new(Syslog { way: "tcp", place, server: Some(server) }));
    }
    if lab::ready(&["mosquitto", "mosquitto_sub"]) {
        kinds.push(Box::new(Mqtt::start(host, folder)?));
    }
    Ok(kinds)
}

/// rsyslog, which is stopped now and then, and killed while the sender lives: of what it is killed with, and the sender too, nobody
/// knows.
struct Syslog {
    way: &'static str,
    place: Arc<syslog_server::Place>,
    /// There is one for all ways.
    server: Option<Program>,
}

impl Kind for Syslog {
    fn name(&self) -> &'static str {
        self.way
    }

    fn config(&self) -> String {
        let place = match self.way {
            "tls" => self.place.tls(),
            "local" => format!("address = \"{}\"\n", self.place.file("log").display()),
            way => format!("address = \"{way}://127.0.0.1\"\n"),
        };
        let waits = "timeout = \"1s\"\nqueue = 100000\n";
        format!("[[channel]]\ntype = \"syslog\"\nname = \"{}\"\n{place}{waits}", self.way)
    }

    fn mood(&mut self, number: u64) -> Result<()> {
        if let Some(server) = &self.server {
            server.signal(if number < 2 { libc::SIGSTOP } else { libc::SIGCONT });
        }
        Ok(())
    }

    fn is_program(&self) -> bool {
        true
    }

    fn kill(&mut self) -> Result<()> {
        if let Some(server) = &mut self.server {
            server.end(libc::SIGKILL)?;
            *server = self.place.start("gtls")?;
        }
        Ok(())
    }

    /// UDP says nothing of what became of it.
    fn may_lose(&self) -> bool {
        self.way == "udp"
    }

    fn got(&self) -> Result<Vec<Arrival>> {
        Ok(self.place.got().iter().filter(|message| way(message) == self.way).filter_map(arrival).collect())
    }
}

/// mosquitto, which is stopped and killed now and then, and who listens to it, in a session that it keeps. It is killed only while the
/// listener is connected and has read all: what it said yes to it has passed on, and a listener that cannot answer any more
/// reads no further.
struct Mqtt {
    host: Arc<Namespace>,
    place: mosquitto::Place,
    broker: Program,
    listener: Listener,
}

impl Mqtt {
    fn start(host: &Arc<Namespace>, folder: &Path) -> Result<Self> {
        let lines = "allow_anonymous true\npersistence true\nmax_inflight_messages 0\nmax_queued_messages 0\n";
        let place = mosquitto::Place::new(host, folder, lines)?;
        let broker = place.start()?;
        let listener = place.listen("counter", &["oopsd/v1/+/signal"])?;
        // Its session is on the disk from here on.
        broker.signal(libc::SIGUSR1);
        let is_saved = || folder.join("mosquitto.db").is_file().then_some(());
        until("a session on the disk", SOON, is_saved)?;
        Ok(Self { host: Arc::clone(host), place, broker, listener })
    }

    /// Whether nothing of what it sent is under way or not read yet.
    fn has_passed_all_on(&self) -> Result<bool> {
        let connections = lab::run(self.host.command("ss").args(["-Htn", "state", "established"]))?;
        Ok(connections.lines().all(|line| {
            let mut words = line.split_whitespace();
            let [unread, unsent, from] = [words.next(), words.next(), words.next()].map(Option::unwrap_or_default);
            let from_broker = from.ends_with(":1883");
            if from_broker { unsent == "0" } else { unread == "0" }
        }))
    }
}

impl Kind for Mqtt {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn config(&self) -> String {
        let waits = "timeout = \"300ms\"\nqueue = 100000\n";
        format!("[[channel]]\ntype = \"mqtt\"\nbroker = \"mqtt://127.0.0.1\"\n{waits}")
    }

    fn mood(&mut self, number: u64) -> Result<()> {
        self.broker.signal(if number == 0 { libc::SIGSTOP } else { libc::SIGCONT });
        if number == 1 { self.kill() } else { Ok(()) }
    }

    fn is_program(&self) -> bool {
        true
    }

    fn kill(&mut self) -> Result<()> {
        self.broker.signal(libc::SIGSTOP);
        until("the listener has read all", SOON, || self.has_passed_all_on().ok()?.then_some(()))?;
        self.broker.end(libc::SIGKILL)?;
        self.broker = self.place.start()?;
        let broker = &self.broker;
        let is_back = || broker.said().contains("as counter").then_some(());
        until("the listener is back", SOON, is_back).with_context(|| broker.said())
    }

    fn got(&self) -> Result<Vec<Arrival>> {
        Ok(self.listener.heard().iter().filter_map(|heard| Arrival::of(&heard.payload.to_string())).collect())
    }
}
