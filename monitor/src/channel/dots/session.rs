//! A DTLS 1.2 session with a shared key, and one request at a time in it.
//!
//! Nobody waits at it between requests: what comes meanwhile is read at the next look. Each change of the DTLS machine is
//! finished before anything is waited for, so that whoever waits may stop waiting.

use super::coap::{CHANGED, Kind, Message, Method};
use super::scope;
use dimpl::{Dtls, Output, PskResolver};
use socket2::SockRef;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// How long before the same request is sent again; the wait doubles (RFC 7252 section 4.2).
const AGAIN: Duration = Duration::from_secs(2);
/// More than a datagram of DTLS is.
const LARGEST: usize = 16 << 10;
/// More than may come between two looks is not kept.
const MOST: usize = 16;
/// The resource that hears that somebody is there (RFC 9132 section 4.7).
const BEATS: [&str; 3] = [".well-known", "dots", "hb"];

/// Who we are, and the key that both sides have. Nothing prints it.
pub(super) struct Key {
    identity: String,
    key: Zeroizing<String>,
}

impl Key {
    pub(super) fn new(identity: &str, key: &str) -> Self {
        Self { identity: identity.to_owned(), key: Zeroizing::new(key.to_owned()) }
    }

    /// Whether it is the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.identity == other.identity && *self.key == *other.key
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Key").field("identity", &self.identity).finish_non_exhaustive()
    }
}

struct Resolver(Arc<Key>);

impl PskResolver for Resolver {
    fn resolve(&self, _: &[u8]) -> Option<Vec<u8>> {
        Some(self.0.key.as_bytes().to_vec())
    }
}

/// A session.
pub(super) struct Session {
    socket: UdpSocket,
    dtls: Dtls,
    is_open: bool,
    came: VecDeque<Message>,
    /// Random at first, then counted.
    id: u16,
    beat: Instant,
    /// Whether anything came since the last heartbeat, and how many were without.
    is_heard: bool,
    missed: u32,
}

impl Session {
    /// Shakes hands.
    pub(super) async fn open(server: SocketAddr, key: &Arc<Key>, within: Instant) -> io::Result<Self> {
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(server).await?;
        let resolver = Arc::new(Resolver(Arc::clone(key)));
        let config = dimpl::Config::builder().with_psk_client(key.identity.clone().into_bytes(), resolver).build();
        let mut dtls = Dtls::new_12_psk(Arc::new(config.map_err(io::Error::other)?), Instant::now().into_std());
        dtls.set_active(true);
        let mut session = Self {
            socket,
            dtls,
            is_open: false,
            came: VecDeque::new(),
            id: u16::from_ne_bytes(random()?),
            beat: Instant::now(),
            is_heard: true,
            missed: 0,
        };
        session.clock()?;
        while !session.is_open {
            if !session.wait(within).await.map_err(|error| no_session(&error))? {
                return Err(no_session(&io::Error::new(ErrorKind::TimedOut, "nothing more is heard of it")));
            }
        }
        Ok(session)
    }

    /// Asks, and asks again, until there is an answer; none within that time is none.
    pub(super) async fn ask(&mut self, mut request: Message, within: Instant) -> io::Result<Option<Message>> {
        let token: [u8; 4] = random()?;
        self.id = self.id.wrapping_add(1);
        (request.id, request.token) = (self.id, token.to_vec());
        let (mut again, mut wait) = (Some(Instant::now()), AGAIN);
        loop {
            if again.is_some_and(|at| Instant::now() >= at) {
                self.say(&request)?;
                again = Some(Instant::now() + wait);
                wait *= 2;
            }
            while let Some(message) = self.came.pop_front() {
                let is_receipt = matches!(message.kind, Kind::Receipt | Kind::Reset) && message.id == request.id;
                match (message.kind, message.is_answer()) {
                    (Kind::Reset, _) if is_receipt => {
                        return Err(io::Error::other("it does not know what to do with a request"));
                    }
                    // The answer comes later.
                    (Kind::Receipt, false) if is_receipt => again = None,
                    (kind, true) if message.token == request.token && (kind != Kind::Receipt || is_receipt) => {
                        if kind == Kind::Confirmable {
                            self.say(&Message::bare(Kind::Receipt, 0, message.id, &[]))?;
                        }
                        return Ok(Some(message));
                    }
                    _ => self.answer(&message)?,
                }
            }
            let next = again.map_or(within, |again| again.min(within));
            if !self.wait(next).await? && Instant::now() >= within {
                return Ok(None);
            }
        }
    }

