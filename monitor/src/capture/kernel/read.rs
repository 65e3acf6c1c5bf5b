//! What moved since the last sample. It costs what moved: each CPU marks the slots that it counts in.
//!
//! A few others are looked at each time, in turn, so that nothing that some CPU should ever fail to mark stays unseen.

use super::half::{Maps, Room};
use engine::{Moved, MovedCodes, Sample, Sight, Time, Wall};
use layout::{FRAMES, Keeper, MARKED};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use wire::count::{CODES, FIELDS, NODE, OTHER};
use wire::{Direction, Family, Node, Skip, Transport};

/// How many slots are looked at in turn at each reading, marked or not.
const STRIPE: usize = 64;

/// As many slots are fetched from memory at once, before they are looked at one by one.
const AHEAD: usize = 16;

/// What was read of one half.
#[derive(Debug)]
pub(super) struct Read {
    half: usize,
    /// The sum of each slot's totals: they only ever grow, so that it changes with any of them.
    sums: Vec<u64>,
    /// Totals by column, of slots that have extended errors.
    codes: HashMap<u32, [u64; CODES]>,
    /// Slots that were marked for the last reading, in order: a program may have counted in them after it.
    again: Vec<u32>,
    /// Slots that are marked now, in order.
    marked: Vec<u32>,
    /// Slots to look at now, in order.
    look: Vec<u32>,
    /// The first slot of the stripe whose turn it is.
    stripe: usize,
    /// All slots have been looked at once.
    swept: bool,
}

impl Read {
    /// Of the half in force now, of which nothing was counted before.
    pub(super) fn new(maps: &Maps) -> Self {
        Self { swept: true, ..Self::taken(maps) }
    }

    /// Of the half in force now, whatever is in it.
    pub(super) fn taken(maps: &Maps) -> Self {
        let half = maps.active();
        Self {
            half,
            sums: vec![0; maps.used(half)],
            codes: HashMap::new(),
            again: Vec::new(),
            marked: Vec::new(),
            look: Vec::new(),
            stripe: 0,
            swept: false,
        }
    }

    /// Has the next reading look at all slots.
    pub(super) const fn sweep(&mut self) {
        self.swept = false;
    }

    /// Frames that reached the programs.
    pub(super) fn frames(&self, maps: &Maps) -> u64 {
        let transport = Transport::Udp;
        let both = [Direction::Received, Direction::Sent].into_iter();
        let all = both.flat_map(|direction| [false, true].map(|response| (direction, response)));
        let all = all.flat_map(|(direction, response)| {
            [Family::V4, Family::V6].map(|family| Node::Message { direction, response, transport, family })
        });
        let counted = all.chain([Node::Skipped(Skip::NotDns)]).map(|node| maps.total(self.half, node.index()));
        counted.fold(maps.total(self.half, FRAMES), u64::wrapping_add)
    }

    /// The totals now, as those that moved since the last call.
    pub(super) fn sample(&mut self, maps: &Maps, generation: u64, at: Time, wall: Wall) -> Sample {
        maps.next_epoch();
        self.take_marks(maps);
        let node = std::array::from_fn::<_, NODE, _>(|index| maps.total(self.half, index));
        let mut look = std::mem::take(&mut self.look);
        look.clear();
        if self.swept {
            // Crowded zones count for `other`, unmarked.
            let others = std::iter::once(OTHER).chain(self.turn());
            look.extend(merged(merged(self.marked.iter().copied(), self.again.iter().copied()), others));
        } else {
            self.swept = true;
            look.extend((0_u32..).take(self.sums.len()));
        }
        std::mem::swap(&mut self.marked, &mut self.again);
        let (mut moved, mut codes) = (Vec::with_capacity(self.again.len()), Vec::new());
        for slots in look.chunks(AHEAD) {
            self.fetch(maps, slots);
            for &slot in slots {
                self.slot(maps, slot, &mut moved, &mut codes);
            }
        }
        self.look = look;
        Sample { at, wall, generation, node, moved, codes, sight: Sight::default() }
    }

    /// The slots whose turn it is.
    fn turn(&mut self) -> impl Iterator<Item = u32> + use<> {
        let first = if self.stripe < self.sums.len() { self.stripe } else { 0 };
        self.stripe = first + STRIPE;
        (0_u32..).take(self.sums.len()).skip(first).take(STRIPE)
    }

