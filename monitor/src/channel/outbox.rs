//! The queue in front of a channel, and its counts: bounded in signals, in bytes and in age.
//!
//! One worker takes from it, one signal at a time. Where there is a journal, a signal is taken only once the disk has it, and
//! leaves the disk after the other side's yes; `journal` does that in a thread of its own, and `file` is what it writes.

mod file;
pub(super) mod journal;
#[cfg(test)]
mod properties;

use super::Status;
use super::letter::{Letter, decode};
use super::{Deliver, Waits};
use engine::Signal;
use engine::signal::Named;
use file::Batch;
pub(super) use file::Kept;
use hdrhistogram::Histogram;
use journal::Wake;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// A disk that takes longer than this keeps no signal waiting: it is sent, and may come again after a crash.
const PATIENCE: Duration = Duration::from_secs(1);
/// What an earlier run left is tried for so long at least, whatever the wall clock says of its age.
const SPARED: Duration = Duration::from_mins(5);

#[derive(Debug)]
pub(super) struct Outbox {
    name: String,
    state: Mutex<State>,
    arrived: Notify,
    closing: watch::Sender<bool>,
    /// Where what waits is written; in memory only without one.
    journal: Option<Wake>,
}

#[derive(Debug)]
struct State {
    waits: Waits,
    waiting: BTreeMap<u64, Entry>,
    /// Bytes of all that waits.
    bytes: usize,
    /// The newest of each condition and scope, while only these are wanted.
    newest: HashMap<String, u64>,
    /// What the disk does not have yet, what it is just given, and what it need not have any more.
    fresh: Vec<u64>,
    writing: Vec<u64>,
    gone: Vec<u64>,
    /// A letter was taken and not answered for yet.
    taken: Option<u64>,
    /// Given up since the last one came.
    lost: u64,
    disabled: bool,
    /// What waits is given up at the end, not kept for the next start.
    discards: bool,
    sent: u64,
    failed: u64,
    dropped: u64,
    superseded: u64,
    failed_attempts: u64,
    delay: Histogram<u64>,
}

#[derive(Debug)]
struct Entry {
    kept: Kept,
    crossed: Instant,
    /// Of an earlier run: not given up before.
    spared: Option<Instant>,
    disk: Disk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    Without,
    Writing,
    Has,
}

impl Entry {
    fn expires(&self, age: Duration) -> Instant {
        let expires = self.crossed + age;
        self.spared.map_or(expires, |spared| expires.max(spared))
    }
}

impl Outbox {
    /// An outbox that holds so much, besides what is being sent.
    pub(super) fn new(name: &str, waits: Waits, journal: Option<Wake>) -> Self {
        let delay =
            Histogram::new_with_bounds(1_000, 3_600_000_000_000, 2).expect("microseconds to an hour, two digits");
        Self {
            name: name.to_owned(),
            state: Mutex::new(State {
                waits,
                waiting: BTreeMap::new(),
                bytes: 0,
                newest: HashMap::new(),
                fresh: Vec::new(),
                writing: Vec::new(),
                gone: Vec::new(),
                taken: None,
                lost: 0,
                disabled: false,
                discards: false,
                sent: 0,
                failed: 0,
                dropped: 0,
                superseded: 0,
                failed_attempts: 0,
                delay,
            }),
            arrived: Notify::new(),
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
        let mut state = self.state();
        if state.disabled {
            state.dropped += 1;
            return;
        }
        let mut kept = Kept { text: Arc::clone(text), superseded: 0, lost: std::mem::take(&mut state.lost) };
        state.fold(number, signal, &mut kept);
        state.make_room(&mut kept);
        state.insert(number, Entry { kept, crossed, spared: None, disk: Disk::Without });
        state.fresh.push(number);
        drop(state);
        match &self.journal {
            Some(journal) => journal.soon(),
            None => self.arrived.notify_one(),
        }
    }

    /// Takes up what an earlier run left, as old as the wall clock says it is, and no older than may be.
    pub(super) fn restore(&self, waiting: BTreeMap<u64, Kept>, now: Instant, wall: i64) {
        let mut state = self.state();
        for (number, mut kept) in waiting {
            let Some((signal, _)) = decode(&kept.text) else { continue };
            let age = u64::try_from(wall.saturating_sub(signal.wall.0)).map_or(Duration::ZERO, Duration::from_nanos);
            let crossed = now.checked_sub(age).unwrap_or(now);
            state.fold(number, &signal, &mut kept);
            state.make_room(&mut kept);
            state.insert(number, Entry { kept, crossed, spared: Some(now + SPARED), disk: Disk::Has });
        }
    }

    /// The next letter, once there is one and the disk has it; `None` when the outbox is closing and empty. Ask again only
    /// after one of `accepted`, `failed` and `disable`.
    pub(super) async fn next(&self) -> Option<Letter> {
        loop {
            let patience = {
                let mut state = self.state();
                match state.waiting.first_key_value() {
                    Some((&number, entry)) => {
                        let until = entry.crossed + PATIENCE;
                        let must_wait = entry.disk != Disk::Has && self.is_durable();
                        if !must_wait || until <= now() {
                            state.taken = Some(number);
                            return Some(state.letter(number));
                        }
                        until
                    }
                    None if self.is_closing() => return None,
                    None => now() + Duration::from_hours(1),
                }
            };
            // Early or late, it looks again.
            let _ = tokio::time::timeout_at(patience.into(), self.arrived.notified()).await;
        }
    }

    /// The other side said yes.
    pub(super) fn accepted(&self, letter: &Letter, now: Instant) {
        let delay = now.saturating_duration_since(letter.crossed);
        let mut state = self.state();
        state.sent += 1;
        state.delay.saturating_record(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX));
        self.answered(state);
    }

