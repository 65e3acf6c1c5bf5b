//! The two halves: one that the programs count by, one to fill before they turn to it.

use super::super::attribution::{Attribution, Slots};
use super::Error;
use super::known::Known;
use super::list;
use super::loaded::Loaded;
use super::mapped::{self, Mapped};
use super::pins;
use super::room::{self, Room};
use layout::{FRAMES, Half, Line, Listed, Marks, OF_NODE, PREFIXES, ROWS, Row, Slot, State, Totals};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use wire::count::FIELDS;
use wire::zones::{FIRST, Shape};
use wire::{Direction, Family, Key, Node, Ports, Skip, Transport};

/// All maps.
#[derive(Debug)]
pub(super) struct Maps {
    room: Room,
    state: Mapped<State>,
    zones: Mapped<Line>,
    totals: Mapped<Totals>,
    slots: Mapped<Slot>,
    rows: Mapped<Row>,
    marks: Mapped<Marks>,
    list: Mapped<Listed>,
    /// Of each half, where each slot's queries are counted: until whoever reads them takes it.
    known: [Known; 2],
}

impl Maps {
    pub(super) fn new(loaded: &Loaded) -> Result<Self, Error> {
        Ok(Self {
            room: Room::in_force(loaded)?,
            state: map(loaded, "STATE")?,
            zones: map(loaded, "ZONES")?,
            totals: map(loaded, "TOTALS")?,
            slots: map(loaded, "SLOTS")?,
            rows: map(loaded, "EXTENDED")?,
            marks: map(loaded, "MARKS")?,
            list: map(loaded, "LIST")?,
            known: [Known::default(), Known::default()],
        })
    }

    pub(super) fn active(&self) -> usize {
        active(&self.state)
    }

    /// Whether the half in force is one for this attribution, so that its counters go on.
    pub(super) fn take(&mut self, attribution: &Attribution, ports: Ports) -> bool {
        let half = self.active();
        let Some((shape, table)) = attribution.table() else { return false };
        let fits = table.len() <= self.room.buckets && attribution.prefixes().len() <= PREFIXES;
        let same = |words: &[AtomicU64], wanted: &[u64]| {
            words.iter().zip(wanted).all(|(word, wanted)| word.load(Ordering::Relaxed) == *wanted)
        };
        let holds =
            fits && same(
                told(&self.state, half),
                &words(&self.written(half, attribution, shape, ports, self.reading(half))),
            ) && table
                .iter()
                .enumerate()
                .all(|(index, bucket)| same(&self.line(half, 0, index)[FIRST..], &bucket[FIRST..]));
        if holds {
            self.known[half] = Known::of(used(attribution.slots()), self.room.cpus, table);
        }
        holds
    }

    /// The secret that keys the half in force of maps that are pinned in `folder`.
    pub(super) fn key(folder: &Path) -> Option<Key> {
        let state = Mapped::new(pins::map(folder, "STATE")?.as_fd()).ok()?;
        let words = told(&state, active(&state));
        Some(Key([words[0].load(Ordering::Relaxed), words[1].load(Ordering::Relaxed)]))
    }

    /// Fills the half that is not in force: counters zero.
    pub(super) fn fill(&mut self, attribution: &Attribution, ports: Ports) -> Result<(), Error> {
        let half = 1 - self.active();
        let Room { cpus, slots, rows, buckets, marks, list } = self.room;
        let (shape, table) = attribution.table().ok_or(Error::Learning)?;
        let Slots { zones, prefixes } = attribution.slots();
        let used = used(attribution.slots());
        fits("buckets", table.len(), buckets)?;
        fits("zones and prefixes", used, slots)?;
        fits("prefixes", prefixes as usize, PREFIXES)?;
        self.totals.zero(half * cpus, cpus);
        self.slots.zero(half * cpus * slots, cpus * slots);
        self.rows.zero(half * cpus * rows, cpus * rows);
        self.marks.zero(half * cpus * marks, cpus * marks);
        self.list.zero(half * cpus * list, cpus * list);
        for cpu in 0..cpus {
            let lines = self.zones.words((half * cpus + cpu) * buckets, table.len());
            for (word, value) in lines.iter().zip(table.as_flattened()) {
                word.store(*value, Ordering::Relaxed);
            }
            let next = 1 + u64::from(prefixes);
            self.totals.words(half * cpus + cpu, 1)[ROWS].store(next, Ordering::Relaxed);
            for prefix in 0..prefixes as usize {
                let slot = (half * cpus + cpu) * slots + 1 + zones as usize + prefix;
                self.slots.words(slot, 1)[FIELDS].store(1 + prefix as u64, Ordering::Relaxed);
            }
        }
        let written = self.written(half, attribution, shape, ports, layout::next_reading(0));
        for (word, value) in told(&self.state, half).iter().zip(words(&written)) {
            word.store(value, Ordering::Relaxed);
        }
        self.known[half] = Known::of(used, cpus, table);
        Ok(())
    }

