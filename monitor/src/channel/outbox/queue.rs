//! What waits for one channel: what there is room for, what takes whose place, what the disk has of it.
//!
//! It knows no clock, disk or other side: `outbox` asks it, one at a time.

use super::super::given_up::{GivenUp, Why};
use super::super::letter::{Letter, decode};
use super::super::{Deliver, Waits};
use super::file::Kept;
use engine::Signal;
use engine::signal::Named;
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What waits, and what came of all that did.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) waits: Waits,
    pub(super) waiting: BTreeMap<u64, Entry>,
    /// Bytes of all that waits.
    pub(super) bytes: usize,
    /// The newest of each condition and scope, while only these are wanted.
    pub(super) newest: HashMap<String, u64>,
    /// What the disk does not have yet, what it is just given, and what it need not have any more.
    pub(super) fresh: Vec<u64>,
    pub(super) writing: Vec<u64>,
    pub(super) gone: Vec<u64>,
    /// Letters were taken and not answered for yet: the first that wait, up to this one.
    pub(super) taken: Option<u64>,
    /// The last that ever was.
    pub(super) tried: Option<u64>,
    /// Those of what is taken that an operator dropped.
    pub(super) condemned: BTreeSet<u64>,
    /// The last answer, while it is a no, and when the next attempt is.
    pub(super) answer: Option<(String, Option<Instant>)>,
    /// What was given up that should have been sent.
    pub(super) given_up: GivenUp,
    /// Given up since the last one came.
    pub(super) lost: u64,
    pub(super) disabled: bool,
    /// What waits is given up at the end, not kept for the next start.
    pub(super) discards: bool,
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) dropped: u64,
    pub(super) superseded: u64,
    pub(super) failed_attempts: u64,
    pub(super) delay: Histogram<u64>,
}

/// A signal that waits.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kept: Kept,
    pub(super) crossed: Instant,
    /// Of an earlier run: not given up before.
    pub(super) spared: Option<Instant>,
    pub(super) disk: Disk,
}

/// Whether it is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    Without,
    Writing,
    Has,
}

impl Entry {
    pub(super) fn expires(&self, age: Duration) -> Instant {
        let expires = self.crossed + age;
        self.spared.map_or(expires, |spared| expires.max(spared))
    }
}

impl Queue {
    pub(super) fn new(waits: Waits) -> Self {
        let delay =
            Histogram::new_with_bounds(1_000, 3_600_000_000_000, 2).expect("microseconds to an hour, two digits");
        Self {
            waits,
            waiting: BTreeMap::new(),
            bytes: 0,
            newest: HashMap::new(),
            fresh: Vec::new(),
            writing: Vec::new(),
            gone: Vec::new(),
            taken: None,
            tried: None,
            condemned: BTreeSet::new(),
            answer: None,
            given_up: GivenUp::default(),
            lost: 0,
            disabled: false,
            discards: false,
            sent: 0,
            failed: 0,
            dropped: 0,
            superseded: 0,
            failed_attempts: 0,
            delay,
        }
    }

    pub(super) fn letter(&self, number: u64) -> Letter {
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

    pub(super) fn is_taken(&self, number: u64) -> bool {
        self.taken.is_some_and(|last| number <= last) && self.waiting.contains_key(&number)
    }

    /// The numbers of the letters that were taken.
    pub(super) fn under_way(&self) -> Vec<u64> {
        self.taken.map_or_else(Vec::new, |last| self.waiting.range(..=last).map(|(&number, _)| number).collect())
    }

    /// Takes away an older one of the same condition, unless it is being sent; `kept` stands for it from here on.
    pub(super) fn fold(&mut self, number: u64, signal: &Signal, kept: &mut Kept) {
        if self.waits.deliver == Deliver::Every {
            return;
        }
        let older = self.newest.insert(key(signal), number).filter(|&older| !self.is_taken(older));
        if let Some(older) = older.and_then(|older| self.remove(older)) {
            self.superseded += 1;
            kept.superseded += older.kept.superseded + 1;
            kept.lost += older.kept.lost;
        }
    }

    pub(super) fn make_room(&mut self, kept: &mut Kept) {
        let size = kept.text.len();
        while self.is_over(size) && self.give_up_oldest(kept) {}
    }

    /// Whether there is no room for so many bytes more; for none more: whether there is too much. The first of what is being
    /// sent has a place of its own.
    pub(super) fn is_over(&self, size: usize) -> bool {
        let count = self.waiting.len() - usize::from(self.taken.is_some()) + usize::from(size > 0);
        count > self.waits.count.max(1) || self.bytes + size > self.waits.bytes
    }

    /// Gives up the oldest that is not being sent, if there is one, and says so with `kept`.
    pub(super) fn give_up_oldest(&mut self, kept: &mut Kept) -> bool {
        let after = self.taken.map_or(Unbounded, Excluded);
        let oldest = self.waiting.range((after, Unbounded)).next().map(|(&number, _)| number);
        let Some(oldest) = oldest.and_then(|oldest| self.remove(oldest)) else { return false };
        self.dropped += 1;
        self.given_up.add(1, Why::NoRoom);
        kept.lost += oldest.kept.stands_for();
        true
    }

    /// Takes away those of these that still wait, for good, and says so with the next one that comes. How many they were.
    pub(super) fn lose(&mut self, numbers: impl IntoIterator<Item = u64>) -> u64 {
        let mut count = 0;
        for number in numbers {
            if let Some(entry) = self.remove(number) {
                self.lost += entry.kept.stands_for();
                count += 1;
            }
        }
        count
    }

    pub(super) fn insert(&mut self, number: u64, entry: Entry) {
        self.bytes += entry.kept.text.len();
        self.waiting.insert(number, entry);
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Entry> {
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
        Named::Prefix(name) | Named::Zone(name) | Named::Group(name) | Named::Channel(name) => name,
    };
    format!("{} {scope}", signal.condition)
}
