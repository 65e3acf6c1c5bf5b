//! Where the judging thread leaves what others ask for.

use crate::metrics::{Snapshot, render};
use axum::body::Bytes;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The least time between two snapshots; a text serves everybody who asks within it.
const FRESH: Duration = Duration::from_millis(250);
/// How long a request waits for the judging thread.
const PATIENCE: Duration = Duration::from_secs(2);
/// The judging thread stands still if it offered nothing for this long or for ten ticks, whichever is longer.
const STILL: Duration = Duration::from_secs(2);

/// Where the judging thread says each tick that it moves, and leaves a snapshot when somebody asked for one.
#[derive(Debug)]
pub struct Board {
    start: Instant,
    still: Duration,
    /// Nanoseconds from `start` to the last offer.
    offered: AtomicU64,
    ready: AtomicBool,
    desk: Mutex<Desk>,
    /// Held by the one request that renews the text; the others wait here for it.
    printed: tokio::sync::Mutex<Option<Printed>>,
}

#[derive(Debug, Default)]
struct Desk {
    asked: Option<oneshot::Sender<Snapshot>>,
    taken: Option<Instant>,
}

#[derive(Debug)]
struct Printed {
    at: Instant,
    text: Bytes,
}

impl Board {
    /// A board that is offered to once a `tick`.
    #[must_use]
    pub fn new(tick: Duration) -> Self {
        Self {
            start: Instant::now(),
            still: STILL.max(tick.saturating_mul(10)),
            offered: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            desk: Mutex::default(),
            printed: tokio::sync::Mutex::default(),
        }
    }

    /// Says that the judging thread moves and whether it counts: sees its interfaces and has a full window. Calls
    /// `snapshot` only if somebody asked and the last one is 250 ms old. For the judging thread, each tick.
    pub fn offer(&self, counting: bool, snapshot: impl FnOnce() -> Snapshot) {
        let now = Instant::now();
        self.offered.store(u64::try_from((now - self.start).as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.ready.store(counting, Ordering::Relaxed);
        let asked = {
            let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
            if desk.taken.is_some_and(|taken| now - taken < FRESH) {
                return;
            }
            let Some(asked) = desk.asked.take() else { return };
            if asked.is_closed() {
                return;
            }
            desk.taken = Some(now);
            asked
        };
        // Whoever asked may have left in the meantime.
        let _ = asked.send(snapshot());
    }

    /// Whether the judging thread moved within the last two seconds or ten ticks.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        let offered = self.start + Duration::from_nanos(self.offered.load(Ordering::Relaxed));
        offered.elapsed() < self.still
    }

    /// Whether it also counts.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && self.is_moving()
    }

    /// The text of `/metrics`, at most 250 ms old when the request came; `None` if the judging thread does not answer.
    pub(super) async fn text(&self) -> Option<Bytes> {
        let asked_at = Instant::now();
        let mut printed = self.printed.lock().await;
        if let Some(printed) = &*printed
            && printed.at + FRESH > asked_at
        {
            return Some(printed.text.clone());
        }
        let (asked, answer) = oneshot::channel();
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).asked = Some(asked);
        let snapshot = tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()?;
        let at = Instant::now();
        // A million zones take long enough to print that other tasks should not wait for it.
        let text = tokio::task::spawn_blocking(move || Bytes::from(render(&snapshot))).await.ok()?;
        *printed = Some(Printed { at, text: text.clone() });
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics;
    use std::sync::Arc;

    #[tokio::test]
    async fn everybody_who_asks_within_a_quarter_second_gets_the_same_snapshot() {
        let board = Arc::new(Board::new(Duration::from_millis(1)));
        let asking: Vec<_> = (0..100)
            .map(|_| {
                let board = Arc::clone(&board);
                tokio::spawn(async move { board.text().await })
            })
            .collect();
        let mut snapshots = 0;
        let start = Instant::now();
        for asking in asking {
            while !asking.is_finished() {
                board.offer(true, || {
                    snapshots += 1;
                    metrics::tests::snapshot()
                });
                tokio::task::yield_now().await;
            }
            assert!(asking.await.unwrap().is_some());
        }
        assert!(snapshots <= 1 + start.elapsed().as_millis() / FRESH.as_millis(), "{snapshots}");
    }

    #[tokio::test]
    async fn nothing_is_taken_when_nobody_asks_or_whoever_asked_has_left() {
        let board = Board::new(Duration::from_millis(1));
        board.offer(true, || unreachable!("nobody asked"));
        drop(tokio::time::timeout(Duration::ZERO, board.text()).await);
        board.offer(true, || unreachable!("nobody waits"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_judging_thread_that_does_not_answer_is_told() {
        assert!(Board::new(Duration::from_millis(100)).text().await.is_none());
    }

    #[test]
    fn ready_is_counting_and_moving() {
        let board = Board::new(Duration::from_millis(100));
        assert!(board.is_moving() && !board.is_ready());
        board.offer(true, || unreachable!());
        assert!(board.is_ready());
        board.offer(false, || unreachable!());
        assert!(board.is_moving() && !board.is_ready());
    }

    #[test]
    fn a_judging_thread_that_stands_still_is_neither() {
        let mut board = Board::new(Duration::from_millis(100));
        board.offer(true, || unreachable!());
        board.still = Duration::ZERO;
        assert!(!board.is_moving() && !board.is_ready());
    }
}
