//! Channels: where signals go. One file each, an outbox in front of each, so that a slow one delays nothing else.
//!
//! What a signal is and when there is one is the engine's; what it looks like in JSON is `json`'s.

mod cloud_event;
pub mod dbus;
mod delivery;
mod desk;
#[cfg(feature = "dots")]
pub mod dots;
mod error;
#[cfg(test)]
mod escaping;
pub mod exec;
mod given_up;
mod letter;
pub mod log;
mod moment;
pub mod mqtt;
pub mod notify;
mod outbox;
mod peer;
mod retry;
mod row;
mod running;
pub(crate) mod secret;
pub mod syslog;
#[cfg(test)]
mod tests;
pub mod tls;
mod trial;
pub mod webhook;

pub use desk::Desk;
pub use error::Error;
pub use outbox::journal::Standing;
pub use outbox::left::{Left, LeftError};
pub use row::{Dropped, Line, Row};
pub use trial::{TEST, trial};

use crate::config::defaults;
use engine::signal::Named;
use engine::trouble::GIVEN_UP;
use engine::{Plan, Signal, Troubled};
use moment::Moment;
use outbox::Outbox;
use outbox::journal::Journal;
use running::{Prepared, Ready, Running, prepare};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Handle;

/// A channel as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// What waits for it, and for how long.
    pub waits: Waits,
    /// Where it goes.
    pub to: To,
}

impl Config {
    /// Takes what it needs to know of what is judged.
    pub(crate) fn learn(&mut self, plan: &Plan, channels: &[String]) {
        if let To::Mqtt(mqtt) = &mut self.to {
            mqtt.learn(plan, channels.iter().filter(|&channel| *channel != self.name));
        }
    }
}

/// Where a channel goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// JSON lines.
    Log(log::Config),
    /// A program.
    Exec(exec::Config),
    /// HTTPS POST.
    Webhook(webhook::Config),
    /// Signals and properties on D-Bus.
    Dbus(dbus::Config),
    /// DNS NOTIFY.
    Notify(notify::Config),
    /// Syslog.
    Syslog(syslog::Config),
    /// Requests for mitigation.
    #[cfg(feature = "dots")]
    Dots(dots::Config),
    /// Messages to an MQTT broker.
    Mqtt(mqtt::Config),
}

/// What may wait for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Whether a newer signal takes the place of an older one that still waits.
    pub deliver: Deliver,
    /// How many signals may wait.
    pub count: usize,
    /// How many bytes of them.
    pub bytes: usize,
    /// For how long a signal is tried.
    pub age: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self { deliver: Deliver::Every, count: defaults::QUEUE, bytes: defaults::QUEUE_SIZE, age: defaults::GIVE_UP }
    }
}

/// What a channel is sent of what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deliver {
    /// Every signal.
    Every,
    /// Of each condition and scope the newest, which says for how many it stands.
    Latest,
}

/// What a channel has done so far.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its name.
    pub channel: String,
    /// Signals accepted by the other side.
    pub sent: u64,
    /// Signals given up after attempts that failed.
    pub failed: u64,
    /// Signals never tried: pushed out of a full queue by newer ones, or given to a disabled channel.
    pub dropped: u64,
    /// Signals for which a newer one of the same condition was sent.
    pub superseded: u64,
    /// Attempts that failed, of whatever signal.
    pub failed_attempts: u64,
    /// Signals waiting in the queue, the one that is being sent included.
    pub waiting: u64,
    /// The other side said that it is gone (410): nothing more is sent to it until the next reload.
    pub disabled: bool,
    /// From the tick that crossed to the other side's yes, in nanoseconds.
    pub delay: hdrhistogram::Histogram<u64>,
}

/// Who sends: goes into every id and source, so that receivers can tell nodes and their starts apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// What this node calls itself.
    pub node: String,
    /// Differs at every start of the program, since signals are numbered from 1 again.
    pub boot: String,
}

/// All channels, running.
#[derive(Debug)]
pub struct Channels {
    sender: Sender,
    runtime: Handle,
    running: Vec<Running>,
    /// Where what waits is to be kept, from the first channel on, and who does it.
    state: Option<PathBuf>,
    journal: Option<Journal>,
    /// The number of the next signal, in the order of all runs.
    next: AtomicU64,
    /// Never sent through: every worker holds a sender, and the last one to end closes it.
    ended: (mpsc::Sender<()>, mpsc::Receiver<()>),
}

impl Channels {
    /// Starts a worker for every channel: a thread for a log, a task on `runtime` for all others.
    ///
    /// What waits is kept in the state directory, and what an earlier run left there is sent first; without one it is in
    /// memory only. One that cannot be used is said and is no error.
    ///
    /// # Errors
    /// The first channel that cannot work: its file cannot be opened, its secrets cannot be read. Nothing runs then.
    pub fn start(configs: &[Config], sender: Sender, runtime: Handle, state: Option<&Path>) -> Result<Self, Error> {
        let state = state.map(Path::to_owned);
        let ended = mpsc::channel();
        let (running, next) = (Vec::new(), AtomicU64::new(0));
        let mut channels = Self { sender, runtime, running, state, journal: None, next, ended };
        channels.reload(configs)?;
        Ok(channels)
    }

