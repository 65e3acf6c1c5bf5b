//! From a frame to its counts, by a chain of programs.
//!
//! The first is in `plain`: it takes the commonest frames, of which it knows where everything is, and leaves all others, and
//! whatever it cannot read, to one that begins anew. Both read a datagram up to its records, and count it at once unless there
//! are records that matter: only responses that are sent are counted by what is in them. The walk over those is a program of
//! its own, which calls itself until it is through; so is what goes on with the next messages of a TCP segment. There may be
//! 33 such calls for a frame.

use crate::frame::Direct;
use crate::hook::Hook;
use crate::maps::{self, SCRATCH, Secret, Zones};
use crate::scratch::{self, Response, Scratch, Segment};
use crate::shard::Shard;
use layout::{Half, RECEIVED, RECEIVED_SEGMENT, SENT, SENT_SEGMENT, WALK};
use wire::dns::{Step, Walk};
use wire::zones::Hit;
use wire::{Counters as _, Direction, Family, Frame as _, Link, Message, Node, Packet, Ports, Skip, Transport};
use wire::{count, read, zones};

/// As many bytes more are asked for where a frame is readable in part: the longest question, and a header.
const MORE: u32 = 512;

/// As many bytes more are asked for on a walk over records.
const MORE_RECORDS: u32 = 4096;

/// Steps that one program makes in a walk.
const STEPS: usize = 32;

/// Begins a frame anew.
#[inline(always)]
pub(crate) fn anew(hook: &impl Hook, direction: Direction) {
    hook.goes_on(match direction {
        Direction::Received => RECEIVED,
        Direction::Sent => SENT,
    });
}

/// Counts a datagram, or leaves it to the walk over its records.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "all that is known of it")]
fn datagram(
    hook: &impl Hook,
    frame: &Direct<false>,
    active: u32,
    half: &Half,
    packet: &Packet,
    message: &mut Message,
    walk: Walk,
    direction: Direction,
) -> Option<()> {
    let found = attribute(frame, half, packet, message, direction);
    // Only now: what it holds would have to wait on the stack.
    let mut shard = Shard::of(half)?;
    if !message.is_query_opcode() {
        shard.frame();
    }
    let mut response = answer(frame, packet, message, walk, direction, found, &mut shard)?;
    let Some(scratch) = scratch::take(&shard) else {
        response.unwalked = true;
        response.count(&mut shard);
        return None;
    };
    // SAFETY: this frame's own, until it is done with.
    unsafe {
        (*scratch).half = active;
        (*scratch).segment.at = 0;
    }
    walked_elsewhere(hook, scratch, response, &mut shard);
    scratch::give_back(scratch);
    None
}

/// Reads a frame, whatever it is.
#[inline(always)]
pub(crate) fn any(hook: &impl Hook, direction: Direction) -> Option<()> {
    let (active, half) = maps::active();
    let (start, end) = hook.bytes();
    let frame = Direct::<false>::new(start, end, &raw const half.zero);
    let skip = match Packet::read(&frame, Link::Ethernet, Ports::from_word(half.ports)) {
        Ok(packet) if packet.transport == Transport::Tcp => {
            let mut shard = Shard::of(half)?;
            if packet.length == 0 {
                shard.node(Node::Skipped(Skip::NotDns));
                return None;
            }
            shard.frame();
            let packet = Packet { transport: Transport::Tcp, ..packet };
            let Some(scratch) = scratch::take(&shard) else {
                shard.node(Node::Skipped(Skip::Truncated));
                return None;
            };
            // SAFETY: this frame's own, until it is done with.
            unsafe {
                (*scratch).half = active;
                (*scratch).segment = Segment { packet, at: packet.payload, nth: 0 };
            }
            next_message(hook, direction, &mut shard);
            scratch::give_back(scratch);
            return None;
        }
        Ok(packet) => {
            let packet = Packet { transport: Transport::Udp, ..packet };
            let (start, end) = hook.bytes();
            let frame = Direct::<false>::new(start, end, &raw const half.zero);
            let mut message = Message::BLANK;
            match read::datagram_question(&frame, &packet, &mut message) {
                Ok(walk) => {
                    return datagram(hook, &frame, active, half, &packet, &mut message, walk, direction);
                }
                Err(skip) => skip,
            }
        }
        Err(skip) => skip,
    };
    if skip == Skip::Truncated && hook.pull(MORE).is_some() {
        anew(hook, direction);
    }
    let mut shard = Shard::of(half)?;
    if skip != Skip::NotDns {
        shard.frame();
    }
    shard.node(Node::Skipped(skip));
    None
}

/// Goes on with the next messages of a segment.
#[inline(always)]
pub(crate) fn segment(hook: &impl Hook, direction: Direction) -> Option<()> {
    let scratch = SCRATCH.get_ptr_mut(0)?;
    let _ = messages(hook, direction, scratch);
    scratch::give_back(scratch);
    None
}

