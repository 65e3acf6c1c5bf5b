//! A BGP neighbour that announces nothing and writes down all that it is told: the judge of what a router really said.
//!
//! It sees what looking at a routing table now and then does not: a passing withdrawal, a session that flapped. Times are those at
//! which this program read a message, some ten microseconds after the kernel had it. The messages are in [`message`].

pub mod message;
pub mod say;
#[cfg(test)]
mod tests;

use crate::lab::{Namespace, until};
use anyhow::{Context, Result, bail, ensure};
use core::time::Duration;
use ipnet::IpNet;
use message::{Attributes, LENGTHS, Message, Open, Update};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// After so many seconds of silence the peer is gone. Its own offer counts if it is shorter.
const HOLD: u16 = 90;
/// How long for the first messages.
const PATIENCE: Duration = Duration::from_secs(20);

/// The neighbour, until dropped.
#[derive(Debug)]
pub struct Listener {
    shared: Arc<Shared>,
    door: TcpListener,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    asn: u32,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    records: Vec<Record>,
    /// What is announced now, by session; a session that ended has nothing.
    routes: BTreeMap<usize, BTreeMap<IpNet, Attributes>>,
    sockets: BTreeMap<usize, TcpStream>,
    sessions: usize,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it was read.
    pub at: Instant,
    /// In which session, counted from 0 in the order of their connections.
    pub session: usize,
    /// With whom.
    pub peer: IpAddr,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A message came.
    Message(Message),
    /// Both sides said OPEN and KEEPALIVE.
    Established,
    /// The connection ended, and why. All that was announced in it is gone.
    Closed(String),
}

