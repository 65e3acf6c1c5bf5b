//! Receivers that keep what they get, and misbehave as they are told.

use anyhow::Result;
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
pub(crate) struct Arrival {
    pub(crate) number: u64,
    pub(crate) id: String,
    pub(crate) text: String,
}

impl Arrival {
    /// Of the JSON of a signal.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let signal: Value = serde_json::from_str(text).ok()?;
        let signal = signal.get("data").unwrap_or(&signal);
        let number = signal["condition"].as_str()?.parse().ok()?;
        Some(Self { number, id: signal["id"].as_str()?.to_owned(), text: text.to_owned() })
    }
}

/// What a receiver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
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
}

/// An HTTP server on a port of its own.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    got: Vec<Arrival>,
    hanging: Vec<TcpStream>,
}

impl Http {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let state = State { mood: Mood::Well, got: Vec::new(), hanging: Vec::new() };
        let receiver = Self { address: listener.local_addr()?, state: Arc::new(Mutex::new(state)) };
        let own = receiver.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                // Whoever hangs up in the middle comes again.
                thread::spawn(move || own.serve(stream));
            }
        });
        Ok(receiver)
    }

    pub(crate) fn mood(&self, mood: Mood) {
        self.state(|state| {
            state.mood = mood;
            state.hanging.clear();
        });
    }

    pub(crate) fn got(&self) -> Vec<Arrival> {
        self.state(|state| state.got.clone())
    }

    /// One request after the other, until one side hangs up.
    fn serve(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        loop {
            if self.state(|state| state.mood) == Mood::BlackHole {
                self.state(|state| state.hanging.push(stream));
                return Ok(());
            }
            let Some(body) = body(&mut reader)? else { return Ok(()) };
            let mood = self.state(|state| state.mood);
            match mood {
                Mood::BlackHole | Mood::HangsUp => return Ok(()),
                Mood::Slow => thread::sleep(Duration::from_millis(20)),
                Mood::Well | Mood::Fails => {}
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
pub(crate) struct Account {
    pub(crate) received: usize,
    pub(crate) repeated: usize,
    pub(crate) lost: Vec<u64>,
    /// Numbers whose first arrival came after a higher one's.
    pub(crate) overtaken: Vec<u64>,
    /// Numbers that came again with another id or another text.
    pub(crate) differing: Vec<u64>,
}

impl Account {
    pub(crate) fn of(sent: &[u64], got: &[Arrival]) -> Self {
        let mut account = Self::default();
        let mut first: BTreeMap<u64, &Arrival> = BTreeMap::new();
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

    pub(crate) fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.overtaken.is_empty() && self.differing.is_empty()
    }
}

/// A flag that another thread looks at until the test ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flag(Arc<AtomicBool>);

impl Flag {
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
