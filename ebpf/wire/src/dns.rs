//! One DNS message: header, question, and the OPT record wherever it is (RFC 1035, RFC 6891, RFC 8914).

use crate::count::OTHER_CODES;
use crate::{Frame, Name, Skip};

/// Length of a DNS header.
pub const HEADER: usize = 12;

/// The type of the OPT pseudo-record (RFC 6891 section 6.1.1).
const OPT: u16 = 41;

/// The option that carries an Extended DNS Error (RFC 8914 section 2).
const EXTENDED_ERROR: u16 = 15;

/// As many records as are passed over in a short walk.
const SHORT: usize = 4;

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
    /// Where the QNAME is.
    pub qname: Name,
}

impl Message {
    /// A message of which nothing is known yet.
    pub const BLANK: Self = Self {
        response: false,
        opcode: 0,
        rcode: 0,
        truncated: false,
        extended_errors: 0,
        unwalked: false,
        qname: Name::BLANK,
    };

    /// Whether the opcode is QUERY.
    #[must_use]
    #[inline(always)]
    pub const fn is_query_opcode(&self) -> bool {
        self.opcode == 0
    }
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset of its first byte, at least 8.
    pub at: usize,
    /// There is nothing of it from here on: it ends, or the fragment or the segment does.
    pub end: usize,
    /// What it means if its question goes on beyond `end`.
    pub past_end: PastEnd,
}

/// Where a message is whose question goes on beyond the place's end. It becomes a [`Skip`] when it is one: as a number
/// it would have a verifier follow each reason through all of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastEnd {
    /// It goes on in another fragment: [`Skip::Truncated`].
    pub fragment: bool,
    /// It is in a segment: [`Skip::Segment`]. Else, in a datagram: [`Skip::Malformed`].
    pub segment: bool,
}

impl From<PastEnd> for Skip {
    #[inline(always)]
    fn from(PastEnd { fragment, segment }: PastEnd) -> Self {
        match (fragment, segment) {
            (true, _) => Self::Truncated,
            (false, true) => Self::Segment,
            (false, false) => Self::Malformed,
        }
    }
}

/// The header of a message (RFC 1035 section 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header([u8; HEADER]);

impl Header {
    /// Reads the header of the message at `place`.
    ///
    /// # Errors
    /// The place's `past_end` if the message is too short, [`Skip::Truncated`] if the frame is.
    #[inline(always)]
    pub fn read<F: Frame>(frame: &F, place: Place) -> Result<Self, Skip> {
        if place.at.wrapping_add(HEADER) > place.end {
            return Err(place.past_end.into());
        }
        frame.read(place.at).map(Self).ok_or(Skip::Truncated)
    }

    /// Whole as it is.
    #[inline(always)]
    pub(crate) const fn of(bytes: [u8; HEADER]) -> Self {
        Self(bytes)
    }

    /// QR.
    #[must_use]
    #[inline(always)]
    pub const fn response(&self) -> bool {
        let Self([_, _, flags, ..]) = *self;
        flags & 0x80 != 0
    }

    /// The opcode.
    #[must_use]
    #[inline(always)]
    pub const fn opcode(&self) -> u8 {
        let Self([_, _, flags, ..]) = *self;
        flags >> 3 & 15
    }

    /// TC.
    #[must_use]
    #[inline(always)]
    pub const fn truncated(&self) -> bool {
        let Self([_, _, flags, ..]) = *self;
        flags & 2 != 0
    }

    /// Z, the reserved bit that must be zero (RFC 1035 section 4.1.1, less AD and CD of RFC 4035).
    #[must_use]
    #[inline(always)]
    pub const fn reserved(&self) -> bool {
        let Self([_, _, _, flags, ..]) = *self;
        flags & 0x40 != 0
    }

    /// The lower four bits of the RCODE.
    #[must_use]
    #[inline(always)]
    pub const fn rcode(&self) -> u8 {
        let Self([_, _, _, flags, ..]) = *self;
        flags & 15
    }

    /// QDCOUNT.
    #[must_use]
    #[inline(always)]
    pub const fn questions(&self) -> u16 {
        let Self([_, _, _, _, a, b, ..]) = *self;
        u16::from_be_bytes([a, b])
    }

