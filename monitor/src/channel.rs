//! Channels: where signals go. One file each, a bounded queue in front of each; a slow one delays nothing else.

pub mod log;
pub mod webhook;

use engine::Signal;
use std::time::Instant;

/// A channel as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Config {
    /// JSON lines.
    Log(log::Config),
    /// HTTPS POST.
    Webhook(webhook::Config),
}

/// What a channel has done so far.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its name.
    pub channel: String,
    /// Signals accepted by the other side.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Signals lost because the queue was full or the other side refused them for good.
    pub dropped: u64,
    /// Signals waiting in the queue.
    pub waiting: u64,
    /// Seconds from the tick that crossed to the other side's yes, in nanoseconds.
    pub delay: hdrhistogram::Histogram<u64>,
}

/// All channels, running.
#[derive(Debug)]
pub struct Channels {}

impl Channels {
    /// Gives a signal to every channel, without waiting. `crossed` is when the tick that made it was taken.
    pub fn send(&self, signal: &Signal, crossed: Instant) {
        let _ = (signal, crossed);
    }

    /// What each channel has done so far.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        Vec::new()
    }
}