#[inline(always)]
fn messages(hook: &impl Hook, direction: Direction, scratch: *mut Scratch) -> Option<()> {
    // SAFETY: this frame's own, until it is done with.
    let (active, Segment { packet, at, nth }) = unsafe { ((*scratch).half, (*scratch).segment) };
    let half = maps::half(active.into());
    let mut shard = Shard::of(half)?;
    let (start, end) = hook.bytes();
    let frame = Direct::<false>::new(start, end, &raw const half.zero);
    let ports = Ports::from_word(half.ports);
    let family = if frame.opaque_flag(packet.family == Family::V6) { Family::V6 } else { Family::V4 };
    let packet = Packet { transport: Transport::Tcp, family, ..packet };
    let end = packet.payload.wrapping_add(packet.length);
    let mut message = Message::BLANK;
    let (walk, next) = match read::prefixed_question(&frame, &packet, ports, at, end, &mut message) {
        Ok(read) => read,
        Err(skip) => {
            if skip == Skip::Truncated && hook.pull(MORE).is_some() {
                next_message(hook, direction, &mut shard);
            } else if nth == 0 || skip == Skip::Truncated {
                shard.node(Node::Skipped(skip));
            }
            return None;
        }
    };
    let nth = nth.wrapping_add(1);
    let at = frame.opaque_at(if next < end && nth < read::SEGMENT as u64 { next } else { 0 });
    // SAFETY: as above.
    unsafe {
        (*scratch).segment.at = at;
        (*scratch).segment.nth = nth;
    }
    let found = attribute(&frame, half, &packet, &message, direction);
    if let Some(response) = answer(&frame, &packet, &mut message, walk, direction, found, &mut shard) {
        walked_elsewhere(hook, scratch, response, &mut shard);
    }
    if at != 0 {
        next_message(hook, direction, &mut shard);
    }
    None
}

/// Goes on with the records of a response that is sent.
#[inline(always)]
pub(crate) fn walk(hook: &impl Hook) -> Option<()> {
    let scratch = SCRATCH.get_ptr_mut(0)?;
    let _ = records(hook, scratch);
    scratch::give_back(scratch);
    None
}

#[inline(always)]
fn records(hook: &impl Hook, scratch: *mut Scratch) -> Option<()> {
    // SAFETY: this frame's own, until it is done with.
    let (active, mut response) = unsafe { ((*scratch).half, (*scratch).response) };
    let half = maps::half(active.into());
    let mut shard = Shard::of(half)?;
    let (start, end) = hook.bytes();
    let frame = Direct::<false>::new(start, end, &raw const half.zero);
    let mut message = response.message();
    let mut walk = response.walk;
    let mut step = Step::More;
    for _ in 0..STEPS {
        step = walk.step(&frame, &mut message);
        walk.opaque(&frame);
        if step == Step::Done {
            break;
        }
    }
    if step == Step::More {
        response.note(walk, &message);
        // SAFETY: as above.
        unsafe { (*scratch).response = response };
        hook.goes_on(WALK);
        message.unwalked = true;
    } else if message.unwalked && hook.pull(MORE_RECORDS).is_some() {
        // It may be for want of bytes: these steps are made once more.
        hook.goes_on(WALK);
    }
    response.note(walk, &message);
    response.count(&mut shard);
    // SAFETY: as above.
    if unsafe { (*scratch).segment.at } != 0 {
        next_message(hook, Direction::Sent, &mut shard);
    }
    None
}

/// Leaves a response to the walk over its records; counts it if there can be none.
#[inline(always)]
fn walked_elsewhere(hook: &impl Hook, scratch: *mut Scratch, response: Response, shard: &mut Shard) {
    // SAFETY: this frame's own, until it is done with.
    unsafe { (*scratch).response = response };
    hook.goes_on(WALK);
    let mut response = response;
    response.unwalked = true;
    response.count(shard);
}

/// Goes on with the next message of a segment.
#[inline(always)]
fn next_message(hook: &impl Hook, direction: Direction, shard: &mut Shard) {
    hook.goes_on(match direction {
        Direction::Received => RECEIVED_SEGMENT,
        Direction::Sent => SENT_SEGMENT,
    });
    // As many calls as there may be were made.
    shard.node(Node::Skipped(Skip::Truncated));
}

/// Whether a message counts for a zone: a query received, or a response sent.
#[inline(always)]
const fn is_served(message: &Message, direction: Direction) -> bool {
    matches!((direction, message.response), (Direction::Received, false) | (Direction::Sent, true))
        && message.is_query_opcode()
}

/// A message's zone, the bucket that it is in, and the slot of its service prefix; of one that counts for none, those of `other`.
#[inline(always)]
fn attribute(
    frame: &Direct<false>,
    half: &Half,
    packet: &Packet,
    message: &Message,
    direction: Direction,
) -> (Hit, u32, u32) {
    let mut zone = (Hit::default(), 0);
    // A number, not an option: what an option does not hold the verifier takes for never written.
    let mut prefix = count::OTHER;
    if is_served(message, direction) {
        let found = |hit, bucket| zone = (hit, bucket);
        zones::each(frame, &message.qname, &Secret(half), maps::shape(half), &Zones::of(half), found);
        if half.prefixes > 0 {
            let ours = if message.response { packet.source(frame) } else { packet.destination(frame) };
            if let Some(ours) = ours {
                prefix = maps::prefix(half, ours);
            }
        }
    }
    let (hit, bucket) = zone;
    (hit.opaque(frame), frame.opaque_u32(bucket), frame.opaque_u32(prefix))
}

/// Counts a message, unless it is one whose records must be read before.
#[inline(always)]
fn answer(
    frame: &Direct<false>,
    packet: &Packet,
    message: &mut Message,
    mut walk: Walk,
    direction: Direction,
    (zone, bucket, prefix): (Hit, u32, u32),
    shard: &mut Shard,
) -> Option<Response> {
    if is_served(message, direction) && message.response && !walk.is_short(frame, message) {
        return Some(Response::new(packet, message, walk, zone.slot(), prefix));
    }
    if message.response {
        count::count(packet, message, direction, zone.slot(), scratch::some(prefix), shard);
    } else if let Some(gain) = count::count_node(packet, message, direction, shard) {
        shard.query(zone, bucket);
        if let Some(prefix) = scratch::some(prefix) {
            gain.add(prefix, shard);
        }
    }
    None
}
