//! Counts in memory: one tally for each thread that reads frames.
//!
//! It remembers what moved, so that taking a sample costs what moved and not what is configured (see `collector`).

use super::attribution::{Attribution, Slots};
use super::lines::Lines;
use wire::count::{self, CODES, FIELDS, NODE};
use wire::{Counters, Direction, Field, Link, Message, Node, Packet, Ports, Slice};

/// As many zones as can have extended errors of their own. Those of further zones count for `other`.
const ROWS: usize = 16_384;

/// Wrapping totals of the node, of each slot and of each info-code, and which of them moved in this epoch.
#[derive(Debug)]
pub struct Tally {
    pub(super) node: [u64; NODE],
    /// The fields of each slot. The last word is the tally's own: the epoch it moved in, above; its row, below.
    slots: Lines,
    /// Extended errors. The first row is `other`'s, then those of the service prefixes; zones get theirs as they come.
    rows: Vec<Row>,
    most_rows: usize,
    crowded: u64,
    epoch: u32,
    pub(super) moved: Vec<u32>,
    pub(super) moved_rows: Vec<usize>,
}

#[derive(Debug)]
struct Row {
    slot: u32,
    /// Bit n: column n moved in this epoch.
    moved: u64,
    totals: [u64; CODES],
}

impl Tally {
    /// All zero, for this many slots. Memory is touched only around what is counted.
    #[must_use]
    pub fn new(slots: Slots) -> Self {
        let first_prefix = slots.zones + 1;
        let all = (first_prefix + slots.prefixes) as usize;
        let most_rows = 1 + slots.prefixes as usize + (slots.zones as usize).min(ROWS);
        let mut tally = Self {
            node: [0; NODE],
            slots: Lines::zero(all).in_huge_pages(),
            rows: Vec::with_capacity(most_rows),
            most_rows,
            crowded: 0,
            epoch: 1,
            moved: Vec::new(),
            moved_rows: Vec::new(),
        };
        tally.rows.push(Row { slot: count::OTHER, moved: 0, totals: [0; CODES] });
        for slot in (first_prefix..).take(slots.prefixes as usize) {
            tally.row(slot);
        }
        tally
    }

    /// The totals of a slot, by [`Field`].
    #[must_use]
    pub fn totals(&self, slot: u32) -> [u64; FIELDS] {
        self.slots.get(slot as usize).and_then(|fields| fields.first_chunk()).copied().unwrap_or_default()
    }

    /// The totals of a slot's extended errors, by column; `None` if it has had none of its own.
    #[must_use]
    pub fn codes(&self, slot: u32) -> Option<&[u64; CODES]> {
        let row = row_of(self.slots.get(slot as usize)?[FIELDS]);
        (row > 0 || slot == count::OTHER).then(|| &self.rows[row].totals)
    }

    /// How many responses had extended errors that count for `other` because too many zones have some.
    #[must_use]
    pub const fn crowded(&self) -> u64 {
        self.crowded
    }

    /// Has the processor fetch a slot while it goes on with other work.
    #[inline(always)]
    pub(super) fn prefetch(&self, slot: u32) {
        self.slots.prefetch(slot as usize);
    }

    /// The slot of a row, and its columns that moved in this epoch.
    pub(super) fn row_moved(&self, row: usize) -> (u32, u64) {
        let row = &self.rows[row];
        (row.slot, row.moved)
    }

    /// Begins the next epoch, in which nothing has moved yet.
    pub(super) fn turn(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.moved.clear();
        for row in self.moved_rows.drain(..) {
            self.rows[row].moved = 0;
        }
    }

    /// The row of a slot: its own, a new one, or that of `other`.
    #[cold]
    fn row(&mut self, slot: u32) -> usize {
        if self.rows.len() == self.most_rows {
            self.crowded = self.crowded.wrapping_add(1);
            return 0;
        }
        let row = self.rows.len();
        let Some(fields) = self.slots.get_mut(slot as usize) else { return 0 };
        fields[FIELDS] |= row as u64;
        self.rows.push(Row { slot, moved: 0, totals: [0; CODES] });
        row
    }

    #[cold]
    fn first_of_epoch(&mut self, slot: u32) {
        let Some(fields) = self.slots.get_mut(slot as usize) else { return };
        fields[FIELDS] = u64::from(self.epoch) << 32 | row_of(fields[FIELDS]) as u64;
        self.moved.push(slot);
    }
}

const fn row_of(word: u64) -> usize {
    (word & 0xFFFF_FFFF) as usize
}

impl Counters for Tally {
    #[inline(always)]
    fn node(&mut self, node: Node) {
        let total = &mut self.node[node.index()];
        *total = total.wrapping_add(1);
    }