    /// An attempt failed; the letter is still to be sent.
    pub(super) fn attempt_failed(&self) {
        self.state().failed_attempts += 1;
    }

    /// The letter will not be sent.
    pub(super) fn failed(&self) {
        let mut state = self.state();
        state.failed += 1;
        state.lost += 1;
        self.answered(state);
    }

    /// Takes the letter that was taken away.
    fn answered(&self, mut state: MutexGuard<'_, State>) {
        if let Some(number) = state.taken.take() {
            state.remove(number);
        }
        drop(state);
        self.later();
    }

    /// Whether what waits now is for the next start: then nothing more is to be tried while closing.
    pub(super) fn is_kept(&self) -> bool {
        self.is_closing() && self.is_durable() && !self.state().discards
    }

    /// Nothing will be sent any more: not the letter that was taken, not those that wait, none that come.
    pub(super) fn disable(&self) {
        let mut state = self.state();
        state.disabled = true;
        state.failed += u64::from(state.taken.is_some());
        state.dropped += (state.waiting.len() - usize::from(state.taken.is_some())) as u64;
        state.taken = None;
        while let Some((&number, _)) = state.waiting.first_key_value() {
            state.remove(number);
        }
        drop(state);
        self.later();
    }

    /// Takes letters again, so many of them.
    pub(super) fn enable(&self, waits: Waits) {
        let mut state = self.state();
        state.disabled = false;
        if waits.deliver == Deliver::Every {
            state.newest.clear();
        }
        state.waits = waits;
        let mut none = Kept { text: Arc::from([]), superseded: 0, lost: 0 };
        while state.is_over(0) && state.give_up_oldest(&mut none) {}
        state.lost += none.lost;
        drop(state);
        self.later();
    }

