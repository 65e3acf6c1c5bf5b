//! What was counted, as numbers by name, so that two ways to count can be compared.

use engine::Sample;
use oopsd::capture::attribution::Attribution;
use std::collections::BTreeMap;
use wire::{Counters, Direction, Field, Link, Message, Node, Packet, Ports, Slice, count};

/// Totals that are not zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) node: BTreeMap<usize, u64>,
    slots: BTreeMap<(u32, usize), u64>,
    codes: BTreeMap<(u32, usize), u64>,
}

impl Ledger {
    /// Counts a frame as it is in memory.
    pub(crate) fn frame(&mut self, attribution: &Attribution, frame: &[u8], direction: Direction) {
        let outcome =
            wire::read(&Slice(frame), Link::Ethernet, Ports::DNS, &mut |packet: &Packet, message: &Message| {
                let place = attribution.place(frame, packet, message, Some(direction));
                count::count(packet, message, place.direction, place.zone, place.prefix, self);
            });
        if let Err(skip) = outcome {
            self.node(Node::Skipped(skip));
        }
    }

    /// Takes over what moved.
    pub(crate) fn sample(&mut self, sample: &Sample) {
        let node = sample.node.iter().copied().enumerate().filter(|&(_, total)| total > 0);
        self.node = node.collect();
        for moved in &sample.moved {
            let totals = moved.totals.iter().enumerate().filter(|&(_, &total)| total > 0);
            self.slots.extend(totals.map(|(field, &total)| ((moved.slot, field), total)));
        }
        self.codes.extend(sample.codes.iter().map(|moved| ((moved.slot, usize::from(moved.column)), moved.total)));
    }
}

impl Counters for Ledger {
    fn node(&mut self, node: Node) {
        *self.node.entry(node.index()).or_default() += 1;
    }

    fn slot(&mut self, slot: u32, field: Field) {
        *self.slots.entry((slot, field as usize)).or_default() += 1;
    }

    fn extended_errors(&mut self, slot: u32, codes: u64) {
        for column in (0..64).filter(|column| codes >> column & 1 != 0) {
            *self.codes.entry((slot, column)).or_default() += 1;
        }
    }
}