    #[inline(always)]
    fn slot(&mut self, slot: u32, field: Field) {
        let Some(fields) = self.slots.get_mut(slot as usize) else { return };
        fields[field as usize] = fields[field as usize].wrapping_add(1);
        if fields[FIELDS] >> 32 != u64::from(self.epoch) {
            self.first_of_epoch(slot);
        }
    }

    #[inline]
    fn extended_errors(&mut self, slot: u32, codes: u64) {
        let Some(fields) = self.slots.get(slot as usize) else { return };
        let index = match row_of(fields[FIELDS]) {
            0 if slot != count::OTHER => self.row(slot),
            row => row,
        };
        let row = &mut self.rows[index];
        if row.moved == 0 && codes != 0 {
            self.moved_rows.push(index);
        }
        row.moved |= codes;
        let mut left = codes;
        while left != 0 {
            let total = &mut row.totals[left.trailing_zeros() as usize];
            *total = total.wrapping_add(1);
            left &= left - 1;
        }
    }
}

/// Counts every message of one frame. Its direction is `known` where the socket or the hook marks it.
#[inline(always)]
pub fn count_frame(
    attribution: &Attribution,
    ports: Ports,
    link: Link,
    frame: &[u8],
    known: Option<Direction>,
    tally: &mut Tally,
) {
    if let Err(skip) = wire::read(&Slice(frame), link, ports, &mut Counting { attribution, frame, known, tally }) {
        tally.node(Node::Skipped(skip));
    }
}

/// Counts the messages of a frame: for a datagram's, in place.
struct Counting<'a> {
    attribution: &'a Attribution,
    frame: &'a [u8],
    known: Option<Direction>,
    tally: &'a mut Tally,
}

impl wire::Each for Counting<'_> {
    #[inline(always)]
    fn message(&mut self, packet: &Packet, message: &Message) {
        let place = self.attribution.place(self.frame, packet, message, self.known);
        count::count(packet, message, place.direction, place.zone, place.prefix, self.tally);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_codes_add_up_by_slot() {
        let mut tally = Tally::new(Slots { zones: 2, prefixes: 1 });
        tally.slot(2, Field::Queries);
        tally.slot(2, Field::Queries);
        tally.slot(3, Field::NxDomain);
        tally.extended_errors(2, 1 << 22 | 1 << 63);
        tally.extended_errors(2, 1 << 22);
        assert_eq!(tally.totals(2), [2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(tally.totals(3), [0, 0, 1, 0, 0, 0, 0]);
        let codes = tally.codes(2).unwrap();
        assert_eq!((codes[22], codes[63], codes.iter().sum::<u64>()), (2, 1, 3));
        assert_eq!(tally.codes(1), None);
    }

    #[test]
    fn each_slot_that_moves_is_remembered_once_an_epoch() {
        let mut tally = Tally::new(Slots { zones: 3, prefixes: 0 });
        for slot in [3, 1, 3] {
            tally.slot(slot, Field::Queries);
            tally.extended_errors(slot, 1 << 6);
        }
        assert_eq!(tally.moved, [3, 1]);
        assert_eq!(tally.moved_rows.iter().map(|&row| tally.row_moved(row)).collect::<Vec<_>>(), [(3, 64), (1, 64)]);
        tally.turn();
        assert_eq!((tally.moved.len(), tally.moved_rows.len()), (0, 0));
        tally.slot(3, Field::Queries);
        tally.extended_errors(3, 1 << 7);
        assert_eq!((&*tally.moved, tally.row_moved(tally.moved_rows[0])), (&[3][..], (3, 128)));
        assert_eq!(tally.totals(3)[0], 3);
    }

    #[test]
    fn extended_errors_of_too_many_zones_count_for_other_and_prefixes_keep_their_own() {
        let zones = u32::try_from(ROWS).unwrap() + 2;
        let mut tally = Tally::new(Slots { zones, prefixes: 1 });
        for slot in 1..=zones {
            tally.extended_errors(slot, 1);
        }
        tally.extended_errors(zones + 1, 1);
        assert_eq!(tally.crowded(), 2);
        assert_eq!(tally.codes(0).unwrap()[0], 2);
        assert_eq!(tally.codes(zones), None);
        assert_eq!(tally.codes(zones + 1).unwrap()[0], 1);
    }

    #[test]
    fn slots_that_do_not_exist_are_not_counted() {
        let mut tally = Tally::new(Slots { zones: 0, prefixes: 0 });
        tally.slot(1, Field::Queries);
        tally.extended_errors(1, 1);
        assert!(tally.moved.is_empty() && tally.moved_rows.is_empty());
    }
}