    /// Asks the worker to end when nothing waits any more, and to wait for nothing until then.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
        self.arrived.notify_one();
    }

    /// As `close`, with nothing kept for the next start: the channel is no more.
    pub(super) fn abandon(&self) {
        self.state().discards = true;
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
        let state = self.state();
        Status {
            channel: self.name.clone(),
            sent: state.sent,
            failed: state.failed,
            dropped: state.dropped,
            superseded: state.superseded,
            failed_attempts: state.failed_attempts,
            waiting: state.waiting.len() as u64,
            disabled: state.disabled,
            delay: state.delay.clone(),
        }
    }

    /// The disk has what it was given, when it was last asked.
    fn is_durable(&self) -> bool {
        self.journal.as_ref().is_some_and(Wake::is_durable)
    }

    fn later(&self) {
        if let Some(journal) = &self.journal {
            journal.later();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts and a queue: true after every line above, whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the journal asks of it.
impl Outbox {
    /// Puts into `batch` what changed since; `whole`: all that waits, for a new file.
    fn collect(&self, batch: &mut Batch, whole: bool) {
        let mut state = self.state();
        let State { waiting, fresh, writing, gone, .. } = &mut *state;
        let (fresh, gone) = (std::mem::take(fresh), std::mem::take(gone));
        *writing = if whole { waiting.keys().copied().collect() } else { fresh };
        for &number in &*writing {
            if let Some(entry) = waiting.get_mut(&number) {
                entry.disk = Disk::Writing;
                batch.add(&self.name, number, &entry.kept);
            }
        }
        if !whole {
            batch.remove(&self.name, gone);
        }
    }

    fn unwritten(&self) -> u64 {
        let state = self.state();
        (state.fresh.len() + state.writing.len()) as u64
    }

    /// What was collected is on the disk; or it may be, and then there will be a new file.
    fn written(&self, is_written: bool) {
        let mut state = self.state();
        for number in std::mem::take(&mut state.writing) {
            if is_written && let Some(entry) = state.waiting.get_mut(&number) {
                entry.disk = Disk::Has;
            }
        }
        drop(state);
        self.arrived.notify_one();
    }
}

impl State {
    fn letter(&self, number: u64) -> Letter {
        let entry = &self.waiting[&number];
        let (signal, sender) = decode(&entry.kept.text).expect("it was encoded, or read and decoded");
        Letter {
            signal: Arc::new(signal),
            sender: Arc::new(sender),
            crossed: entry.crossed,
            expires: entry.expires(self.waits.age),
            superseded: entry.kept.superseded,
            lost: entry.kept.lost,
        }
    }

    /// Takes away an older one of the same condition, unless it is being sent; `kept` stands for it from here on.
    fn fold(&mut self, number: u64, signal: &Signal, kept: &mut Kept) {
        if self.waits.deliver == Deliver::Every {
            return;
        }
        let older = self.newest.insert(key(signal), number).filter(|&older| Some(older) != self.taken);
        if let Some(older) = older.and_then(|older| self.remove(older)) {
            self.superseded += 1;
            kept.superseded += older.kept.superseded + 1;
            kept.lost += older.kept.lost;
        }
    }

    fn make_room(&mut self, kept: &mut Kept) {
        let size = kept.text.len();
        while self.is_over(size) && self.give_up_oldest(kept) {}
    }

    /// Whether there is no room for so many bytes more; for none more: whether there is too much.
    fn is_over(&self, size: usize) -> bool {
        let count = self.waiting.len() - usize::from(self.taken.is_some()) + usize::from(size > 0);
        count > self.waits.count.max(1) || self.bytes + size > self.waits.bytes
    }

    /// Gives up the oldest that is not being sent, if there is one, and says so with `kept`.
    fn give_up_oldest(&mut self, kept: &mut Kept) -> bool {
        let oldest = self.waiting.keys().copied().find(|&number| Some(number) != self.taken);
        let Some(oldest) = oldest.and_then(|oldest| self.remove(oldest)) else { return false };
        self.dropped += 1;
        kept.lost += oldest.kept.lost + oldest.kept.superseded + 1;
        true
    }

    fn insert(&mut self, number: u64, entry: Entry) {
        self.bytes += entry.kept.text.len();
        self.waiting.insert(number, entry);
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.waiting.remove(&number)?;
        self.bytes -= entry.kept.text.len();
        if entry.disk != Disk::Without {
            self.gone.push(number);
        }
        Some(entry)
    }
}

/// What makes two signals speak of the same.
fn key(signal: &Signal) -> String {
    let scope = match &signal.scope {
        Named::Node => "",
        Named::Prefix(name) | Named::Zone(name) | Named::Group(name) => name,
    };
    format!("{} {scope}", signal.condition)
}

/// Tokio's, so that a test's clock is everybody's.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::letter::encode;
    use super::super::letter::tests::letter;
    use super::*;
    pub(in super::super) use crate::json::tests::overload as signal;
    use engine::State as Edge;

    #[tokio::test]
    async fn a_full_queue_drops_its_oldest_and_what_took_their_places_says_how_many() {
        let outbox = outbox(Waits { count: 2, ..Waits::default() });
        pushed(&outbox, 1..=5);
        assert_eq!((outbox.status().waiting, outbox.status().dropped), (2, 3));
        for (seq, lost) in [(4, 1), (5, 2)] {
            let letter = outbox.next().await.unwrap();
            assert_eq!((letter.signal.seq, letter.lost), (seq, lost));
            outbox.accepted(&letter, letter.crossed + Duration::from_millis(3));
        }
        let status = outbox.status();
        assert_eq!((status.sent, status.waiting), (2, 0));
        assert!((2_900_000..3_100_000).contains(&status.delay.max()));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let size = text(1).len();
        let outbox = outbox(Waits { bytes: 3 * size, ..Waits::default() });
        pushed(&outbox, 1..=9);
        assert_eq!((outbox.status().waiting, outbox.status().dropped), (3, 6));
    }

    #[tokio::test]
    async fn the_letter_being_sent_is_not_pushed_out() {
        let outbox = outbox(Waits { count: 1, ..Waits::default() });
        pushed(&outbox, 1..=1);
        let taken = outbox.next().await.unwrap();
        pushed(&outbox, 2..=3);
        assert_eq!((taken.signal.seq, outbox.status().waiting, outbox.status().dropped), (1, 2, 1));
    }

    #[tokio::test]
    async fn of_a_condition_only_the_newest_waits_where_the_latest_is_wanted() {
        let outbox = outbox(Waits { deliver: Deliver::Latest, ..Waits::default() });
        pushed(&outbox, 1..=1);
        assert_eq!(outbox.next().await.unwrap().signal.seq, 1);
        for (seq, condition) in [(2, "a"), (3, "b"), (4, "a"), (5, "a"), (6, "nl-overload")] {
            let signal = Signal { condition: condition.into(), state: Edge::Cleared, ..signal(seq) };
            outbox.push(seq, &signal, &encode(&signal, &sender()), now());
        }
        outbox.accepted(&letter(1), now());
        let mut got = Vec::new();
        outbox.close();
        while let Some(letter) = outbox.next().await {
            got.push((letter.signal.seq, letter.superseded));
            outbox.accepted(&letter, now());
        }
        assert_eq!(got, [(3, 0), (5, 2), (6, 0)], "the one that is being sent stands for itself");
        assert_eq!((outbox.status().superseded, outbox.status().dropped), (2, 0));
    }

    #[tokio::test]
    async fn a_closing_outbox_gives_what_waits_and_then_nothing() {
        let outbox = outbox(Waits::default());
        pushed(&outbox, 1..=1);
        outbox.close();
        assert_eq!(outbox.next().await.unwrap().signal.seq, 1);
        outbox.failed();
        assert!(outbox.next().await.is_none());
    }

    #[tokio::test]
    async fn a_disabled_outbox_drops_everything_until_it_is_enabled() {
        let outbox = outbox(Waits::default());
        pushed(&outbox, 1..=2);
        outbox.next().await.unwrap();
        outbox.disable();
        pushed(&outbox, 3..=3);
        let status = outbox.status();
        assert_eq!((status.waiting, status.failed, status.dropped), (0, 1, 2));
        outbox.enable(Waits::default());
        pushed(&outbox, 4..=4);
        assert_eq!(outbox.next().await.unwrap().signal.seq, 4);
    }

    #[tokio::test]
    async fn what_an_earlier_run_left_is_tried_whatever_the_wall_clock_says() {
        for wall in [i64::MIN, 0, signal(1).wall.0, i64::MAX] {
            let outbox = outbox(Waits::default());
            let kept = Kept { text: text(1), superseded: 1, lost: 2 };
            outbox.restore([(1, kept)].into(), now(), wall);
            let letter = outbox.next().await.unwrap();
            assert!(letter.expires >= now() + SPARED - Duration::from_secs(1), "at {wall}");
            assert_eq!((letter.id(), letter.superseded, letter.lost), ("b00t-1".into(), 1, 2));
        }
    }

    /// In memory.
    pub(in super::super) fn outbox(waits: Waits) -> Outbox {
        Outbox::new("siem", waits, None)
    }

    /// Puts the signals of these numbers into it.
    pub(in super::super) fn pushed(outbox: &Outbox, numbers: impl IntoIterator<Item = u64>) {
        for seq in numbers {
            outbox.push(seq, &signal(seq), &text(seq), now());
        }
    }

    pub(super) fn text(seq: u64) -> Arc<[u8]> {
        encode(&signal(seq), &sender())
    }

    fn sender() -> super::super::Sender {
        super::super::Sender { node: "ns1".into(), boot: "b00t".into() }
    }
}
