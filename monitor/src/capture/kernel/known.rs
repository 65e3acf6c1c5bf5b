//! What is known of each slot between two readings: where its queries are counted, and how many there were.

use wire::count::OTHER;
use wire::zones::{self, Bucket, FIRST};

/// All slots, each in as little memory as can be: half a cache line for four CPUs.
#[derive(Debug, Default)]
pub(super) struct Known {
    words: Vec<u32>,
    /// The first word that begins a cache line.
    first: usize,
    /// Words of a slot.
    size: usize,
    slots: usize,
}

/// One slot: [`QUERIES`] and what follows.
pub(super) type Slot = [u32];

/// Its queries, of all CPUs, if these are counted in its bucket: the lower half, then the upper one.
const QUERIES: usize = 0;
/// The sum of all else, which changes with any of it.
const REST: usize = 2;
/// Its bucket and which entry of it, plus one; 0 if its queries are counted in its slot: `other`, a prefix, a name that
/// cannot be found. And [`TOUCHED`].
const PLACE: usize = 3;
/// The counter in its bucket on each CPU.
const COUNTERS: usize = 4;

/// Something was counted in its slot on some CPU, which can therefore not be passed over.
const TOUCHED: u32 = 1 << 31;

/// Words in a cache line.
const LINE: usize = 16;

impl Known {
    /// Of so many slots, of which nothing was counted yet.
    pub(super) fn of(slots: usize, cpus: usize, table: &[Bucket]) -> Self {
        let size = COUNTERS + cpus;
        let size = if size <= LINE / 2 { LINE / 2 } else { size.next_multiple_of(LINE) };
        let words = vec![0_u32; slots * size + LINE - 1];
        let first = words.as_ptr().align_offset(LINE * size_of::<u32>()).min(LINE - 1);
        in_huge_pages(&words);
        let mut known = Self { words, first, size, slots };
        for (bucket, entries) in (0_u32..).zip(table) {
            for (nth, entry) in (1_u32..).zip(&entries[FIRST..]) {
                let slot = zones::slot_of(*entry);
                if slot != OTHER
                    && let Some(known) = known.slot_mut(slot)
                {
                    known[PLACE] = (bucket << 3) + nth;
                }
            }
        }
        known
    }

    /// How many slots there are.
    pub(super) const fn slots(&self) -> usize {
        self.slots
    }

    #[inline]
    fn slot(&self, slot: u32) -> Option<&Slot> {
        if slot as usize >= self.slots {
            return None;
        }
        self.words.get(self.first + slot as usize * self.size..)?.get(..self.size)
    }

    #[inline]
    pub(super) fn slot_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        if slot as usize >= self.slots {
            return None;
        }
        self.words.get_mut(self.first + slot as usize * self.size..)?.get_mut(..self.size)
    }

    /// The place of a slot's counters.
    #[inline]
    pub(super) fn place(&self, slot: u32) -> Option<(usize, usize)> {
        place(self.slot(slot)?)
    }

    /// Whether something was counted in a slot itself.
    #[inline]
    pub(super) fn is_touched(&self, slot: u32) -> bool {
        self.slot(slot).is_some_and(is_touched)
    }

    /// Has the processor fetch a slot while it goes on with other work.
    #[inline]
    pub(super) fn prefetch(&self, slot: u32) {
        if let Some(words) = self.slot(slot) {
            super::mapped::prefetch_to_write(words.as_ptr());
        }
    }
}

/// The bucket of a slot's counters, and which entry of it.
#[inline]
pub(super) const fn place(slot: &Slot) -> Option<(usize, usize)> {
    let Some(place) = ((slot[PLACE] & !TOUCHED) as usize).checked_sub(1) else { return None };
    Some((place >> 3, place & 7))
}

/// Whether something was counted in the slot itself.
#[inline]
pub(super) const fn is_touched(slot: &Slot) -> bool {
    slot[PLACE] & TOUCHED != 0
}

/// The queries of a slot so far.
#[inline]
pub(super) const fn queries(slot: &Slot) -> u64 {
    (slot[QUERIES + 1] as u64) << 32 | slot[QUERIES] as u64
}

/// Writes others.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "half by half")]
pub(super) const fn put(slot: &mut Slot, queries: u64) {
    slot[QUERIES] = queries as u32;
    slot[QUERIES + 1] = (queries >> 32) as u32;
}

/// Writes the sum of all else; gives what it was.
#[inline]
pub(super) const fn replace_rest(slot: &mut Slot, rest: u32) -> u32 {
    std::mem::replace(&mut slot[REST], rest)
}

/// Has it be known that something was counted in the slot itself.
#[inline]
pub(super) const fn touch(slot: &mut Slot) {
    slot[PLACE] |= TOUCHED;
}

/// The counter of a CPU as it was read last.
#[inline]
pub(super) fn counter(slot: &mut Slot, cpu: usize) -> &mut u32 {
    &mut slot[COUNTERS + cpu]
}

/// Asks the kernel for huge pages: a slot then costs no second miss, for its address.
fn in_huge_pages(words: &[u32]) {
    const PAGE: usize = 1 << 21;
    let all = words.as_ptr_range();
    let start = all.start.addr().next_multiple_of(PAGE);
    let length = all.end.addr().saturating_sub(start) & !(PAGE - 1);
    if length > 0 {
        // SAFETY: the range lies in memory of ours, and the advice changes nothing that is in it. It may be refused.
        unsafe { libc::madvise(std::ptr::without_provenance_mut(start), length, libc::MADV_HUGEPAGE) };
    }
}