    /// ANCOUNT and NSCOUNT: the records before the additional section.
    #[inline(always)]
    fn before_additional(&self) -> u32 {
        let Self([.., a, b, c, d, _, _]) = *self;
        u32::from(u16::from_be_bytes([a, b])).wrapping_add(u32::from(u16::from_be_bytes([c, d])))
    }

    /// ARCOUNT.
    #[inline(always)]
    const fn additional(&self) -> u16 {
        let Self([.., a, b]) = *self;
        u16::from_be_bytes([a, b])
    }

    /// The walk over the records of a response, whose question ends at `after`; and what its header says, in `message`.
    #[inline(always)]
    pub(crate) fn records(&self, after: usize, end: usize, message: &mut Message) -> Walk {
        message.response = true;
        message.rcode = u16::from(self.rcode());
        message.truncated = self.truncated();
        Walk::over(after.wrapping_add(4), end, self.before_additional(), u32::from(self.additional()))
    }
}

/// Reads header and question into `message`, which must be [`Message::BLANK`], and gives the walk over its records:
/// over none, if it is a query.
///
/// # Errors
/// The reason why it cannot be counted.
#[inline(always)]
pub fn question<F: Frame>(frame: &F, place: Place, header: &Header, message: &mut Message) -> Result<Walk, Skip> {
    let Place { at, end, past_end } = place;
    message.response = header.response();
    message.opcode = header.opcode();
    if message.opcode != 0 {
        return Ok(Walk::over(end, end, 0, 0));
    }
    if header.questions() != 1 {
        return Err(Skip::QuestionCount);
    }
    message.rcode = u16::from(header.rcode());
    message.truncated = header.truncated();
    message.qname = Name::read(frame, at.wrapping_add(HEADER), end, past_end)?;
    let after = message.qname.at.wrapping_add(message.qname.length);
    let records = after.wrapping_add(4);
    if records > end {
        return Err(past_end.into());
    }
    frame.read::<4>(after).ok_or(Skip::Truncated)?;
    if !message.response {
        return Ok(Walk::over(end, end, 0, 0));
    }
    Ok(Walk::over(records, end, header.before_additional(), u32::from(header.additional())))
}

/// What one step of a [`Walk`] left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to read.
    More,
    /// The OPT record and all records after it are read, or nothing more can be.
    Done,
}

/// A walk over the records of a response, a bounded step at a time: a label of an owner name, the rest of a record, or
/// an option. Every step but the last moves on by at least a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    at: usize,
    end: usize,
    /// Records before the additional section that are still to be passed.
    before: u32,
    /// Records of the additional section that are still to be read.
    additional: u32,
    /// Where the options of the OPT record end; 0 outside of it.
    options: usize,
    opt_seen: bool,
}

impl Walk {
    #[inline(always)]
    const fn over(at: usize, end: usize, before: u32, additional: u32) -> Self {
        Self { at, end, before, additional, options: 0, opt_seen: false }
    }

    /// Reads on, and notes in `message` what it finds.
    #[inline(always)]
    pub fn step<F: Frame>(&mut self, frame: &F, message: &mut Message) -> Step {
        let done = if self.options != 0 { self.option(frame, message) } else { self.record(frame, message) };
        match done {
            Some(step) => step,
            None => {
                message.unwalked = true;
                Step::Done
            }
        }
    }

    /// Reads to the end.
    #[inline(always)]
    pub fn finish<F: Frame>(&mut self, frame: &F, message: &mut Message) {
        while self.step(frame, message) == Step::More {}
    }

    /// Where it goes on, and where the message ends.
    #[must_use]
    #[inline(always)]
    pub const fn span(&self) -> (usize, usize) {
        (self.at, self.end)
    }

    /// Finishes at once if there are but a few records whose owners are compression pointers, and then maybe an OPT record
    /// without options, or with an extended error alone. Else nothing has changed.
    #[must_use]
    #[inline(always)]
    pub fn is_short<F: Frame>(&mut self, frame: &F, message: &mut Message) -> bool {
        let Some((extended, code)) = self.shortly(frame) else { return false };
        message.rcode |= u16::from(extended) << 4;
        if let Some(code) = code {
            message.extended_errors |= 1 << usize::from(code).min(OTHER_CODES);
        }
        true
    }

