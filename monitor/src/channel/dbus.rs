//! Signals on D-Bus, as Knot DNS has its own: name `org.oopsd`, path `/org/oopsd`, interface `org.oopsd.signals1`.
//!
//! What the interface looks like is `object`'s; being on the bus, also before and after it is there, is `bus`'s. Who may do
//! what there is the bus's own policy: `monitor/dbus/org.oopsd.conf`.

mod bus;
#[expect(clippy::too_many_arguments, reason = "a signal of D-Bus is flat, as a shell script reads it")]
mod object;

pub use bus::NAME;

use super::Sender;
use super::delivery::Answer;
use super::letter::Letter;
use bus::Bus;
use object::Object;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use zbus::{Connection, Error};

/// A D-Bus channel as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address of the bus; `None` is the system's.
    pub address: Option<String>,
}

/// How long an attempt waits to be on the bus, and how long for the bus.
const PATIENCE: Duration = Duration::from_secs(5);

/// What signals go to.
#[derive(Debug)]
pub(super) struct Settings {
    config: Config,
    /// From [`Settings::begin`] on.
    bus: Option<Arc<Bus>>,
}

impl Settings {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), bus: None }
    }

    /// Goes on the bus, or stays on it as `before` is.
    pub(super) fn begin(&mut self, before: Option<&Self>, sender: &Sender, runtime: &Handle) {
        let kept = before.filter(|before| before.config == self.config).and_then(|before| before.bus.clone());
        self.bus = Some(kept.unwrap_or_else(|| Arc::new(Bus::start(&self.config, Object::new(&sender.node), runtime))));
    }
}

impl Settings {
    /// Sends one signal; under our name, unless a daemon that runs has it.
    pub(super) async fn once(&self, letter: &Letter) -> Answer {
        let object = Object::new(&letter.sender.node);
        let work = async {
            let connection = match bus::connect(&self.config, &object, true).await {
                Err(Error::NameTaken) => bus::connect(&self.config, &object, false).await,
                other => other,
            };
            emit(&connection.map_err(|error| bus::said(&error))?, letter).await.map_err(|error| error.to_string())
        };
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(Ok(())) => Answer::Yes,
            Ok(Err(why)) => Answer::no(why),
            Err(_) => Answer::no("the bus does not answer"),
        }
    }
}

impl Settings {
    /// Gives it one signal.
    pub(super) async fn attempt(&self, letter: &Letter) -> Answer {
        let Some(bus) = &self.bus else { return Answer::no("not begun") };
        match bus.connection(PATIENCE).await {
            Ok(connection) => match tokio::time::timeout(PATIENCE, emit(&connection, letter)).await {
                Ok(Ok(())) => Answer::Yes,
                Ok(Err(error)) => Answer::no(error.to_string()),
                Err(_) => Answer::no("the bus does not answer"),
            },
            // What took time is to be on the bus: no further wait.
            Err(why) => Answer::No { why, retry_after: Some(Duration::ZERO), overloaded: false },
        }
    }
}

/// Says it, and has it when the bus has it: the bus takes what comes on a connection in order, and answers the question behind it.
async fn emit(connection: &Connection, letter: &Letter) -> zbus::Result<()> {
    let object = connection.object_server().interface::<_, Object>(object::PATH).await?;
    Object::emit(&object, letter).await?;
    let bus = "org.freedesktop.DBus";
    connection
        .call_method(Some(bus), "/org/freedesktop/DBus", Some("org.freedesktop.DBus.Peer"), "Ping", &())
        .await
        .map(|_| ())
}
