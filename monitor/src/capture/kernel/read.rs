//! What moved since the last sample. It costs what moved: each CPU lists the slots that it counts in.
//!
//! A list can overrun, and then all slots are looked at. A few are each time anyway, in turn, so that nothing that some
//! list should ever lack stays unseen.

use super::half::{Maps, Room};
use engine::{Moved, MovedCodes, Sample, Sight, Time, Wall};
use layout::{FRAMES, HEAD, Keeper};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use wire::count::{CODES, FIELDS, NODE, OTHER};

/// How many slots are looked at in turn at each reading, listed or not.
const STRIPE: usize = 64;

/// What was read of one half.
#[derive(Debug)]
pub(super) struct Read {
    half: usize,
    /// The sum of each slot's totals: they only ever grow, so that it changes with any of them.
    sums: Vec<u64>,
    /// Totals by column, of slots that have extended errors.
    codes: HashMap<u32, [u64; CODES]>,
    /// How far each CPU's list was read.
    heads: Vec<u64>,
    /// Slots that were listed for the last reading, in order: a program may have counted in them after it.
    again: Vec<u32>,
    /// Slots to look at now.
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
            heads: vec![0; maps.room().cpus],
            again: Vec::new(),
            look: Vec::new(),
            stripe: 0,
            swept: false,
        }
    }

    /// Has the next reading look at all slots.
    pub(super) const fn overrun(&mut self) {
        self.swept = false;
    }

    /// Frames that reached the programs.
    pub(super) fn frames(&self, maps: &Maps) -> u64 {
        maps.total(self.half, FRAMES)
    }

    /// The totals now, as those that moved since the last call.
    pub(super) fn sample(&mut self, maps: &Maps, generation: u64, at: Time, wall: Wall) -> Sample {
        maps.next_epoch();
        let complete = self.listed(maps);
        let node = std::array::from_fn::<_, NODE, _>(|index| maps.total(self.half, index));
        let (mut moved, mut codes) = (Vec::new(), Vec::new());
        if complete && self.swept {
            // Crowded zones count for it, unlisted.
            self.look.push(OTHER);
            let turn = self.turn();
            #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
            self.look.extend(turn.map(|slot| slot as u32));
            self.look.sort_unstable();
            self.look.dedup();
            let (look, again) = (std::mem::take(&mut self.look), std::mem::take(&mut self.again));
            for slot in merged(&look, &again) {
                self.slot(maps, slot, &mut moved, &mut codes);
            }
            (self.again, self.look) = (look, again);
            self.look.clear();
        } else {
            // What a list lacks may still be counted in after this.
            self.swept = complete;
            self.again.clear();
            self.again.append(&mut self.look);
            self.again.sort_unstable();
            self.again.dedup();
            for slot in 0..self.sums.len() {
                #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
                self.slot(maps, slot as u32, &mut moved, &mut codes);
            }
        }
        Sample { at, wall, generation, node, moved, codes, sight: Sight::default() }
    }

    /// The slots whose turn it is.
    fn turn(&mut self) -> std::ops::Range<usize> {
        let first = if self.stripe < self.sums.len() { self.stripe } else { 0 };
        self.stripe = first + STRIPE;
        first..self.stripe.min(self.sums.len())
    }

    /// Adds to `look` what the lists say; false if a list has overrun.
    fn listed(&mut self, maps: &Maps) -> bool {
        let entries = maps.room().list as u64;
        let mut complete = true;
        for (cpu, read) in self.heads.iter_mut().enumerate() {
            let head = maps.block(self.half, cpu)[HEAD].load(Ordering::Acquire);
            if head.wrapping_sub(*read) > entries {
                complete = false;
                *read = head;
                continue;
            }
            let list = maps.list(self.half, cpu);
            while *read != head {
                #[expect(clippy::cast_possible_truncation, reason = "the list wraps at its length, a power of two")]
                let entry = list[(*read & (entries - 1)) as usize].load(Ordering::Acquire);
                // Positions count from 1 on, and wrap.
                #[expect(clippy::cast_possible_truncation, reason = "half an entry is the position, half the slot")]
                let (ahead, slot) = ((entry >> 32).wrapping_sub(*read + 1) as u32, entry as u32);
                if ahead.cast_signed() < 0 {
                    // Not written yet.
                    break;
                }
                if ahead > 0 {
                    complete = false;
                    *read = head;
                    break;
                }
                self.look.push(slot);
                *read = read.wrapping_add(1);
            }
        }
        complete
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

/// What is in either, each ascending and without repetition, once.
fn merged(one: &[u32], other: &[u32]) -> impl Iterator<Item = u32> {
    let (mut one, mut other) = (one.iter().copied().peekable(), other.iter().copied().peekable());
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
    fn what_is_in_either_list_comes_once_and_in_order() {
        assert_eq!(merged(&[0, 2, 5], &[1, 2, 7, 9]).collect::<Vec<_>>(), [0, 1, 2, 5, 7, 9]);
        assert_eq!(merged(&[], &[3]).collect::<Vec<_>>(), [3]);
        assert_eq!(merged(&[], &[]).count(), 0);
    }
}