    /// Makes `configs` the channels: reads all secrets again, opens all files again, enables what was disabled. A channel
    /// that keeps its name and type keeps what is waiting and its counts; one that is no longer named tries once more to
    /// send what is waiting.
    ///
    /// # Errors
    /// As [`Channels::start`]; everything is as before then.
    pub fn reload(&mut self, configs: &[Config]) -> Result<(), Error> {
        let prepared = configs.iter().map(prepare).collect::<Result<Vec<_>, _>>()?;
        if let Some(state) = self.state.take_if(|_| !configs.is_empty()) {
            let thread = |source| Error::Thread { channel: "outbox".to_owned(), source };
            self.journal = Journal::start(&state).map_err(thread)?;
            self.next = AtomicU64::new(self.journal.as_ref().map_or(0, |journal| journal.next));
        }
        let mut before = std::mem::take(&mut self.running);
        for prepared in prepared {
            let kept =
                before.iter().position(|running| running.takes(&prepared)).map(|index| before.swap_remove(index));
            let running = match kept {
                Some(running) => running.replace(prepared, &self.sender, &self.runtime),
                None => self.begin(prepared)?,
            };
            self.running.push(running);
        }
        for running in before {
            running.outbox.abandon();
        }
        if let Some(journal) = &self.journal {
            journal.serve(self.running.iter().map(|running| Arc::clone(&running.outbox)).collect());
        }
        Ok(())
    }

    fn begin(&self, mut prepared: Prepared) -> Result<Running, Error> {
        if let Ready::Other(other) = &mut prepared.to {
            other.begin(None, &self.sender, &self.runtime);
        }
        let Prepared { name, waits, .. } = &prepared;
        let outbox = Arc::new(Outbox::new(name, *waits, self.journal.as_ref().map(Journal::wake)));
        if let Some(journal) = &self.journal {
            let left = journal.left_for(name);
            if !left.is_empty() {
                tracing::info!(channel = name, signals = left.len(), "sends what an earlier run left");
            }
            outbox.restore(left, Instant::now(), &Moment::now(), wall());
        }
        Running::start(prepared, outbox, &self.runtime, self.ended.0.clone())
    }

    /// Gives a signal to every channel, without waiting. `crossed` is when the tick that made it was taken.
    ///
    /// A channel whose queue is full loses its oldest signal: the newest says how things are now. That a channel gave signals up
    /// is for the others: its own would be pushed out by that too.
    pub fn send(&self, signal: &Signal, crossed: Instant) {
        let text = letter::encode(signal, &self.sender, &Moment::now());
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let is_of = |name: &str| signal.kind == GIVEN_UP && matches!(&signal.scope, Named::Channel(of) if of == name);
        for running in self.running.iter().filter(|running| !is_of(running.outbox.name())) {
            running.note(signal);
            running.outbox.push(number, signal, &text, crossed);
        }
    }

    /// The channels that gave signals up: each from the first one until it sends again, and gave up none for a minute.
    #[must_use]
    pub fn troubles(&self) -> Vec<Troubled> {
        let now = Instant::now();
        self.running.iter().filter_map(|running| running.outbox.trouble(now)).collect()
    }

    /// Where an operator asks, from any thread; until the next reload.
    #[must_use]
    pub fn desk(&self) -> Desk {
        let outboxes = self.running.iter().map(|running| Arc::clone(&running.outbox)).collect();
        Desk { outboxes, journal: self.journal.as_ref().map(Journal::wake) }
    }

    /// The folder of what waits, while no other process may change it.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.journal.as_ref()?.folder.as_deref()
    }

    /// How what waits is kept on the disk, if it is to be.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.journal.as_ref().map(Journal::standing)
    }

    /// What each channel has done so far, in the order of the configuration.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        self.running.iter().map(|running| running.outbox.status()).collect()
    }

    /// Sends what is waiting, each signal with at most one attempt more, and returns when that is done or at `deadline`.
    /// What is kept on the disk for the next start is not tried further once an attempt has failed.
    ///
    /// Blocks; not for a thread of the runtime. Returns how many signals are left that no next start will send.
    pub fn close(self, deadline: Instant) -> u64 {
        let Self { running, journal, ended: (own, ended), .. } = self;
        for running in &running {
            running.outbox.close();
        }
        drop(own);
        // The last word is the disk's: an eighth of the time is for that.
        let rest = deadline.saturating_duration_since(Instant::now());
        // An error either way: no sender is left, or the time is over.
        let _ = ended.recv_timeout(if journal.is_some() { rest * 7 / 8 } else { rest });
        let is_kept = journal.is_some_and(|journal| journal.finish(deadline));
        let left = running.iter().map(|running| running.outbox.status()).filter(|status| status.waiting > 0);
        let mut lost = 0;
        for Status { channel, waiting: signals, .. } in left {
            if is_kept {
                tracing::info!(channel, signals, "kept for the next start");
            } else {
                tracing::warn!(channel, signals, "left unsent at the end");
                lost += signals;
            }
        }
        lost
    }
}

/// Chooses ring for all TLS of the process. First thing in main; later calls change nothing.
pub fn install_tls() {
    // Fails only if a provider is chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn wall() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
