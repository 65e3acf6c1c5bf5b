//! What the programs and the daemon share: how the maps are laid out. What is in them is written by `oopsd`.
//!
//! There are two halves of everything: the programs count by one, while the daemon fills the other. Within a half each
//! CPU has counters of its own, so that each has one writer.
#![no_std]
#![forbid(unsafe_code)]

use wire::count::{CODES, FIELDS, NODE};
use wire::zones::{ENTRIES, FIRST};

/// Changes with everything below that a daemon of before would misunderstand: counters can outlive the one that made them.
pub const VERSION: u32 = 7;

/// As many service prefixes as can be told apart.
pub const PREFIXES: usize = 64;

/// Stands in a program where the address of the [`State`] belongs, as a constant of 64 bits: the daemon puts that map there
/// before it loads the program (`BPF_PSEUDO_MAP_VALUE`, Linux 5.2). A map of one value need not be looked up in then.
pub const STATE: u64 = u64::from_be_bytes(*b"oopsd  0");

/// The same for the [`Totals`], one after the other.
pub const TOTALS: u64 = u64::from_be_bytes(*b"oopsd  1");

/// The same for how many [`Totals`] there are.
pub const BLOCKS: u64 = u64::from_be_bytes(*b"oopsd  2");

/// What every program looks at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct State {
    /// Both halves.
    pub halves: [Half; 2],
    /// Which half is in force: 0 or 1. The daemon changes it while the programs run.
    pub active: u64,
    /// The rest of a cache line.
    pub spare: [u64; 7],
}

/// What the programs must know of a half. What each query needs comes first, in one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Half {
    /// The secret of the hashes: `wire::Key`.
    pub key: [u64; 2],
    /// 0: what is made with it a verifier knows nothing of.
    pub zero: u64,
    /// The ports that carry DNS: `wire::Ports::word`.
    pub ports: u64,
    /// `wire::zones::Shape::buckets`.
    pub buckets: u32,
    /// The first bucket, [`Line`], of the first CPU.
    pub bucket: u32,
    /// Buckets that there is room for on one CPU.
    pub buckets_of_cpu: u32,
    /// `wire::zones::Shape::depths`.
    pub depths: u32,
    /// The first block of totals of the node, [`Totals`]; there is one for each CPU.
    pub totals: u32,
    /// The number of the reading that is to come: a multiple of [`READING`], never 0.
    pub reading: u32,
    /// The first slot, [`Slot`], of the first CPU.
    pub slot: u32,
    /// Not zero: more than one task may write a counter at a time (PREEMPT_RT).
    pub shared: u16,
    /// How many of `prefix` there are.
    pub prefixes: u16,
    /// Slots of one CPU: `other`, zones, prefixes.
    pub slots: u32,
    /// The first row, [`Row`], of the first CPU.
    pub row: u32,
    /// Rows of one CPU.
    pub rows: u32,
    /// The first of the [`Marks`] of the first CPU.
    pub marks: u32,
    /// Words of marks of one CPU, of both kinds.
    pub marks_of_cpu: u32,
    /// How many words of marks of each kind there are.
    pub words: u32,
    /// The first of the [`Listed`] of the first CPU.
    pub list: u32,
    /// Entries of one CPU's list: a power of two.
    pub list_of_cpu: u32,
    /// The slot of the first service prefix.
    pub first_prefix: u32,
    /// The rest of a cache line.
    pub spare: [u32; 7],
    /// Network and mask of each service prefix, longest first, the upper half of each before the lower.
    pub prefix: [[u64; 4]; PREFIXES],
}

const _: () = assert!(size_of::<Half>().is_multiple_of(64), "each half begins a cache line");

/// A bucket of the zone table, which each CPU has a copy of: for each of its entries a counter of 32 bits, which counts the
/// queries of its zone, and [`SEEN`]; then the entries. So a query costs one line of memory that is not in a cache, not two.
pub type Line = [u64; 8];

/// Where the counter of an entry is in its [`Line`], in bytes.
#[must_use]
pub const fn counter(entry: usize) -> usize {
    4 * entry
}

/// Where a [`Line`] says which of its zones are [`Listed`], in bytes: 32 bits, a bit for each entry whose queries were listed
/// for a reading, and the number of that reading.
pub const SEEN: usize = counter(ENTRIES);

/// The number of the first reading. Each next one's is that much more; after the highest comes the first again.
pub const READING: u32 = 1 << ENTRIES;

/// The number of the reading after this one.
#[must_use]
pub const fn next_reading(reading: u32) -> u32 {
    let next = reading.wrapping_add(READING);
    if next == 0 { READING } else { next }
}

const _: () = assert!(SEEN + 4 == 8 * FIRST, "a line must have room for what was seen of it");

