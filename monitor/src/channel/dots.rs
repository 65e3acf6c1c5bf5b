//! DOTS (RFC 9132): a server is asked to mitigate while one condition is met, over CoAP and DTLS 1.2 with a shared key.
//!
//! Met is a request with a number of its own, made again before its lifetime is over; cleared takes it back. What is asked for
//! is remembered in memory only: a run that has not asked itself looks up what to take back. The session is kept while
//! something is asked for (`session`); `coap` is what a message looks like, `scope` what is in it.

mod coap;
mod scope;
mod session;
#[cfg(test)]
mod tests;

use super::delivery::Answer;
use super::letter::Letter;
use super::trial::TEST;
use super::{Error, secret};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coap::{Message, Method, shown};
use engine::State;
use ipnet::IpNet;
use session::{Key, Session};
use sha2::{Digest, Sha256};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How often what the other side has to say is read, while there is a session.
const LOOK: Duration = Duration::from_secs(5);
/// Between two heartbeats, and how many may be missed (RFC 9132 section 4.5.1).
const BEAT: Duration = Duration::from_secs(30);
const MISSED: u32 = 15;
/// What a server that has too much to do asks for, if it does not say (RFC 7252 section 5.10.5).
const MAX_AGE: Duration = Duration::from_secs(60);
/// From here on numbers would have to begin anew (RFC 9132 section 4.4.1): in the year 2072.
const NUMBERS: u64 = 3_221_225_471;

/// A DOTS server as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where it listens.
    pub server: SocketAddr,
    /// Who we are to it: the identity of the key.
    pub identity: String,
    /// The file with the key that both have.
    pub key_file: PathBuf,
    /// The name of the condition that asks for mitigation.
    pub condition: String,
    /// What is to be protected.
    pub prefixes: Vec<IpNet>,
    /// For how long, if we are not heard of again.
    pub lifetime: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl Config {
    /// The `cuid` that requests are made under: as RFC 9132 section 4.4.1 makes it of the identity.
    #[must_use]
    pub fn cuid(&self) -> String {
        let hash = Sha256::digest(self.identity.as_bytes());
        URL_SAFE_NO_PAD.encode(&hash[..16])
    }
}

/// Whether the file at `path` holds a key.
///
/// # Errors
/// What is wrong with it, without what it holds.
pub(crate) fn key_file(path: &Path) -> Result<(), String> {
    let text = secret::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    match text.trim().len() {
        1..=64 => Ok(()),
        _ => Err(format!("{} does not hold a key of 1 to 64 bytes", path.display())),
    }
}

/// A server that can be asked.
#[derive(Debug)]
pub(super) struct Settings {
    config: Config,
    cuid: String,
    key: Arc<Key>,
    state: Arc<Mutex<Standing>>,
}

/// How we stand with the server.
#[derive(Debug, Default)]
struct Standing {
    session: Option<Session>,
    /// The last request on the session was not answered: the next one begins with another session.
    is_doubtful: bool,
    asked: Option<Asked>,
    /// The highest number so far.
    last: u32,
    /// When to look at the session or for one, if something is asked for.
    look: Option<Instant>,
}

/// A request for mitigation that stands.
#[derive(Clone, Debug)]
struct Asked {
    /// The signal that it was made for.
    id: String,
    number: u32,
    renew: Instant,
}

impl Settings {
    /// Reads the key.
    pub(super) fn load(name: &str, config: &Config) -> Result<Self, Error> {
        let path = &config.key_file;
        let error = |source| Error::Read { channel: name.to_owned(), path: path.clone(), source };
        let text = secret::read(path).map_err(error)?;
        let key = Arc::new(Key::new(&config.identity, text.trim()));
        Ok(Self { config: config.clone(), cuid: config.cuid(), key, state: Arc::default() })
    }

    /// Goes on as `before`, if that asks the same of the same.
    pub(super) fn begin(&mut self, before: &Self) {
        let same = |config: &Config| (config.server, config.identity.clone(), config.condition.clone());
        if same(&before.config) == same(&self.config) && before.key.is(&self.key) {
            self.state = Arc::clone(&before.state);
        }
    }

    fn request(&self, method: Method, number: Option<u32>) -> Message {
        let cuid = format!("cuid={}", self.cuid);
        let mid = number.map(|number| format!("mid={number}"));
        let mut path = vec![".well-known", "dots", "mitigate", &cuid];
        path.extend(mid.as_deref());
        let body = (method == Method::Put).then(|| scope::request(&self.config.prefixes, self.config.lifetime));
        Message::request(method, &path, body)
    }

