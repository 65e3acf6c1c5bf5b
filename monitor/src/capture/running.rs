//! The capture of `run`: the kernel's where that works, else packet sockets.

use super::Status;
use super::attribution::Attribution;
use super::kernel::{self, Kernel};
use super::socket::{self, Socket};
use crate::{cli, config};
use caps::Capability;
use engine::{Sample, Time, Wall};
use std::sync::Arc;

/// Why nothing can be counted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Packet sockets.
    #[error(transparent)]
    Socket(#[from] socket::Error),
    /// The kernel, which was asked for.
    #[error("no capture in the kernel: {}", .0.whole())]
    Kernel(#[from] kernel::Error),
}

/// A running capture.
#[derive(Debug)]
pub struct Running {
    wanted: cli::Capture,
    config: config::Capture,
    now: Kind,
    prepared: Prepared,
}

#[derive(Debug)]
enum Kind {
    Kernel(Box<Kernel>),
    Socket(Socket),
}

/// What [`Running::replace`] turns to.
#[derive(Debug)]
enum Prepared {
    /// The capture that runs, with another attribution.
    Same,
    /// Another one, which runs already.
    Other(Kind),
}

impl Running {
    /// Starts what is `wanted`; where that is left open, the best that works, and says why it is not the kernel.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn start(
        config: &config::Capture,
        wanted: cli::Capture,
        attribution: &Arc<Attribution>,
    ) -> Result<Self, Error> {
        let now = Kind::start(config, wanted, attribution)?;
        Ok(Self { wanted, config: config.clone(), now, prepared: Prepared::Same })
    }

    /// The capabilities that it may come to need: to open sockets again, or to put filters on an interface that was made
    /// anew. Links need none, only the programs, which are loaded.
    #[must_use]
    pub fn needs(&self) -> &'static [Capability] {
        match &self.now {
            Kind::Kernel(kernel) if kernel.has_filters() => &[Capability::CAP_NET_ADMIN],
            Kind::Kernel(_) => &[],
            Kind::Socket(_) => &[Capability::CAP_NET_RAW],
        }
    }

    /// The totals of all interfaces now.
    #[must_use]
    pub fn sample(&mut self, at: Time, wall: Wall) -> Sample {
        self.now.sample(at, wall)
    }

    /// What each interface says of itself, in the order they were given.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        match &self.now {
            Kind::Kernel(kernel) => kernel.status(),
            Kind::Socket(socket) => socket.status(),
        }
    }

    /// Makes ready for [`Running::replace`], which cannot fail any more.
    ///
    /// # Errors
    /// There is no room for it, or something of the new `[capture]` cannot be had; nothing has changed then.
    pub fn prepare(&mut self, config: &config::Capture, attribution: &Arc<Attribution>) -> Result<(), Error> {
        self.abandon();
        self.prepared = match &mut self.now {
            Kind::Kernel(kernel) => match kernel.prepare(config, attribution) {
                Ok(()) => Prepared::Same,
                // What the kernel cannot count on, sockets can.
                Err(error) if self.wanted == cli::Capture::Auto && error.is_about_an_interface() => {
                    tracing::info!(reason = error.whole(), "counting by packet sockets");
                    Prepared::Other(Kind::start(config, cli::Capture::Socket, attribution)?)
                }
                Err(error) => return Err(error.into()),
            },
            Kind::Socket(_) if *config == self.config => Prepared::Same,
            Kind::Socket(_) => Prepared::Other(Kind::start(config, self.wanted, attribution)?),
        };
        Ok(())
    }

    /// Forgets what was prepared.
    pub fn abandon(&mut self) {
        self.prepared = Prepared::Same;
        if let Kind::Kernel(kernel) = &mut self.now {
            kernel.abandon();
        }
    }

    /// Counts by `config` and `attribution`, for which it was made ready, from here on: gives the last sample of the old
    /// generation and begins a new one.
    #[must_use]
    pub fn replace(
        &mut self,
        config: &config::Capture,
        attribution: &Arc<Attribution>,
        at: Time,
        wall: Wall,
    ) -> Sample {
        self.config = config.clone();
        match std::mem::replace(&mut self.prepared, Prepared::Same) {
            Prepared::Same => self.now.replace(config, attribution, at, wall),
            Prepared::Other(other) => {
                let mut old = std::mem::replace(&mut self.now, other);
                // What both see counts once, but for what is still in the new ring: a block timeout's worth.
                if let Kind::Kernel(kernel) = &mut self.now {
                    // There is room for what it was made for.
                    let _ = kernel.prepare(config, attribution);
                }
                let _ = self.now.replace(config, attribution, at, wall);
                old.stop();
                old.sample(at, wall)
            }
        }
    }

    /// Stops counting; what was counted can still be sampled.
    pub fn stop(&mut self) {
        self.now.stop();
    }
}

impl Kind {
    fn start(config: &config::Capture, wanted: cli::Capture, attribution: &Arc<Attribution>) -> Result<Self, Error> {
        if wanted != cli::Capture::Socket {
            match Kernel::start(config, wanted, attribution) {
                Ok(kernel) => return Ok(Self::Kernel(Box::new(kernel))),
                Err(error) if wanted != cli::Capture::Auto || error.is_final() => return Err(error.into()),
                Err(error) => tracing::info!(reason = error.whole(), "counting by packet sockets"),
            }
        }
        let config::Capture { interfaces, ports, buffer, threads, .. } = config;
        Ok(Self::Socket(Socket::start(interfaces, *ports, *buffer, *threads, attribution)?))
    }

    fn sample(&mut self, at: Time, wall: Wall) -> Sample {
        match self {
            Self::Kernel(kernel) => kernel.sample(at, wall),
            Self::Socket(socket) => socket.sample(at, wall),
        }
    }

    fn replace(&mut self, config: &config::Capture, attribution: &Arc<Attribution>, at: Time, wall: Wall) -> Sample {
        match self {
            Self::Kernel(kernel) => kernel.replace(config, at, wall),
            Self::Socket(socket) => socket.replace(attribution, at, wall),
        }
    }

    fn stop(&mut self) {
        match self {
            Self::Kernel(kernel) => kernel.stop(),
            Self::Socket(socket) => socket.stop(),
        }
    }
}