impl Listener {
    /// Waits for peers at port 179 of all addresses of `namespace`, as a router of `asn`.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(namespace: &Namespace, asn: u32) -> Result<Self> {
        let door = namespace.inside(|| Ok(TcpListener::bind((Ipv6Addr::UNSPECIFIED, 179))?))?;
        let shared = Arc::new(Shared { asn, book: Mutex::default() });
        let (theirs, incoming) = (Arc::clone(&shared), door.try_clone()?);
        let accepting = thread::spawn(move || {
            // It ends when the socket is shut down.
            while let Ok((stream, from)) = incoming.accept() {
                let shared = Arc::clone(&theirs);
                thread::spawn(move || shared.attend(stream, from.ip().to_canonical()));
            }
        });
        Ok(Self { shared, door, accepting: Some(accepting) })
    }

    /// All that happened, in order.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.since(0)
    }

    /// How many things happened: a place in [`Self::records`] to look from later.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.shared.book().records.len()
    }

    /// What happened from a mark on.
    #[must_use]
    pub fn since(&self, mark: usize) -> Vec<Record> {
        self.shared.book().records.iter().skip(mark).cloned().collect()
    }

    /// Every UPDATE from a mark on that changes anything, and when it came: an End-of-RIB comes when it likes.
    #[must_use]
    pub fn updates(&self, mark: usize) -> Vec<(Instant, Update)> {
        let update = |record: Record| match record.what {
            What::Message(Message::Update(update)) if !update.end_of_rib => Some((record.at, update)),
            What::Message(_) | What::Established | What::Closed(_) => None,
        };
        self.since(mark).into_iter().filter_map(update).collect()
    }

    /// Every prefix that was withdrawn from a mark on by an UPDATE, and when. What the end of a session takes away is not in it.
    #[must_use]
    pub fn withdrawals(&self, mark: usize) -> Vec<(Instant, IpNet)> {
        let updates = self.updates(mark).into_iter();
        updates.flat_map(|(at, update)| update.withdrawn.into_iter().map(move |prefix| (at, prefix))).collect()
    }

    /// What happened to sessions from a mark on: those that came up, those that ended, notifications.
    #[must_use]
    pub fn session_changes(&self, mark: usize) -> Vec<Record> {
        let changes = |record: &Record| match &record.what {
            What::Message(message) => matches!(message, Message::Open(_) | Message::Notification(..)),
            What::Established | What::Closed(_) => true,
        };
        self.since(mark).into_iter().filter(changes).collect()
    }

    /// How `prefix` is announced now, in the newest session that has it.
    #[must_use]
    pub fn route(&self, prefix: &str) -> Option<Attributes> {
        let prefix: IpNet = prefix.parse().ok()?;
        self.shared.book().routes.values().rev().find_map(|routes| routes.get(&prefix)).cloned()
    }

    /// The AS path by which `prefix` is announced now.
    #[must_use]
    pub fn path(&self, prefix: &str) -> Option<Vec<u32>> {
        self.route(prefix).map(|attributes| attributes.path)
    }

    /// How many sessions are up.
    #[must_use]
    pub fn established(&self) -> usize {
        self.shared.book().routes.len()
    }

    /// Waits until so many sessions are up.
    ///
    /// # Errors
    /// When they are not within `limit`.
    pub fn up(&self, sessions: usize, limit: Duration) -> Result<()> {
        until(&format!("{sessions} BGP sessions"), limit, || (self.established() == sessions).then_some(()))
    }

    /// Waits until `prefix` is announced as `right` says; `None` is not at all.
    ///
    /// # Errors
    /// With how it is announced instead, after `limit`.
    pub fn reaches(&self, prefix: &str, limit: Duration, right: impl Fn(Option<&Attributes>) -> bool) -> Result<()> {
        let look = || right(self.route(prefix).as_ref()).then_some(());
        until(&format!("{prefix} announced as it should be"), limit, look)
            .with_context(|| format!("it is {:?}", self.route(prefix)))
    }

    /// That from a mark on no session changed and nothing was withdrawn.
    ///
    /// # Errors
    /// With what happened.
    pub fn undisturbed(&self, mark: usize) -> Result<()> {
        let changes = self.session_changes(mark);
        ensure!(changes.is_empty(), "a session changed: {changes:?}");
        let withdrawals = self.withdrawals(mark);
        ensure!(withdrawals.is_empty(), "a withdrawal passed: {withdrawals:?}");
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // SAFETY: the descriptor is open as long as `door` is.
        unsafe { libc::shutdown(self.door.as_raw_fd(), libc::SHUT_RDWR) };
        for socket in self.shared.book().sockets.values() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// The records hold plain values, so a thread that died holding them left them whole.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attend(&self, stream: TcpStream, peer: IpAddr) {
        let session = {
            let mut book = self.book();
            let session = book.sessions;
            book.sessions += 1;
            book.sockets.extend(stream.try_clone().ok().map(|socket| (session, socket)));
            session
        };
        let ended = self.converse(stream, session, peer);
        let why = ended.err().map_or_else(|| "closed by the peer".to_owned(), |error| format!("{error:#}"));
        let mut book = self.book();
        book.routes.remove(&session);
        book.sockets.remove(&session);
        book.records.push(Record { at: Instant::now(), session, peer, what: What::Closed(why) });
    }

    fn converse(&self, mut stream: TcpStream, session: usize, peer: IpAddr) -> Result<()> {
        let ours = Open { asn: self.asn, hold: HOLD, wide: true, families: vec![1, 2] };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&say::open(&ours, [10, 53, 0, 2]))?;
        let (mut wide, mut hold, mut spoke) = (true, Duration::ZERO, Instant::now());
        let mut unread = Vec::new();
        let mut heard = Instant::now();
        loop {
            while let Some((kind, body)) = cut(&mut unread)? {
                heard = Instant::now();
                let message = Message::read(kind, &body, wide)?;
                if let Message::Open(open) = &message {
                    wide = open.wide;
                    hold = Duration::from_secs(open.hold.min(HOLD).into());
                    // Short, so that a keepalive that is due is sent; the peer's own silence is judged by `hold`.
                    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
                    stream.write_all(&say::keepalive())?;
                }
                self.book().take(Record { at: heard, session, peer, what: What::Message(message) });
            }
            if !hold.is_zero() && spoke.elapsed() > hold / 3 {
                stream.write_all(&say::keepalive())?;
                spoke = Instant::now();
            }
            let mut chunk = [0; 4096];
            match stream.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => unread.extend_from_slice(&chunk[..count]),
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                    ensure!(heard.elapsed() < hold.max(Duration::from_secs(3)), "silent for {:?}", heard.elapsed());
                }
                Err(error) => bail!(error),
            }
        }
    }
}

impl Book {
    fn take(&mut self, record: Record) {
        let Record { at, session, peer, .. } = record;
        let mut established = false;
        if let What::Message(message) = &record.what {
            match message {
                Message::Keepalive => {
                    established = !self.routes.contains_key(&session);
                    self.routes.entry(session).or_default();
                }
                Message::Update(update) => {
                    let routes = self.routes.entry(session).or_default();
                    for prefix in &update.withdrawn {
                        routes.remove(prefix);
                    }
                    for prefix in &update.announced {
                        routes.insert(*prefix, update.attributes.clone());
                    }
                }
                Message::Open(_) | Message::Notification(..) | Message::Refresh => {}
            }
        }
        self.records.push(record);
        if established {
            self.records.push(Record { at, session, peer, what: What::Established });
        }
    }
}

/// Cuts the first whole message off what was received: its type and what follows its header.
fn cut(unread: &mut Vec<u8>) -> Result<Option<(u8, Vec<u8>)>> {
    let Some((header, _)) = unread.split_first_chunk::<19>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([header[16], header[17]]));
    ensure!(header[..16] == [0xFF; 16] && LENGTHS.contains(&length), "not a BGP message: {header:?}");
    let kind = header[18];
    if unread.len() < length {
        return Ok(None);
    }
    let body = unread.drain(..length).skip(19).collect();
    Ok(Some((kind, body)))
}
