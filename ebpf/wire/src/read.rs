//! A whole frame: every message in it, or why there is none.
//!
//! There is no reassembly. A TCP segment is read if it begins with a message, as all do but those in the middle of a
//! long one; what follows the messages at its front is left alone.

use crate::dns::{self, Header, PastEnd, Place, Walk};
use crate::{Frame, Link, Message, Name, Packet, Plain, Ports, Skip, Transport};

/// As many messages as are read from one TCP segment.
pub const SEGMENT: usize = 64;

/// Who gets the messages: a closure, or what is to be compiled in place wherever there is a message.
pub trait Each {
    /// Takes a message and the packet that it came in.
    fn message(&mut self, packet: &Packet, message: &Message);
}

impl<T: FnMut(&Packet, &Message)> Each for T {
    #[inline(always)]
    fn message(&mut self, packet: &Packet, message: &Message) {
        self(packet, message);
    }
}

/// Reads one frame and gives `each` every DNS message in it, in order.
///
/// # Errors
/// The reason why there is none; or, behind the messages that there are, [`Skip::Truncated`] if the capture cut off more.
#[inline(always)]
pub fn read<F: Frame>(frame: &F, link: Link, ports: Ports, each: &mut impl Each) -> Result<(), Skip> {
    if link == Link::Ethernet {
        match Packet::plain(frame, ports) {
            Plain::Dns(packet) => return datagram(frame, &packet, each),
            Plain::NotDns => return Err(Skip::NotDns),
            Plain::Other => {}
        }
    }
    let packet = Packet::read(frame, link, ports)?;
    if packet.transport == Transport::Tcp {
        let end = packet.payload.wrapping_add(packet.length);
        return segment(frame, &packet, ports, end, each);
    }
    datagram(frame, &packet, each)
}

/// Reads the message that is the payload of a datagram.
#[inline(always)]
fn datagram<F: Frame>(frame: &F, packet: &Packet, each: &mut impl Each) -> Result<(), Skip> {
    let place = payload(packet);
    let header = Header::read(frame, place)?;
    let mut message = Message::BLANK;
    // Compiled apart, so that what is counted of a query knows that there is nothing else in it.
    if header.response() {
        dns::question(frame, place, &header, &mut message)?.finish(frame, &mut message);
        each.message(packet, &message);
    } else {
        dns::question(frame, place, &header, &mut message)?;
        each.message(packet, &message);
    }
    Ok(())
}

/// Reads the message that is the payload of a datagram up to its records: the walk over them is still to be finished.
///
/// # Errors
/// The reason why it cannot be counted.
#[inline(always)]
pub fn datagram_question<F: Frame>(frame: &F, packet: &Packet, message: &mut Message) -> Result<Walk, Skip> {
    let place = payload(packet);
    let header = Header::read(frame, place)?;
    dns::question(frame, place, &header, message)
}

/// Whether a datagram with a whole header that is a common message is a response, and its QNAME: opcode QUERY, one question,
/// and see [`Name::short`]. Else [`datagram_question`] tells.
#[inline(always)]
pub fn plain_question<F: Frame>(frame: &F, packet: &Packet) -> Option<(bool, Name)> {
    let flags = u16::from_le_bytes(frame.read(packet.payload.wrapping_add(2))?);
    if flags & 0x78 != 0 || frame.read(packet.payload.wrapping_add(4))? != [0, 1] {
        return None;
    }
    let name =
        Name::short(frame, packet.payload.wrapping_add(dns::HEADER), packet.payload.wrapping_add(packet.length))?;
    Some((flags & 0x80 != 0, name))
}

/// The walk over the records of a response of which [`plain_question`] gave the QNAME; and what its header says, in `message`,
/// of which at most the QNAME is known yet.
#[inline(always)]
pub fn plain_records<F: Frame>(frame: &F, packet: &Packet, name: &Name, message: &mut Message) -> Option<Walk> {
    let header = Header::of(frame.read(packet.payload)?);
    let end = packet.payload.wrapping_add(packet.length);
    Some(header.records(name.at.wrapping_add(name.length), end, message))
}

