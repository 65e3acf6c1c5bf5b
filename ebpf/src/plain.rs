//! The commonest frames of all: a datagram that is a query, or a response with few records. Nothing is asked of them that is
//! known, and what is found is not looked up again. What any other frame is counted by is in `chain`.

use crate::chain::anew;
use crate::frame::Direct;
use crate::hook::Hook;
use crate::maps::{self, Secret, Zones, of_half};
use crate::scratch::{self, Response};
use crate::shard::Shard;
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use layout::{Half, Line, WALK};
use wire::dns::HEADER;
use wire::zones::{Buckets, Entries, Hit};
use wire::{Counters as _, Direction, Field, Frame as _, Message, Name, Node, Packet, Plain, Ports, Skip};
use wire::{count, read, zones};

/// Counts a frame of the commonest kind, or leaves it to `any`.
#[inline(always)]
pub(crate) fn plain(hook: &impl Hook, direction: Direction) -> Option<()> {
    let cpu = Waiting::empty();
    cpu.set(maps::cpu());
    let (active, half) = maps::active();
    let (start, end) = hook.bytes();
    let frame = Direct::<true>::new(start, end, &raw const half.zero);
    match Packet::plain(&frame, Ports::from_word(half.ports)) {
        Plain::NotDns => {
            Shard::of_cpu(half, cpu.get())?.node(Node::Skipped(Skip::NotDns));
            return None;
        }
        Plain::Dns(packet) => {
            if let Some((response, name)) = read::plain_question(&frame, &packet) {
                return message(hook, &frame, active, half, &cpu, &packet, response, &name, direction);
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
    frame: &Direct<true>,
    active: u32,
    half: &Half,
    cpu: &Waiting<u32>,
    packet: &Packet,
    is_response: bool,
    name: &Name,
    direction: Direction,
) -> Option<()> {
    let Packet { transport, family, .. } = *packet;
    let total = Node::Message { direction, response: is_response, transport, family };
    if is_response != (direction == Direction::Sent) {
        Shard::of_cpu(half, cpu.get())?.node(total);
        return None;
    }
    let lines = Looked { zones: Zones::of_cpu(half, cpu.get()), last: Cell::new(null_mut()) };
    let mut zone = Hit::default();
    let line = Waiting::empty();
    line.set(null_mut());
    zones::each(frame, name, &Secret(half), maps::shape(half), &lines, |hit, _| {
        zone = hit;
        line.set(lines.last.get());
    });
    let mut prefix = count::OTHER;
    if of_half!(half, prefixes) > 0
        && let Some(ours) = if is_response { packet.source(frame) } else { packet.destination(frame) }
    {
        prefix = frame.opaque_u32(maps::prefix(half, ours));
    }
    let mut shard = Shard::of_cpu(half, cpu.get())?;
    if direction == Direction::Sent {
        let counted = response(hook, frame, active, packet, name, zone.slot(), prefix, &mut shard);
        if counted.is_none() {
            anew(hook, direction);
        }
        return None;
    }
    shard.node(total);
    let line = line.get();
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
    frame: &Direct<true>,
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

/// The buckets of a CPU, and the line that was looked at last: by its number it would have to be looked up again.
struct Looked {
    zones: Zones,
    last: Cell<*mut Line>,
}

impl Buckets for Looked {
    #[inline(always)]
    fn entries(&self, index: usize) -> Option<&Entries> {
        let line = self.zones.line(index as u32)?;
        self.last.set(line);
        Some(maps::entries(line))
    }

    #[inline(always)]
    fn find(entries: &Entries, fingerprint: u64) -> u64 {
        Zones::find(entries, fingerprint)
    }
}

/// What waits on the stack until it is needed: BPF has ten registers, and the compiler would have others wait.
struct Waiting<T>(UnsafeCell<MaybeUninit<T>>);

impl<T: Copy> Waiting<T> {
    #[inline(always)]
    const fn empty() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    #[inline(always)]
    fn set(&self, value: T) {
        // SAFETY: it is its own.
        unsafe { self.0.get().cast::<T>().write_volatile(value) };
    }

    #[inline(always)]
    fn get(&self) -> T {
        // SAFETY: as above, and it was written.
        unsafe { self.0.get().cast::<T>().read_volatile() }
    }
}
