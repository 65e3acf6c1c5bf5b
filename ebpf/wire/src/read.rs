//! A whole frame: every message in it, or why there is none.
//!
//! There is no reassembly. A TCP segment is read if it begins with a message, as all do but those in the middle of a
//! long one; what follows the messages at its front is left alone.

use crate::dns::{self, Header, Place};
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
    let packet = Packet::read(frame, link, ports);
    let mut at = packet.map_or(0, |packet| packet.payload);
    // There is one call of `each`, so that what it does is compiled once, in place.
    for nth in 0..SEGMENT {
        let mut message = Message::BLANK;
        let next = match &packet {
            Ok(packet) => one(frame, packet, ports, at, key, &mut message),
            Err(skip) => Err(*skip),
        };
        if nth > 0 && next.is_err_and(|skip| skip != Skip::Truncated) {
            return;
        }
        each(match (&packet, next) {
            (Ok(packet), Ok(_)) => Ok((packet, &message)),
            (_, Err(skip)) | (&Err(skip), _) => Err(skip),
        });
        match next {
            Ok(Some(next)) => at = next,
            Ok(None) | Err(_) => return,
        }
    }
}

/// Reads the message at `at` of a payload, and gives where the next one begins if there are more.
#[inline(always)]
fn one<F: Frame>(
    frame: &F,
    packet: &Packet,
    ports: Ports,
    at: usize,
    key: &Key,
    message: &mut Message,
) -> Result<Option<usize>, Skip> {
    let tcp = packet.transport == Transport::Tcp;
    let end = packet.payload.wrapping_add(packet.length);
    let (place, next) = match packet.transport {
        Transport::Udp => {
            let past_end = if packet.fragment { Skip::Truncated } else { Skip::Malformed };
            (Place { at, end, past_end }, end)
        }
        Transport::Tcp => prefixed(frame, packet, at, end)?,
    };
    let header = Header::read(frame, place)?;
    if tcp && !plausible(&header, packet, ports) {
        return Err(Skip::Segment);
    }
    let mut walk = match dns::question(frame, place, &header, key, message) {
        Ok(walk) => walk,
        Err(skip) if !tcp || skip == Skip::Truncated => return Err(skip),
        Err(_) => return Err(Skip::Segment),
    };
    if tcp {
        let class = message.qname.wrapping_add(message.qname_length).wrapping_add(2);
        if !matches!(frame.read(class).ok_or(Skip::Truncated)?, [0, 1 | 3 | 4 | 254 | 255]) {
            return Err(Skip::Segment);
        }
    }
    walk.finish(frame, message);
    Ok((next < end).then_some(next))
}

/// The place of the message behind the length at `at` (RFC 7766 section 8), and where the next length would be.
///
/// A message that ends before its question does is none; one that goes on in the next segment may be one.
#[inline(always)]
fn prefixed<F: Frame>(frame: &F, packet: &Packet, at: usize, end: usize) -> Result<(Place, usize), Skip> {
    let past_segment = if packet.fragment { Skip::Truncated } else { Skip::Segment };
    if packet.length == 0 {
        return Err(Skip::NotDns);
    }
    let start = at.wrapping_add(2);
    if start > end {
        return Err(past_segment);
    }
    let length = usize::from(u16::from_be_bytes(frame.read(at).ok_or(Skip::Truncated)?));
    if length < dns::HEADER {
        return Err(Skip::Segment);
    }
    let next = start.wrapping_add(length);
    let (end, past_end) = if next <= end { (next, Skip::Segment) } else { (end, past_segment) };
    Ok((Place { at: start, end, past_end }, next))
}

/// Whether this may be the header of a message, rather than bytes from the middle of one.
#[inline(always)]
fn plausible(header: &Header, packet: &Packet, ports: Ports) -> bool {
    let server = if header.response() { packet.source_port } else { packet.destination_port };
    header.opcode() == 0 && header.questions() == 1 && !header.reserved() && ports.contains(server)
}
