//! A whole frame: every message in it, or why there is none.
//!
//! There is no reassembly. A TCP segment is read if it begins with a message, as all do but those in the middle of a
//! long one; what follows the messages at its front is left alone.

use crate::dns::{self, Header, Place};
use crate::{Frame, Link, Message, Packet, Ports, Skip, Transport};

/// As many messages as are read from one TCP segment.
pub const SEGMENT: usize = 64;

/// Reads one frame and gives `each` every DNS message in it, in order.
///
/// # Errors
/// The reason why there is none; or, behind the messages that there are, [`Skip::Truncated`] if the capture cut off more.
#[inline(always)]
pub fn read<F: Frame>(
    frame: &F,
    link: Link,
    ports: Ports,
    each: &mut impl FnMut(&Packet, &Message),
) -> Result<(), Skip> {
    let packet = Packet::read(frame, link, ports)?;
    let mut at = packet.payload;
    for nth in 0..SEGMENT {
        let mut message = Message::BLANK;
        match one(frame, &packet, ports, at, &mut message) {
            Ok(next) => {
                each(&packet, &message);
                let Some(next) = next else { break };
                at = next;
            }
            Err(skip) if nth == 0 || skip == Skip::Truncated => return Err(skip),
            Err(_) => break,
        }
    }
    Ok(())
}

/// Reads the message at `at` of a payload, and gives where the next one begins if there are more.
#[inline(always)]
fn one<F: Frame>(
    frame: &F,
    packet: &Packet,
    ports: Ports,
    at: usize,
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
    let mut walk = match dns::question(frame, place, &header, message) {
        Ok(walk) => walk,
        Err(skip) if !tcp || skip == Skip::Truncated => return Err(skip),
        Err(_) => return Err(Skip::Segment),
    };
    if tcp {
        let class = message.qname.at.wrapping_add(message.qname.length).wrapping_add(2);
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
