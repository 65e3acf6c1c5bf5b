//! Channels: where signals go. One file each, an outbox in front of each, so that a slow one delays nothing else.
//!
//! What a signal is and when there is one is the engine's; what it looks like in JSON is `json`'s.

mod cloud_event;
pub mod log;
mod outbox;
mod retry;
pub(crate) mod secret;
#[cfg(test)]
mod tests;
pub mod webhook;

use engine::Signal;
use outbox::Outbox;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Instant;
use tokio::runtime::Handle;

/// A channel as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Config {
    /// JSON lines.
    Log(log::Config),
    /// HTTPS POST.
    Webhook(webhook::Config),
}

impl Config {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Log(config) => &config.name,
            Self::Webhook(config) => &config.name,
        }
    }
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
    sender: Arc<Sender>,
    runtime: Handle,
    running: Vec<Running>,
    /// Never sent through: every worker holds a sender, and the last one to end closes it.
    ended: (mpsc::Sender<()>, mpsc::Receiver<()>),
}

impl Channels {
    /// Starts a worker for every channel: a thread for a log, a task on `runtime` for a webhook.
    ///
    /// # Errors
    /// The first channel that cannot work: its file cannot be opened, its secrets cannot be read. Nothing runs then.
    pub fn start(configs: &[Config], sender: Sender, runtime: Handle) -> Result<Self, Error> {
        let mut channels = Self { sender: Arc::new(sender), runtime, running: Vec::new(), ended: mpsc::channel() };
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
        let prepared = configs.iter().map(|config| prepare(config, &self.sender)).collect::<Result<Vec<_>, _>>()?;
        let mut before = std::mem::take(&mut self.running);
        for prepared in prepared {
            let kept = before
                .iter()
                .position(|running| running.outbox.name() == prepared.name() && running.worker.takes(&prepared))
                .map(|index| before.swap_remove(index));
            let running = match kept {
                Some(running) => running.replace(prepared),
                None => Running::start(prepared, &self.runtime, self.ended.0.clone())?,
            };
            self.running.push(running);
        }
        for running in before {
            running.outbox.close();
        }
        Ok(())
    }

    /// Gives a signal to every channel, without waiting. `crossed` is when the tick that made it was taken.
    ///
    /// A channel whose queue is full loses its oldest signal: the newest says how things are now.
    pub fn send(&self, signal: &Signal, crossed: Instant) {
        let letter = outbox::Letter { signal: Arc::new(signal.clone()), crossed };
        for running in &self.running {
            running.outbox.push(letter.clone());
        }
    }

    /// What each channel has done so far, in the order of the configuration.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        self.running.iter().map(|running| running.outbox.status()).collect()
    }

    /// Sends what is waiting, each signal with at most one attempt more, and returns when that is done or at `deadline`.
    ///
    /// Blocks; not for a thread of the runtime. Returns how many signals are left unsent.
    pub fn close(self, deadline: Instant) -> u64 {
        let Self { running, ended: (own, ended), .. } = self;
        for running in &running {
            running.outbox.close();
        }
        drop(own);
        // An error either way: no sender is left, or the time is over.
        let _ = ended.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        running
            .iter()
            .map(|running| running.outbox.status())
            .filter(|status| status.waiting > 0)
            .inspect(|status| {
                tracing::warn!(channel = status.channel, signals = status.waiting, "left unsent at the end")
            })
            .map(|status| status.waiting)
            .sum()
    }
}

