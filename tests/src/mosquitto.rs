//! mosquitto for one test, in a namespace, and who listens to it.

use crate::lab::{Namespace, SOON, until};
use crate::servers::{Program, write};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Where it listens, in its namespace.
pub const PORT: u16 = 1883;
/// The same for TLS.
pub const TLS_PORT: u16 = 8883;

/// Where a broker is, and what it is configured to.
#[derive(Clone, Debug)]
pub struct Place {
    host: Arc<Namespace>,
    folder: PathBuf,
    /// What `mosquitto_sub` needs to be let in.
    login: Vec<String>,
}

/// A message as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// Its topic.
    pub topic: String,
    /// Whether it was kept by the broker.
    pub retained: bool,
    /// What it says; null if that is empty.
    pub payload: Value,
}

impl Place {
    /// A broker in this namespace and folder, with these lines in its configuration besides the port.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn new(host: &Arc<Namespace>, folder: &Path, lines: &str) -> Result<Self> {
        let place = Self { host: Arc::clone(host), folder: folder.to_owned(), login: Vec::new() };
        place.configure(lines)?;
        Ok(place)
    }

    /// Who listens logs in so.
    #[must_use]
    pub fn with_login(self, user: &str, password: &str) -> Self {
        let login = ["-u", user, "-P", password].map(str::to_owned).into();
        Self { login, ..self }
    }

    /// Other lines, from the next start on.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn configure(&self, lines: &str) -> Result<()> {
        let here = self.folder.display();
        let text = format!(
            "per_listener_settings false\nuser root\nlog_dest stderr\nlog_type all\nconnection_messages true\n\
             persistence_location {here}/\nlistener {PORT} 127.0.0.1\n{lines}\n"
        );
        write(&self.folder, "mosquitto.conf", &text)?;
        Ok(())
    }

    /// Starts mosquitto and waits until it listens.
    ///
    /// # Errors
    /// With what it said, if it does not come to that.
    pub fn start(&self) -> Result<Program> {
        let mut command = self.host.command("mosquitto");
        command.arg("-c").arg(self.folder.join("mosquitto.conf"));
        let program = Program::start(&mut command, &self.folder.join("mosquitto.log"))?;
        until("mosquitto", SOON, || program.said().contains("running").then_some(()))
            .with_context(|| program.said())?;
        Ok(program)
    }

    /// Listens to these topics from now on, with a session of this name that outlives its connection; `mosquitto_sub` comes
    /// back by itself.
    ///
    /// # Errors
    /// With what it said, if it cannot.
    pub fn listen(&self, name: &str, topics: &[&str]) -> Result<Listener> {
        let mut command = self.subscriber(topics);
        command.args(["-i", name, "-c", "-x", "3600", "-q", "1", "-d", "-D", "connect", "receive-maximum", "65535"]);
        let program = Program::start(&mut command, &self.folder.join(format!("{name}.heard")))?;
        until("a listener", SOON, || program.said().contains("Subscribed").then_some(()))
            .with_context(|| program.said())?;
        Ok(Listener(program))
    }

    /// What is kept under this topic now, if anything is.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn kept(&self, topic: &str) -> Result<Option<Value>> {
        let mut command = self.subscriber(&[topic]);
        // It has what is kept, or waits for a second.
        let output = command.args(["-C", "1", "-W", "1", "--retained-only"]).output()?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(output.status.success() || output.status.code() == Some(27), "{}", String::from_utf8(output.stderr)?);
        Ok(heard(&text).into_iter().next().map(|heard| heard.payload))
    }

    /// Waits until what is kept under this topic says `value` at `key`.
    ///
    /// # Errors
    /// With what it says, if it does not come to that.
    pub fn becomes(&self, topic: &str, key: &str, value: &str) -> Result<Value> {
        let look = || self.kept(topic).ok().flatten().filter(|kept| kept[key] == value);
        until(&format!("{key} {value} under {topic}"), SOON, look).with_context(|| format!("{:?}", self.kept(topic)))
    }

    fn subscriber(&self, topics: &[&str]) -> Command {
        // By itself it says nothing before its buffer is full.
        let mut command = self.host.command("stdbuf");
        command
            .args([
                "-oL",
                "mosquitto_sub",
                "-V",
                "5",
                "-h",
                "127.0.0.1",
                "-p",
                &PORT.to_string(),
                "-F",
                "heard %r %t %p",
            ])
            .args(&self.login);
        for topic in topics {
            command.args(["-t", topic]);
        }
        command
    }
}

/// `mosquitto_sub` as it listens.
#[derive(Debug)]
pub struct Listener(Program);

impl Listener {
    /// What it heard so far.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        heard(&self.0.said())
    }

    /// Waits until it heard something of which `find` makes something.
    ///
    /// # Errors
    /// With all that it heard, if it does not come to that.
    pub fn hears<T>(&self, what: &str, mut find: impl FnMut(&[Heard]) -> Option<T>) -> Result<T> {
        until(what, SOON, || find(&self.heard())).with_context(|| format!("{:#?}", self.heard()))
    }
}

fn heard(text: &str) -> Vec<Heard> {
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines
        .filter_map(|line| {
            let mut words = line.trim_end_matches('\n').strip_prefix("heard ")?.splitn(3, ' ');
            let (retained, topic, payload) = (words.next()? == "1", words.next()?.to_owned(), words.next()?);
            Some(Heard { topic, retained, payload: serde_json::from_str(payload).unwrap_or_default() })
        })
        .collect()
}
