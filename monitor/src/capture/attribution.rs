//! Which slot a message belongs to: the zone table, the service prefixes, or names learned while observing.
//!
//! Reading a frame and adding up are elsewhere: `wire::read`, `tally`.

use super::learner::Learner;
use super::lines::Lines;
use crate::name;
use engine::Names;
use ipnet::IpNet;
use std::net::IpAddr;
use wire::prefix::{self, Prefix};
use wire::zones::{self, Bucket, Shape};
use wire::{Direction, Key, Message, Packet, Slice, count};

/// Attributes messages to slots. Shared by all threads of a capture; replaced whole on reload.
#[derive(Debug)]
pub struct Attribution {
    key: Key,
    zones: Zones,
    slots: Slots,
    prefixes: Vec<Prefix>,
}

#[derive(Debug)]
enum Zones {
    Table { shape: Shape, buckets: Lines },
    Learner(Box<Learner>),
}

/// How many slots there are beside `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Zones, whose slots begin at 1.
    pub zones: u32,
    /// Service prefixes, whose slots follow.
    pub prefixes: u32,
}

/// Where a message counts: what `wire::count::count` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Received or sent.
    pub direction: Direction,
    /// The zone's slot, or `other`. Known only of what counts for zones: queries received, responses sent.
    pub zone: u32,
    /// The service prefix's slot, if the message is to or from one.
    pub prefix: Option<u32>,
}

impl Attribution {
    /// The table for `names` and `prefixes`, which are in the order of their slots (longest prefix first), keyed anew.
    #[must_use]
    pub fn new(names: &Names, prefixes: &[IpNet]) -> Self {
        Self::keyed(fresh_key(), names, prefixes)
    }

    /// As [`Attribution::new`], keyed as before: of the same names the same table comes out.
    #[must_use]
    pub fn keyed(key: Key, names: &Names, prefixes: &[IpNet]) -> Self {
        let mut texts = Vec::new();
        for slot in 1..=names.zones() {
            name::append_wire(names.get(slot), &mut texts);
        }
        let mut size = zones::buckets_for(names.zones() as usize);
        let (shape, buckets) = loop {
            let mut buckets = Lines::zero(size).in_huge_pages();
            match zones::build(WireNames(&texts), &key, buckets.all_mut()) {
                Ok(shape) => break (shape, buckets),
                Err(zones::Full) => size = zones::more(size),
            }
        };
        Self {
            key,
            zones: Zones::Table { shape, buckets },
            slots: Slots { zones: names.zones(), prefixes: names.slots() - 1 - names.zones() },
            prefixes: prefixes.iter().copied().map(mapped).collect(),
        }
    }

    /// Learns its names from the queries received: their two rightmost labels, the first 1,000 of them. Without prefixes.
    #[must_use]
    pub fn learning() -> Self {
        Self {
            key: fresh_key(),
            zones: Zones::Learner(Box::default()),
            slots: Slots { zones: Learner::MOST, prefixes: 0 },
            prefixes: Vec::new(),
        }
    }

    /// The secret that keys the hashes of names.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// The table of its zones; `None` while it learns.
    pub(super) fn table(&self) -> Option<(Shape, &[Bucket])> {
        match &self.zones {
            Zones::Table { shape, buckets } => Some((*shape, buckets.all())),
            Zones::Learner(_) => None,
        }
    }

    /// The service prefixes, in the order of their slots.
    pub(super) fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// How many slots a tally for it needs.
    #[must_use]
    pub const fn slots(&self) -> Slots {
        self.slots
    }

    /// The names learned so far, in the order of their slots; empty unless it is learning.
    #[must_use]
    pub fn learned(&self) -> Names {
        match &self.zones {
            Zones::Learner(learner) => learner.names(),
            Zones::Table { .. } => Names::default(),
        }
    }

    /// How many names were learned so far. Names once learned keep their slots.
    #[must_use]
    pub fn learned_count(&self) -> u32 {
        match &self.zones {
            Zones::Learner(learner) => learner.count(),
            Zones::Table { .. } => 0,
        }
    }

    /// The zone table; `None` while it learns.
    #[inline(always)]
    pub(super) fn lines(&self) -> Option<(Shape, &Lines)> {
        match &self.zones {
            Zones::Table { shape, buckets } => Some((*shape, buckets)),
            Zones::Learner(_) => None,
        }
    }

    /// Where a message of `frame` counts. A direction that is not `known` follows from the service prefixes: a query to
    /// one is received, a response from one is sent, all else is upstream; without prefixes nothing is upstream.
    #[must_use]
    #[inline(always)]
    pub fn place(&self, frame: &[u8], packet: &Packet, message: &Message, known: Option<Direction>) -> Place {
        let (direction, prefix) = self.side(frame, packet, message, known);
        let zone = if direction == serving(message) { self.zone(frame, message) } else { count::OTHER };
        Place { direction, zone, prefix }
    }

    /// The direction and the service prefix's slot of a [`Place`], whose zone is not looked up.
    #[inline(always)]
    pub(super) fn side(
        &self,
        frame: &[u8],
        packet: &Packet,
        message: &Message,
        known: Option<Direction>,
    ) -> (Direction, Option<u32>) {
        let upstream = if message.response { Direction::Received } else { Direction::Sent };
        if known == Some(upstream) {
            return (upstream, None);
        }
        let prefix = self.prefix(frame, packet, message);
        if known.is_none() && prefix.is_none() && !self.prefixes.is_empty() {
            return (upstream, None);
        }
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32, and prefixes are among them")]
        let prefix = prefix.map(|index| self.slots.zones + 1 + index as u32);
        (serving(message), prefix)
    }