/// A channel that cannot work as configured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log file cannot be opened for appending.
    #[error("channel {channel}: cannot append to {}", path.display())]
    Log {
        /// The channel.
        channel: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of a webhook cannot be read.
    #[error("channel {channel}: cannot read {}", path.display())]
    Read {
        /// The channel.
        channel: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A secret file holds something else.
    #[error("channel {channel}: {} does not hold \"whsec_\" and the base64 of 24 to 64 bytes", path.display())]
    Secret {
        /// The channel.
        channel: String,
        /// The file.
        path: PathBuf,
    },
    /// The URL or the authorities cannot be used.
    #[error("channel {channel}: no HTTPS client for it")]
    Client {
        /// The channel.
        channel: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The URL is neither `https` nor `http` to a loopback address.
    #[error("channel {channel}: the URL must begin with https:// (http:// only to a loopback address)")]
    Url {
        /// The channel.
        channel: String,
    },
    /// The system gives no thread.
    #[error("channel {channel}: cannot start a thread")]
    Thread {
        /// The channel.
        channel: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Chooses ring for all TLS of the process. First thing in main; later calls change nothing.
pub fn install_tls() {
    // Fails only if a provider is chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[derive(Debug)]
struct Running {
    outbox: Arc<Outbox>,
    worker: Worker,
}

/// What a running channel looks up before each attempt, so that a reload changes it under the worker.
#[derive(Debug)]
enum Worker {
    Log(Arc<log::Target>),
    Webhook(Arc<webhook::Target>),
}

/// A channel that has all it needs, but does not run.
enum Prepared {
    Log(log::Config, log::Target),
    Webhook(webhook::Config, webhook::Settings),
}

fn prepare(config: &Config, sender: &Arc<Sender>) -> Result<Prepared, Error> {
    Ok(match config {
        Config::Log(config) => Prepared::Log(config.clone(), log::Target::open(config)?),
        Config::Webhook(config) => Prepared::Webhook(config.clone(), webhook::Settings::load(config, sender)?),
    })
}

impl Prepared {
    fn name(&self) -> &str {
        match self {
            Self::Log(config, _) => &config.name,
            Self::Webhook(config, _) => &config.name,
        }
    }
}

impl Worker {
    /// Whether a reload to `prepared` can leave this worker running.
    fn takes(&self, prepared: &Prepared) -> bool {
        matches!((self, prepared), (Self::Log(_), Prepared::Log(..)) | (Self::Webhook(_), Prepared::Webhook(..)))
    }
}

impl Running {
    fn start(prepared: Prepared, runtime: &Handle, ended: mpsc::Sender<()>) -> Result<Self, Error> {
        match prepared {
            Prepared::Log(config, target) => {
                let outbox = Arc::new(Outbox::new(&config.name, log::QUEUE));
                let target = Arc::new(target);
                let worker = Worker::Log(Arc::clone(&target));
                let (work, runtime) = (Arc::clone(&outbox), runtime.clone());
                // A thread, not a task: a terminal or a pipe that nobody reads blocks whoever writes to it.
                std::thread::Builder::new()
                    .name("log".to_owned())
                    .spawn(move || {
                        crate::privileges::keep(&[]);
                        log::run(&work, &target, &runtime);
                        drop(ended);
                    })
                    .map_err(|source| Error::Thread { channel: config.name, source })?;
                Ok(Self { outbox, worker })
            }
            Prepared::Webhook(config, settings) => {
                let outbox = Arc::new(Outbox::new(&config.name, config.queue));
                let target = Arc::new(webhook::Target::new(settings));
                let worker = Worker::Webhook(Arc::clone(&target));
                let work = Arc::clone(&outbox);
                runtime.spawn(async move {
                    webhook::run(&work, &*target).await;
                    drop(ended);
                });
                Ok(Self { outbox, worker })
            }
        }
    }

    fn replace(self, prepared: Prepared) -> Self {
        match (&self.worker, prepared) {
            (Worker::Log(target), Prepared::Log(_, new)) => target.replace(new),
            (Worker::Webhook(target), Prepared::Webhook(config, settings)) => {
                self.outbox.enable(config.queue);
                target.replace(settings);
            }
            (Worker::Log(_), Prepared::Webhook(..)) | (Worker::Webhook(_), Prepared::Log(..)) => {
                unreachable!("only a channel of the same type is replaced")
            }
        }
        self
    }
}
