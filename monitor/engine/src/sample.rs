//! All totals at one instant: the only thing that crosses from a capture into the engine.

use crate::{Time, Wall};
use wire::count::{FIELDS, NODE};

/// All totals at one instant, given as those that moved since the sample before.
///
/// Totals wrap, and are never reset within a generation. The first sample of a generation says where counting starts; what
/// it holds is counted, but no rate is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When the totals were read.
    pub at: Time,
    /// The same, to print.
    pub wall: Wall,
    /// Changes when the totals begin at zero again: a reload, a capture taken up anew.
    pub generation: u64,
    /// The node's totals, by `wire::Node::index`.
    pub node: [u64; NODE],
    /// The slots whose totals moved since the last sample, by ascending slot, each once.
    pub moved: Vec<Moved>,
    /// The extended errors that moved since the last sample, by ascending slot and column, each once.
    pub codes: Vec<MovedCodes>,
    /// Whether these totals can be trusted.
    pub sight: Sight,
}

/// The totals of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// `wire::count::OTHER`, a zone or a service prefix.
    pub slot: u32,
    /// By `wire::Field`.
    pub totals: [u64; FIELDS],
}

/// The total of one info-code in one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovedCodes {
    /// `wire::count::OTHER`, a zone or a service prefix.
    pub slot: u32,
    /// The info-code, or `wire::count::OTHER_CODES`.
    pub column: u8,
    /// Responses sent with it.
    pub total: u64,
}

/// What the capture says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sight {
    /// Why nothing can be seen, as `interface: reason`; empty while all is well.
    pub blind: Vec<String>,
    /// Frames that reached the capture (wrapping total).
    pub frames: u64,
    /// Frames that were lost before it could read them (wrapping total).
    pub dropped: u64,
    /// Frames that the interfaces themselves say they lost (wrapping total). That is harm, and no blindness: what comes in is
    /// still counted.
    pub missed: u64,
}
