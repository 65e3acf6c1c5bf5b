//! A receiver for each type of channel, which can be ill in its own ways.

pub(super) mod servers;

use anyhow::{Context, Result};
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tests::lab;
use tests::message_bus::{Listener, Place};
use tests::receivers::{Arrival, Http, Mood};
use tests::servers::Program;

/// The other side of a channel.
pub(crate) trait Kind: Send {
    /// The channel's name.
    fn name(&self) -> &'static str;

    /// The channel's table.
    fn config(&self) -> String;

    /// Does one of twelve things from now on; half of them are to be well.
    fn mood(&mut self, number: u64) -> Result<()>;

    /// Is well from now on.
    fn well(&mut self) -> Result<()> {
        self.mood(u64::MAX)
    }

    /// Whether it is a program that is killed, too.
    fn is_program(&self) -> bool {
        false
    }

    /// Kills the program that it is, if it is one, and starts it again.
    fn kill(&mut self) -> Result<()> {
        Ok(())
    }

    /// Whether it may lose what was sent to it while it is ill.
    fn may_lose(&self) -> bool {
        false
    }

    /// What came, in order.
    fn got(&self) -> Result<Vec<Arrival>>;
}

/// All that can be had here.
pub(crate) fn all(folder: &Path) -> Result<Vec<Box<dyn Kind>>> {
    let mut kinds: Vec<Box<dyn Kind>> = vec![
        Box::new(Webhook(Http::start()?)),
        Box::new(Log { folder: folder.to_owned(), moved: 0 }),
        Box::new(Exec::new(folder)?),
        Box::new(Notify::start()?),
    ];
    if lab::ready(&["dbus-daemon", "busctl"]) {
        kinds.push(Box::new(Dbus::start(folder)?));
    }
    Ok(kinds)
}

struct Webhook(Http);

impl Kind for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn config(&self) -> String {
        let waits = "timeout = \"200ms\"\nqueue = 100000\n";
        format!(
            "[[channel]]\ntype = \"webhook\"\nurl = \"http://{}/\"\nsecret-file = \"webhook.secret\"\n{waits}",
            self.0.address
        )
    }

    fn mood(&mut self, number: u64) -> Result<()> {
        self.0.mood(match number {
            0 => Mood::Fails,
            1 => Mood::BlackHole,
            2 => Mood::HangsUp,
            3 => Mood::Slow,
            4 => Mood::Stopped,
            5 => Mood::Gone,
            _ => Mood::Well,
        });
        Ok(())
    }

    fn got(&self) -> Result<Vec<Arrival>> {
        Ok(self.0.got())
    }
}

/// A file that is moved away now and then.
struct Log {
    folder: PathBuf,
    moved: u32,
}

impl Log {
    fn file(&self, number: u32) -> PathBuf {
        self.folder.join(format!("log.{number}"))
    }
}

impl Kind for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn config(&self) -> String {
        format!("[[channel]]\ntype = \"log\"\nfile = \"{}\"\nqueue = 100000\n", self.folder.join("log").display())
    }

    fn mood(&mut self, number: u64) -> Result<()> {
        let file = self.folder.join("log");
        if number == 0 && file.exists() {
            self.moved += 1;
            fs::rename(file, self.file(self.moved))?;
        }
        Ok(())
    }

    fn got(&self) -> Result<Vec<Arrival>> {
        let mut got = Vec::new();
        for file in (1..=self.moved).map(|number| self.file(number)).chain([self.folder.join("log")]) {
            got.extend(fs::read_to_string(file).unwrap_or_default().lines().filter_map(Arrival::of));
        }
        Ok(got)
    }
}

/// A script that does as a file tells it.
struct Exec {
    folder: PathBuf,
}

impl Exec {
    fn new(folder: &Path) -> Result<Self> {
        let program = folder.join("program");
        fs::write(&program, SCRIPT.replace("{folder}", &folder.display().to_string()))?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700))?;
        let mut exec = Self { folder: folder.to_owned() };
        exec.well()?;
        Ok(exec)
    }
}

/// One process: what is built into the shell is enough.
const SCRIPT: &str = r#"#!/bin/sh
read -r mood < {folder}/mood
[ "$mood" = refuses ] && exit 1
[ "$mood" = hangs ] && exec sleep 1
[ "$mood" = stops ] && kill -STOP $$
[ "$mood" = slow ] && sleep 0.02
read -r line
printf '%s\n' "$line" >> {folder}/programmed
[ "$mood" != fails ]
"#;