    /// What the programs are told of a half.
    fn written(&self, half: usize, attribution: &Attribution, shape: Shape, ports: Ports, reading: u32) -> Half {
        let Room { cpus, slots, rows, buckets, marks, list } = self.room;
        let Slots { zones, prefixes } = attribution.slots();
        let mut all = [[0; 4]; PREFIXES];
        for (place, prefix) in all.iter_mut().zip(attribution.prefixes()) {
            let (network, mask) = prefix.bits();
            let ([network, network_below], [mask, mask_below]) = (halves(network), halves(mask));
            *place = [network, network_below, mask, mask_below];
        }
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Half {
            key: attribution.key().0,
            zero: 0,
            ports: ports.word(),
            buckets: u32::try_from(shape.buckets).unwrap_or(u32::MAX),
            bucket: number(half * cpus * buckets),
            buckets_of_cpu: number(buckets),
            depths: shape.depths,
            totals: number(half * cpus),
            reading,
            slot: number(half * cpus * slots),
            shared: u16::from(realtime()),
            prefixes: u16::try_from(prefixes).unwrap_or(u16::MAX),
            slots: number(slots),
            row: number(half * cpus * rows),
            rows: number(rows),
            marks: number(half * cpus * marks),
            marks_of_cpu: number(marks),
            words: number(room::words_of_marks(slots)),
            list: number(half * cpus * list),
            list_of_cpu: number(list),
            first_prefix: 1 + zones,
            spare: [0; 7],
            prefix: all,
        }
    }

    /// Has the programs count as where softirqs can be preempted.
    pub(super) fn share(&self) {
        let at = std::mem::offset_of!(Half, shared);
        let mut bytes = [0; 8];
        bytes[at % 8] = 1;
        told(&self.state, self.active())[at / 8].fetch_or(u64::from_le_bytes(bytes), Ordering::Relaxed);
    }

    /// The number of the reading that the programs list for.
    fn reading(&self, half: usize) -> u32 {
        self.word_of_reading(half).1[1]
    }

    /// Has the programs list for the next reading, so that all that is listed before belongs to this one.
    pub(super) fn begin_reading(&self, half: usize) {
        let (word, [before, reading]) = self.word_of_reading(half);
        word.store(word_of([before, layout::next_reading(reading)]), Ordering::SeqCst);
    }

    /// The word that ends with the number of a reading, and both numbers in it.
    fn word_of_reading(&self, half: usize) -> (&AtomicU64, [u32; 2]) {
        const AT: usize = std::mem::offset_of!(Half, reading);
        const { assert!(AT % 8 == 4, "it ends a word") };
        let word = &told(&self.state, half)[AT / 8];
        let [a, b, c, d, reading @ ..] = word.load(Ordering::Relaxed).to_ne_bytes();
        (word, [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes(reading)])
    }

    /// Puts the other half in force. What was in force is at rest when this returns.
    pub(super) fn flip(&self) {
        let next = 1 - self.active() as u64;
        in_force(&self.state).store(next, Ordering::Release);
        mapped::until_all_programs_have_ended();
    }

    pub(super) const fn room(&self) -> Room {
        self.room
    }

    /// Where the queries of each slot in use are counted in a half; once.
    pub(super) fn take_known(&mut self, half: usize) -> Known {
        std::mem::take(&mut self.known[half])
    }

    /// One of the node's totals, of all CPUs.
    pub(super) fn total(&self, half: usize, index: usize) -> u64 {
        let blocks = (0..self.room.cpus).map(|cpu| self.block(half, cpu)[index].load(Ordering::Relaxed));
        blocks.fold(0, u64::wrapping_add)
    }

