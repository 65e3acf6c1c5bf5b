//! A whole frame: every message in it, or why there is none.
//!
//! There is no reassembly. A TCP segment is read if it begins with a message, as all do but those in the middle of a
//! long one; what follows the messages at its front is left alone.

use crate::dns::{self, Header};
use crate::{Frame, Key, Link, Message, Packet, Ports, Skip, Transport};

/// As many messages as are read from one TCP segment.
pub const SEGMENT: usize = 64;

/// Reads one frame and gives `each` every DNS message in it, in order, or the reason why there is none.
///
/// `each` runs at least once: a frame without a message is one `Skip`. Of a frame with messages, only what the capture
/// cut off behind them is one more, [`Skip::Truncated`].
#[inline(always)]
pub fn read<F: Frame>(
    frame: &F,
    link: Link,
    ports: Ports,
    key: &Key,
    each: &mut impl FnMut(Result<(&Packet, &Message), Skip>),
) {
    let packet = match Packet::read(frame, link, ports) {
        Ok(packet) => packet,
        Err(skip) => return each(Err(skip)),
    };
    match packet.transport {
        Transport::Udp => {
            let end = packet.payload.wrapping_add(packet.length);
            let past_end = if packet.fragment { Skip::Truncated } else { Skip::Malformed };
            match dns::message_until(frame, packet.payload, end, past_end, key) {
                Ok(message) => each(Ok((&packet, &message))),
                Err(skip) => each(Err(skip)),
            }
        }
        Transport::Tcp => segment(frame, &packet, ports, key, each),
    }
}

/// The messages at the front of a segment (RFC 7766 section 8).
#[inline(always)]
fn segment<F: Frame>(
    frame: &F,
    packet: &Packet,
    ports: Ports,
    key: &Key,
    each: &mut impl FnMut(Result<(&Packet, &Message), Skip>),
) {
    let end = packet.payload.wrapping_add(packet.length);
    if packet.length == 0 {
        return each(Err(Skip::NotDns));
    }
    let mut at = packet.payload;
    for nth in 0..SEGMENT {
        match in_segment(frame, packet, ports, at, end, key) {
            Ok((message, next)) => {
                each(Ok((packet, &message)));
                at = next;
            }
            Err(skip) => {
                if nth == 0 || skip == Skip::Truncated {
                    each(Err(skip));
                }
                return;
            }
        }
        if at >= end {
            return;
        }
    }
}

/// The message whose length is at `at`, and where the next one begins. Anything that does not look like one is taken
/// for the middle of one.
#[inline(always)]
fn in_segment<F: Frame>(
    frame: &F,
    packet: &Packet,
    ports: Ports,
    at: usize,
    end: usize,
    key: &Key,
) -> Result<(Message, usize), Skip> {
    let past_end = if packet.fragment { Skip::Truncated } else { Skip::Segment };
    let start = at.wrapping_add(2);
    if start > end {
        return Err(past_end);
    }
    let length = usize::from(u16::from_be_bytes(frame.read(at).ok_or(Skip::Truncated)?));
    let next = start.wrapping_add(length);
    if length < dns::HEADER {
        return Err(Skip::Segment);
    }
    let header = Header::read(frame, start, end, past_end)?;
    let from_server = ports.contains(packet.source_port);
    let from_client = ports.contains(packet.destination_port);
    let way = if header.response() { from_server } else { from_client };
    if header.opcode() != 0 || header.questions() != 1 || header.reserved() || !way {
        return Err(Skip::Segment);
    }
    // A message that ends in this segment before its question does is none; one that goes on in the next may be one.
    let (last, past_last) = if next <= end { (next, Skip::Segment) } else { (end, past_end) };
    let (mut message, mut walk) = match dns::question(frame, start, last, past_last, &header, key) {
        Ok(it) => it,
        Err(Skip::Truncated) => return Err(Skip::Truncated),
        Err(_) => return Err(Skip::Segment),
    };
    let [c0, c1] =
        frame.read(start.wrapping_add(dns::HEADER + 2).wrapping_add(message.qname_length)).ok_or(Skip::Truncated)?;
    if !matches!(u16::from_be_bytes([c0, c1]), 1 | 3 | 4 | 254 | 255) {
        return Err(Skip::Segment);
    }
    walk.finish(frame, &mut message);
    Ok((message, next))
}
