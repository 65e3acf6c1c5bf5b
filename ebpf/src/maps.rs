//! The maps, and what the programs do with them. All are arrays that the daemon maps into its memory; it chooses how many
//! entries each has before it loads the programs.

use crate::scratch::Scratch;
use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::helpers::bpf_get_smp_processor_id;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray, ProgramArray};
use core::arch::asm;
use layout::{Active, CROWDED, FRAMES, Half, Keeper, Marks, ROWS, Row, Slot, Totals};
use wire::count::{CODES, FIELDS, OTHER};
use wire::zones::{Bucket, Buckets, FINGERPRINT, Shape};
use wire::{Counters, Field, Node};

#[map]
static ACTIVE: Array<Active> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static HALVES: Array<Half> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static ZONES: Array<Bucket> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static TOTALS: Array<Totals> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static SLOTS: Array<Slot> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static EXTENDED: Array<Row> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
static MARKS: Array<Marks> = Array::with_max_entries(2, BPF_F_MMAPABLE);

/// What a program leaves to the one it calls.
#[map]
pub(crate) static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub(crate) static XDP: ProgramArray = ProgramArray::with_max_entries(8, 0);
#[map]
pub(crate) static TC: ProgramArray = ProgramArray::with_max_entries(8, 0);

/// The half in force, and the epoch.
#[inline(always)]
pub(crate) fn active() -> Option<(u32, u32)> {
    let active = ACTIVE.get_ptr(0)?;
    // SAFETY: the value lives as long as the program; each word is read once, whatever the daemon writes meanwhile.
    let (half, epoch) =
        unsafe { ((&raw const (*active).half).read_volatile(), (&raw const (*active).epoch).read_volatile()) };
    Some((half as u32, epoch as u32))
}

/// What there is to know of a half.
#[inline(always)]
pub(crate) fn half(half: u32) -> Option<&'static Half> {
    HALVES.get(half)
}

/// The buckets of a half.
pub(crate) struct Zones(pub(crate) u32);

impl Buckets for Zones {
    #[inline(always)]
    fn bucket(&self, index: usize) -> Option<&Bucket> {
        ZONES.get(self.0.wrapping_add(index as u32))
    }

    /// There is no minimum without a branch here: a mask of each word is all ones if its fingerprint is the one.
    #[inline(always)]
    fn find(bucket: &Bucket, fingerprint: u64) -> u64 {
        let mut found = 0;
        for word in bucket {
            let left = word ^ fingerprint;
            let mut mask = left;
            // SAFETY: it calculates. The compiler would make a comparison of it, and a branch.
            unsafe {
                asm!(
                    "{0} >>= {shift}", "{0} += -1", "{0} s>>= 63",
                    inout(reg) mask, shift = const FINGERPRINT.trailing_zeros(), options(pure, nomem, nostack)
                );
            }
            found |= left & mask;
        }
        found
    }
}

#[inline(always)]
pub(crate) const fn shape(half: &Half) -> Shape {
    Shape { mask: half.mask, depths: half.depths }
}

/// The counters of this CPU in a half.
pub(crate) struct Shard {
    half: *const Half,
    totals: *mut Totals,
    cpu: u32,
    epoch: u32,
    shared: bool,
}

/// A field of a half, read where it is needed: what the compiler reads ahead it has no registers for.
macro_rules! of_half {
    ($half:expr, $field:ident) => {
        // SAFETY: the half is a map's value.
        unsafe { (&raw const (*$half).$field).read_volatile() }
    };
}

