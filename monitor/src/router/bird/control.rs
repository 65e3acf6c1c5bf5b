//! BIRD's control socket: a greeting, then commands of one line and replies whose every line has a code. Replies are judged by their codes
//! alone; the English text differs between versions.
//!
//! A stopped BIRD still takes connections, so that nothing is waited for without a limit. When a connection ends before the reply, what
//! became of the command is unknown: whoever asks reads back on a new one.

#[cfg(test)]
mod tests;

use core::time::Duration;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep, timeout};

/// How long for a connection, the greeting or a reply.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// How long for reading a configuration; it is long where filters are.
const READING: Duration = Duration::from_secs(4);
/// How long a new configuration may be on its way, while protocols restart.
const SETTLING: Duration = Duration::from_secs(10);
/// Between two looks at that.
const POLL: Duration = Duration::from_millis(10);
/// A reply is no longer than this: what is asked for is of one prefix or one protocol.
const MOST: u64 = 1 << 20;
/// The first that knows an empty set.
const OLDEST: [u32; 3] = [2, 0, 11];

/// What went wrong with BIRD, and what to do about it.
#[derive(Debug, Error)]
pub enum Error {
    /// No connection.
    #[error("{}: no connection to BIRD{}", socket.display(), advice(source))]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No answer in time: stopped, or very busy.
    #[error("{}: BIRD gave no answer to {command} in {} s", socket.display(), after.as_secs_f32())]
    Silent {
        /// The socket.
        socket: PathBuf,
        /// What was asked.
        command: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended before the answer.
    #[error("{}: BIRD hung up before it answered {command}", socket.display())]
    Gone {
        /// The socket.
        socket: PathBuf,
        /// What was asked.
        command: String,
        /// Why, if it says so.
        source: Option<io::Error>,
    },
    /// An answer that is not BIRD's.
    #[error("{}: not BIRD: it says {said:?}", socket.display())]
    NotBird {
        /// The socket.
        socket: PathBuf,
        /// What came.
        said: String,
    },
    /// Empty sets are a syntax error to it.
    #[error("BIRD {version} does not know empty sets; 2.0.11 is the first that does")]
    Old {
        /// The version.
        version: String,
    },
    /// The configuration cannot be used. BIRD goes on with the one before.
    #[error("BIRD cannot take its configuration: {what}")]
    Configuration {
        /// As BIRD says it: file, line, column and what is wrong.
        what: String,
    },
    /// It still restarts protocols.
    #[error("BIRD is still not done with its new configuration after {} s", SETTLING.as_secs())]
    Unsettled,
    /// Another answer than that it is done.
    #[error("BIRD refused {command:?}: {code:04} {text}{}", if *code == 8007 { " (the socket is a restricted one)" } else { "" })]
    Refused {
        /// What was asked.
        command: String,
        /// The reply's code.
        code: u16,
        /// The reply's text.
        text: String,
    },
}

fn advice(source: &io::Error) -> &'static str {
    let is = |kind| source.kind() == kind;
    if is(io::ErrorKind::NotFound) || is(io::ErrorKind::ConnectionRefused) {
        ": is it running, and is `socket` its own?"
    } else if is(io::ErrorKind::PermissionDenied) {
        ": oopsd's user has to be in the socket's group"
    } else if is(io::ErrorKind::WouldBlock) {
        ": as many as it takes are waiting already"
    } else {
        ""
    }
}

impl Error {
    /// Whether no BIRD is there, as opposed to one that does not answer.
    pub(super) fn is_down(&self) -> bool {
        let down = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
        matches!(self, Self::Connect { source, .. } if down.contains(&source.kind()))
    }
}

/// A reply: lines with their codes, the last of which is the outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply(Vec<(u16, String)>);

impl Reply {
    /// The code of the last line.
    pub(super) fn code(&self) -> u16 {
        self.0.last().map_or(0, |(code, _)| *code)
    }

    /// The texts of all lines with `code`.
    pub(super) fn texts(&self, code: u16) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(of, _)| *of == code).map(|(_, text)| text.as_str())
    }

    /// The texts of all lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(|(_, text)| text.as_str())
    }

    /// Whether it is an error: of the run time, or of the command.
    pub(super) fn is_error(&self) -> bool {
        self.code() >= 8000
    }

    /// Takes one line; says whether it is the last. `None` if it is no line of a reply.
    fn take(&mut self, line: &str) -> Option<bool> {
        if line.starts_with('+') {
            // Of something else, at any time.
            return Some(false);
        }
        if let Some(text) = line.strip_prefix(' ') {
            let code = self.0.last()?.0;
            self.0.push((code, text.trim().to_owned()));
            return Some(false);
        }
        let (code, rest) = line.split_at_checked(4)?;
        let code = code.parse().ok().filter(|_| code.bytes().all(|byte| byte.is_ascii_digit()))?;
        let last = match rest.bytes().next() {
            Some(b' ') | None => true,
            Some(b'-') => false,
            Some(_) => return None,
        };
        self.0.push((code, rest.get(1..).unwrap_or_default().trim().to_owned()));
        Some(last)
    }
}

