//! The maps, and what the programs do with them. All are arrays that the daemon maps into its memory; it chooses how many
//! entries each has before it loads the programs.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::helpers::bpf_get_smp_processor_id;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray, ProgramArray};
use core::arch::asm;
use layout::{CROWDED, FRAMES, Half, ROWS, Row, Scratch, Slot, Totals};
use wire::count::{CODES, FIELDS, OTHER};
use wire::zones::{Bucket, Buckets, Shape};
use wire::{Counters, Field, Node};

/// Which half is in force.
#[map]
static ACTIVE: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);
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

/// What a program leaves to the one it calls.
#[map]
pub(crate) static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub(crate) static XDP: ProgramArray = ProgramArray::with_max_entries(2, 0);
#[map]
pub(crate) static TC: ProgramArray = ProgramArray::with_max_entries(2, 0);

/// The half in force.
#[inline(always)]
pub(crate) fn half() -> Option<&'static Half> {
    let active = *ACTIVE.get(0)?;
    HALVES.get(active as u32)
}

/// The buckets of a half.
pub(crate) struct Zones(pub(crate) u32);

impl Buckets for Zones {
    #[inline(always)]
    fn bucket(&self, index: usize) -> Option<&Bucket> {
        ZONES.get(self.0.wrapping_add(index as u32))
    }
}

#[inline(always)]
pub(crate) const fn shape(half: &Half) -> Shape {
    Shape { mask: half.mask, depths: half.depths }
}

/// The counters of this CPU in a half.
pub(crate) struct Shard {
    totals: *mut Totals,
    slot: u32,
    row: u32,
    rows: u32,
    shared: bool,
}

impl Shard {
    #[inline(always)]
    pub(crate) fn of(half: &Half) -> Option<Self> {
        // SAFETY: the helper has no preconditions.
        let cpu = unsafe { bpf_get_smp_processor_id() } as u32;
        let totals = TOTALS.get_ptr_mut(half.totals.wrapping_add(cpu))?;
        Some(Self {
            totals,
            slot: half.slot.wrapping_add(cpu.wrapping_mul(half.slots)),
            row: half.row.wrapping_add(cpu.wrapping_mul(half.rows)),
            rows: half.rows,
            shared: half.shared != 0,
        })
    }

    /// Counts a frame that reached the programs.
    #[inline(always)]
    pub(crate) fn frame(&mut self) {
        self.total(FRAMES);
    }

    #[inline(always)]
    fn total(&mut self, index: usize) {
        // SAFETY: the index is one of the constants below the length of the block.
        let word = unsafe { &raw mut (*self.totals)[index & 31] };
        self.add(word);
    }

    /// Adds one to a word of a map.
    #[inline(always)]
    fn add(&self, word: *mut u64) {
        if self.shared {
            // SAFETY: the word lies in a map's value, which lives as long as the program, and is aligned.
            let _ = unsafe { fetch_add_one(word) };
        } else {
            // SAFETY: as above, and this CPU is the only one that writes it.
            unsafe { word.write(word.read().wrapping_add(1)) };
        }
    }

    /// The row of a slot within its CPU's: its own, a new one, or that of `other`.
    #[inline(always)]
    fn row(&mut self, slot: u32, keeper: *mut u64) -> u32 {
        // SAFETY: the word lies in a map's value.
        let own = unsafe { keeper.read() };
        if own != 0 || slot == OTHER {
            return own as u32;
        }
        // SAFETY: the index is below the length of the block.
        let next = unsafe { &raw mut (*self.totals)[ROWS] };
        let row = if self.shared {
            // SAFETY: as in `add`.
            unsafe { fetch_add_one(next) }
        } else {
            // SAFETY: as in `add`.
            unsafe { next.read() }
        };
        if row >= u64::from(self.rows) {
            self.total(CROWDED);
            return 0;
        }
        if !self.shared {
            // SAFETY: as in `add`.
            unsafe { next.write(row.wrapping_add(1)) };
        }
        // SAFETY: as above.
        unsafe { keeper.write(row) };
        row as u32
    }
}

impl Counters for Shard {
    #[inline(always)]
    fn node(&mut self, node: Node) {
        self.total(node.index());
    }

    #[inline(always)]
    fn slot(&mut self, slot: u32, field: Field) {
        let Some(fields) = SLOTS.get_ptr_mut(self.slot.wrapping_add(slot)) else { return };
        // SAFETY: the index is masked to the length of the slot.
        self.add(unsafe { &raw mut (*fields)[field as usize & 7] });
    }

    #[inline(always)]
    fn extended_errors(&mut self, slot: u32, codes: u64) {
        let Some(fields) = SLOTS.get_ptr_mut(self.slot.wrapping_add(slot)) else { return };
        // SAFETY: the last word of the slot.
        let row = self.row(slot, unsafe { &raw mut (*fields)[FIELDS] });
        let Some(columns) = EXTENDED.get_ptr_mut(self.row.wrapping_add(row)) else { return };
        for column in 0..CODES {
            if codes >> column & 1 != 0 {
                // SAFETY: the column is below the length of the row.
                self.add(unsafe { &raw mut (*columns)[column] });
            }
        }
    }
}

/// The slot of the first service prefix that holds `address`.
#[inline(always)]
pub(crate) fn prefix(half: &Half, address: u128) -> Option<u32> {
    let (upper, lower) = ((address >> 64) as u64, address as u64);
    for index in 0..layout::PREFIXES {
        if index as u32 >= half.prefixes {
            break;
        }
        let [network_upper, network_lower, mask_upper, mask_lower] = half.prefix[index];
        if upper & mask_upper == network_upper && lower & mask_lower == network_lower {
            return Some(half.first_prefix.wrapping_add(index as u32));
        }
    }
    None
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
