//! Signals to syslog: RFC 5424 over UDP (RFC 5426), TCP with octet counting (RFC 6587) or TLS (RFC 5425), or to the socket of
//! this host.
//!
//! Syslog has no answer. What counts as one differs: `udp` says it of UDP, `line` of all others.
//! What is in a message is `message`'s.

mod line;
mod message;
mod udp;

use super::delivery::Answer;
use super::letter::Letter;
use super::{Error, tls};
use line::{Line, To};
use rustls::ClientConfig;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use udp::Udp;

/// A syslog as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where it listens.
    pub address: Address,
    /// How a message looks.
    pub format: Format,
    /// The number of the facility, 0 to 23.
    pub facility: u8,
    /// The number of the severity of a condition that is met, 0 to 7.
    pub severity: u8,
    /// The same of one that is cleared.
    pub severity_cleared: u8,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// The names of the facilities 0 to 23, as syslog.conf has them; what has none there is left out.
pub const FACILITIES: [(&str, u8); 20] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// The names of the severities 0 to 7.
pub const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// Where a syslog listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket of this host.
    Local(PathBuf),
    /// Datagrams.
    Udp(Place),
    /// A stream.
    Tcp(Place),
    /// A stream with TLS.
    Tls(Place, tls::Config),
}

/// A port of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// How a message looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// With structured data.
    Rfc5424,
    /// `ArcSight`'s common format, as the text of such a message.
    Cef,
}

/// How many signals go out by a line before its acknowledgement is waited for.
const AT_ONCE: usize = 64;

/// A syslog that can be sent to.
#[derive(Debug)]
pub(super) struct Settings {
    config: Config,
    /// With TLS.
    client: Option<Arc<ClientConfig>>,
    link: Arc<Link>,
}

#[derive(Debug)]
enum Link {
    Udp(Mutex<Udp>),
    Line(Mutex<Line>),
}

impl Settings {
    /// Reads the files that `config` names.
    pub(super) fn load(name: &str, config: &Config) -> Result<Self, Error> {
        let client = match &config.address {
            Address::Tls(_, tls) => {
                let client = tls::client(tls).map_err(|why| Error::Tls { channel: name.to_owned(), why })?;
                Some(Arc::new(client))
            }
            Address::Local(_) | Address::Udp(_) | Address::Tcp(_) => None,
        };
        let link = match &config.address {
            Address::Udp(place) => Link::Udp(Mutex::new(Udp::new(place.clone()))),
            Address::Local(path) => Link::Line(Mutex::new(Line::new(To::Socket(path.clone())))),
            Address::Tcp(place) | Address::Tls(place, _) => Link::Line(Mutex::new(Line::new(To::Host(place.clone())))),
        };
        Ok(Self { config: config.clone(), client, link: Arc::new(link) })
    }

    /// Goes on with the connection of `before`, if it is to the same place.
    pub(super) fn begin(&mut self, before: &Self) {
        let is_same = match (&self.config.address, &before.config.address) {
            (Address::Tls(place, _), Address::Tls(before, _)) => place == before,
            (address, before) => address == before,
        };
        if is_same {
            self.link = Arc::clone(&before.link);
        }
    }

    async fn send(&self, letters: &[Letter]) -> io::Result<()> {
        let message = match &self.config.address {
            Address::Local(_) => message::local,
            Address::Udp(_) | Address::Tcp(_) | Address::Tls(..) => message::remote,
        };
        let messages = letters.iter().map(|letter| (letter.id(), message(letter, &self.config)));
        match &*self.link {
            Link::Udp(udp) => {
                for (_, message) in messages {
                    udp.lock().await.send(&message).await?;
                }
            }
            Link::Line(line) => line.lock().await.send(self.client.as_ref(), &messages.collect::<Vec<_>>()).await?,
        }
        Ok(())
    }
}

impl Settings {
    /// How many signals one attempt may give it: by a line, an acknowledgement is waited for once for all of them.
    pub(super) fn at_once(&self) -> usize {
        match &*self.link {
            Link::Udp(_) => 1,
            Link::Line(_) => AT_ONCE,
        }
    }

    /// Gives it these signals, in this order.
    pub(super) async fn attempt(&self, letters: &[Letter]) -> Answer {
        answer(tokio::time::timeout(self.config.timeout, self.send(letters)).await, self.config.timeout)
    }

    /// When it is to be looked at.
    pub(super) fn again(&self) -> Option<Instant> {
        let Link::Line(line) = &*self.link else { return None };
        // Nobody else holds it but an attempt, and that is over.
        line.try_lock().ok()?.look_at()
    }

    /// Looks whether it is still there.
    pub(super) async fn remind(&self) -> Answer {
        let Link::Line(line) = &*self.link else { return Answer::Yes };
        let look = async { line.lock().await.look(self.client.as_ref()).await };
        answer(tokio::time::timeout(self.config.timeout, look).await, self.config.timeout)
    }
}

fn answer(result: Result<io::Result<()>, tokio::time::error::Elapsed>, timeout: Duration) -> Answer {
    match result {
        Ok(Ok(())) => Answer::Yes,
        Ok(Err(error)) => Answer::no(tls::reason(&error).unwrap_or_else(|| error.to_string())),
        Err(_) => Answer::no(format!("not taken within {timeout:?}")),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(to, "{}", path.display()),
            Self::Udp(place) => write!(to, "udp://{place}"),
            Self::Tcp(place) => write!(to, "tcp://{place}"),
            Self::Tls(place, _) => write!(to, "tls://{place}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(to, "[{host}]:{port}") } else { write!(to, "{host}:{port}") }
    }
}