    /// Asks on the session that there is, or on a new one.
    async fn ask(&self, state: &mut Standing, request: Message) -> Result<Message, Answer> {
        let within = Instant::now() + self.config.timeout;
        if state.session.is_none() || std::mem::take(&mut state.is_doubtful) {
            // The one before is kept until there is another: where nothing comes back, what is sent may still arrive.
            state.session =
                Some(Session::open(self.config.server, &self.key, within).await.map_err(|error| no(&error))?);
        }
        let Some(session) = &mut state.session else { return Err(Answer::no("no session")) };
        let answer = match session.ask(request, within).await {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                state.is_doubtful = true;
                return Err(Answer::no(format!("no answer within {:?}", self.config.timeout)));
            }
            Err(error) => {
                state.session = None;
                return Err(no(&error));
            }
        };
        Ok(answer)
    }

    /// Makes the request with this number, or makes it again.
    async fn protect(&self, state: &mut Standing, id: String, number: u32) -> Answer {
        let request = self.request(Method::Put, Some(number));
        let answer = match self.ask(state, request).await {
            Ok(answer) => answer,
            Err(no) => return no,
        };
        if !answer.is_success() {
            return refusal(&answer);
        }
        let granted = scope::granted(&answer.body).unwrap_or(self.config.lifetime).min(self.config.lifetime);
        let renew = Instant::now() + (granted / 2).max(Duration::from_secs(1));
        state.asked = Some(Asked { id, number, renew });
        state.last = state.last.max(number);
        state.look = Some(Instant::now() + LOOK);
        Answer::Yes
    }

    /// Takes back what was asked for.
    async fn release(&self, state: &mut Standing) -> Answer {
        let numbers = match &state.asked {
            Some(asked) => vec![asked.number],
            None => match self.ask(state, self.request(Method::Get, None)).await {
                Ok(answer) if answer.code == coap::NOT_FOUND => Vec::new(),
                Ok(answer) if answer.is_success() => match scope::ours(&answer.body, &self.config.prefixes) {
                    Some(numbers) => numbers,
                    None => return Answer::no("its list of what we asked for cannot be read"),
                },
                Ok(answer) => return refusal(&answer),
                Err(no) => return no,
            },
        };
        for number in numbers {
            match self.ask(state, self.request(Method::Delete, Some(number))).await {
                Ok(answer) if answer.is_success() || answer.code == coap::NOT_FOUND => {}
                Ok(answer) => return refusal(&answer),
                Err(no) => return no,
            }
        }
        self.rest(state);
        Answer::Yes
    }

    /// Nothing is asked for: no session is needed.
    fn rest(&self, state: &mut Standing) {
        state.asked = None;
        state.look = None;
        if let Some(session) = state.session.take() {
            session.close();
        }
    }

    /// Reads what came, and is heard of. Who lost the session may have lost what was asked for, so that is made again.
    async fn look(&self, state: &mut Standing, asked: Asked) -> Answer {
        let Some(session) = &mut state.session else { return self.protect(state, asked.id, asked.number).await };
        match session.look(BEAT, MISSED).await {
            Ok(()) => Answer::Yes,
            Err(error) => {
                state.session = None;
                no(&error)
            }
        }
    }
}

impl Settings {
    /// Gives it one signal.
    pub(super) async fn attempt(&self, letter: &Letter) -> Answer {
        let signal = &letter.signal;
        let mut state = self.state.lock().await;
        let state = &mut *state;
        if signal.kind == TEST {
            let answer = self.ask(state, self.request(Method::Get, None)).await;
            if state.asked.is_none() {
                self.rest(state);
            }
            return match answer {
                // Nothing was asked for, which it could say to who it knows only.
                Ok(answer) if answer.is_success() || answer.code == coap::NOT_FOUND => Answer::Yes,
                Ok(answer) => refusal(&answer),
                Err(no) => no,
            };
        }
        if signal.condition != self.config.condition {
            return Answer::Yes;
        }
        if signal.state == State::Cleared {
            return self.release(state).await;
        }
        // By the time of the signal: higher than that of every run before, and the same if this is sent again.
        let seconds = u64::try_from(signal.wall.0 / 1_000_000_000).unwrap_or_default();
        let by_time = u32::try_from(seconds % NUMBERS).unwrap_or_default();
        let number = match &state.asked {
            Some(asked) if asked.id == letter.id() => asked.number,
            Some(_) | None => by_time.max(state.last.saturating_add(1)),
        };
        self.protect(state, letter.id(), number).await
    }

    /// When it wants to be told again how things are.
    pub(super) fn again(&self) -> Option<Instant> {
        // Nobody else holds it but an attempt, and that is over.
        let state = self.state.try_lock().ok()?;
        let asked = state.asked.as_ref()?;
        Some(state.look.map_or(asked.renew, |look| look.min(asked.renew)))
    }

    /// Tells it how things are.
    pub(super) async fn remind(&self) -> Answer {
        let mut state = self.state.lock().await;
        let state = &mut *state;
        let Some(asked) = state.asked.clone() else { return Answer::Yes };
        let is_due = Instant::now() >= asked.renew;
        let answer =
            if is_due { self.protect(state, asked.id, asked.number).await } else { self.look(state, asked).await };
        // Some ten times before what was asked for is over.
        let soon = (self.config.lifetime / 20).clamp(Duration::from_millis(500), BEAT);
        let next = match &answer {
            Answer::Yes | Answer::Gone => Instant::now() + LOOK,
            Answer::No { retry_after, .. } => Instant::now() + retry_after.unwrap_or(soon),
        };
        state.look = Some(next);
        if let (Some(asked), Answer::No { .. }, true) = (&mut state.asked, &answer, is_due) {
            asked.renew = next;
        }
        answer
    }
}

/// What an answer that is no yes means.
fn refusal(answer: &Message) -> Answer {
    let why = match answer.code {
        coap::ALTERNATE => String::from("it answers 3.00: another server is to be asked; write that one as `server`"),
        code => format!("it answers {}{}", shown(code), answer.diagnosis()),
    };
    let retry_after = match answer.code {
        coap::CONFLICT => scope::retry_timer(&answer.body),
        coap::TOO_MANY | coap::UNAVAILABLE => Some(answer.max_age().unwrap_or(MAX_AGE)),
        _ => None,
    };
    // The same request would be refused again: not often.
    Answer::No { why, retry_after, overloaded: true }
}

fn no(error: &io::Error) -> Answer {
    Answer::no(error.to_string())
}
