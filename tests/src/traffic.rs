//! Load on a name server at a rate, and a name server that says as little as one can.

use crate::lab::until;
use crate::message::{query, response};
use anyhow::{Context, Result};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// How long between two bursts of a load.
const PACE: Duration = Duration::from_millis(2);

/// What a stalled machine is behind by more than this is never sent: it would be a rate that nobody asked for.
const ARREARS: Duration = Duration::from_millis(50);

/// Messages sent to one address at a rate, until it is stopped or dropped.
#[derive(Debug)]
pub struct Load {
    rate: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Sends what `next` gives, `rate` a second.
    pub fn start(
        socket: UdpSocket,
        to: SocketAddr,
        rate: u32,
        mut next: impl FnMut() -> Vec<u8> + Send + 'static,
    ) -> Self {
        let mut load =
            Self { rate: Arc::new(AtomicU32::new(rate)), stop: Arc::default(), sent: Arc::default(), thread: None };
        let (rate, stop, sent) = (Arc::clone(&load.rate), Arc::clone(&load.stop), Arc::clone(&load.sent));
        load.thread = Some(thread::spawn(move || {
            let (mut last, mut due) = (Instant::now(), 0.0);
            while !stop.load(Ordering::Relaxed) {
                // A rate is made of time.
                thread::sleep(PACE);
                let now = Instant::now();
                due += (now - last).min(ARREARS).as_secs_f64() * f64::from(rate.load(Ordering::Relaxed));
                last = now;
                while due >= 1.0 {
                    due -= 1.0;
                    // While the link is away nothing can be sent, and nothing is.
                    sent.fetch_add(u64::from(socket.send_to(&next(), to).is_ok()), Ordering::Relaxed);
                }
            }
        }));
        load
    }

    /// Goes on at another rate.
    pub fn set_rate(&self, rate: u32) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// How many were sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits until so many more were sent.
    ///
    /// # Errors
    /// When they are not after a minute.
    pub fn more(&self, messages: u64) -> Result<()> {
        let goal = self.sent() + messages;
        until(&format!("{messages} more sent"), Duration::from_secs(60), || (self.sent() >= goal).then_some(()))
    }

    /// Ends it; how many were sent.
    ///
    /// # Errors
    /// When the sending thread panicked.
    pub fn stop(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().context("running")?.join().ok().context("the sender panicked")?;
        Ok(self.sent())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A name server on one socket: NOERROR for names that end in one of its zones, REFUSED with EDE 20 for all others.
#[derive(Debug)]
pub struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<[u64; 2]>>,
}

impl Server {
    /// Answers on `socket` for `zones`.
    ///
    /// # Errors
    /// When the socket takes no time limit.
    pub fn start(socket: UdpSocket, zones: &[&str]) -> Result<Self> {
        // As the end of a question: the labels, the type, the class.
        let zones: Vec<Vec<u8>> = zones.iter().map(|zone| query(zone).split_off(12)).collect();
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        let stop: Arc<AtomicBool> = Arc::default();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut answered, mut buffer) = ([0, 0], [0; 512]);
            loop {
                match socket.recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        let query = buffer.get(..length).unwrap_or_default();
                        let own = zones.iter().any(|zone| query.ends_with(zone));
                        let (rcode, info_code) = if own { (0, None) } else { (5, Some(20)) };
                        let sent = socket.send_to(&response(query, rcode, info_code), from).is_ok();
                        answered[usize::from(!own)] += u64::from(sent);
                    }
                    Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                        if stopped.load(Ordering::Relaxed) {
                            return answered;
                        }
                    }
                    Err(_) => {}
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends it once nothing waits for an answer; how many it answered with NOERROR and with REFUSED.
    ///
    /// # Errors
    /// When its thread panicked.
    pub fn stop(mut self) -> Result<[u64; 2]> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().context("running")?.join().ok().context("the server panicked")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