/// A connection whose greeting was read.
#[derive(Debug)]
pub(super) struct Control {
    socket: PathBuf,
    version: String,
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl Control {
    pub(super) async fn open(socket: &Path) -> Result<Self, Error> {
        let connect = |source| Error::Connect { socket: socket.to_owned(), source };
        let stream = timeout(PATIENCE, UnixStream::connect(socket)).await;
        let stream = stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(connect)?;
        let (from, to) = stream.into_split();
        let mut control = Self { socket: socket.to_owned(), version: String::new(), from: BufReader::new(from), to };
        let greeting = control.reply("a new connection", PATIENCE).await?;
        let version = greeting.texts(1).next().and_then(|text| text.split_whitespace().nth(1));
        let Some(version) = version.filter(|_| greeting.code() == 1) else {
            let said = greeting.lines().collect::<Vec<_>>().join(" ");
            return Err(Error::NotBird { socket: socket.to_owned(), said });
        };
        control.version = version.to_owned();
        Ok(control)
    }

    /// Refuses a BIRD that the constants would be errors to.
    pub(super) fn knows_empty_sets(&self) -> Result<(), Error> {
        let mut parts = self.version.split(|byte: char| !byte.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        let version = [(); 3].map(|()| parts.next().unwrap_or(0));
        if version < OLDEST { Err(Error::Old { version: self.version.clone() }) } else { Ok(()) }
    }

    pub(super) async fn ask(&mut self, command: &str) -> Result<Reply, Error> {
        self.ask_for(command, PATIENCE).await
    }

    async fn ask_for(&mut self, command: &str, patience: Duration) -> Result<Reply, Error> {
        let (line, command) = (format!("{command}\n"), format!("{command:?}"));
        match timeout(patience, self.to.write_all(line.as_bytes())).await {
            Ok(Ok(())) => self.reply(&command, patience).await,
            Ok(Err(source)) => Err(Error::Gone { socket: self.socket.clone(), command, source: Some(source) }),
            Err(_) => Err(self.silent(&command, patience)),
        }
    }

    async fn reply(&mut self, command: &str, patience: Duration) -> Result<Reply, Error> {
        match timeout(patience, self.lines(command)).await {
            Ok(reply) => reply,
            Err(_) => Err(self.silent(command, patience)),
        }
    }

    async fn lines(&mut self, command: &str) -> Result<Reply, Error> {
        let gone =
            |socket: &Path, source| Error::Gone { socket: socket.to_owned(), command: command.to_owned(), source };
        let mut reply = Reply(Vec::new());
        let mut from = (&mut self.from).take(MOST);
        loop {
            let mut line = Vec::new();
            let count = from.read_until(b'\n', &mut line).await;
            let count = count.map_err(|source| gone(&self.socket, Some(source)))?;
            let line = String::from_utf8_lossy(&line);
            let Some(line) = line.strip_suffix('\n').filter(|_| count > 0) else {
                return Err(gone(&self.socket, None));
            };
            match reply.take(line) {
                Some(true) => return Ok(reply),
                Some(false) => {}
                None => return Err(Error::NotBird { socket: self.socket.clone(), said: line.to_owned() }),
            }
        }
    }

    fn silent(&self, command: &str, after: Duration) -> Error {
        Error::Silent { socket: self.socket.clone(), command: command.to_owned(), after }
    }

    /// Whether BIRD could take its configuration as the files are now.
    pub(super) async fn check(&mut self) -> Result<(), Error> {
        let reply = self.ask_for("configure check", READING).await?;
        if reply.code() == 20 { Ok(()) } else { Err(not_configured("configure check", &reply)) }
    }

    /// Has BIRD take its configuration, and waits until it has.
    pub(super) async fn configure(&mut self) -> Result<(), Error> {
        let mut reply = self.ask_for("configure", READING).await?;
        // Done, under way, or in the queue behind another one.
        if ![3, 4, 5].contains(&reply.code()) {
            return Err(not_configured("configure", &reply));
        }
        let deadline = Instant::now() + SETTLING;
        while !reply.0.iter().any(|(code, _)| *code == 3) {
            if Instant::now() > deadline {
                return Err(Error::Unsettled);
            }
            sleep(POLL).await;
            reply = self.ask("configure status").await?;
            if reply.is_error() {
                return Err(not_configured("configure status", &reply));
            }
        }
        Ok(())
    }

    /// What an expression comes to; `None` if BIRD does not know a name in it.
    pub(super) async fn eval(&mut self, expression: &str) -> Result<Option<String>, Error> {
        let reply = self.ask(&format!("eval {expression}")).await?;
        Ok(reply.texts(23).next().map(str::to_owned).filter(|_| reply.code() == 23))
    }
}

fn not_configured(command: &str, reply: &Reply) -> Error {
    let text = reply.lines().last().unwrap_or_default().to_owned();
    match reply.code() {
        8002 => Error::Configuration { what: text },
        code => Error::Refused { command: command.to_owned(), code, text },
    }
}
