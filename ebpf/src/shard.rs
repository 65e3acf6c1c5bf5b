//! What the programs count, each CPU in maps' values of its own.

use crate::atomic::{exchange_zero, fetch_add_one, fetch_add_one_small, fetch_or};
use crate::maps::{self, EXTENDED, MARKS, SLOTS, TOTALS, Zones, of_half};
use core::arch::asm;
use layout::{CROWDED, FRAMES, HALVES, Half, Line, OF_NODE, ROWS, Slot, Totals};
use wire::count::{CODES, FIELDS, OTHER};
use wire::zones::Hit;
use wire::{Counters, Field, Node};

/// The counters of this CPU in a half.
pub(crate) struct Shard {
    half: *const Half,
    totals: *mut Totals,
    cpu: u32,
    shared: bool,
}

impl Shard {
    #[inline(always)]
    pub(crate) fn of(half: &Half) -> Option<Self> {
        Self::of_cpu(half, maps::cpu())
    }

    /// Those of this CPU, which the caller knows.
    #[inline(always)]
    pub(crate) fn of_cpu(half: &Half, cpu: u32) -> Option<Self> {
        let totals = TOTALS.get_ptr_mut(half.totals.wrapping_add(cpu))?;
        Some(Self { half, totals, cpu, shared: half.shared != 0 })
    }

    /// Writes `value` if there is a zero, at once if there can be another writer, and gives what was there; else 0.
    ///
    /// # Safety
    /// `word` must be aligned and lie in a map's value.
    #[inline(always)]
    pub(crate) unsafe fn exchange_zero(&self, word: *mut u32, value: u32) -> u32 {
        // SAFETY: the caller's.
        if self.shared { unsafe { exchange_zero(word, value) } } else { 0 }
    }

    /// Counts a query of a zone.
    #[inline(always)]
    pub(crate) fn query(&mut self, zone: Hit) {
        let slot = zone.slot();
        if slot == OTHER {
            return self.slot(OTHER, Field::Queries);
        }
        let Some(line) = Zones::of_cpu(self.half, self.cpu).line(zone.bucket()) else { return };
        self.query_at(zone, line);
    }

    /// Counts a query of a zone whose entry is in `line`.
    #[inline(always)]
    pub(crate) fn query_at(&mut self, zone: Hit, line: *mut Line) {
        let slot = zone.slot();
        // SAFETY: the place is masked to one of four bytes in a line.
        let word: *mut u32 = unsafe { line.cast::<u8>().add(unforeseen(zone.which() as usize) & 60).cast() };
        let was = if self.shared {
            // SAFETY: an aligned word of a map's value.
            unsafe { fetch_add_one_small(word) }
        } else {
            // SAFETY: as above, and this CPU is the only one that writes it.
            unsafe {
                let was = word.read();
                word.write(was.wrapping_add(1));
                was
            }
        };
        self.mark(slot);
        // Both are rare: the first query of all, and each 2^31st.
        if was.wrapping_add(1) & (HALVES - 1) <= 1 {
            if was == 0 {
                self.stays(slot, 0);
            } else if was.wrapping_add(1) & (HALVES - 1) == 0
                && let Some(fields) = self.fields(slot)
            {
                // SAFETY: the index is one of a slot's.
                self.add(unsafe { &raw mut (*fields)[Field::Queries as usize] });
            }
        }
    }

    /// A slot of this CPU.
    #[inline(always)]
    fn fields(&self, slot: u32) -> Option<*mut Slot> {
        let first = self.cpu.wrapping_mul(of_half!(self.half, slots)).wrapping_add(of_half!(self.half, slot));
        SLOTS.get_ptr_mut(first.wrapping_add(slot))
    }

    /// Counts a frame of which no other total says that it was one ([`FRAMES`]).
    #[inline(always)]
    pub(crate) fn frame(&mut self) {
        self.total(FRAMES);
    }

    #[inline(always)]
    fn total(&mut self, index: usize) {
        // SAFETY: the index is masked to the length of the block.
        let word = unsafe { &raw mut (*self.totals)[index & 31] };
        self.add(word);
    }

    /// Adds one to a word of a map, and gives what was there.
    #[inline(always)]
    fn add(&self, word: *mut u64) -> u64 {
        if self.shared {
            // SAFETY: the word lies in a map's value, which lives as long as the program, and is aligned.
            return unsafe { fetch_add_one(word) };
        }
        // SAFETY: as above, and this CPU is the only one that writes it.
        unsafe {
            let was = word.read();
            word.write(was.wrapping_add(1));
            was
        }
    }

    /// Marks the slot as one that moved, if it is not yet.
    #[inline(always)]
    fn mark(&self, slot: u32) {
        let first = self.marks();
        let word = slot >> 6;
        let index = first.wrapping_add(word);
        let Some(marks) = MARKS.get_ptr(index) else { return };
        // SAFETY: an aligned word of a map's value. Volatile: the daemon takes it.
        if unsafe { marks.read_volatile() } >> (slot & 63) & 1 != 0 {
            return;
        }
        self.set(index, slot);
        let summaries = of_half!(self.half, words).wrapping_mul(3);
        self.set(first.wrapping_add(summaries).wrapping_add(word >> 6), word);
    }

