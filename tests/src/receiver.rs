//! A receiver of webhooks in a namespace: verifies each by Standard Webhooks 1.0 and answers as it is told.

use crate::lab::{Namespace, SOON};
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Where it listens.
pub const ADDRESS: &str = "127.0.0.1:8053";

/// The secret, as its file holds it.
pub const SECRET: &str = "whsec_bm90IG11Y2ggb2YgYSBzZWNyZXQsIGlzIGl0";

/// One request that was verified.
#[derive(Clone, Debug)]
pub struct Received {
    /// `webhook-id`.
    pub id: String,
    /// The CloudEvent.
    pub body: Value,
}

/// What the receiver answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This status, and a `location` elsewhere if it is a redirect.
    Status(u16),
    /// Nothing, ever.
    Silence,
}

/// A receiver, until it is dropped; its thread ends with the test.
#[derive(Clone, Debug)]
pub struct Receiver(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    answer: Answer,
    received: Vec<Received>,
    wrong: Vec<String>,
    silent: Vec<TcpStream>,
}

impl Receiver {
    /// Listens at [`ADDRESS`] in `namespace`.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn start(namespace: &Namespace, answer: Answer) -> Result<Self> {
        let listener = namespace.inside(|| Ok(TcpListener::bind(ADDRESS)?))?;
        let state = State { answer, received: Vec::new(), wrong: Vec::new(), silent: Vec::new() };
        let receiver = Self(Arc::new(Mutex::new(state)));
        let own = receiver.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Err(error) = own.take(stream) {
                    own.state(|state| state.wrong.push(format!("{error:#}")));
                }
            }
        });
        Ok(receiver)
    }

    /// Answers differently from here on.
    pub fn answer(&self, answer: Answer) {
        self.state(|state| state.answer = answer);
    }

    /// Everything that came so far, in order.
    ///
    /// # Errors
    /// When something came that is not signed as it should be.
    pub fn received(&self) -> Result<Vec<Received>> {
        self.state(|state| {
            ensure!(state.wrong.is_empty(), "{:?}", state.wrong);
            Ok(state.received.clone())
        })
    }

    fn take(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_read_timeout(Some(SOON))?;
        let received = verified(&mut BufReader::new(&stream))?;
        let answer = self.state(|state| {
            state.received.push(received);
            state.answer
        });
        match answer {
            Answer::Silence => self.state(|state| state.silent.push(stream)),
            Answer::Status(status) => {
                let elsewhere = if status / 100 == 3 { "location: http://127.0.0.1:8054/\r\n" } else { "" };
                write!(stream, "HTTP/1.1 {status} so\r\n{elsewhere}content-length: 0\r\nconnection: close\r\n\r\n")?;
            }
        }
        Ok(())
    }

    fn state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The head of a request, names in lower case, and its body.
///
/// # Errors
/// When it ends before that, or has no length.
pub fn request(stream: &mut impl BufRead) -> Result<(BTreeMap<String, String>, Vec<u8>)> {
    let mut headers = BTreeMap::new();
    for line in stream.by_ref().lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
    }
    let mut body = vec![0; headers.get("content-length").context("no length")?.parse()?];
    stream.read_exact(&mut body)?;
    Ok((headers, body))
}

/// A request whose signature is the HMAC-SHA256 of `id.timestamp.body` under the secret.
fn verified(stream: &mut impl BufRead) -> Result<Received> {
    let (headers, body) = request(stream)?;
    let header = |name: &str| headers.get(name).with_context(|| format!("no header {name}"));
    let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_"))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(&body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let given = header("webhook-signature")?;
    ensure!(*given == expected, "signed {given}, not {expected}");
    Ok(Received { id: id.clone(), body: serde_json::from_slice(&body)? })
}
