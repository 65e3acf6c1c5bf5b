//! The queue in front of a channel, and its counts: bounded in signals, in bytes and in age.
//!
//! One worker takes from it, always the first ones. Where there is a journal, a signal is taken only once the disk has it, and
//! leaves the disk after the other side's yes; `journal` does that in a thread of its own, and `file` is what it writes.
//! `queue` is what waits.

mod asked;
mod file;
pub(super) mod journal;
pub(super) mod left;
#[cfg(test)]
mod properties;
mod queue;
#[cfg(test)]
pub(super) mod tests;

use super::Status;
use super::given_up::Why;
use super::letter::{Letter, decode, made};
use super::moment::Moment;
use super::{Deliver, Waits};
use engine::{Signal, Troubled};
use file::Batch;
pub(super) use file::Kept;
use journal::Wake;
use queue::{Disk, Entry, Queue};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// In the state directory.
const FOLDER: &str = "outbox";
/// A disk that takes longer than this keeps no signal waiting: it is sent, and may come again after a crash.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of what is taken together: half of the least that a receiver's system begins with to take, which it widens for more.
const AT_ONCE_BYTES: usize = 32 << 10;
/// Of an answer, so many characters are kept.
const ANSWER: usize = 200;
/// What an earlier run left is tried for so long at least, whatever the wall clock says of its age.
const SPARED: Duration = Duration::from_mins(5);

#[derive(Debug)]
pub(super) struct Outbox {
    name: String,
    queue: Mutex<Queue>,
    arrived: Notify,
    /// An operator wants something done now.
    stirred: Notify,
    closing: watch::Sender<bool>,
    /// Where what waits is written; in memory only without one.
    journal: Option<Wake>,
}

