//! What the programs and the daemon share: how the maps are laid out. What is in them is written by `oopsd`.
//!
//! There are two halves of everything: the programs count by one, while the daemon fills the other. Within a half each
//! CPU has counters of its own, so that each has one writer.
#![no_std]
#![forbid(unsafe_code)]

use wire::count::{CODES, FIELDS, NODE};

/// As many service prefixes as can be told apart.
pub const PREFIXES: usize = 64;

/// What the programs must know, a half each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Half {
    /// The secret of the hashes: `wire::Key`.
    pub key: [u64; 2],
    /// `wire::zones::Shape::mask`: buckets less one.
    pub mask: u64,
    /// The first bucket.
    pub bucket: u32,
    /// `wire::zones::Shape::depths`.
    pub depths: u32,
    /// The ports that carry DNS.
    pub ports: [u16; 4],
    /// The first block of totals of the node, [`Totals`]; there is one for each CPU.
    pub totals: u32,
    /// The first slot, [`Slot`], of the first CPU.
    pub slot: u32,
    /// Slots of one CPU: `other`, zones, prefixes.
    pub slots: u32,
    /// The first row, [`Row`], of the first CPU.
    pub row: u32,
    /// Rows of one CPU.
    pub rows: u32,
    /// The slot of the first service prefix.
    pub first_prefix: u32,
    /// How many of `prefix` there are.
    pub prefixes: u32,
    /// Not zero: more than one task may write a counter at a time (PREEMPT_RT).
    pub shared: u32,
    /// Network and mask of each service prefix, longest first, the upper half of each before the lower.
    pub prefix: [[u64; 4]; PREFIXES],
}

/// The fields of a slot, and one word: 0, or the row of its extended errors within its CPU's.
pub type Slot = [u64; FIELDS + 1];

/// The extended errors of a slot, by column. The first row is that of `other`.
pub type Row = [u64; CODES];

/// Totals of the node on one CPU: those of `wire::Node`, then the ones below.
pub type Totals = [u64; 32];

/// Frames that reached the programs, in [`Totals`].
pub const FRAMES: usize = NODE;

/// Rows in use, in [`Totals`]: the next one is this one.
pub const ROWS: usize = NODE + 1;

/// Responses whose extended errors count for `other` for want of rows, in [`Totals`].
pub const CROWDED: usize = NODE + 2;

/// What a program leaves to the one it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Scratch {
    /// Offset of the next message in the frame.
    pub at: u64,
    /// How many were read of this frame.
    pub nth: u64,
}

/// The program for received TCP segments, among those that can be called.
pub const RECEIVED_SEGMENT: u32 = 0;

/// The program for sent TCP segments, likewise.
pub const SENT_SEGMENT: u32 = 1;

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

/// All programs that others call.
pub const CALLED: [Called; 3] = [
    Called { map: "XDP", index: RECEIVED_SEGMENT, program: "segment_xdp" },
    Called { map: "TC", index: RECEIVED_SEGMENT, program: "received_tc" },
    Called { map: "TC", index: SENT_SEGMENT, program: "sent_tc" },
];
