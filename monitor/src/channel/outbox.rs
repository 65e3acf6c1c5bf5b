//! The queue in front of a channel, and its counts. Bounded: when it is full, the oldest signal goes.
//!
//! One worker takes from it, one signal at a time. In memory: what waits is lost when the process ends.

use super::Status;
use engine::Signal;
use hdrhistogram::Histogram;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, watch};

/// A signal on its way.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) signal: Arc<Signal>,
    /// When the tick that made it was taken.
    pub(super) crossed: Instant,
}

#[derive(Debug)]
pub(super) struct Outbox {
    name: String,
    state: Mutex<State>,
    arrived: Notify,
    closing: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    capacity: usize,
    waiting: VecDeque<Letter>,
    /// A letter was taken and not answered for yet.
    taken: bool,
    disabled: bool,
    sent: u64,
    failed: u64,
    dropped: u64,
    failed_attempts: u64,
    delay: Histogram<u64>,
}

impl Outbox {
    /// An outbox for at most `capacity` letters, besides the one that is being sent.
    pub(super) fn new(name: &str, capacity: usize) -> Self {
        let delay =
            Histogram::new_with_bounds(1_000, 3_600_000_000_000, 2).expect("microseconds to an hour, two digits");
        Self {
            name: name.to_owned(),
            state: Mutex::new(State {
                capacity: capacity.max(1),
                waiting: VecDeque::new(),
                taken: false,
                disabled: false,
                sent: 0,
                failed: 0,
                dropped: 0,
                failed_attempts: 0,
                delay,
            }),
            arrived: Notify::new(),
            closing: watch::Sender::new(false),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Puts a letter last. If there is no room, the oldest one that waits is dropped for it.
    pub(super) fn push(&self, letter: Letter) {
        let mut state = self.state();
        if state.disabled {
            state.dropped += 1;
            return;
        }
        if state.waiting.len() >= state.capacity {
            state.waiting.pop_front();
            state.dropped += 1;
        }
        state.waiting.push_back(letter);
        drop(state);
        self.arrived.notify_one();
    }

    /// The next letter, once there is one; `None` when the outbox is closing and empty. Ask again only after one of
    /// `accepted`, `failed` and `disable`.
    pub(super) async fn next(&self) -> Option<Letter> {
        loop {
            {
                let mut state = self.state();
                if let Some(letter) = state.waiting.pop_front() {
                    state.taken = true;
                    return Some(letter);
                }
            }
            if self.is_closing() {
                return None;
            }
            self.arrived.notified().await;
        }
    }

    /// The other side said yes.
    pub(super) fn accepted(&self, letter: &Letter, now: Instant) {
        let delay = now.saturating_duration_since(letter.crossed);
        let mut state = self.state();
        state.taken = false;
        state.sent += 1;
        state.delay.saturating_record(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX));
    }

    /// An attempt failed; the letter is still to be sent.
    pub(super) fn attempt_failed(&self) {
        self.state().failed_attempts += 1;
    }

    /// The letter will not be sent.
    pub(super) fn failed(&self) {
        let mut state = self.state();
        state.taken = false;
        state.failed += 1;
    }

    /// Nothing will be sent any more: not the letter that was taken, not those that wait, none that come.
    pub(super) fn disable(&self) {
        let mut state = self.state();
        state.disabled = true;
        state.failed += u64::from(state.taken);
        state.dropped += state.waiting.len() as u64;
        state.taken = false;
        state.waiting.clear();
    }

    /// Takes letters again, at most `capacity` of them.
    pub(super) fn enable(&self, capacity: usize) {
        let mut state = self.state();
        state.disabled = false;
        state.capacity = capacity.max(1);
        let excess = state.waiting.len().saturating_sub(state.capacity);
        state.waiting.drain(..excess);
        state.dropped += excess as u64;
    }

    /// Asks the worker to end when nothing waits any more, and to wait for nothing until then.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
        self.arrived.notify_one();
    }

    pub(super) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Returns once the outbox is closing.
    pub(super) async fn closed(&self) {
        // The sender is `self`: it cannot be gone.
        let _ = self.closing.subscribe().wait_for(|&closing| closing).await;
    }

    pub(super) fn status(&self) -> Status {
        let state = self.state();
        Status {
            channel: self.name.clone(),
            sent: state.sent,
            failed: state.failed,
            dropped: state.dropped,
            failed_attempts: state.failed_attempts,
            waiting: state.waiting.len() as u64 + u64::from(state.taken),
            disabled: state.disabled,
            delay: state.delay.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts and a queue: true after every line above, whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    pub(in super::super) use crate::json::tests::overload as signal;
    use std::time::Duration;

    #[tokio::test]
    async fn a_full_queue_drops_its_oldest_and_counts_it() {
        let outbox = Outbox::new("siem", 2);
        for seq in 1..=5 {
            outbox.push(letter(seq));
        }
        assert_eq!((outbox.status().waiting, outbox.status().dropped), (2, 3));
        for seq in [4, 5] {
            let letter = outbox.next().await.unwrap();
            assert_eq!(letter.signal.seq, seq);
            outbox.accepted(&letter, letter.crossed + Duration::from_millis(3));
        }
        let status = outbox.status();
        assert_eq!((status.sent, status.waiting), (2, 0));
        assert!((2_900_000..3_100_000).contains(&status.delay.max()));
    }

    #[tokio::test]
    async fn the_letter_being_sent_is_not_pushed_out() {
        let outbox = Outbox::new("siem", 1);
        outbox.push(letter(1));
        let taken = outbox.next().await.unwrap();
        outbox.push(letter(2));
        outbox.push(letter(3));
        assert_eq!((taken.signal.seq, outbox.status().waiting, outbox.status().dropped), (1, 2, 1));
    }

    #[tokio::test]
    async fn a_closing_outbox_gives_what_waits_and_then_nothing() {
        let outbox = Outbox::new("siem", 4);
        outbox.push(letter(1));
        outbox.close();
        assert_eq!(outbox.next().await.unwrap().signal.seq, 1);
        outbox.failed();
        assert!(outbox.next().await.is_none());
    }

    #[tokio::test]
    async fn a_disabled_outbox_drops_everything_until_it_is_enabled() {
        let outbox = Outbox::new("siem", 4);
        outbox.push(letter(1));
        outbox.push(letter(2));
        outbox.next().await.unwrap();
        outbox.disable();
        outbox.push(letter(3));
        let status = outbox.status();
        assert_eq!((status.waiting, status.failed, status.dropped), (0, 1, 2));
        outbox.enable(4);
        outbox.push(letter(4));
        assert_eq!(outbox.next().await.unwrap().signal.seq, 4);
    }

    pub(in super::super) fn letter(seq: u64) -> Letter {
        Letter { signal: Arc::new(signal(seq)), crossed: tokio::time::Instant::now().into_std() }
    }
}
