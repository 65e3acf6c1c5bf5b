//! The commonest frame of all: a datagram that is a query, received. Nothing is asked of it that is known, and what is found is
//! not looked up again. What any other frame is counted by, and how one is told from the other, is in `chain`.

use crate::frame::Direct;
use crate::maps::{self, Zones, of_half};
use crate::scratch;
use crate::shard::Shard;
use core::cell::Cell;
use core::ptr::null_mut;
use layout::{Half, Line};
use wire::zones::{Buckets, Entries};
use wire::{Counters as _, Direction, Field, Frame as _, Key, Name, Node, Packet};
use wire::{count, zones};

/// Counts it.
#[inline(always)]
pub(crate) fn query(frame: &Direct, half: &Half, packet: &Packet, name: &Name) -> Option<()> {
    let cpu = maps::cpu();
    let lines = Keeping::of(Zones::of_cpu(half, cpu));
    let zone = zones::search(frame, name, &Key(half.key), maps::shape(half), &lines);
    let mut prefix = count::OTHER;
    if of_half!(half, prefixes) > 0
        && let Some(ours) = packet.destination(frame)
    {
        prefix = frame.opaque_u32(maps::prefix(half, ours));
    }
    let mut shard = Shard::of_cpu(half, cpu)?;
    shard.node(Node::Message {
        direction: Direction::Received,
        response: false,
        transport: packet.transport,
        family: packet.family,
    });
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
