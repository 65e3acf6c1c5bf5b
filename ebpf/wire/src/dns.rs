//! One DNS message: header, question, and the OPT record wherever it is (RFC 1035, RFC 6891, RFC 8914).

use crate::{Frame, Key, Skip, Suffixes};

/// What there is to count of one DNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// QR = 1.
    pub response: bool,
    /// 0 is QUERY; of a message with another opcode only `response` and `opcode` are read.
    pub opcode: u8,
    /// RCODE, with the upper eight bits from the OPT record of a response.
    pub rcode: u16,
    /// TC.
    pub truncated: bool,
    /// The info-codes of a response: bit n is info-code n up to 62, bit 63 any other.
    pub extended_errors: u64,
    /// The records of this response could not be walked to the end: cut off, or not well-formed.
    pub unwalked: bool,
    /// The keyed hashes of the QNAME's last labels.
    pub suffixes: Suffixes,
    /// Offset of the first byte of the QNAME in the frame.
    pub qname: usize,
    /// Length of the QNAME in bytes, its root label included.
    pub qname_length: usize,
}

impl Message {
    /// Whether the opcode is QUERY.
    #[must_use]
    #[inline(always)]
    pub const fn is_query_opcode(&self) -> bool {
        self.opcode == 0
    }
}

/// Reads the message of `length` bytes that begins at `at`.
///
/// # Errors
/// The reason why it cannot be counted.
#[inline(always)]
pub fn message<F: Frame>(frame: &F, at: usize, length: usize, key: &Key) -> Result<Message, Skip> {
    let _ = (frame, at, length, key);
    todo!()
}
