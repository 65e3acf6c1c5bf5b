//! Being on the bus: comes to it when it is there, comes back when it was gone.

use super::Config;
use super::object::{self, Object};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zbus::connection::Builder;
use zbus::{Connection, Error};

/// Our name on the bus.
pub const NAME: &str = "org.oopsd";

/// Between two attempts, the first and the last.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// On the bus, or why not. Leaves it when dropped.
#[derive(Debug)]
pub(super) struct Bus {
    standing: watch::Receiver<Result<Connection, String>>,
    task: JoinHandle<()>,
}

impl Bus {
    /// Begins to be on the bus, on `runtime`, and never ends to.
    pub(super) fn start(config: &Config, object: Object, runtime: &Handle) -> Self {
        let (say, standing) = watch::channel(Err(String::from("not yet on the bus")));
        let task = runtime.spawn(stay(config.clone(), object, say));
        Self { standing, task }
    }

    /// The connection, once there is one; or, after `patience`, why there is none.
    pub(super) async fn connection(&self, patience: Duration) -> Result<Connection, String> {
        let mut standing = self.standing.clone();
        match tokio::time::timeout(patience, standing.wait_for(Result::is_ok)).await {
            Ok(Ok(connection)) => connection.clone(),
            Ok(Err(_)) => Err(String::from("the program ends")),
            Err(_) => self.standing.borrow().clone(),
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn stay(config: Config, object: Object, say: watch::Sender<Result<Connection, String>>) {
    let at = config.address.as_deref().unwrap_or("the system bus");
    let mut wait = WAITS.0;
    loop {
        match connect(&config, &object, true).await {
            Ok(connection) => {
                tracing::info!(bus = at, name = NAME, "on the bus");
                wait = WAITS.0;
                say.send_modify(|standing| *standing = Ok(connection.clone()));
                connection.closed().await;
                tracing::warn!(bus = at, "the bus is gone");
                say.send_modify(|standing| *standing = Err(String::from("the bus is gone")));
            }
            Err(error) => {
                let why = said(&error);
                if matches!(&*say.borrow(), Err(before) if *before == why) {
                    tracing::debug!(bus = at, why, "not on the bus");
                } else {
                    tracing::warn!(bus = at, why, "not on the bus");
                }
                say.send_modify(|standing| *standing = Err(why));
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAITS.1);
    }
}

/// Comes to the bus; with our name, or as nobody.
pub(super) async fn connect(config: &Config, object: &Object, with_name: bool) -> zbus::Result<Connection> {
    let builder = match &config.address {
        Some(address) => Builder::address(address.as_str()),
        None => Builder::system(),
    };
    let mut connection = builder.method_timeout(super::PATIENCE).serve_at(object::PATH, object.clone());
    if with_name {
        // Whoever has it keeps it: a second oopsd, or a test, must not take it away unseen.
        connection = connection.name(NAME).allow_name_replacements(false).replace_existing_names(false);
    }
    tokio::time::timeout(super::PATIENCE, connection.build())
        .await
        .unwrap_or_else(|_| Err(Error::Failure(String::from("the bus does not answer"))))
}

/// The error, and what an operator does about it where that is known.
pub(super) fn said(error: &Error) -> String {
    let text = error.to_string();
    if *error == Error::NameTaken {
        format!("another program has the name {NAME}")
    } else if text.contains("AccessDenied") {
        // In its words it has another number each time.
        format!(
            "the bus does not let this user have the name {NAME}: put org.oopsd.conf into /usr/share/dbus-1/system.d"
        )
    } else {
        text
    }
}