    /// Marks the slot as one that was ever counted in: the `nth` kind of marks that stay.
    #[inline(always)]
    fn stays(&self, slot: u32, nth: u32) {
        let words = of_half!(self.half, words).wrapping_mul(nth.wrapping_add(1));
        let first = self.marks().wrapping_add(words);
        self.set(first.wrapping_add(slot >> 6), slot);
    }

    /// The first of this CPU's marks.
    #[inline(always)]
    fn marks(&self) -> u32 {
        self.cpu.wrapping_mul(of_half!(self.half, marks_of_cpu)).wrapping_add(of_half!(self.half, marks))
    }

    /// Sets a bit of the marks.
    #[inline(always)]
    fn set(&self, index: u32, bit: u32) {
        let Some(marks) = MARKS.get_ptr_mut(index) else { return };
        let bit = 1 << (bit & 63);
        if self.shared {
            // SAFETY: an aligned word of a map's value.
            unsafe { fetch_or(marks, bit) };
            return;
        }
        // SAFETY: as above, and this CPU is the only one that sets bits in it. Volatile: in this order.
        unsafe { marks.write_volatile(marks.read_volatile() | bit) };
    }

    /// Adds one to each of the info-codes of a slot.
    #[inline(always)]
    fn codes(&mut self, slot: u32, keeper: *mut u32, codes: u64) {
        let row = self.row(slot, keeper);
        let first = self.cpu.wrapping_mul(of_half!(self.half, rows)).wrapping_add(of_half!(self.half, row));
        let Some(columns) = EXTENDED.get_ptr_mut(first.wrapping_add(row)) else { return };
        let mut left = codes;
        for _ in 0..CODES {
            if left == 0 {
                break;
            }
            // SAFETY: the column is masked to the length of the row.
            self.add(unsafe { &raw mut (*columns)[unforeseen(left.trailing_zeros() as usize) & (CODES - 1)] });
            left &= left.wrapping_sub(1);
        }
    }

    /// The row of a slot within its CPU's: its own, a new one, or that of `other`.
    #[inline(always)]
    fn row(&mut self, slot: u32, keeper: *mut u32) -> u32 {
        // SAFETY: the last word of a slot, in a map's value.
        let own = unsafe { keeper.read() };
        if own != 0 || slot == OTHER {
            return own;
        }
        // SAFETY: the index is below the length of the block.
        let next = unsafe { &raw mut (*self.totals)[ROWS] };
        let rows = u64::from(of_half!(self.half, rows));
        // SAFETY: as above. Looked at first, so that it stays close to how many there are.
        if unsafe { next.read() } >= rows {
            self.total(CROWDED);
            return 0;
        }
        let row = self.add(next);
        if row >= rows {
            self.total(CROWDED);
            return 0;
        }
        if self.shared {
            // SAFETY: as above.
            return match unsafe { exchange_zero(keeper, row as u32) } {
                0 => row as u32,
                // Another came first; the new row stays unused.
                own => own,
            };
        }
        // SAFETY: as above, and this CPU is the only one that writes it.
        unsafe { keeper.write(row as u32) };
        row as u32
    }
}

impl Counters for Shard {
    #[inline(always)]
    fn node(&mut self, node: Node) {
        let index = node.index().wrapping_add(OF_NODE);
        // Linux 6.1 forgets what it knows of a number that is made by OR: the mask must not be left out.
        let known = core::intrinsics::is_val_statically_known(index);
        self.total(if known { index } else { unforeseen(index) });
    }

    #[inline(always)]
    fn slot(&mut self, slot: u32, field: Field) {
        self.gain(slot, field, 0);
    }

    #[inline(always)]
    fn extended_errors(&mut self, slot: u32, codes: u64) {
        let Some(fields) = self.fields(slot) else { return };
        // SAFETY: the last word of the slot.
        self.codes(slot, unsafe { (&raw mut (*fields)[FIELDS]).cast() }, codes);
    }

    /// Finds the slot once for all of it.
    #[inline(always)]
    fn gain(&mut self, slot: u32, field: Field, codes: u64) {
        let Some(fields) = self.fields(slot) else { return };
        // SAFETY: the index is masked to the length of the slot.
        let was = self.add(unsafe { &raw mut (*fields)[field as usize & 7] });
        self.mark(slot);
        if was == 0 {
            self.stays(slot, 1);
        }
        if codes != 0 {
            // SAFETY: as above.
            self.add(unsafe { &raw mut (*fields)[Field::WithExtendedError as usize] });
            // SAFETY: the last word of the slot.
            self.codes(slot, unsafe { (&raw mut (*fields)[FIELDS]).cast() }, codes);
        }
    }
}

/// The same number, of which the compiler knows nothing: it leaves a mask on it, for the verifier to see.
#[inline(always)]
fn unforeseen(number: usize) -> usize {
    let mut number = number;
    // SAFETY: it moves a register to itself.
    unsafe { asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack)) };
    number
}