impl Outbox {
    /// An outbox that holds so much, besides what is being sent.
    pub(super) fn new(name: &str, waits: Waits, journal: Option<Wake>) -> Self {
        Self {
            name: name.to_owned(),
            queue: Mutex::new(Queue::new(waits)),
            arrived: Notify::new(),
            stirred: Notify::new(),
            closing: watch::Sender::new(false),
            journal,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Puts a signal last, with its text; numbers only ever grow. While there is no room, the oldest one that waits is
    /// given up for it.
    pub(super) fn push(&self, number: u64, signal: &Signal, text: &Arc<[u8]>, crossed: Instant) {
        let mut queue = self.queue();
        if queue.disabled {
            queue.dropped += 1;
            queue.given_up.add(1, Why::Gone);
            return;
        }
        let mut kept = Kept { text: Arc::clone(text), superseded: 0, lost: std::mem::take(&mut queue.lost) };
        queue.fold(number, signal, &mut kept);
        queue.make_room(&mut kept);
        queue.insert(number, Entry { kept, crossed, spared: None, disk: Disk::Without });
        queue.fresh.push(number);
        drop(queue);
        match &self.journal {
            Some(journal) => journal.soon(),
            None => self.arrived.notify_one(),
        }
    }

    /// Takes up what an earlier run left, as old as the kernel's clock says it is; if that was started in between, as the wall clock
    /// says, and no older than may be.
    pub(super) fn restore(&self, waiting: BTreeMap<u64, Kept>, now: Instant, moment: &Moment, wall: i64) {
        let mut queue = self.queue();
        for (number, mut kept) in waiting {
            let Some((signal, _)) = decode(&kept.text) else { continue };
            let by_wall =
                || u64::try_from(wall.saturating_sub(signal.wall.0)).map_or(Duration::ZERO, Duration::from_nanos);
            let age = moment.since(&made(&kept.text)).unwrap_or_else(by_wall);
            let crossed = now.checked_sub(age).unwrap_or(now);
            queue.fold(number, &signal, &mut kept);
            queue.make_room(&mut kept);
            queue.insert(number, Entry { kept, crossed, spared: Some(now + SPARED), disk: Disk::Has });
            // The first was being sent, perhaps: it had a place of its own, and has it here.
            queue.taken.get_or_insert(number);
        }
        queue.taken = None;
    }

    /// The first letters that wait, `most` at most, once there are some and the disk has them; `None` when the outbox is
    /// closing and empty. Ask again only once they have been answered for, or one of them was given up.
    pub(super) async fn next(&self, most: usize) -> Option<Vec<Letter>> {
        loop {
            let patience = {
                let mut queue = self.queue();
                if let Some(&last) = self.ready(&queue, most).last() {
                    queue.taken = Some(last);
                    queue.tried = queue.tried.max(queue.taken);
                    return Some(queue.under_way().into_iter().map(|number| queue.letter(number)).collect());
                }
                match queue.waiting.values().next() {
                    Some(entry) => entry.crossed + PATIENCE,
                    None if self.is_closing() => return None,
                    None => now() + Duration::from_hours(1),
                }
            };
            // Early or late, it looks again.
            let _ = tokio::time::timeout_at(patience.into(), self.arrived.notified()).await;
        }
    }

    /// The first letter.
    pub(super) async fn next_one(&self) -> Option<Letter> {
        self.next(1).await?.pop()
    }

    /// The first that may be sent now: one, or more while there is room for as much again. Where only the newest of each
    /// condition is wanted it is one: what is under way cannot be folded.
    fn ready(&self, queue: &Queue, most: usize) -> Vec<u64> {
        let (is_durable, now) = (self.is_durable(), now());
        let is_ready = |entry: &Entry| entry.disk == Disk::Has || !is_durable || entry.crossed + PATIENCE <= now;
        let most = match queue.waits.deliver {
            Deliver::Every => most.min(queue.waits.count / 2).max(1),
            Deliver::Latest => 1,
        };
        let mut bytes = 0;
        let mut ready = Vec::new();
        for (&number, entry) in queue.waiting.iter().take(most) {
            bytes += entry.kept.text.len();
            if !is_ready(entry) || (!ready.is_empty() && bytes > AT_ONCE_BYTES.min(queue.waits.bytes / 2)) {
                break;
            }
            ready.push(number);
        }
        ready
    }

    /// The other side said yes to all that was taken.
    pub(super) fn accepted(&self, letters: &[Letter], now: Instant) {
        let mut queue = self.queue();
        for letter in letters {
            let delay = now.saturating_duration_since(letter.crossed);
            queue.sent += 1;
            queue.delay.saturating_record(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX));
        }
        queue.given_up.sent();
        queue.answer = None;
        self.answered(queue);
    }

    /// An attempt failed, with this answer; what was taken is still to be sent, and when is known.
    pub(super) fn attempt_failed(&self, why: &str, next: Option<Instant>) {
        let mut queue = self.queue();
        queue.failed_attempts += 1;
        // Others' words: of bounded length, on one line.
        queue.answer = Some((why.escape_debug().take(ANSWER).collect(), next));
    }

    /// The first letter was tried for as long as it may be, and will not be sent.
    pub(super) fn too_old(&self) {
        let mut queue = self.queue();
        let first = queue.under_way().into_iter().take(1);
        let count = queue.lose(first);
        queue.failed += count;
        queue.given_up.add(count, Why::TooOld);
        self.untaken(queue);
    }

    /// What was taken will not be sent.
    pub(super) fn failed(&self) {
        let mut queue = self.queue();
        let all = queue.under_way();
        queue.failed += queue.lose(all);
        self.untaken(queue);
    }

    /// Whether an operator dropped some of the letters that were taken, which then are no more.
    pub(super) fn is_dropped(&self) -> bool {
        let mut queue = self.queue();
        let condemned = std::mem::take(&mut queue.condemned);
        if condemned.is_empty() {
            return false;
        }
        queue.dropped += queue.lose(condemned);
        self.untaken(queue);
        self.soon();
        true
    }

    /// Returns once an operator wants something done now.
    pub(super) async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// What is wrong with the channel: signals were given up that it should have sent.
    pub(super) fn trouble(&self, now: Instant) -> Option<Troubled> {
        let mut queue = self.queue();
        let Queue { given_up, waits, answer, .. } = &mut *queue;
        given_up.trouble(&self.name, waits, answer.as_ref().map(|(why, _)| why.as_str()), now)
    }

    /// Takes the letters that were taken away.
    fn answered(&self, mut queue: MutexGuard<'_, Queue>) {
        for number in queue.under_way() {
            queue.remove(number);
        }
        queue.condemned.clear();
        self.untaken(queue);
    }

    /// What is left of them waits like the others.
    fn untaken(&self, mut queue: MutexGuard<'_, Queue>) {
        queue.taken = None;
        drop(queue);
        self.later();
    }

    /// Whether what waits now is for the next start: then nothing more is to be tried while closing.
    pub(super) fn is_kept(&self) -> bool {
        self.is_closing() && self.is_durable() && !self.queue().discards
    }

    /// Nothing will be sent any more: not the letters that were taken, not those that wait, none that come.
    pub(super) fn disable(&self) {
        let mut queue = self.queue();
        queue.disabled = true;
        let (tried, given_up) = (queue.under_way().len() as u64, queue.waiting.len() as u64);
        queue.failed += tried;
        queue.dropped += given_up - tried;
        queue.given_up.add(given_up, Why::Gone);
        queue.taken = None;
        queue.condemned.clear();
        while let Some((&number, _)) = queue.waiting.first_key_value() {
            queue.remove(number);
        }
        drop(queue);
        self.later();
    }

    /// Takes letters again, so many of them.
    pub(super) fn enable(&self, waits: Waits) {
        let mut queue = self.queue();
        queue.disabled = false;
        if waits.deliver == Deliver::Every {
            queue.newest.clear();
        }
        queue.waits = waits;
        let mut none = Kept { text: Arc::from([]), superseded: 0, lost: 0 };
        while queue.is_over(0) && queue.give_up_oldest(&mut none) {}
        queue.lost += none.lost;
        drop(queue);
        self.later();
    }

    /// Asks the worker to end when nothing waits any more, and to wait for nothing until then.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
        self.arrived.notify_one();
    }

