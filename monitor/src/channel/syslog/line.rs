//! Syslog by what says when a message has arrived: TCP with octet counting, alone or under TLS, and the socket of this host.
//!
//! Yes is that the other system has acknowledged all bytes, or that the reader of the socket has read them. They may still be lost:
//! a program that is killed has not read all that its system took for it, nor dealt with all that it has read. So what was sent
//! last is kept, and sent again once the connection has broken: all of it after a reset or a silence, of an orderly end, and of
//! a reader that is another now, only what was under way then. An attempt that takes too long ends nothing: the next one
//! goes on where it was, so that a slow receiver gets nothing twice. Acknowledgements take a round trip: several messages
//! wait for one together.

mod link;
mod local;

use super::Place;
use link::Link;
use rustls::ClientConfig;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked whether the other system has all.
const ACKNOWLEDGED: Duration = Duration::from_millis(1);
/// How often it is looked whether the connection is still there.
const LOOK: Duration = Duration::from_secs(1);
/// How often one is made anew for nothing but what is to be sent again.
const ANEW: Duration = Duration::from_secs(5);
/// How long before its end what was sent is under way.
const UNDER_WAY: Duration = Duration::from_secs(5);
/// For how long what was sent is kept, and how many bytes of it: more than a system takes for a program that reads nothing.
const KEPT: Duration = Duration::from_mins(10);
const MOST: usize = 256 << 10;

/// Where it leads.
#[derive(Debug)]
pub(super) enum To {
    /// By TCP.
    Host(Place),
    /// To a socket of this host.
    Socket(PathBuf),
}

/// A line to a syslog, connected or not.
#[derive(Debug)]
pub(super) struct Line {
    to: To,
    link: Option<Link>,
    /// What the link has not taken yet.
    out: VecDeque<u8>,
    /// What went out last, or is about to.
    sent: VecDeque<Sent>,
    /// The bytes of all of that.
    bytes: usize,
    /// The ids of the last of it, while they are not acknowledged.
    asked: Vec<String>,
    /// The ids of what was acknowledged later than its attempt lasted: it is asked for once more.
    early: Vec<String>,
}

#[derive(Debug)]
struct Sent {
    at: Instant,
    frame: Vec<u8>,
}

impl Line {
    pub(super) const fn new(to: To) -> Self {
        Self {
            to,
            link: None,
            out: VecDeque::new(),
            sent: VecDeque::new(),
            bytes: 0,
            asked: Vec::new(),
            early: Vec::new(),
        }
    }

    /// Sends messages, each with its id, or goes on with those whose last attempt was given up.
    pub(super) async fn send(
        &mut self,
        client: Option<&Arc<ClientConfig>>,
        messages: &[(String, String)],
    ) -> io::Result<()> {
        self.look_for_an_end(client).await;
        self.take_back();
        for (id, message) in messages {
            if !self.asked.contains(id) && !self.early.contains(id) {
                // RFC 6587 section 3.4.1.
                let frame = format!("{} {message}", message.len()).into_bytes();
                if self.link.is_some() {
                    self.out.extend(&frame);
                }
                self.bytes += frame.len();
                self.sent.push_back(Sent { at: Instant::now(), frame });
                self.asked.push(id.clone());
            }
        }
        self.flush(client).await.inspect_err(|error| self.broken(error))?;
        // Only now: what was acknowledged a moment ago may still be lost.
        let asked = self.asked.len();
        self.sent.iter_mut().rev().take(asked).for_each(|sent| sent.at = Instant::now());
        self.early.append(&mut self.asked);
        self.early.retain(|early| !messages.iter().any(|(id, _)| id == early));
        self.early.drain(..self.early.len().saturating_sub(super::AT_ONCE));
        self.forget();
        Ok(())
    }

    /// When to look whether the connection is still there, though there is nothing to send.
    pub(super) fn look_at(&self) -> Option<Instant> {
        let wait = if self.link.is_some() { LOOK } else { ANEW };
        (!self.sent.is_empty()).then(|| Instant::now() + wait)
    }

    /// Looks whether the connection is still there; if not, sends again what may be lost.
    pub(super) async fn look(&mut self, client: Option<&Arc<ClientConfig>>) -> io::Result<()> {
        self.look_for_an_end(client).await;
        self.take_back();
        if self.link.is_none() && !self.sent.is_empty() {
            self.flush(client).await.inspect_err(|error| self.broken(error))?;
        }
        self.forget();
        Ok(())
    }

    /// Until the other system has all.
    async fn flush(&mut self, client: Option<&Arc<ClientConfig>>) -> io::Result<()> {
        if self.link.is_none() {
            let link = Link::open(&self.to, client).await?;
            let again = self.sent.len().saturating_sub(self.asked.len());
            if again > 0 {
                tracing::info!(to = %self.to, signals = again, "sends again what may be lost");
            }
            self.out.clear();
            for sent in &mut self.sent {
                sent.at = Instant::now();
                self.out.extend(&sent.frame);
            }
            self.link = Some(link);
        }
        let Some(link) = &mut self.link else { return Err(io::ErrorKind::NotConnected.into()) };
        // Each of these may be forgotten at its await: what was taken is taken out.
        while !self.out.is_empty() {
            let taken = link.write(self.out.make_contiguous()).await?;
            self.out.drain(..taken);
        }
        link.flush().await?;
        while link.unacknowledged()? > 0 {
            tokio::time::sleep(ACKNOWLEDGED).await;
        }
        link.end().await.map_or(Ok(()), Err)
    }

    async fn look_for_an_end(&mut self, client: Option<&Arc<ClientConfig>>) {
        let Some(link) = &mut self.link else { return };
        if let Some(error) = link.end().await {
            self.broken(&error);
        } else if self.asked.is_empty() && !link.is_of(client) {
            // Ours is an orderly end: what is under way arrives.
            self.link = None;
            self.sent.clear();
            self.bytes = 0;
        }
    }

    /// The connection is over: only what may be lost stays.
    fn broken(&mut self, error: &io::Error) {
        let was_linked = self.link.take().is_some();
        self.take_back();
        if was_linked && error.kind() == io::ErrorKind::UnexpectedEof {
            self.drop_before(UNDER_WAY);
        }
    }

    /// With no link, nothing went out of what was asked for: if it is still to be sent, it comes again from the queue.
    fn take_back(&mut self) {
        if self.link.is_none() {
            for _ in self.asked.drain(..) {
                self.bytes -= self.sent.pop_back().map_or(0, |sent| sent.frame.len());
            }
        }
    }

    fn forget(&mut self) {
        if let Some(link) = &self.link {
            // That there is another reader is no reset, and each has what the one before it has read.
            self.drop_before(if link.is_local() { UNDER_WAY } else { KEPT });
            while self.bytes > MOST && self.sent.len() > 1 {
                self.bytes -= self.sent.pop_front().map_or(0, |sent| sent.frame.len());
            }
        }
    }

    fn drop_before(&mut self, age: Duration) {
        while let Some(sent) = self.sent.pop_front_if(|sent| sent.at.elapsed() > age) {
            self.bytes -= sent.frame.len();
        }
    }
}

impl fmt::Display for To {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(place) => place.fmt(to),
            Self::Socket(path) => path.display().fmt(to),
        }
    }
}

#[cfg(test)]
mod tests;