    /// Reads what came, answers it, and says that we are there, each `beat`. After so many that were `missed` it is over.
    pub(super) async fn look(&mut self, beat: Duration, missed: u32) -> io::Result<()> {
        // What is there is there: nothing is waited for.
        for _ in 0..MOST {
            if !self.wait(Instant::now()).await? {
                break;
            }
        }
        while let Some(message) = self.came.pop_front() {
            self.answer(&message)?;
        }
        if self.beat.elapsed() < beat {
            return Ok(());
        }
        self.missed = if self.is_heard { 0 } else { self.missed + 1 };
        if self.missed >= missed {
            return Err(io::Error::other(format!("nothing is heard of it, {missed} heartbeats long")));
        }
        self.id = self.id.wrapping_add(1);
        let beating = Message::request(Method::Put, &BEATS, Some(scope::heartbeat(self.is_heard)));
        let token = self.id.to_be_bytes().to_vec();
        self.say(&Message { kind: Kind::Once, id: self.id, token, ..beating })?;
        self.beat = Instant::now();
        self.is_heard = false;
        Ok(())
    }

    /// Says that it is over.
    pub(super) fn close(mut self) {
        // Whoever does not hear it finds out.
        let _ = self.dtls.close();
        let _ = self.turn();
    }

    /// Answers what nobody here waits for.
    fn answer(&mut self, message: &Message) -> io::Result<()> {
        let Message { kind, id, token, .. } = message;
        let answer = match kind {
            Kind::Confirmable if message.is_for(&BEATS) => Message::bare(Kind::Receipt, CHANGED, *id, token),
            Kind::Once if message.is_for(&BEATS) => {
                self.id = self.id.wrapping_add(1);
                Message::bare(Kind::Once, CHANGED, self.id, token)
            }
            // A ping among them (RFC 7252 section 4.3).
            Kind::Confirmable => Message::bare(Kind::Reset, 0, *id, &[]),
            Kind::Once | Kind::Receipt | Kind::Reset => return Ok(()),
        };
        self.say(&answer)
    }

    fn say(&mut self, message: &Message) -> io::Result<()> {
        self.dtls.send_application_data(&message.bytes()).map_err(io::Error::other)?;
        self.turn().map(|_| ())
    }

    /// Waits for a datagram until then; whether one came.
    async fn wait(&mut self, until: Instant) -> io::Result<bool> {
        let mut buffer = vec![0; LARGEST];
        loop {
            let wake = self.turn()?;
            if self.is_open && wake <= Instant::now() {
                self.clock()?;
            }
            let next = wake.min(until).max(Instant::now());
            // In this order: what is there comes before the time.
            let got = timeout_at(next, self.socket.recv(&mut buffer)).await;
            self.clock()?;
            if let Ok(length) = got {
                let packet = buffer.get(..length?).unwrap_or_default();
                self.dtls.handle_packet(packet).map_err(io::Error::other)?;
                self.turn()?;
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
        }
    }

    fn clock(&mut self) -> io::Result<()> {
        self.dtls.handle_timeout(Instant::now().into_std()).map_err(io::Error::other)
    }

    /// Sends what is to be sent, keeps what came; when it wants to be looked at again.
    fn turn(&mut self) -> io::Result<Instant> {
        let mut buffer = vec![0; LARGEST];
        let mut is_over = false;
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => match SockRef::from(&self.socket).send(packet) {
                    // As if it were lost on its way.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    sent => _ = sent?,
                },
                Output::Timeout(_) if is_over => return Err(io::Error::other("it ended the session")),
                Output::Timeout(at) => return Ok(at.into()),
                Output::Connected => self.is_open = true,
                Output::CloseNotify => is_over = true,
                Output::ApplicationData(bytes) => {
                    self.is_heard = true;
                    self.missed = 0;
                    if let Some(message) = Message::read(bytes).filter(|_| self.came.len() < MOST) {
                        self.came.push_back(message);
                    }
                }
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                // With a shared key there are none.
                Output::PeerCert(_) | Output::KeyingMaterial(..) | _ => {}
            }
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Session").field("is_open", &self.is_open).field("missed", &self.missed).finish_non_exhaustive()
    }
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// A handshake says little: with another key the other side may say nothing at all.
fn no_session(error: &io::Error) -> io::Error {
    let hint = if error.kind() == ErrorKind::ConnectionRefused { "" } else { "; has it this identity and key?" };
    io::Error::new(error.kind(), format!("no DTLS session: {error}{hint}"))
}