/// Such a counter goes up to here, and on from 0; and when half of that is passed, and at 0, one is added to
/// `wire::Field::Queries` of the zone's [`Slot`]. So its highest bit says whether that has been done, and all that was ever
/// counted is known at any time: whoever reads the slot first, then the counter, and finds that the highest bit is not the
/// slot's lowest, adds one to what the slot says.
pub const HALVES: u32 = 1 << 31;

/// All queries that were counted of a zone on one CPU, from what its slot and its counter say.
#[must_use]
pub const fn queries(halves: u64, counter: u32) -> u64 {
    let behind = (halves ^ (counter / HALVES) as u64) & 1;
    halves.wrapping_add(behind).wrapping_mul(HALVES as u64).wrapping_add((counter % HALVES) as u64)
}

/// The fields of a slot, and one word: its lower half is the row of the slot's extended errors within its CPU's, or 0: none
/// yet; its upper half the number of the reading for which the slot was last [`Listed`].
///
/// The queries of a zone are in its [`Line`], those of a prefix and of `other` are here.
pub type Slot = [u64; FIELDS + 1];

/// What moved, in the order in which each CPU first counted there for a reading: the slot and, in [`OWN`], whether it is the
/// slot itself or the counter of its zone in a [`Line`]. The upper half says which entry of the list it is, counted
/// from 1: what was written longer ago is not mistaken for it.
///
/// Each CPU has its own list and goes on at its beginning when it comes to its end. A reading begins by making the next
/// one's number that of [`Half::reading`]. A program may have counted by the number before, where its CPU had already listed
/// the place, and its count may come behind the reading: what was listed for the last reading must be looked at again in
/// the next one.
pub type Listed = u64;

/// Set where a slot is meant itself.
pub const OWN: u32 = 1 << 31;

/// The `nth` entry of a list, counted from 0.
#[must_use]
#[inline(always)]
pub const fn listed(nth: u64, what: u32) -> Listed {
    nth.wrapping_add(1) << 32 | what as u64
}

/// Marks of the slots where anything was ever counted: a bit each, a word for 64 slots. Of all others there is nothing to
/// read. There are two kinds, one behind the other: of each zone whose queries were counted in its [`Line`], and of each slot
/// where something was counted in its [`Slot`].
pub type Marks = u64;

/// How many slots a word of [`Marks`] stands for.
pub const MARKED: usize = 64;

/// The extended errors of a slot, by column. The first row is that of `other`.
pub type Row = [u64; CODES];

/// Totals of the node on one CPU: the ones below, then those of `wire::Node`. What each query received moves is in the first
/// cache line.
pub type Totals = [u64; 32];

/// Frames that reached the programs, in [`Totals`]: all but those that are counted there already, each once, as a message
/// with opcode QUERY over UDP or as not DNS.
pub const FRAMES: usize = 0;

/// Rows in use, in [`Totals`]: the next one is this one.
pub const ROWS: usize = 1;

/// Responses whose extended errors count for `other` for want of rows, in [`Totals`].
pub const CROWDED: usize = 2;

/// Entries that were ever written to the CPU's list of [`Listed`], in [`Totals`].
pub const LISTED: usize = 3;

/// The first of the totals of `wire::Node`, in [`Totals`].
pub const OF_NODE: usize = 4;

const _: () = assert!(OF_NODE + NODE <= 32, "all totals must have room");

/// A program that others call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Called {
    /// The map of programs where it must be before the first frame comes.
    pub map: &'static str,
    /// Its place there.
    pub index: u32,
    /// Its name.
    pub program: &'static str,
}

/// Goes on with the messages of a received segment.
pub const RECEIVED_SEGMENT: u32 = 0;

/// Goes on with the messages of a sent segment.
pub const SENT_SEGMENT: u32 = 1;

/// Goes on with the records of a sent response.
pub const WALK: u32 = 2;

/// Reads a received frame that is not one of the commonest; or one of which more can be seen now.
pub const RECEIVED: u32 = 3;

/// Reads a sent frame, likewise.
pub const SENT: u32 = 4;

/// All programs that others call.
pub const CALLED: [Called; 7] = [
    Called { map: "XDP", index: RECEIVED_SEGMENT, program: "segment_xdp" },
    Called { map: "TC", index: RECEIVED_SEGMENT, program: "received_tc" },
    Called { map: "TC", index: SENT_SEGMENT, program: "sent_tc" },
    Called { map: "TC", index: WALK, program: "walk_tc" },
    Called { map: "XDP", index: RECEIVED, program: "any_xdp" },
    Called { map: "TC", index: RECEIVED, program: "any_received_tc" },
    Called { map: "TC", index: SENT, program: "any_sent_tc" },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_readings_are_never_0_nor_the_bits_of_entries() {
        let mut reading = next_reading(0);
        for _ in 0..1000 {
            assert_eq!(reading % READING, 0);
            assert_ne!(reading, 0);
            assert_ne!(next_reading(reading), reading);
            reading = next_reading(reading);
        }
        assert_eq!(next_reading(0_u32.wrapping_sub(READING)), READING);
    }
}
