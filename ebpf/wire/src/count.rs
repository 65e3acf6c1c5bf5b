//! What to count of a message: the fields of a zone's slot, the node's totals, the reasons for not reading a frame.

use crate::{Family, Message, Packet, Transport};

/// Which way a message went, as this host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It came in.
    Received,
    /// It went out.
    Sent,
}

/// The slot of messages that belong to no configured zone. Zones have the slots from 1 on, prefixes those after them.
pub const OTHER: u32 = 0;

/// The info-codes that are counted apart: 0 to 62. All others share [`OTHER_CODES`].
pub const CODES: usize = 64;

/// The column of all info-codes above 62.
pub const OTHER_CODES: usize = CODES - 1;

/// What is counted of each zone and of each service prefix: queries received, responses sent. One cache line, whose
/// last word belongs to whoever keeps the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Field {
    /// Queries received (QR = 0, opcode QUERY).
    Queries,
    /// Responses sent with RCODE NOERROR.
    NoError,
    /// Responses sent with RCODE NXDOMAIN.
    NxDomain,
    /// Responses sent with RCODE SERVFAIL.
    ServFail,
    /// Responses sent with RCODE REFUSED.
    Refused,
    /// Responses sent with any other RCODE, extended ones included.
    OtherRcode,
    /// Responses sent that carry at least one Extended DNS Error (RFC 8914).
    WithExtendedError,
}

/// How many [`Field`]s there are.
pub const FIELDS: usize = 7;

impl Field {
    /// All of them, in the order of their indices.
    pub const ALL: [Self; FIELDS] = [
        Self::Queries,
        Self::NoError,
        Self::NxDomain,
        Self::ServFail,
        Self::Refused,
        Self::OtherRcode,
        Self::WithExtendedError,
    ];

    /// The field that counts a response with this RCODE (12 bits, RFC 6891 section 6.1.3).
    #[must_use]
    #[inline(always)]
    pub const fn of_rcode(rcode: u16) -> Self {
        // By a table in a word: which of them it is cannot be foreseen.
        const FIELDS: u64 = 0x5555_5555_5545_2351;
        match FIELDS >> (if rcode < 15 { rcode } else { 15 } << 2) & 7 {
            1 => Self::NoError,
            2 => Self::NxDomain,
            3 => Self::ServFail,
            4 => Self::Refused,
            _ => Self::OtherRcode,
        }
    }
}

/// Totals of the node, whatever the zone. A message is counted once among the first sixteen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A message with opcode QUERY: which way, query or response, over what.
    Message {
        /// Which way it went.
        direction: Direction,
        /// QR = 1.
        response: bool,
        /// UDP or TCP.
        transport: Transport,
        /// IPv4 or IPv6.
        family: Family,
    },
    /// A message with an opcode other than QUERY, whichever way; of these nothing else is counted.
    OtherOpcode,
    /// A response sent with TC = 1.
    Truncated,
    /// A response sent whose records could not be walked to the end: its extended errors are not known.
    Unwalked,
    /// A frame that was not read, and why.
    Skipped(Skip),
}

/// How many totals of the node there are.
pub const NODE: usize = 16 + 3 + Skip::ALL.len();

impl Node {
    /// The place of this total among [`NODE`].
    #[must_use]
    #[inline(always)]
    pub const fn index(self) -> usize {
        match self {
            Self::Message { direction, response, transport, family } => {
                (direction as usize) << 3 | (response as usize) << 2 | (transport as usize) << 1 | family as usize
            }
            Self::OtherOpcode => 16,
            Self::Truncated => 17,
            Self::Unwalked => 18,
            Self::Skipped(skip) => 19_usize.saturating_add(skip as usize),
        }
    }
}

/// Why a frame, or a message in it, was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Skip {
    /// Not IP, not UDP or TCP, not one of the ports, or a TCP segment without payload.
    NotDns,
    /// A fragment other than the first.
    Fragment,
    /// The capture cut the frame off before the end of the question.
    Truncated,
    /// A TCP segment that does not begin with a message's length and header: the middle of one.
    Segment,
    /// A header that contradicts itself: lengths, versions, or a message shorter than its own question.
    Malformed,
    /// QDCOUNT other than 1.
    QuestionCount,
    /// A compression pointer or a reserved label type in the QNAME.
    NamePointer,
    /// A QNAME over 255 bytes.
    NameLength,
}