impl Shard {
    #[inline(always)]
    pub(crate) fn of(half: &Half, epoch: u32) -> Option<Self> {
        // SAFETY: the helper has no preconditions.
        let cpu = unsafe { bpf_get_smp_processor_id() } as u32;
        let totals = TOTALS.get_ptr_mut(half.totals.wrapping_add(cpu))?;
        Some(Self { half, totals, cpu, epoch, shared: half.shared != 0 })
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

    /// Marks the slot as one that moves, if it was not yet in this epoch.
    #[inline(always)]
    fn mark(&self, slot: u32, keeper: *mut Keeper) {
        // SAFETY: the last word of a slot, in a map's value.
        let epoch = unsafe { &raw mut (*keeper).epoch };
        // SAFETY: as above.
        if unsafe { epoch.read() } == self.epoch {
            return;
        }
        // SAFETY: as above. Where two write it at once both mark the slot, which does no harm.
        unsafe { epoch.write(self.epoch) };
        let first = self.cpu.wrapping_mul(of_half!(self.half, marks_of_cpu)).wrapping_add(of_half!(self.half, marks));
        let word = slot >> 6;
        self.set(first.wrapping_add(of_half!(self.half, summaries)).wrapping_add(word), slot);
        self.set(first.wrapping_add(word >> 6), word);
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
    fn codes(&mut self, slot: u32, keeper: *mut Keeper, codes: u64) {
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
    fn row(&mut self, slot: u32, keeper: *mut Keeper) -> u32 {
        // SAFETY: the last word of a slot, in a map's value.
        let keeper = unsafe { &raw mut (*keeper).row };
        // SAFETY: as above.
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
        let index = node.index();
        // Linux 6.1 forgets what it knows of a number that is made by OR: the mask must not be left out.
        self.total(if core::intrinsics::is_val_statically_known(index) { index } else { unforeseen(index) });
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
        // SAFETY: the last word of the slot.
        let keeper: *mut Keeper = unsafe { (&raw mut (*fields)[FIELDS]).cast() };
        self.mark(slot, keeper);
        // SAFETY: the index is masked to the length of the slot.
        self.add(unsafe { &raw mut (*fields)[field as usize & 7] });
        if codes != 0 {
            // SAFETY: as above.
            self.add(unsafe { &raw mut (*fields)[Field::WithExtendedError as usize] });
            self.codes(slot, keeper, codes);
        }
    }
}

/// The slot of the first service prefix that holds `address`; that of `other` if there is none.
#[inline(always)]
pub(crate) fn prefix(half: &Half, address: u128) -> u32 {
    let (upper, lower) = ((address >> 64) as u64, address as u64);
    for index in 0..layout::PREFIXES {
        if index as u32 >= half.prefixes {
            break;
        }
        let [network_upper, network_lower, mask_upper, mask_lower] = half.prefix[index];
        if upper & mask_upper == network_upper && lower & mask_lower == network_lower {
            return half.first_prefix.wrapping_add(index as u32);
        }
    }
    OTHER
}

/// The same number, of which the compiler knows nothing: it leaves a mask on it, for the verifier to see.
#[inline(always)]
fn unforeseen(number: usize) -> usize {
    let mut number = number;
    // SAFETY: it moves a register to itself.
    unsafe { asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack)) };
    number
}

/// Adds one at once, and gives what was there; the BPF targets have no atomics in `core`.
///
/// # Safety
/// `word` must be an aligned word of a map's value.
#[inline(always)]
unsafe fn fetch_add_one(word: *mut u64) -> u64 {
    let mut value = 1_u64;
    // SAFETY: the caller's.
    unsafe { asm!("{0} = atomic_fetch_add((u64 *)({1} + 0), {0})", inout(reg) value, in(reg) word, options(nostack)) };
    value
}

/// Sets bits at once.
///
/// # Safety
/// `word` must be an aligned word of a map's value.
#[inline(always)]
unsafe fn fetch_or(word: *mut u64, bits: u64) {
    let mut bits = bits;
    // SAFETY: the caller's.
    unsafe { asm!("{0} = atomic_fetch_or((u64 *)({1} + 0), {0})", inout(reg) bits, in(reg) word, options(nostack)) };
    let _ = bits;
}

/// Writes `value` if there is a zero, and gives what was there.
///
/// # Safety
/// `word` must be aligned and lie in a map's value.
#[inline(always)]
unsafe fn exchange_zero(word: *mut u32, value: u32) -> u32 {
    let mut was = 0_u32;
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "w0 = cmpxchg32_32({0} + 0, w0, {1})",
            in(reg) word, in(wreg) value, inout("w0") was, options(nostack)
        );
    }
    was
}