    /// The upper bits of the RCODE, and the info-code.
    #[inline(always)]
    fn shortly<F: Frame>(&self, frame: &F) -> Option<(u8, Option<u16>)> {
        let mut at = self.at;
        let mut before = self.before;
        for _ in 0..SHORT {
            if before == 0 {
                break;
            }
            let [owner, .., l0, l1] = frame.read::<12>(at)?;
            at = at.wrapping_add(12).wrapping_add(usize::from(u16::from_be_bytes([l0, l1])));
            before = before.wrapping_sub(1);
            if owner < 0xC0 {
                return None;
            }
        }
        // Whether a record ends beyond the message is asked once: it is not, if the last one does not.
        if before != 0 || self.additional > 1 || (self.additional == 0 && at > self.end) {
            return None;
        }
        if self.additional == 0 {
            return Some((0, None));
        }
        let options = at.wrapping_add(11);
        let [owner, t0, t1, _, _, extended, _, _, _, l0, l1] = frame.read(at)?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let is_opt = u16::from_be_bytes([owner, t0]) == 0 && u16::from(t1) == OPT;
        if !is_opt || options.wrapping_add(length) > self.end {
            return None;
        }
        if length == 0 {
            return Some((extended, None));
        }
        let [c0, c1, o0, o1, i0, i1] = frame.read(options)?;
        let alone = usize::from(u16::from_be_bytes([o0, o1])).wrapping_add(4) == length;
        let is_error = u16::from_be_bytes([c0, c1]) == EXTENDED_ERROR;
        (alone && is_error && length >= 6).then_some((extended, Some(u16::from_be_bytes([i0, i1]))))
    }

    /// The same, of which a verifier knows nothing any more.
    #[inline(always)]
    pub fn opaque<F: Frame>(&mut self, frame: &F) {
        self.at = frame.opaque_at(self.at);
        self.before = frame.opaque_u32(self.before);
        self.additional = frame.opaque_u32(self.additional);
        self.options = frame.opaque_at(self.options);
    }

    /// One label of the owner and, if it was the last, the record's fixed part; `None` if that is not well-formed.
    #[inline(always)]
    fn record<F: Frame>(&mut self, frame: &F, message: &mut Message) -> Option<Step> {
        if self.before == 0 && self.additional == 0 {
            return Some(Step::Done);
        }
        let [length] = self.take(frame)?;
        match length {
            0 => {}
            1..=63 => {
                self.at = self.at.wrapping_add(usize::from(length));
                return Some(Step::More);
            }
            0xC0.. => {
                let [_] = self.take(frame)?;
            }
            _ => return None,
        }
        let [t0, t1, _, _, extended, _, _, _, l0, l1] = self.take(frame)?;
        let data = self.at;
        let next = data.wrapping_add(usize::from(u16::from_be_bytes([l0, l1])));
        if next > self.end {
            // What is left of an OPT record is still worth reading; the end is found there.
            message.unwalked = true;
        }
        if self.before > 0 {
            self.before = self.before.wrapping_sub(1);
            self.at = next;
            return Some(Step::More);
        }
        self.additional = self.additional.wrapping_sub(1);
        if u16::from_be_bytes([t0, t1]) != OPT {
            self.at = next;
            return Some(Step::More);
        }
        if self.opt_seen {
            return None;
        }
        self.opt_seen = true;
        message.rcode |= u16::from(extended) << 4;
        self.options = next;
        Some(Step::More)
    }

    /// One option of the OPT record; `None` if it is not well-formed.
    #[inline(always)]
    fn option<F: Frame>(&mut self, frame: &F, message: &mut Message) -> Option<Step> {
        if self.at == self.options {
            self.options = 0;
            return Some(Step::More);
        }
        let [c0, c1, l0, l1] = self.take(frame)?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let next = self.at.wrapping_add(length);
        if next > self.options {
            return None;
        }
        if u16::from_be_bytes([c0, c1]) == EXTENDED_ERROR {
            if length < 2 {
                return None;
            }
            let code = usize::from(u16::from_be_bytes(self.take(frame)?));
            message.extended_errors |= 1 << code.min(OTHER_CODES);
        }
        self.at = next;
        Some(Step::More)
    }

    /// The next `N` bytes; `None` if the message or the frame does not hold them.
    #[inline(always)]
    fn take<F: Frame, const N: usize>(&mut self, frame: &F) -> Option<[u8; N]> {
        let next = self.at.wrapping_add(N);
        if next > self.end {
            return None;
        }
        let bytes = frame.read(self.at)?;
        self.at = next;
        Some(bytes)
    }
}