    /// Frames that reached the programs in a half.
    pub(super) fn frames(&self, half: usize) -> u64 {
        let transport = Transport::Udp;
        let both = [Direction::Received, Direction::Sent].into_iter();
        let all = both.flat_map(|direction| [false, true].map(|response| (direction, response)));
        let all = all.flat_map(|(direction, response)| {
            [Family::V4, Family::V6].map(|family| Node::Message { direction, response, transport, family })
        });
        let counted = all.chain([Node::Skipped(Skip::NotDns)]).map(|node| self.total(half, OF_NODE + node.index()));
        counted.fold(self.total(half, FRAMES), u64::wrapping_add)
    }

    /// The node's totals of one CPU.
    pub(super) fn block(&self, half: usize, cpu: usize) -> &[AtomicU64] {
        self.totals.words(half * self.room.cpus + cpu, 1)
    }

    /// A bucket of the zone table, with its counters.
    #[inline]
    pub(super) fn line(&self, half: usize, cpu: usize, bucket: usize) -> &[AtomicU64] {
        self.zones.words((half * self.room.cpus + cpu) * self.room.buckets + bucket, 1)
    }

    #[inline]
    pub(super) fn slot(&self, half: usize, cpu: usize, slot: u32) -> &[AtomicU64] {
        self.slots.words((half * self.room.cpus + cpu) * self.room.slots + slot as usize, 1)
    }

    pub(super) fn row(&self, half: usize, cpu: usize, row: usize) -> &[AtomicU64] {
        self.rows.words((half * self.room.cpus + cpu) * self.room.rows + row, 1)
    }

    /// A CPU's marks.
    pub(super) fn marks(&self, half: usize, cpu: usize) -> list::Marks<'_> {
        let Room { cpus, slots, marks, .. } = self.room;
        let words = room::words_of_marks(slots);
        let (queried, rest) = self.marks.words((half * cpus + cpu) * marks, marks).split_at(words);
        list::Marks { queried, touched: &rest[..words] }
    }

    /// A CPU's list.
    pub(super) fn list(&self, half: usize, cpu: usize) -> &[AtomicU64] {
        let Room { cpus, list, .. } = self.room;
        self.list.words((half * cpus + cpu) * list, list)
    }
}

/// The half in force.
fn active(state: &Mapped<State>) -> usize {
    usize::from(in_force(state).load(Ordering::Acquire) == 1)
}

/// The word that says which half is in force.
fn in_force(state: &Mapped<State>) -> &AtomicU64 {
    &state.words(0, 1)[std::mem::offset_of!(State, active) / 8]
}

/// What the programs are told of a half.
fn told(state: &Mapped<State>, half: usize) -> &[AtomicU64] {
    const WORDS: usize = size_of::<Half>() / 8;
    &state.words(0, 1)[std::mem::offset_of!(State, halves) / 8 + half * WORDS..][..WORDS]
}

fn map<T>(loaded: &Loaded, name: &'static str) -> Result<Mapped<T>, Error> {
    Mapped::new(loaded.map(name)?).map_err(|source| Error::Map { map: name, source })
}

/// Slots in use.
fn used(slots: Slots) -> usize {
    1 + slots.zones as usize + slots.prefixes as usize
}

fn fits(what: &'static str, wanted: usize, room: usize) -> Result<(), Error> {
    if wanted <= room { Ok(()) } else { Err(Error::Room { what, wanted, room }) }
}

/// Whether softirqs can be preempted (PREEMPT_RT), so that a CPU is more than one writer.
fn realtime() -> bool {
    std::fs::read_to_string("/sys/kernel/realtime").is_ok_and(|text| text.trim() == "1")
}

/// The word in memory that begins with the first number.
fn word_of([first, second]: [u32; 2]) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// The upper 64 bits and the lower ones.
fn halves(bits: u128) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, lower @ ..] = bits.to_be_bytes();
    [u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes(lower)]
}

fn words(half: &Half) -> [u64; size_of::<Half>() / 8] {
    // SAFETY: a `Half` is plain numbers without padding, of just this size.
    unsafe { std::mem::transmute_copy(half) }
}
