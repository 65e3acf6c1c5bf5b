//! DNS NOTIFY (RFC 1996) for conditions that watch a zone, signed with TSIG (RFC 8945) where a key is given.
//!
//! It says that something changed about the zone, not what: whoever is told asks. UDP to one server; more servers are more
//! channels, so that none waits for another. What is on the wire is `message`'s, what is in a key file `key`'s.

mod key;
mod message;

pub use key::BadKey;

use super::Error;
use super::delivery::Answer;
use super::letter::Letter;
use super::secret;
use engine::signal::Named;
use key::Key;
use message::{Question, Verdict};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

/// A NOTIFY channel as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who is told.
    pub server: SocketAddr,
    /// The file with the TSIG key, if messages are signed.
    pub key_file: Option<PathBuf>,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// How long to wait for an answer before the same message is sent again; the wait doubles.
const AGAIN: Duration = Duration::from_millis(700);

/// A server that can be told.
#[derive(Debug)]
pub(super) struct Settings {
    server: SocketAddr,
    key: Option<Key>,
    timeout: Duration,
}

impl Settings {
    pub(super) fn load(name: &str, config: &Config) -> Result<Self, Error> {
        let key = config.key_file.as_ref().map(|path| {
            let channel = || name.to_owned();
            let text =
                secret::read(path).map_err(|source| Error::Read { channel: channel(), path: path.clone(), source })?;
            Key::parse(&text).map_err(|why| Error::Key { channel: channel(), path: path.clone(), why })
        });
        Ok(Self { server: config.server, key: key.transpose()?, timeout: config.timeout })
    }

    async fn tell(&self, zone: &str) -> Result<(), String> {
        let mut question = Question::new(zone, self.key.as_ref()).ok_or("the zone is not a name")?;
        let deadline = Instant::now() + self.timeout;
        let unspecified: IpAddr =
            if self.server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let ask = async |question: &mut Question| -> io::Result<Verdict> {
            let socket = UdpSocket::bind((unspecified, 0)).await?;
            // Only what the server sends from there comes through.
            socket.connect(self.server).await?;
            let mut wait = AGAIN;
            loop {
                socket.send(question.bytes()).await?;
                let again = (Instant::now() + wait).min(deadline);
                wait *= 2;
                let mut buffer = [0; 4096];
                while let Ok(length) = timeout_at(again, socket.recv(&mut buffer)).await {
                    let answer = buffer.get(..length?).unwrap_or_default();
                    if let Some(verdict) = question.judge(answer) {
                        return Ok(verdict);
                    }
                }
                if Instant::now() >= deadline {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        };
        match ask(&mut question).await {
            Ok(Verdict::Accepted) => Ok(()),
            Ok(Verdict::Refused(why)) => Err(why),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(String::from("no answer")),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Settings {
    /// Gives it one signal.
    pub(super) async fn attempt(&self, letter: &Letter) -> Answer {
        // NOTIFY has no word for anything else.
        let Named::Zone(zone) = &letter.signal.scope else { return Answer::Yes };
        match self.tell(zone).await {
            Ok(()) => Answer::Yes,
            Err(why) => Answer::no(format!("{zone} to {}: {why}", self.server)),
        }
    }
}

/// What is wrong with a key file; for `check`.
pub(crate) fn key_file(path: &Path) -> Result<(), String> {
    let text = secret::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Key::parse(&text).map(|_| ()).map_err(|why| format!("{}: {why}", path.display()))
}