/// The place of the message that is a datagram's payload.
#[inline(always)]
const fn payload(packet: &Packet) -> Place {
    let past_end = PastEnd { fragment: packet.fragment, segment: false };
    Place { at: packet.payload, end: packet.payload.wrapping_add(packet.length), past_end }
}

/// Reads the messages of a TCP segment.
#[cold]
#[inline(never)]
fn segment<F: Frame>(frame: &F, packet: &Packet, ports: Ports, end: usize, each: &mut impl Each) -> Result<(), Skip> {
    let mut at = packet.payload;
    for nth in 0..SEGMENT {
        match prefixed(frame, packet, ports, at, end) {
            Ok((message, next)) => {
                each.message(packet, &message);
                if next >= end {
                    break;
                }
                at = next;
            }
            Err(skip) if nth == 0 || skip == Skip::Truncated => return Err(skip),
            Err(_) => break,
        }
    }
    Ok(())
}

/// Reads the message behind the length at `at`, and gives where the next length would be.
///
/// # Errors
/// The reason why it cannot be counted.
#[inline(always)]
pub fn prefixed<F: Frame>(
    frame: &F,
    packet: &Packet,
    ports: Ports,
    at: usize,
    end: usize,
) -> Result<(Message, usize), Skip> {
    let mut message = Message::BLANK;
    let (mut walk, next) = prefixed_question(frame, packet, ports, at, end, &mut message)?;
    walk.finish(frame, &mut message);
    Ok((message, next))
}

/// The same up to its records: the walk over them is still to be finished.
///
/// # Errors
/// The reason why it cannot be counted.
#[inline(always)]
pub fn prefixed_question<F: Frame>(
    frame: &F,
    packet: &Packet,
    ports: Ports,
    at: usize,
    end: usize,
    message: &mut Message,
) -> Result<(Walk, usize), Skip> {
    let (place, next) = place(frame, packet, at, end)?;
    let header = Header::read(frame, place)?;
    if !plausible(&header, packet, ports) {
        return Err(Skip::Segment);
    }
    let walk = match dns::question(frame, place, &header, message) {
        Ok(walk) => walk,
        Err(Skip::Truncated) => return Err(Skip::Truncated),
        Err(_) => return Err(Skip::Segment),
    };
    let class = message.qname.at.wrapping_add(message.qname.length).wrapping_add(2);
    if !matches!(frame.read(class).ok_or(Skip::Truncated)?, [0, 1 | 3 | 4 | 254 | 255]) {
        return Err(Skip::Segment);
    }
    Ok((walk, next))
}

/// The place of the message behind the length at `at` (RFC 7766 section 8), and where the next length would be.
///
/// A message that ends before its question does is none; one that goes on in the next segment may be one.
#[inline(always)]
fn place<F: Frame>(frame: &F, packet: &Packet, at: usize, end: usize) -> Result<(Place, usize), Skip> {
    let past_segment = PastEnd { fragment: packet.fragment, segment: true };
    if packet.length == 0 {
        return Err(Skip::NotDns);
    }
    let start = at.wrapping_add(2);
    if start > end {
        return Err(past_segment.into());
    }
    let length = usize::from(u16::from_be_bytes(frame.read(at).ok_or(Skip::Truncated)?));
    if length < dns::HEADER {
        return Err(Skip::Segment);
    }
    let next = start.wrapping_add(length);
    let past_end = PastEnd { fragment: frame.opaque_flag(packet.fragment && next > end), segment: true };
    Ok((Place { at: start, end: frame.opaque_at(next.min(end)), past_end }, next))
}

/// Whether this may be the header of a message, rather than bytes from the middle of one.
#[inline(always)]
fn plausible(header: &Header, packet: &Packet, ports: Ports) -> bool {
    let server = if header.response() { packet.source_port } else { packet.destination_port };
    header.opcode() == 0 && header.questions() == 1 && !header.reserved() && ports.contains(server)
}
