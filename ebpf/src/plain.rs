//! The commonest frames of all: a datagram that is a query, or a response with few records. Nothing is asked of them that is
//! known, and what is found is not looked up again. What any other frame is counted by is in `chain`.

use crate::chain::anew;
use crate::frame::Direct;
use crate::hook::Hook;
use crate::maps::{self, Zones, of_half};
use crate::scratch::{self, Response};
use crate::shard::Shard;
use core::cell::Cell;
use core::ptr::null_mut;
use layout::{Half, Line, WALK};
use wire::dns::HEADER;
use wire::zones::{Buckets, Entries};
use wire::{Counters as _, Direction, Field, Frame as _, Key, Message, Name, Node, Packet, Plain, Ports, Skip};
use wire::{count, read, zones};

/// Counts a frame of the commonest kind, or leaves it to `any`.
#[inline(always)]
pub(crate) fn plain(hook: &impl Hook, direction: Direction) -> Option<()> {
    let (active, half) = maps::active();
    let (start, end) = hook.bytes();
    let frame = Direct::new(start, end, half.zero);
    match Packet::plain(&frame, Ports::from_all(half.ports)) {
        Plain::NotDns => {
            Shard::of(half)?.node(Node::Skipped(Skip::NotDns));
            return None;
        }
        Plain::Dns(packet) => {
            if let Some((response, name)) = read::plain_question(&frame, &packet) {
                return message(hook, &frame, active, half, &packet, response, &name, direction);
            }
        }
        Plain::Other => {}
    }
    anew(hook, direction);
    None
}

/// Counts a message of which header and question are read.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "all that is known of it")]
fn message(
    hook: &impl Hook,
    frame: &Direct,
    active: u32,
    half: &Half,
    packet: &Packet,
    is_response: bool,
    name: &Name,
    direction: Direction,
) -> Option<()> {
    let cpu = maps::cpu();
    let Packet { transport, family, .. } = *packet;
    let total = Node::Message { direction, response: is_response, transport, family };
    if is_response != (direction == Direction::Sent) {
        Shard::of_cpu(half, cpu)?.node(total);
        return None;
    }
    let lines = Keeping::of(Zones::of_cpu(half, cpu));
    let zone = zones::search(frame, name, &Key(half.key), maps::shape(half), &lines);
    let mut prefix = count::OTHER;
    if of_half!(half, prefixes) > 0
        && let Some(ours) = if is_response { packet.source(frame) } else { packet.destination(frame) }
    {
        prefix = frame.opaque_u32(maps::prefix(half, ours));
    }
    let mut shard = Shard::of_cpu(half, cpu)?;
    if direction == Direction::Sent {
        let counted = response(hook, frame, active, packet, name, zone.slot(), prefix, &mut shard);
        if counted.is_none() {
            anew(hook, direction);
        }
        return None;
    }
    shard.node(total);
    let line = lines.line();
    if line.is_null() {
        shard.slot(count::OTHER, Field::Queries);
    } else {
        shard.query_at(zone, line);
    }
    if let Some(prefix) = scratch::some(prefix) {
        shard.slot(prefix, Field::Queries);
    }
    None
}

/// Counts a response, or leaves it to the walk over its records. `None` if that cannot be called: it is still to be counted.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "all that is known of it")]
fn response(
    hook: &impl Hook,
    frame: &Direct,
    active: u32,
    packet: &Packet,
    name: &Name,
    zone: u32,
    prefix: u32,
    shard: &mut Shard,
) -> Option<()> {
    // SAFETY: the header of the message was read before.
    let frame = unsafe { frame.again(packet.payload.wrapping_add(HEADER)) };
    let mut message = Message::BLANK;
    let mut walk = read::plain_records(&frame, packet, name, &mut message)?;
    if walk.is_short(&frame, &mut message) {
        count::count(packet, &message, Direction::Sent, zone, scratch::some(prefix), shard);
        return Some(());
    }
    let scratch = scratch::take(shard)?;
    // SAFETY: this frame's own, until it is done with.
    unsafe {
        (*scratch).half = active;
        (*scratch).segment.at = 0;
        (*scratch).response = Response::new(packet, &message, walk, zone, prefix);
    }
    hook.goes_on(WALK);
    scratch::give_back(scratch);
    None
}

/// The buckets of a CPU, which remember the line where the zone was found: by its number it would have to be looked up again.
struct Keeping {
    zones: Zones,
    last: Cell<*mut Line>,
    kept: Cell<*mut Line>,
}

impl Keeping {
    #[inline(always)]
    const fn of(zones: Zones) -> Self {
        Self { zones, last: Cell::new(null_mut()), kept: Cell::new(null_mut()) }
    }

    /// The line where the zone was found; null if there is none.
    #[inline(always)]
    fn line(&self) -> *mut Line {
        self.kept.get()
    }
}

impl Buckets for Keeping {
    #[inline(always)]
    fn entries(&self, index: usize) -> Option<&Entries> {
        let line = self.zones.line(index as u32)?;
        self.last.set(line);
        // SAFETY: a map's value, of which nobody writes this part while the half is in force.
        Some(unsafe { &*line.cast::<Entries>() })
    }

    #[inline(always)]
    fn keep(&self) {
        self.kept.set(self.last.get());
    }

    #[inline(always)]
    fn find(entries: &Entries, fingerprint: u64) -> u64 {
        Zones::find(entries, fingerprint)
    }
}
