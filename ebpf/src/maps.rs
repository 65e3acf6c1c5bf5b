//! The maps, and what the programs look up in them. All are arrays that the daemon maps into its memory; it chooses how many
//! entries each has before it loads the programs. What is one value is not looked up: the program holds its address.

use crate::scratch::Scratch;
use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::helpers::bpf_get_smp_processor_id;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray, ProgramArray};
use core::arch::asm;
use layout::{Half, Line, Listed, Marks, Row, Slot, State, Totals};
use wire::count::OTHER;
use wire::name::Keyed;
use wire::zones::{Buckets, Entries, FINGERPRINT, FIRST, Shape, WHICH};

#[map]
static ZONES: Array<Line> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
pub(crate) static SLOTS: Array<Slot> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
pub(crate) static EXTENDED: Array<Row> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
pub(crate) static MARKS: Array<Marks> = Array::with_max_entries(2, BPF_F_MMAPABLE);
#[map]
pub(crate) static LIST: Array<Listed> = Array::with_max_entries(2, BPF_F_MMAPABLE);

/// What a program leaves to the one it calls.
#[map]
pub(crate) static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub(crate) static XDP: ProgramArray = ProgramArray::with_max_entries(8, 0);
#[map]
pub(crate) static TC: ProgramArray = ProgramArray::with_max_entries(8, 0);

/// A field of a half, read where it is needed: what the compiler reads ahead it has no registers for.
macro_rules! of_half {
    ($half:expr, $field:ident) => {
        // SAFETY: the half is a map's value.
        unsafe { (&raw const (*$half).$field).read_volatile() }
    };
}
pub(crate) use of_half;

/// What the daemon writes into the program before it loads it.
macro_rules! told {
    ($what:expr) => {{
        let told: usize;
        // SAFETY: it loads a constant.
        unsafe { asm!("{0} = {what} ll", out(reg) told, what = const $what, options(pure, nomem, nostack)) };
        told
    }};
}

/// The half in force, and what there is to know of it.
#[inline(always)]
pub(crate) fn active() -> (u32, &'static Half) {
    let state = told!(layout::STATE) as *const State;
    // SAFETY: the value lives as long as the program; the word is read once, whatever the daemon writes meanwhile.
    let active = unsafe { (&raw const (*state).active).read_volatile() };
    (active as u32, half(active))
}

/// The CPU that this runs on, from a frame's first program to its last.
#[inline(always)]
pub(crate) fn cpu() -> u32 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_get_smp_processor_id() as u32 }
}

/// What there is to know of a half.
#[inline(always)]
pub(crate) fn half(half: u64) -> &'static Half {
    let state = told!(layout::STATE) as *const State;
    let mut half = half as usize;
    // SAFETY: it calculates. The compiler would go two ways.
    unsafe { asm!("{0} &= 1", inout(reg) half, options(pure, nomem, nostack)) };
    // SAFETY: one of two, of which the daemon changes little, and by words, while programs run.
    unsafe { &*(&raw const (*state).halves).cast::<Half>().add(half) }
}

/// The secret of a half's hashes.
pub(crate) struct Secret(pub(crate) *const Half);

impl Keyed for Secret {
    #[inline(always)]
    fn seed(&self) -> u64 {
        // SAFETY: the half is a map's value.
        unsafe { (&raw const (*self.0).key[0]).read_volatile() }
    }

    #[inline(always)]
    fn step(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (&raw const (*self.0).key[1]).read_volatile() }
    }
}

/// The totals of a CPU in a half.
#[inline(always)]
pub(crate) fn totals(half: *const Half, cpu: u32) -> Option<*mut Totals> {
    let mut block = of_half!(half, totals) as usize;
    // SAFETY: it calculates. The compiler must not know how: what is compared is what is multiplied.
    unsafe { asm!("{0} += {1}", inout(reg) block, in(reg) cpu as usize, options(pure, nomem, nostack)) };
    if block >= told!(layout::BLOCKS) {
        return None;
    }
    // SAFETY: one of as many as there are, as just compared.
    Some(unsafe { (told!(layout::TOTALS) as *mut Totals).add(block) })
}

/// The buckets of a CPU in a half, by the first of them.
pub(crate) struct Zones(u32);

impl Zones {
    /// Those of this CPU.
    #[inline(always)]
    pub(crate) fn of(half: &Half) -> Self {
        Self::of_cpu(half, cpu())
    }

    #[inline(always)]
    pub(crate) fn of_cpu(half: *const Half, cpu: u32) -> Self {
        let first = cpu.wrapping_mul(of_half!(half, buckets_of_cpu));
        Self(first.wrapping_add(of_half!(half, bucket)))
    }

    /// A bucket, with its counters.
    #[inline(always)]
    pub(crate) fn line(&self, bucket: u32) -> Option<*mut Line> {
        ZONES.get_ptr_mut(self.0.wrapping_add(bucket))
    }
}

impl Buckets for Zones {
    #[inline(always)]
    fn entries(&self, index: usize) -> Option<&Entries> {
        Some(entries(self.line(index as u32)?))
    }

    /// There is no minimum without a branch here: a mask of each word is all ones if its fingerprint is the one. With what is
    /// found comes where its counter is.
    #[inline(always)]
    fn find(entries: &Entries, fingerprint: u64) -> u64 {
        let mut found = 0;
        for (entry, word) in (0_u64..).zip(entries) {
            let left = word ^ fingerprint;
            let mut mask = left;
            // SAFETY: it calculates. The compiler would make a comparison of it, and a branch.
            unsafe {
                asm!(
                    "{0} >>= {shift}", "{0} += -1", "{0} s>>= 63",
                    inout(reg) mask, shift = const FINGERPRINT.trailing_zeros(), options(pure, nomem, nostack)
                );
            }
            found |= (left | entry << WHICH) & mask;
        }
        found
    }
}

/// The entries in a bucket.
#[inline(always)]
pub(crate) fn entries(line: *mut Line) -> &'static Entries {
    // SAFETY: a map's value, of which nobody writes this part while the half is in force.
    unsafe { &*line.cast::<u64>().add(FIRST).cast() }
}

#[inline(always)]
pub(crate) const fn shape(half: &Half) -> Shape {
    Shape { buckets: half.buckets as u64, depths: half.depths }
}

/// The slot of the first service prefix that holds `address`; that of `other` if there is none.
#[inline(always)]
pub(crate) fn prefix(half: &Half, address: u128) -> u32 {
    let (upper, lower) = ((address >> 64) as u64, address as u64);
    for index in 0..layout::PREFIXES {
        // Read each time: of what it knows the compiler makes an end of the loop that Linux 6.1 cannot follow.
        if index as u32 >= of_half!(half, prefixes) as u32 {
            break;
        }
        let [network_upper, network_lower, mask_upper, mask_lower] = half.prefix[index];
        if upper & mask_upper == network_upper && lower & mask_lower == network_lower {
            return half.first_prefix.wrapping_add(index as u32);
        }
    }
    OTHER
}
