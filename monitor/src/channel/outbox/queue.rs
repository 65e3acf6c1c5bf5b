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
use std::collections::{BTreeMap, HashMap};
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
    /// A letter was taken and not answered for yet.
    pub(super) taken: Option<u64>,
    /// An operator dropped that letter.
    pub(super) condemned: bool,
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
            condemned: false,
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

    /// Takes away an older one of the same condition, unless it is being sent; `kept` stands for it from here on.
    pub(super) fn fold(&mut self, number: u64, signal: &Signal, kept: &mut Kept) {
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

    pub(super) fn make_room(&mut self, kept: &mut Kept) {
        let size = kept.text.len();
        while self.is_over(size) && self.give_up_oldest(kept) {}
    }

    /// Whether there is no room for so many bytes more; for none more: whether there is too much.
    pub(super) fn is_over(&self, size: usize) -> bool {
        let count = self.waiting.len() - usize::from(self.taken.is_some()) + usize::from(size > 0);
        count > self.waits.count.max(1) || self.bytes + size > self.waits.bytes
    }

    /// Gives up the oldest that is not being sent, if there is one, and says so with `kept`.
    pub(super) fn give_up_oldest(&mut self, kept: &mut Kept) -> bool {
        let oldest = self.waiting.keys().copied().find(|&number| Some(number) != self.taken);
        let Some(oldest) = oldest.and_then(|oldest| self.remove(oldest)) else { return false };
        self.dropped += 1;
        self.given_up.add(1, Why::NoRoom);
        kept.lost += oldest.kept.stands_for();
        true
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
