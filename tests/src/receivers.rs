//! Receivers that keep what they get, and misbehave as they are told.

use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// One arrival: which signal, under which id, and all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Which.
    pub number: u64,
    /// Its id, where there is one.
    pub id: String,
    /// All of it.
    pub text: String,
}

impl Arrival {
    /// Of the JSON of a signal.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let signal: Value = serde_json::from_str(text).ok()?;
        let signal = signal.get("data").unwrap_or(&signal);
        let number = signal["condition"].as_str()?.parse().ok()?;
        Some(Self { number, id: signal["id"].as_str()?.to_owned(), text: text.to_owned() })
    }
}

/// What a receiver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Takes everything.
    Well,
    /// Takes its time.
    Slow,
    /// Reads, and says 500.
    Fails,
    /// Accepts, and never reads.
    BlackHole,
    /// Hangs up on everybody.
    HangsUp,
    /// Does nothing, as if stopped; later it goes on where it was.
    Stopped,
    /// Is not there: nobody listens.
    Gone,
}

/// An HTTP server on a port of its own.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    got: Vec<Arrival>,
    hanging: Vec<TcpStream>,
    /// To hang up on.
    open: Vec<TcpStream>,
}

impl Http {
    /// Listens, and is well.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start() -> Result<Self> {
        let mut listener = Some(TcpListener::bind("127.0.0.1:0")?);
        let state = State { mood: Mood::Well, got: Vec::new(), hanging: Vec::new(), open: Vec::new() };
        let address = listener.as_ref().context("just bound")?.local_addr()?;
        let receiver = Self { address, state: Arc::new(Mutex::new(state)) };
        let own = receiver.clone();
        thread::spawn(move || -> Result<()> {
            loop {
                let is_gone = own.state(|state| state.mood) == Mood::Gone;
                if is_gone {
                    listener = None;
                } else if listener.is_none() {
                    // Meanwhile somebody may have it to call from.
                    listener = TcpListener::bind(own.address).ok();
                }
                if let Some(listener) = &listener {
                    listener.set_nonblocking(true)?;
                    while let Ok((stream, _)) = listener.accept() {
                        stream.set_nonblocking(false)?;
                        let own = own.clone();
                        // Whoever hangs up in the middle comes again.
                        thread::spawn(move || own.serve(stream));
                    }
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        Ok(receiver)
    }

    /// Is like this from now on.
    pub fn mood(&self, mood: Mood) {
        self.state(|state| {
            state.mood = mood;
            let open = if mood == Mood::Gone { &mut state.open } else { &mut state.hanging };
            for stream in open.drain(..) {
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
            state.open.retain(|stream| stream.peer_addr().is_ok());
        });
    }

    /// What came so far.
    #[must_use]
    pub fn got(&self) -> Vec<Arrival> {
        self.state(|state| state.got.clone())
    }

    /// One request after the other, until one side hangs up.
    fn serve(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let other = stream.try_clone()?;
        self.state(|state| state.open.push(other));
        loop {
            if self.state(|state| state.mood) == Mood::BlackHole {
                self.state(|state| state.hanging.push(stream));
                return Ok(());
            }
            let Some(body) = body(&mut reader)? else { return Ok(()) };
            while self.state(|state| state.mood) == Mood::Stopped {
                thread::sleep(Duration::from_millis(1));
            }
            let mood = self.state(|state| state.mood);
            match mood {
                Mood::BlackHole | Mood::HangsUp | Mood::Gone => return Ok(()),
                Mood::Slow => thread::sleep(Duration::from_millis(20)),
                Mood::Well | Mood::Fails | Mood::Stopped => {}
            }
            self.state(|state| state.got.extend(Arrival::of(&body)));
            let status = if mood == Mood::Fails { 500 } else { 204 };
            stream.write_all(format!("HTTP/1.1 {status} so\r\ncontent-length: 0\r\n\r\n").as_bytes())?;
        }
    }

    fn state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Of the next request, if there is one.
fn body(stream: &mut impl BufRead) -> Result<Option<String>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some(String::from_utf8(body)?))
}

/// What came, held against what was sent.
#[derive(Debug, Default)]
pub struct Account {
    /// How many of what was sent came.
    pub received: usize,
    /// How many came that had come before.
    pub repeated: usize,
    /// Numbers that never came.
    pub lost: Vec<u64>,
    /// Numbers whose first arrival came after a higher one's.
    pub overtaken: Vec<u64>,
    /// How often a lower number came next after a higher one.
    pub turns: u64,
    /// Numbers that came again with another id or another text.
    pub differing: Vec<u64>,
}

impl Account {
    /// Takes stock.
    #[must_use]
    pub fn of(sent: &[u64], got: &[Arrival]) -> Self {
        let mut account = Self::default();
        let mut first: BTreeMap<u64, &Arrival> = BTreeMap::new();
        account.turns = got.windows(2).map(|two| u64::from(two[1].number < two[0].number)).sum();
        for arrival in got {
            if let Some(before) = first.get(&arrival.number) {
                account.repeated += 1;
                if *before != arrival {
                    account.differing.push(arrival.number);
                }
                continue;
            }
            if first.last_key_value().is_some_and(|(&last, _)| last > arrival.number) {
                account.overtaken.push(arrival.number);
            }
            first.insert(arrival.number, arrival);
        }
        account.received = sent.iter().filter(|number| first.contains_key(number)).count();
        account.lost = sent.iter().copied().filter(|number| !first.contains_key(number)).collect();
        account
    }

    /// Nothing is lost, overtaken or another than before.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.overtaken.is_empty() && self.differing.is_empty()
    }
}

/// A flag that another thread looks at until the test ends.
#[derive(Clone, Debug, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    /// Up.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