    /// The index of the service prefix that the message is to or from.
    #[inline(always)]
    fn prefix(&self, frame: &[u8], packet: &Packet, message: &Message) -> Option<usize> {
        if self.prefixes.is_empty() {
            return None;
        }
        let frame = Slice(frame);
        let ours = if message.response { packet.source(&frame) } else { packet.destination(&frame) };
        prefix::find(&self.prefixes, ours?)
    }

    #[inline(always)]
    fn zone(&self, frame: &[u8], message: &Message) -> u32 {
        match &self.zones {
            Zones::Table { shape, buckets } => zones::find(&Slice(frame), &message.qname, &self.key, *shape, buckets),
            Zones::Learner(_) if !message.is_query_opcode() => count::OTHER,
            Zones::Learner(learner) => {
                // A copy: what is not borrowed elsewhere need not be in memory.
                let qname = message.qname;
                learner.slot(frame, &qname, &self.key, !message.response)
            }
        }
    }
}

/// The direction of a message that this host serves: queries come in, responses go out.
const fn serving(message: &Message) -> Direction {
    if message.response { Direction::Sent } else { Direction::Received }
}

/// Names in wire format, one behind the other.
#[derive(Clone)]
struct WireNames<'a>(&'a [u8]);

impl<'a> Iterator for WireNames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut end = 0;
        while *self.0.get(end)? > 0 {
            end += 1 + usize::from(self.0[end]);
        }
        let (name, rest) = self.0.split_at(end + 1);
        self.0 = rest;
        Some(name)
    }
}

fn fresh_key() -> Key {
    let word = || getrandom::u64().expect("the kernel gives random bytes once it has booted");
    Key([word(), word()])
}

fn mapped(prefix: IpNet) -> Prefix {
    let length = u32::from(prefix.prefix_len());
    match prefix.addr() {
        IpAddr::V4(address) => Prefix::new(address.to_ipv6_mapped().to_bits(), 96 + length),
        IpAddr::V6(address) => Prefix::new(address.to_bits(), length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::frames;
    use wire::{Link, Ports};

    #[test]
    fn names_in_a_row_are_taken_apart() {
        let row = [name::to_wire("nl."), name::to_wire("."), name::to_wire("example.org.")];
        assert_eq!(WireNames(&row.concat()).collect::<Vec<_>>(), row);
    }

    #[test]
    fn the_longest_name_and_prefix_get_the_message() {
        let attribution = attribution(&["192.0.2.0/25", "192.0.2.0/24"]);
        for (qname, to, zone, prefix) in [
            ("www.example.nl.", "192.0.2.1", 2, Some(4)),
            ("www.example2.nl.", "192.0.2.200", 1, Some(5)),
            ("nl.", "198.51.100.1", 1, None),
            ("example.com.", "192.0.2.1", 0, Some(4)),
        ] {
            let place = place(&attribution, qname, false, "203.0.113.9", to, Some(Direction::Received));
            assert_eq!(place, Place { direction: Direction::Received, zone, prefix }, "{qname} {to}");
        }
    }

    #[test]
    fn without_a_mark_the_prefixes_tell_the_direction() {
        let attribution = attribution(&["192.0.2.0/24"]);
        for (response, from, to, direction, zone) in [
            (false, "203.0.113.9", "192.0.2.1", Direction::Received, 1),
            (true, "192.0.2.1", "203.0.113.9", Direction::Sent, 1),
            (false, "192.0.2.1", "203.0.113.9", Direction::Sent, 0),
            (true, "203.0.113.9", "192.0.2.1", Direction::Received, 0),
        ] {
            let place = place(&attribution, "a.nl.", response, from, to, None);
            assert_eq!((place.direction, place.zone), (direction, zone), "{from} {to}");
        }
    }

    #[test]
    fn without_a_mark_or_prefixes_all_is_served() {
        let attribution = attribution(&[]);
        for (response, direction) in [(false, Direction::Received), (true, Direction::Sent)] {
            let place = place(&attribution, "a.nl.", response, "192.0.2.1", "203.0.113.9", None);
            assert_eq!(place, Place { direction, zone: 1, prefix: None });
        }
    }

    #[test]
    fn a_mark_outweighs_the_prefixes() {
        let attribution = attribution(&["192.0.2.0/24"]);
        let upstream = place(&attribution, "a.nl.", false, "203.0.113.9", "192.0.2.1", Some(Direction::Sent));
        assert_eq!(upstream, Place { direction: Direction::Sent, zone: 0, prefix: None });
    }

    fn attribution(prefixes: &[&str]) -> Attribution {
        let nets: Vec<IpNet> = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
        Attribution::new(&Names::new(["nl.", "example.nl.", "org."], prefixes), &nets)
    }

    fn place(
        attribution: &Attribution,
        qname: &str,
        response: bool,
        from: &str,
        to: &str,
        known: Option<Direction>,
    ) -> Place {
        let frame = frames::message(qname, response, from, to);
        let mut places = Vec::new();
        let read = wire::read(&Slice(&frame), Link::Ethernet, Ports::DNS, &mut |packet: &Packet, message: &Message| {
            places.push(attribution.place(&frame, packet, message, known));
        });
        assert_eq!(read, Ok(()));
        places[0]
    }
}