    /// Takes the marks of all CPUs together.
    fn take_marks(&mut self, maps: &Maps) {
        self.marked.clear();
        let all: Vec<_> = (0..maps.room().cpus).map(|cpu| maps.marks(self.half, cpu)).collect();
        let summaries = all.first().map_or(0, |(summaries, _)| summaries.len());
        for summary in 0..summaries {
            for word in bits(all.iter().map(|(summaries, _)| &summaries[summary])) {
                let word = summary * MARKED + word;
                #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
                self.marked
                    .extend(bits(all.iter().map(|(_, words)| &words[word])).map(|bit| (word * MARKED + bit) as u32));
            }
        }
    }

    /// Has the processor bring slots from memory, all at the same time: each alone would be waited for.
    fn fetch(&self, maps: &Maps, slots: &[u32]) {
        let mut seen = 0;
        for &slot in slots {
            for cpu in 0..maps.room().cpus {
                seen |= maps.slot(self.half, cpu, slot)[FIELDS].load(Ordering::Relaxed);
            }
            seen |= self.sums.get(slot as usize).copied().unwrap_or_default();
        }
        std::hint::black_box(seen);
    }

    #[inline]
    fn slot(&mut self, maps: &Maps, slot: u32, moved: &mut Vec<Moved>, codes: &mut Vec<MovedCodes>) {
        let Room { cpus, rows, .. } = maps.room();
        let Some(last) = self.sums.get_mut(slot as usize) else { return };
        let mut totals = [0_u64; FIELDS];
        let mut has_row = slot == OTHER;
        for cpu in 0..cpus {
            let words = maps.slot(self.half, cpu, slot);
            for (total, word) in totals.iter_mut().zip(words) {
                *total = total.wrapping_add(word.load(Ordering::Relaxed));
            }
            has_row |= Keeper::of_word(words[FIELDS].load(Ordering::Relaxed)).row > 0;
        }
        let sum = totals.iter().fold(0_u64, |sum, total| sum.wrapping_add(*total));
        if sum != std::mem::replace(last, sum) {
            moved.push(Moved { slot, totals });
        }
        if !has_row {
            return;
        }
        let mut sums = [0_u64; CODES];
        for cpu in 0..cpus {
            let row = Keeper::of_word(maps.slot(self.half, cpu, slot)[FIELDS].load(Ordering::Relaxed)).row as usize;
            if (row > 0 || slot == OTHER) && row < rows {
                for (sum, word) in sums.iter_mut().zip(maps.row(self.half, cpu, row)) {
                    *sum = sum.wrapping_add(word.load(Ordering::Relaxed));
                }
            }
        }
        let last = self.codes.entry(slot).or_insert([0; CODES]);
        for (column, (total, last)) in (0_u8..).zip(sums.iter().zip(last)) {
            if *total != std::mem::replace(last, *total) {
                codes.push(MovedCodes { slot, column, total: *total });
            }
        }
    }
}

/// Takes the bits of words, and leaves 0 there: which are set in any of them, in order.
fn bits<'w>(words: impl Iterator<Item = &'w AtomicU64>) -> impl Iterator<Item = usize> {
    // Most are 0, and need not be written.
    let take = |word: &AtomicU64| if word.load(Ordering::Relaxed) == 0 { 0 } else { word.swap(0, Ordering::AcqRel) };
    let mut left = words.fold(0, |all, word| all | take(word));
    std::iter::from_fn(move || {
        let bit = left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        (bit < MARKED).then_some(bit)
    })
}

/// What is in either, each ascending and without repetition, once.
fn merged(one: impl Iterator<Item = u32>, other: impl Iterator<Item = u32>) -> impl Iterator<Item = u32> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || {
        let next = match (one.peek(), other.peek()) {
            (Some(one), Some(other)) => *one.min(other),
            (Some(only), None) | (None, Some(only)) => *only,
            (None, None) => return None,
        };
        one.next_if_eq(&next);
        other.next_if_eq(&next);
        Some(next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_either_comes_once_and_in_order() {
        let all = |one: &[u32], other: &[u32]| merged(one.iter().copied(), other.iter().copied()).collect::<Vec<_>>();
        assert_eq!(all(&[0, 2, 5], &[1, 2, 7, 9]), [0, 1, 2, 5, 7, 9]);
        assert_eq!(all(&[], &[3]), [3]);
        assert_eq!(all(&[], &[]), [0; 0]);
    }

    #[test]
    fn marks_are_taken_once_whichever_cpu_made_them() {
        let words = [AtomicU64::new(1 | 1 << 63), AtomicU64::new(0), AtomicU64::new(1 << 5)];
        assert_eq!(bits(words.iter()).collect::<Vec<_>>(), [0, 5, 63]);
        assert_eq!(bits(words.iter()).count(), 0);
    }
}
