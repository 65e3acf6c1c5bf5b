//! What the counted interfaces themselves say they lost: harm that a route may ask for before it moves. What the capture lost is its own to say.
//!
//! The kernel holds a lock of all of its interfaces while it answers, and somebody may have it for long. So a thread asks, and a sample
//! takes what that found.

use super::interface;
use super::netlink::{Request, attributes, word};
use crate::privileges;
use crossbeam_channel::{RecvTimeoutError, Sender};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// How often it is asked: while a condition is met, this long a step may wait for what is already lost.
const EVERY: Duration = Duration::from_millis(250);

/// Frames that interfaces lost since the start, while it is watched.
#[derive(Debug, Default)]
pub struct Drops {
    total: Arc<AtomicU64>,
    /// The thread that asks ends with this.
    asking: Option<(Vec<String>, Sender<()>)>,
}

impl Drops {
    /// Watches these interfaces from here on, and no others; none, if there is none.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn watch(&mut self, interfaces: &[String]) -> io::Result<()> {
        if self.asking.as_ref().map_or(&[][..], |(watched, _)| watched) == interfaces {
            return Ok(());
        }
        self.asking = None;
        if interfaces.is_empty() {
            return Ok(());
        }
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let (total, names) = (Arc::clone(&self.total), interfaces.to_vec());
        thread::Builder::new().name(String::from("drops")).spawn(move || {
            privileges::keep(&[]);
            let mut watched: Vec<Watched> = names.into_iter().map(Watched::new).collect();
            loop {
                let lost: u64 = watched.iter_mut().map(|one| one.look(read)).sum();
                total.fetch_add(lost, Ordering::Relaxed);
                if stopped.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        self.asking = Some((interfaces.to_vec(), stop));
        Ok(())
    }

    /// How many there were: a total that is never reset.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// One interface, under whatever name it has now.
#[derive(Debug)]
struct Watched {
    name: String,
    last: Option<Counters>,
}

/// What an interface says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counters {
    /// Of which interface.
    index: u32,
    /// `rx_dropped`: by the kernel behind the driver.
    dropped: u64,
    /// `rx_missed_errors`, `rx_fifo_errors`, `rx_over_errors`: no room in the card or its ring. Drivers disagree about which of these it is,
    /// and some count one frame in two of them.
    full: [u64; 3],
}

impl Watched {
    const fn new(name: String) -> Self {
        Self { name, last: None }
    }

    /// How many frames it lost since the last look. Counters that begin anew, with an interface or by a driver, have lost nothing.
    fn look(&mut self, read: impl Fn(&Question<'_>) -> Option<Counters>) -> u64 {
        let by_number = |last: Counters| read(&Question::Number(last.index));
        let now = read(&Question::Name(&self.name)).or_else(|| self.last.and_then(by_number));
        let last = std::mem::replace(&mut self.last, now);
        let (Some(now), Some(last)) = (now, last.filter(|last| now.is_some_and(|now| now.index == last.index))) else {
            return 0;
        };
        let full = now.full.iter().zip(last.full).map(|(now, last)| now.saturating_sub(last));
        now.dropped.saturating_sub(last.dropped) + full.max().unwrap_or(0)
    }
}

/// Which interface is asked for.
#[derive(Clone, Copy, Debug)]
enum Question<'q> {
    Name(&'q str),
    Number(u32),
}

fn read(question: &Question<'_>) -> Option<Counters> {
    /// The attribute that holds the counters, and where they are in it, in words of 64 bits (linux/if_link.h, `rtnl_link_stats64`).
    const STATS64: u16 = libc::IFLA_STATS64;
    const DROPPED: usize = 6;
    const OVER: usize = 11;
    const FIFO: usize = 14;
    const MISSED: usize = 15;
    let index = match *question {
        Question::Name(name) => interface::number_of(name)?,
        Question::Number(index) => index,
    };
    let mut head = [0; 16];
    head[4..8].copy_from_slice(&index.to_ne_bytes());
    let bodies = Request::new(libc::RTM_GETLINK, 0, &head).ask().ok()?;
    let body = bodies.first()?;
    let (_, stats) = attributes(body.get(head.len()..)?).find(|(kind, _)| *kind == STATS64)?;
    let counter = |at: usize| stats.get(8 * at..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes));
    let full = [counter(MISSED)?, counter(FIFO)?, counter(OVER)?];
    Some(Counters { index: word(body, 4), dropped: counter(DROPPED)?, full })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Counters = Counters { index: 7, dropped: 100, full: [50, 40, 0] };

    #[test]
    fn what_grew_is_lost_and_what_two_counters_say_of_one_frame_counts_once() {
        let mut watched = Watched::new("eth0".into());
        assert_eq!(watched.look(|_| Some(FIRST)), 0, "what was lost before is nobody's");
        assert_eq!(watched.look(|_| Some(FIRST)), 0);
        assert_eq!(watched.look(|_| Some(Counters { dropped: 103, ..FIRST })), 3);
        assert_eq!(watched.look(|_| Some(Counters { dropped: 103, full: [60, 50, 1], ..FIRST })), 10);
    }

    #[test]
    fn counters_that_begin_anew_have_lost_nothing() {
        let mut watched = Watched::new("eth0".into());
        watched.look(|_| Some(FIRST));
        let reset = Counters { dropped: 2, full: [0; 3], ..FIRST };
        assert_eq!(watched.look(|_| Some(reset)), 0, "by a driver");
        let other = Counters { index: 8, dropped: 500, full: [70; 3] };
        assert_eq!(watched.look(|_| Some(other)), 0, "with an interface");
        assert_eq!(watched.look(|_| None), 0, "without one");
        assert_eq!(watched.look(|_| Some(Counters { dropped: 900, ..other })), 0, "nobody saw when");
        assert_eq!(watched.look(|_| Some(Counters { dropped: 901, ..other })), 1);
    }

    #[test]
    fn an_interface_that_is_called_otherwise_is_the_same() {
        let mut watched = Watched::new("eth0".into());
        watched.look(|_| Some(FIRST));
        let renamed = |question: &Question<'_>| match question {
            Question::Name(_) => None,
            Question::Number(_) => Some(Counters { dropped: 104, ..FIRST }),
        };
        assert_eq!(watched.look(renamed), 4);
    }

    #[test]
    fn the_kernel_says_what_lo_lost() {
        let read = read(&Question::Name("lo")).unwrap();
        assert_eq!(read.index, interface::number_of("lo").unwrap());
        assert!(super::read(&Question::Name("nosuch0")).is_none());
    }
}
