//! Signals over MQTT 5: each with QoS 1 on one topic, the state of each condition retained on a topic of its own, and a last
//! will that says that the monitor is gone.
//!
//! Which topics there are is `topic`'s, what the broker keeps is `board`'s, staying connected is `link`'s, one connection is
//! `connection`'s. There is no queue but the outbox: one signal at a time, for a broker may refuse one and take the next, and
//! yes is its PUBACK.

mod board;
mod connection;
mod link;
mod reason;
#[cfg(test)]
mod tests;
mod topic;

pub use board::Stated;

use super::delivery::Answer;
use super::letter::Letter;
use super::{Error, Sender, secret, tls};
use board::Board;
use connection::Connection;
use engine::judge::BLIND;
use engine::trouble::GIVEN_UP;
use engine::{Named, Plan, Signal};
use link::{Link, Own};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use topic::{OF_ROUTES, Topics};
use zeroize::Zeroizing;

/// An MQTT channel as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the broker is.
    pub broker: Broker,
    /// What all topics begin with.
    pub topic: String,
    /// Who we are to the broker; empty leaves that to it, and none is `oopsd-` and the node's name.
    pub client_id: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// How long nothing may be heard of us before the broker says that we are gone: one and a half times this.
    pub keep_alive: Duration,
    /// How long the broker waits before it says so, should we come back.
    pub will_delay: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// The conditions whose state is kept.
    pub stated: Vec<Stated>,
}

impl Config {
    /// Which conditions have a state: all that are configured, and those of the node, its routes and its other channels.
    pub(super) fn learn<'a>(&mut self, plan: &Plan, channels: impl Iterator<Item = &'a String>) {
        let configured = plan.conditions.iter().map(|it| (it.name.as_str(), plan.named(&it.scope)));
        let of_node = [(BLIND, Named::Node)];
        let of_routes =
            plan.routes.iter().flat_map(|route| OF_ROUTES.map(|it| (it, Named::Prefix(route.prefix.clone()))));
        let of_channels = channels.map(|name| (GIVEN_UP, Named::Channel(name.clone())));
        let all = configured.chain(of_node).chain(of_routes).chain(of_channels);
        self.stated = all.map(|(condition, scope)| Stated { condition: condition.to_owned(), scope }).collect();
    }
}

/// Where a broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// A name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whom to trust and who we are, where it speaks TLS.
    pub tls: Option<tls::Config>,
}

