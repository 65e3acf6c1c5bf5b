//! A channel that runs: its outbox, and the worker that takes from it, which a reload gives another target.

use super::delivery::{self, Target};
#[cfg(feature = "dots")]
use super::dots;
use super::outbox::Outbox;
use super::peer::Other;
use super::{Config, Error, Sender, To, Waits, dbus, exec, log, mqtt, notify, syslog, webhook};
use engine::Signal;
use std::sync::{Arc, mpsc};
use tokio::runtime::Handle;

#[derive(Debug)]
pub(super) struct Running {
    pub(super) outbox: Arc<Outbox>,
    worker: Worker,
}

/// What a running channel looks up before each attempt, so that a reload changes it under the worker.
#[derive(Debug)]
enum Worker {
    Log(Arc<log::Target>),
    Other(Arc<Target<Other>>),
}

/// A channel that has all it needs, but does not run.
pub(super) struct Prepared {
    pub(super) name: String,
    pub(super) waits: Waits,
    pub(super) to: Ready,
}

pub(super) enum Ready {
    Log(log::Target),
    Other(Other),
}

/// Opens its files and reads its secrets.
pub(super) fn prepare(config: &Config) -> Result<Prepared, Error> {
    let name = &config.name;
    let to = match &config.to {
        To::Log(config) => Ready::Log(log::Target::open(name, config)?),
        To::Exec(config) => Ready::Other(Other::Exec(exec::Settings::load(name, config)?)),
        To::Webhook(config) => Ready::Other(Other::Webhook(webhook::Settings::load(name, config)?)),
        To::Dbus(config) => Ready::Other(Other::Dbus(dbus::Settings::new(config))),
        To::Notify(config) => Ready::Other(Other::Notify(notify::Settings::load(name, config)?)),
        #[cfg(feature = "dots")]
        To::Dots(config) => Ready::Other(Other::Dots(dots::Settings::load(name, config)?)),
        To::Syslog(config) => Ready::Other(Other::Syslog(syslog::Settings::load(name, config)?)),
        To::Mqtt(config) => Ready::Other(Other::Mqtt(mqtt::Settings::load(name, config)?)),
    };
    Ok(Prepared { name: name.clone(), waits: config.waits, to })
}

impl Worker {
    /// Whether a reload to `ready` can leave this worker running.
    const fn takes(&self, ready: &Ready) -> bool {
        matches!((self, ready), (Self::Log(_), Ready::Log(_)) | (Self::Other(_), Ready::Other(_)))
    }
}

impl Running {
    /// Whether a reload to `prepared` can leave its worker running.
    pub(super) fn takes(&self, prepared: &Prepared) -> bool {
        self.outbox.name() == prepared.name && self.worker.takes(&prepared.to)
    }

    /// Starts its worker.
    pub(super) fn start(
        prepared: Prepared,
        outbox: Arc<Outbox>,
        runtime: &Handle,
        ended: mpsc::Sender<()>,
    ) -> Result<Self, Error> {
        let work = Arc::clone(&outbox);
        let worker = match prepared.to {
            Ready::Log(target) => {
                let target = Arc::new(target);
                let worker = Worker::Log(Arc::clone(&target));
                let runtime = runtime.clone();
                // A thread, not a task: a terminal or a pipe that nobody reads blocks whoever writes to it.
                std::thread::Builder::new()
                    .name("log".to_owned())
                    .spawn(move || {
                        crate::privileges::keep(&[]);
                        log::run(&work, &target, &runtime);
                        drop(ended);
                    })
                    .map_err(|source| Error::Thread { channel: prepared.name, source })?;
                worker
            }
            Ready::Other(other) => {
                let target = Arc::new(Target::new(other));
                let worker = Worker::Other(Arc::clone(&target));
                runtime.spawn(async move {
                    delivery::run(&work, &target).await;
                    target.peer().leave().await;
                    drop(ended);
                });
                worker
            }
        };
        Ok(Self { outbox, worker })
    }

    /// Lets the other side know how things are now, whatever becomes of the signal in the queue.
    pub(super) fn note(&self, signal: &Signal) {
        if let Worker::Other(target) = &self.worker {
            target.peer().note(signal);
        }
    }

    /// Gives its worker another target.
    pub(super) fn replace(self, prepared: Prepared, sender: &Sender, runtime: &Handle) -> Self {
        self.outbox.enable(prepared.waits);
        match (&self.worker, prepared.to) {
            (Worker::Log(target), Ready::Log(new)) => target.replace(new),
            (Worker::Other(target), Ready::Other(mut new)) => {
                new.begin(Some(&target.peer()), sender, runtime);
                target.replace(new);
            }
            (Worker::Log(_), Ready::Other(_)) | (Worker::Other(_), Ready::Log(_)) => {
                unreachable!("only a worker that takes it is given it")
            }
        }
        self
    }
}
