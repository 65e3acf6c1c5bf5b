//! A message bus of D-Bus for one test, and who listens on it.

use crate::lab::{SOON, run, until};
use crate::servers::{Program, write};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What lets oopsd have its name, as packages install it.
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../monitor/dbus/org.oopsd.conf");

/// As on a system bus: signals and answers for all, names and calls for nobody but by a policy.
const STRICT: &str = r#"<policy context="default">
    <allow user="*"/><deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>"#;

/// Where a bus is, and what it is configured to.
#[derive(Clone, Debug)]
pub struct Place {
    folder: PathBuf,
    with_policy: bool,
}

impl Place {
    /// A bus in this folder; `with_policy` is whether the file that packages install is there.
    #[must_use]
    pub fn new(folder: &Path, with_policy: bool) -> Self {
        Self { folder: folder.to_owned(), with_policy }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> String {
        self.at("bus")
    }

    fn at(&self, socket: &str) -> String {
        format!("unix:path={}", self.folder.join(socket).display())
    }

    /// Starts dbus-daemon and waits until it answers.
    ///
    /// # Errors
    /// With what it said, if it does not come to that.
    pub fn start(&self) -> Result<Program> {
        self.start_at("bus")
    }

    /// The same with a listener that is there before anybody else, until when the bus has another address; `number` is which of those
    /// of this place it is.
    ///
    /// # Errors
    /// With what either said, if it does not come to that.
    pub fn start_heard(&self, number: usize) -> Result<(Program, Listener)> {
        let program = self.start_at("bus.new")?;
        let listener = self.listen_at("bus.new", &format!("heard.{number}"))?;
        fs::rename(self.folder.join("bus.new"), self.folder.join("bus"))?;
        Ok((program, listener))
    }

    fn start_at(&self, socket: &str) -> Result<Program> {
        let policy = if self.with_policy { format!("<include>{POLICY}</include>") } else { String::new() };
        let text = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig>\n  <type>system</type>\n  \
             <listen>{}</listen>\n  <auth>EXTERNAL</auth>\n  {STRICT}\n  {policy}\n</busconfig>\n",
            self.at(socket)
        );
        let file = write(&self.folder, "bus.conf", &text)?;
        let mut command = Command::new("dbus-daemon");
        command.args(["--nofork", "--nopidfile", "--nosyslog", "--config-file"]).arg(file);
        let program = Program::start(&mut command, &self.folder.join("bus.log"))?;
        until("a bus that answers", SOON, || {
            self.ask_at(socket, &["call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId"]).ok()
        })
        .with_context(|| program.said())?;
        Ok(program)
    }

    /// Runs busctl.
    ///
    /// # Errors
    /// What it says.
    pub fn ask(&self, words: &[&str]) -> Result<String> {
        self.ask_at("bus", words)
    }

    fn ask_at(&self, socket: &str, words: &[&str]) -> Result<String> {
        run(Command::new("busctl").arg(format!("--address={}", self.at(socket))).args(words))
    }

    /// A property of oopsd's.
    ///
    /// # Errors
    /// When nobody has oopsd's name.
    pub fn property(&self, name: &str) -> Result<String> {
        Ok(self.ask(&["get-property", "org.oopsd", "/org/oopsd", "org.oopsd.signals1", name])?.trim().to_owned())
    }

    /// Waits until a property is this.
    ///
    /// # Errors
    /// With what it is, if it does not come to that.
    pub fn becomes(&self, name: &str, value: &str) -> Result<()> {
        until(&format!("{name} {value}"), SOON, || (self.property(name).ok()? == value).then_some(()))
            .with_context(|| format!("{:?}", self.property(name)))
    }

    /// Listens to the bus from now on.
    ///
    /// # Errors
    /// With what it said, if it cannot.
    pub fn listen(&self) -> Result<Listener> {
        self.listen_at("bus", "heard")
    }

    fn listen_at(&self, socket: &str, file: &str) -> Result<Listener> {
        let mut command = Command::new("busctl");
        command.arg(format!("--address={}", self.at(socket))).args(["monitor", "--json=short"]);
        let program = Program::start(&mut command, &self.folder.join(file))?;
        until("a listener", SOON, || program.said().contains("Monitoring bus").then_some(()))
            .with_context(|| program.said())?;
        Ok(Listener(program))
    }
}

/// busctl as it listens.
#[derive(Debug)]
pub struct Listener(Program);

impl Listener {
    /// The signals of the interface `interface` so far: their names, and what they say.
    #[must_use]
    pub fn heard(&self, interface: &str) -> Vec<(String, Value)> {
        let said = self.0.said();
        let messages = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let messages = messages.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        messages
            .filter(|message| message["type"] == "signal" && message["interface"] == interface)
            .map(|message| (message["member"].as_str().unwrap_or_default().to_owned(), message["payload"].clone()))
            .collect()
    }
}