impl Kind for Exec {
    fn name(&self) -> &'static str {
        "exec"
    }

    fn config(&self) -> String {
        let program = self.folder.join("program");
        format!(
            "[[channel]]\ntype = \"exec\"\ncommand = \"{}\"\ntimeout = \"500ms\"\nqueue = 100000\n",
            program.display()
        )
    }

    fn mood(&mut self, number: u64) -> Result<()> {
        let mood = ["refuses", "hangs", "stops", "slow", "fails"].get(usize::try_from(number).unwrap_or(9));
        let beside = self.folder.join("mood.new");
        fs::write(&beside, format!("{}\n", mood.unwrap_or(&"well")))?;
        Ok(fs::rename(beside, self.folder.join("mood"))?)
    }

    fn got(&self) -> Result<Vec<Arrival>> {
        let text = fs::read_to_string(self.folder.join("programmed"))?;
        Ok(text.lines().filter_map(Arrival::of).collect())
    }
}

/// A name server that is told. A NOTIFY says nothing but the zone, so that its first label is all there is to know.
struct Notify {
    address: SocketAddr,
    state: Arc<Mutex<(u64, Vec<Arrival>)>>,
}

impl Notify {
    fn start() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let notify = Self { address: socket.local_addr()?, state: Arc::new(Mutex::new((u64::MAX, Vec::new()))) };
        let state = Arc::clone(&notify.state);
        thread::spawn(move || -> Result<()> {
            let mut packet = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut packet)?;
                let label = packet.get(13..13 + usize::from(packet[12])).context("a label")?;
                let number = std::str::from_utf8(label)?.parse()?;
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                let mood = state.0;
                if mood != 0 {
                    state.1.push(Arrival { number, id: String::new(), text: String::new() });
                }
                drop(state);
                match mood {
                    // Nobody is there, or there is no way back.
                    0 | 1 => continue,
                    2 => thread::sleep(Duration::from_millis(20)),
                    _ => {}
                }
                packet[2] |= 0x80;
                packet[3] = if mood == 3 { 2 } else { 0 };
                socket.send_to(&packet[..length], from)?;
            }
        });
        Ok(notify)
    }
}

impl Kind for Notify {
    fn name(&self) -> &'static str {
        "notify"
    }

    fn config(&self) -> String {
        format!("[[channel]]\ntype = \"notify\"\nserver = \"{}\"\ntimeout = \"500ms\"\nqueue = 100000\n", self.address)
    }

    fn mood(&mut self, number: u64) -> Result<()> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = number;
        Ok(())
    }

    fn got(&self) -> Result<Vec<Arrival>> {
        Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner).1.clone())
    }
}

/// A bus that is stopped now and then, and who listens on it.
struct Dbus {
    place: Place,
    bus: Program,
    /// On this bus and on those before it that were killed.
    listeners: Vec<Listener>,
    is_stopped: bool,
}

impl Dbus {
    fn start(folder: &Path) -> Result<Self> {
        let place = Place::new(folder, true);
        let (bus, listener) = place.start_heard(0)?;
        Ok(Self { place, bus, listeners: vec![listener], is_stopped: false })
    }
}

impl Kind for Dbus {
    fn name(&self) -> &'static str {
        "dbus"
    }

    fn config(&self) -> String {
        format!("[[channel]]\ntype = \"dbus\"\naddress = \"{}\"\nqueue = 100000\n", self.place.address())
    }

    fn mood(&mut self, number: u64) -> Result<()> {
        let stops = number < 2;
        if stops != std::mem::replace(&mut self.is_stopped, stops) {
            self.bus.signal(if stops { libc::SIGSTOP } else { libc::SIGCONT });
        }
        Ok(())
    }

    fn is_program(&self) -> bool {
        true
    }

    fn kill(&mut self) -> Result<()> {
        self.bus.end(libc::SIGKILL)?;
        let (bus, listener) = self.place.start_heard(self.listeners.len())?;
        self.bus = bus;
        self.listeners.push(listener);
        Ok(())
    }

    fn got(&self) -> Result<Vec<Arrival>> {
        let of = |payload: &serde_json::Value| {
            let said = payload.get("data")?;
            let number = said.get(0)?.as_str()?.parse().ok()?;
            Some(Arrival { number, id: said.get(7)?.as_str()?.to_owned(), text: payload.to_string() })
        };
        let heard = self.listeners.iter().flat_map(|listener| listener.heard("org.oopsd.signals1"));
        Ok(heard.filter_map(|(_, payload)| of(&payload)).collect())
    }
}
