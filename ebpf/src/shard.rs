//! What the programs count, each CPU in maps' values of its own.

use crate::atomic::{exchange_zero, fetch_add_one, fetch_add_one_small, fetch_or};
use crate::maps::{self, EXTENDED, LIST, MARKS, SLOTS, Zones, of_half};
use core::arch::asm;
use core::hint::cold_path;
use layout::{CROWDED, FRAMES, HALVES, Half, LISTED, Line, OF_NODE, OWN, READING, ROWS, SEEN, Slot, Totals};
use wire::count::{CODES, FIELDS, OTHER};
use wire::zones::Hit;
use wire::{Counters, Field, Node};

/// The counters of this CPU in a half.
pub(crate) struct Shard {
    half: *const Half,
    totals: *mut Totals,
    cpu: u32,
}

impl Shard {
    #[inline(always)]
    pub(crate) fn of(half: &Half) -> Option<Self> {
        Self::of_cpu(half, maps::cpu())
    }

    /// Those of this CPU, which the caller knows.
    #[inline(always)]
    pub(crate) fn of_cpu(half: &Half, cpu: u32) -> Option<Self> {
        Some(Self { half, totals: maps::totals(half, cpu)?, cpu })
    }

    /// Whether more than one task may write a counter at a time.
    #[inline(always)]
    fn shared(&self) -> bool {
        let shared = of_half!(self.half, shared) != 0;
        if shared {
            cold_path();
        }
        shared
    }

    /// Writes `value` if there is a zero, at once if there can be another writer, and gives what was there; else 0.
    ///
    /// # Safety
    /// `word` must be aligned and lie in a map's value.
    #[inline(always)]
    pub(crate) unsafe fn exchange_zero(&self, word: *mut u32, value: u32) -> u32 {
        // SAFETY: the caller's.
        if self.shared() { unsafe { exchange_zero(word, value) } } else { 0 }
    }

    /// Counts a query of a zone whose entry is in a bucket.
    #[inline(always)]
    pub(crate) fn query(&mut self, zone: Hit, bucket: u32) {
        let slot = zone.slot();
        if slot == OTHER {
            return self.slot(OTHER, Field::Queries);
        }
        let Some(line) = Zones::of_cpu(self.half, self.cpu).line(bucket) else { return };
        self.query_at(zone, line);
    }

    /// Counts a query of a zone whose entry is in `line`.
    #[inline(always)]
    pub(crate) fn query_at(&mut self, zone: Hit, line: *mut Line) {
        let mut which = zone.which() as usize;
        // SAFETY: it calculates: a verifier must see it.
        unsafe { asm!("{0} &= 7", inout(reg) which, options(pure, nomem, nostack)) };
        // SAFETY: one of the first eight places of four bytes in a line.
        let word: *mut u32 = unsafe { line.cast::<u32>().add(which) };
        let was = if self.shared() {
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
        // SAFETY: four bytes of a line.
        let seen: *mut u32 = unsafe { line.byte_add(SEEN).cast() };
        let reading = of_half!(self.half, reading);
        // SAFETY: an aligned word of a map's value.
        let listed = unsafe { seen.read() };
        // The zone is listed for this reading, and this is not one of those queries of which more is to be done: the first of all,
        // and each 2^31st. All by one comparison.
        let bit = 1 << which;
        let is_listed = ((listed ^ reading) & (bit | !(READING - 1))) ^ bit;
        let is_usual = was.wrapping_add(1) & (HALVES - 1) > 1;
        if is_listed == 0 && is_usual {
            return;
        }
        cold_path();
        self.query_seldom(zone.slot(), was, (listed, reading, bit), seen);
    }

    /// What else is to be done about a query than to count it in its line.
    ///
    /// Who comes between on the same CPU may have its bit lost, and lists its zone once more: that does no harm.
    #[inline(always)]
    fn query_seldom(&mut self, slot: u32, was: u32, (listed, reading, bit): (u32, u32, u32), seen: *mut u32) {
        let is_this = listed ^ reading < READING;
        if !is_this || listed & bit == 0 {
            let others = if is_this { listed } else { reading };
            // SAFETY: an aligned word of a map's value.
            unsafe { seen.write(others | bit) };
            self.list(slot);
        }
        if was == 0 {
            self.stays(slot, 0);
        } else if was.wrapping_add(1) & (HALVES - 1) == 0
            && let Some(fields) = self.fields(slot)
        {
            // SAFETY: the index is one of a slot's.
            self.add(unsafe { &raw mut (*fields)[Field::Queries as usize] });
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
    fn total(&mut self, index: usize) -> u64 {
        // SAFETY: the index is masked to the length of the block.
        let word = unsafe { &raw mut (*self.totals)[index & 31] };
        self.add(word)
    }

    /// Adds one to a word of a map, and gives what was there.
    #[inline(always)]
    fn add(&self, word: *mut u64) -> u64 {
        if self.shared() {
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

    /// Lists a slot as one where something was counted, unless it is listed for the reading that is to come.
    #[inline(always)]
    fn slot_moved(&mut self, slot: u32, fields: *mut Slot) {
        let reading = of_half!(self.half, reading);
        // SAFETY: the upper half of the last word of a slot, in a map's value.
        let seen: *mut u32 = unsafe { (&raw mut (*fields)[FIELDS]).cast::<u32>().add(1) };
        // SAFETY: as above.
        if unsafe { seen.read() } != reading {
            // SAFETY: as above.
            unsafe { seen.write(reading) };
            self.list(slot | OWN);
        }
    }

    /// Writes the next entry of this CPU's list.
    #[inline(always)]
    fn list(&mut self, what: u32) {
        let nth = self.total(LISTED);
        let of_cpu = of_half!(self.half, list_of_cpu);
        let first = self.cpu.wrapping_mul(of_cpu).wrapping_add(of_half!(self.half, list));
        let Some(entry) = LIST.get_ptr_mut(first.wrapping_add(nth as u32 & of_cpu.wrapping_sub(1))) else { return };
        // SAFETY: an aligned word of a map's value. Volatile: the daemon reads it.
        unsafe { entry.write_volatile(layout::listed(nth, what)) };
    }

    /// Marks the slot as one that was ever counted in, by the `nth` kind of marks.
    #[inline(always)]
    fn stays(&self, slot: u32, nth: u32) {
        let first = self.cpu.wrapping_mul(of_half!(self.half, marks_of_cpu)).wrapping_add(of_half!(self.half, marks));
        let kind = first.wrapping_add(of_half!(self.half, words).wrapping_mul(nth));
        let Some(marks) = MARKS.get_ptr_mut(kind.wrapping_add(slot >> 6)) else { return };
        let bit = 1 << (slot & 63);
        if self.shared() {
            // SAFETY: an aligned word of a map's value.
            unsafe { fetch_or(marks, bit) };
            return;
        }
        // SAFETY: as above, and this CPU is the only one that sets bits in it.
        unsafe { marks.write(marks.read() | bit) };
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
        if self.shared() {
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
        self.slot_moved(slot, fields);
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