impl Skip {
    /// All of them, in the order of their indices.
    pub const ALL: [Self; 8] = [
        Self::NotDns,
        Self::Fragment,
        Self::Truncated,
        Self::Segment,
        Self::Malformed,
        Self::QuestionCount,
        Self::NamePointer,
        Self::NameLength,
    ];

    /// Its name in metrics and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotDns => "not-dns",
            Self::Fragment => "fragment",
            Self::Truncated => "truncated",
            Self::Segment => "segment",
            Self::Malformed => "malformed",
            Self::QuestionCount => "question-count",
            Self::NamePointer => "name-pointer",
            Self::NameLength => "name-length",
        }
    }
}

/// Where counts go: an array in the kernel, a tally in memory, a list in a test.
pub trait Counters {
    /// Adds one to a total of the node.
    fn node(&mut self, node: Node);
    /// Adds one to a field of a slot.
    fn slot(&mut self, slot: u32, field: Field);
    /// Adds one to each info-code of `codes` (bit n: info-code n; bit 63: any above 62) in a slot.
    fn extended_errors(&mut self, slot: u32, codes: u64);

    /// Adds one to a field of a slot and, if there are any, the extended errors that came with it.
    #[inline(always)]
    fn gain(&mut self, slot: u32, field: Field, codes: u64) {
        self.slot(slot, field);
        if codes != 0 {
            self.slot(slot, Field::WithExtendedError);
            self.extended_errors(slot, codes);
        }
    }
}

/// Counts a message that went `direction`, belongs to zone `zone` and, maybe, to service prefix `prefix`.
///
/// Queries received and responses sent count for the zone and the prefix; queries sent and responses received, a
/// resolver's upstream side, only for the node.
#[inline(always)]
pub fn count(
    packet: &Packet,
    message: &Message,
    direction: Direction,
    zone: u32,
    prefix: Option<u32>,
    counters: &mut impl Counters,
) {
    if let Some(gain) = count_node(packet, message, direction, counters) {
        gain.add(zone, counters);
        if let Some(prefix) = prefix {
            gain.add(prefix, counters);
        }
    }
}

/// Counts a message for the node, and gives what is still to be added to the slots of its zone and its prefix.
#[inline(always)]
pub fn count_node(
    packet: &Packet,
    message: &Message,
    direction: Direction,
    counters: &mut impl Counters,
) -> Option<Gain> {
    if !message.is_query_opcode() {
        counters.node(Node::OtherOpcode);
        return None;
    }
    let response = message.response;
    counters.node(Node::Message { direction, response, transport: packet.transport, family: packet.family });
    match (direction, response) {
        (Direction::Received, false) => Some(Gain { field: Field::Queries, codes: 0 }),
        (Direction::Sent, true) => {
            if message.truncated {
                counters.node(Node::Truncated);
            }
            if message.unwalked {
                counters.node(Node::Unwalked);
            }
            Some(Gain { field: Field::of_rcode(message.rcode), codes: message.extended_errors })
        }
        (Direction::Received, true) | (Direction::Sent, false) => None,
    }
}

/// What one message adds to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gain {
    field: Field,
    codes: u64,
}

impl Gain {
    /// Adds it.
    #[inline(always)]
    pub fn add(self, slot: u32, counters: &mut impl Counters) {
        counters.gain(slot, self.field, self.codes);
    }
}

#[cfg(test)]
mod tests {
    use super::Field;

    #[test]
    fn each_rcode_has_its_field() {
        for rcode in 0..4096 {
            let field = match rcode {
                0 => Field::NoError,
                2 => Field::ServFail,
                3 => Field::NxDomain,
                5 => Field::Refused,
                _ => Field::OtherRcode,
            };
            assert_eq!(Field::of_rcode(rcode), field, "{rcode}");
        }
    }
}
