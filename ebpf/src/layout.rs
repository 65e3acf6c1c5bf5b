//! What the programs and the daemon share: how the maps are laid out. What is in them is written by `oopsd`.
//!
//! There are two halves of everything: the programs count by one, while the daemon fills the other. Within a half each
//! CPU has counters of its own, so that each has one writer.
#![no_std]
#![forbid(unsafe_code)]

use wire::count::{CODES, FIELDS, NODE};

/// Changes with everything below that a daemon of before would misunderstand: counters can outlive the one that made them.
pub const VERSION: u32 = 3;

/// What the daemon changes while the programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Active {
    /// Which half is in force: 0 or 1.
    pub half: u64,
    /// The epoch, of which the lower 32 bits count. The daemon adds one before each reading, and never writes 0.
    pub epoch: u64,
}

/// As many service prefixes as can be told apart.
pub const PREFIXES: usize = 64;

/// What the programs must know, a half each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Half {
    /// The secret of the hashes: `wire::Key`.
    pub key: [u64; 2],
    /// 0: what is made with it a verifier knows nothing of.
    pub zero: u64,
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
    /// The first of the [`Marks`] of the first CPU.
    pub marks: u32,
    /// Words of marks of one CPU.
    pub marks_of_cpu: u32,
    /// How many of these are summaries, and come first.
    pub summaries: u32,
    /// The slot of the first service prefix.
    pub first_prefix: u32,
    /// How many of `prefix` there are.
    pub prefixes: u32,
    /// Not zero: more than one task may write a counter at a time (PREEMPT_RT).
    pub shared: u32,
    /// Network and mask of each service prefix, longest first, the upper half of each before the lower.
    pub prefix: [[u64; 4]; PREFIXES],
}

/// The fields of a slot, and one word, its [`Keeper`].
pub type Slot = [u64; FIELDS + 1];

/// The last word of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Keeper {
    /// The row of the slot's extended errors within its CPU's, or 0: none yet.
    pub row: u32,
    /// The epoch in which the slot was last marked.
    pub epoch: u32,
}

impl Keeper {
    /// As it is in the word. The programs are of the machine's byte order.
    #[must_use]
    pub const fn of_word(word: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
        Self { row: u32::from_ne_bytes([a, b, c, d]), epoch: u32::from_ne_bytes([e, f, g, h]) }
    }
}

/// Marks of what moved: a word for 64 slots, a bit each; and summaries, a word for 64 of these.
///
/// Each CPU has its own. When it counts in a slot for the first time in an epoch it sets the slot's bit, then that of the
/// word in its summary, and only then moves the counter. Whoever reads takes a summary and puts 0 in its place, then does
/// so with the words that it names. The programs write what they have read and a bit more, not at once: a bit that was
/// taken meanwhile may come back, and the slot is looked at once more than needed; none is lost.
///
/// A program may still count in an epoch that has just ended: what was marked for the last reading must be looked at
/// again in the next one.
pub type Marks = u64;

/// How many slots, or words, a word of [`Marks`] stands for.
pub const MARKED: usize = 64;

/// The extended errors of a slot, by column. The first row is that of `other`.
pub type Row = [u64; CODES];

/// Totals of the node on one CPU: those of `wire::Node`, then the ones below.
pub type Totals = [u64; 32];

/// Frames that reached the programs, in [`Totals`]: all but those that are counted there already, each once, as a message
/// with opcode QUERY over UDP or as not DNS.
pub const FRAMES: usize = NODE;

/// Rows in use, in [`Totals`]: the next one is this one.
pub const ROWS: usize = NODE + 1;

/// Responses whose extended errors count for `other` for want of rows, in [`Totals`].
pub const CROWDED: usize = NODE + 2;

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