    /// As `close`, with nothing kept for the next start: the channel is no more.
    pub(super) fn abandon(&self) {
        self.queue().discards = true;
        self.close();
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
        let queue = self.queue();
        Status {
            channel: self.name.clone(),
            sent: queue.sent,
            failed: queue.failed,
            dropped: queue.dropped,
            superseded: queue.superseded,
            failed_attempts: queue.failed_attempts,
            waiting: queue.waiting.len() as u64,
            disabled: queue.disabled,
            delay: queue.delay.clone(),
        }
    }

    /// The disk has what it was given, when it was last asked.
    fn is_durable(&self) -> bool {
        self.journal.as_ref().is_some_and(Wake::is_durable)
    }

    /// What an operator did is not for the next batch.
    fn soon(&self) {
        if let Some(journal) = &self.journal {
            journal.soon();
        }
    }

    fn later(&self) {
        if let Some(journal) = &self.journal {
            journal.later();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Counts and a queue: true after every line above, whoever panicked.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the journal asks of it.
impl Outbox {
    /// Puts into `batch` what changed since; `whole`: all that waits, for a new file.
    fn collect(&self, batch: &mut Batch, whole: bool) {
        let mut queue = self.queue();
        let Queue { waiting, fresh, writing, gone, .. } = &mut *queue;
        let (fresh, gone) = (std::mem::take(fresh), std::mem::take(gone));
        *writing = if whole { waiting.keys().copied().collect() } else { fresh };
        for &number in &*writing {
            if let Some(entry) = waiting.get_mut(&number) {
                entry.disk = Disk::Writing;
                batch.add(&self.name, number, &entry.kept);
            }
        }
        if !whole {
            batch.remove(&self.name, &gone);
        }
    }

    fn unwritten(&self) -> u64 {
        let queue = self.queue();
        (queue.fresh.len() + queue.writing.len()) as u64
    }

    /// What was collected is on the disk; or it may be, and then there will be a new file.
    fn written(&self, is_written: bool) {
        let mut queue = self.queue();
        for number in std::mem::take(&mut queue.writing) {
            if is_written && let Some(entry) = queue.waiting.get_mut(&number) {
                entry.disk = Disk::Has;
            }
        }
        drop(queue);
        self.arrived.notify_one();
    }
}

/// Tokio's, so that a test's clock is everybody's.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
