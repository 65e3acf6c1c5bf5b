//! The capture of `run`: the kernel's where that works, else packet sockets.

use super::Status;
use super::attribution::Attribution;
use super::kernel::{self, Kernel};
use super::socket::{self, Socket};
use crate::{cli, config};
use engine::{Sample, Time, Wall};
use std::error::Error as _;
use std::sync::Arc;

/// Why nothing can be counted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Packet sockets.
    #[error(transparent)]
    Socket(#[from] socket::Error),
    /// The kernel, which was asked for.
    #[error("no capture in the kernel: {}", whole(.0))]
    Kernel(#[from] kernel::Error),
}

/// A running capture.
#[derive(Debug)]
pub enum Running {
    /// In the kernel.
    Kernel(Box<Kernel>),
    /// By packet sockets.
    Socket(Socket),
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
        let config::Capture { interfaces, ports, buffer, threads } = config;
        if wanted != cli::Capture::Socket {
            match Kernel::start(interfaces, *ports, wanted, attribution) {
                Ok(kernel) => return Ok(Self::Kernel(Box::new(kernel))),
                Err(error) if wanted != cli::Capture::Auto => return Err(error.into()),
                Err(error) => tracing::info!(reason = whole(&error), "counting by packet sockets"),
            }
        }
        Ok(Self::Socket(Socket::start(interfaces, *ports, *buffer, *threads, attribution)?))
    }

    /// The totals of all interfaces now.
    #[must_use]
    pub fn sample(&mut self, at: Time, wall: Wall) -> Sample {
        match self {
            Self::Kernel(kernel) => kernel.sample(at, wall),
            Self::Socket(socket) => socket.sample(at, wall),
        }
    }

    /// What each interface says of itself, in the order they were given.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        match self {
            Self::Kernel(kernel) => kernel.status(),
            Self::Socket(socket) => socket.status(),
        }
    }

    /// Makes ready for [`Running::replace`].
    ///
    /// # Errors
    /// There is no room for it; nothing has changed then.
    pub fn prepare(&mut self, attribution: &Attribution) -> Result<(), Error> {
        match self {
            Self::Kernel(kernel) => Ok(kernel.prepare(attribution)?),
            Self::Socket(_) => Ok(()),
        }
    }

    /// Attributes by `attribution`, for which it was made ready, from here on: gives the last sample of the old
    /// generation and begins a new one.
    #[must_use]
    pub fn replace(&mut self, attribution: &Arc<Attribution>, at: Time, wall: Wall) -> Sample {
        match self {
            Self::Kernel(kernel) => kernel.replace(at, wall),
            Self::Socket(socket) => socket.replace(attribution, at, wall),
        }
    }

    /// Stops counting; what was counted can still be sampled.
    pub fn stop(&mut self) {
        match self {
            Self::Kernel(kernel) => kernel.stop(),
            Self::Socket(socket) => socket.stop(),
        }
    }
}

/// An error and what is behind it.
fn whole(error: &kernel::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