/// All that a connection takes.
#[derive(Debug)]
struct Access {
    host: String,
    port: u16,
    tls: Option<(ServerName<'static>, Arc<ClientConfig>)>,
    user: Option<String>,
    password: Option<Password>,
    keep_alive: Duration,
    will_delay: Duration,
    timeout: Duration,
}

/// Nothing prints it.
struct Password(Zeroizing<String>);

impl Password {
    fn expose(&self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

/// What is said of the monitor itself.
#[derive(Debug)]
struct Will {
    here: String,
    stopped: String,
    gone: String,
}

/// What signals go to.
#[derive(Debug)]
pub(super) struct Settings {
    name: String,
    config: Arc<Config>,
    access: Arc<Access>,
    /// From [`Settings::begin`] on.
    link: Option<Arc<Link>>,
}

impl Settings {
    pub(super) fn load(name: &str, config: &Config) -> Result<Self, Error> {
        let unusable = |why: String| Error::Mqtt { channel: name.to_owned(), why };
        let Broker { host, port, tls } = &config.broker;
        let tls = tls.as_ref().map(|tls| {
            let server = ServerName::try_from(host.clone()).map_err(|_| unusable(format!("{host} is no name")))?;
            let client = tls::client(tls).map_err(|why| unusable(why.to_string()))?;
            Ok((server, Arc::new(client)))
        });
        let password = config.password_file.as_deref().map(|path| password(path).map_err(unusable)).transpose()?;
        let access = Access {
            host: host.clone(),
            port: *port,
            tls: tls.transpose()?,
            user: config.user.clone(),
            password,
            keep_alive: config.keep_alive,
            will_delay: config.will_delay,
            timeout: config.timeout,
        };
        Ok(Self { name: name.to_owned(), config: Arc::new(config.clone()), access: Arc::new(access), link: None })
    }

    /// Connects, or stays connected as `before` is.
    pub(super) fn begin(&mut self, before: Option<&Self>, sender: &Sender, runtime: &Handle) {
        let same = |before: &Config| Config { stated: self.config.stated.clone(), ..before.clone() } == *self.config;
        let link = match before.and_then(|before| Some((before, before.link.clone()?))) {
            Some((before, link)) if same(&before.config) => {
                link.renew(Arc::clone(&self.access));
                link
            }
            before => {
                let own = self.own(sender);
                Arc::new(Link::start(own, before.map(|(_, link)| link), runtime))
            }
        };
        link.board.expect(&self.config.stated);
        self.link = Some(link);
    }

    /// A condition changed: what the broker keeps of it does, whatever waits.
    pub(super) fn note(&self, signal: &Signal) {
        if let Some(link) = &self.link {
            link.board.note(signal);
        }
    }

    /// Leaves the broker in good order.
    pub(super) async fn leave(&self) {
        if let Some(link) = &self.link {
            link.leave().await;
        }
    }

    /// Sends one signal on a connection of its own, beside that of a daemon that may run.
    pub(super) async fn once(&self, letter: &Letter) -> Answer {
        let own = self.own(&letter.sender);
        let id = if own.id.is_empty() { String::new() } else { format!("{}-test", own.id) };
        let work = async {
            let mut connection = Connection::open(&self.access, &id, None).await?;
            let message = link::message(&own, &connection, letter)?;
            let answer = connection.publish(&[message]).await?.into_iter().next().flatten();
            // It has the signal: how we part changes nothing.
            let _ = connection.leave().await;
            Ok(answer)
        };
        match tokio::time::timeout(self.config.timeout, work).await {
            Ok(Ok(None)) => Answer::Yes,
            Ok(Ok(Some(refusal)) | Err(refusal)) => refusal.answer(None),
            Err(_) => Answer::no("the broker does not answer"),
        }
    }

    fn own(&self, sender: &Sender) -> Own {
        let topics = Topics::new(&self.config.topic, &sender.node);
        Own {
            channel: self.name.clone(),
            id: self.config.client_id.clone().unwrap_or_else(|| format!("oopsd-{}", sender.node)),
            will: Will::new(sender),
            access: Arc::new(Mutex::new(Arc::clone(&self.access))),
            board: Arc::new(Board::new(topics.clone(), sender.clone())),
            topics,
        }
    }
}

impl Settings {
    /// Gives it one signal.
    pub(super) async fn attempt(&self, letter: &Letter) -> Answer {
        match &self.link {
            Some(link) => link.send(letter, self.config.timeout).await,
            None => Answer::no("not begun"),
        }
    }
}

impl Will {
    fn new(sender: &Sender) -> Self {
        let said = |status| {
            let said = Status { status, node: &sender.node, boot: &sender.boot, version: env!("CARGO_PKG_VERSION") };
            serde_json::to_string(&said).expect("it has only text for keys")
        };
        Self { here: said("here"), stopped: said("stopped"), gone: said("gone") }
    }
}

#[derive(Serialize)]
struct Status<'a> {
    status: &'static str,
    node: &'a str,
    boot: &'a str,
    version: &'static str,
}

/// What is wrong with a password file; for `check`.
pub(crate) fn password_file(path: &Path) -> Result<(), String> {
    password(path).map(|_| ())
}

/// What a file holds, without the end of its line.
fn password(path: &Path) -> Result<Password, String> {
    let text = secret::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let password = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    match password.len() {
        0 => Err(format!("{} is empty; write the password into it", path.display())),
        65_536.. => Err(format!("{} is too long for a password", path.display())),
        _ => Ok(Password(password)),
    }
}
