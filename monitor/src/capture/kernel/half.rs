//! The two halves: one that the programs count by, one to fill before they turn to it.

use super::super::attribution::{Attribution, Slots};
use super::Error;
use super::loaded::Loaded;
use super::mapped::{self, Mapped};
use super::pins;
use super::sys;
use layout::{Active, Half, MARKED, Marks, PREFIXES, ROWS, Row, Slot, Totals};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use wire::count::FIELDS;
use wire::zones::{self, Bucket, Shape};
use wire::{Key, Ports};

/// As many rows of extended errors as a CPU has at most, beside those of `other` and the prefixes.
const MOST_ROWS: usize = 16_384;

/// Words of marks in a cache line: no two CPUs share one.
const LINE: usize = 8;

/// Zones for which there is room beyond those that there are at the start.
const MORE: usize = 1_000;

/// How many entries a half has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) cpus: usize,
    slots: usize,
    pub(super) rows: usize,
    buckets: usize,
    /// Words of marks.
    marks: usize,
}

impl Room {
    /// For as much as this, and a quarter more; and a thousand zones more at least.
    pub(super) fn of(slots: Slots, buckets: usize) -> Self {
        let zones = slots.zones as usize + (slots.zones as usize / 4).max(MORE);
        let slots = 1 + zones + PREFIXES;
        Self {
            cpus: cpus(),
            slots,
            rows: 1 + PREFIXES + zones.min(MOST_ROWS),
            // Building may take twice as many as usual.
            buckets: 2 * buckets.max(zones::buckets_for(zones)),
            marks: marks(slots),
        }
    }

    /// How many bytes all maps take.
    pub(super) fn bytes(&self) -> u64 {
        let sizes = [size_of::<Bucket>(), size_of::<Totals>(), size_of::<Slot>(), size_of::<Row>(), size_of::<Marks>()];
        self.entries().iter().zip(sizes).map(|((_, entries), size)| u64::from(*entries) * size as u64).sum()
    }

    /// What the maps have been made for.
    fn in_force(loaded: &Loaded) -> Result<Self, Error> {
        let half = |name| entries(loaded, name).map(|entries| entries as usize / 2);
        let cpus = half("TOTALS")?.max(1);
        Ok(Self {
            cpus,
            slots: half("SLOTS")? / cpus,
            rows: half("EXTENDED")? / cpus,
            buckets: half("ZONES")?,
            marks: half("MARKS")? / cpus,
        })
    }

    /// The entries of each map.
    pub(super) fn entries(&self) -> [(&'static str, u32); 5] {
        [
            ("ZONES", self.buckets),
            ("TOTALS", self.cpus),
            ("SLOTS", self.cpus * self.slots),
            ("EXTENDED", self.cpus * self.rows),
            ("MARKS", self.cpus * self.marks),
        ]
        .map(|(map, entries)| (map, u32::try_from(2 * entries).unwrap_or(u32::MAX)))
    }
}

/// Words of marks for so many slots: summaries, then a bit for each slot.
const fn marks(slots: usize) -> usize {
    (summaries(slots) + slots.div_ceil(MARKED)).next_multiple_of(LINE)
}

/// Summaries of marks for so many slots.
const fn summaries(slots: usize) -> usize {
    slots.div_ceil(MARKED * MARKED)
}

/// CPUs that there can be.
fn cpus() -> usize {
    aya::util::nr_cpus().unwrap_or(1)
}

/// All maps.
#[derive(Debug)]
pub(super) struct Maps {
    room: Room,
    active: Mapped<Active>,
    halves: Mapped<Half>,
    zones: Mapped<Bucket>,
    totals: Mapped<Totals>,
    slots: Mapped<Slot>,
    rows: Mapped<Row>,
    marks: Mapped<Marks>,
    /// Slots in use in each half.
    used: [usize; 2],
}

impl Maps {
    pub(super) fn new(loaded: &Loaded) -> Result<Self, Error> {
        Ok(Self {
            room: Room::in_force(loaded)?,
            active: map(loaded, "ACTIVE")?,
            halves: map(loaded, "HALVES")?,
            zones: map(loaded, "ZONES")?,
            totals: map(loaded, "TOTALS")?,
            slots: map(loaded, "SLOTS")?,
            rows: map(loaded, "EXTENDED")?,
            marks: map(loaded, "MARKS")?,
            used: [0; 2],
        })
    }

    pub(super) fn active(&self) -> usize {
        usize::from(self.active.words(0, 1)[0].load(Ordering::Acquire) == 1)
    }

    /// Whether the half in force is one for this attribution, so that its counters go on.
    pub(super) fn take(&mut self, attribution: &Attribution, ports: Ports) -> bool {
        let half = self.active();
        let Some((shape, table)) = attribution.table() else { return false };
        let fits = table.len() <= self.room.buckets && attribution.prefixes().len() <= PREFIXES;
        let same = |words: &[AtomicU64], wanted: &[u64]| {
            words.iter().zip(wanted).all(|(word, wanted)| word.load(Ordering::Relaxed) == *wanted)
        };
        let holds = fits
            && same(self.halves.words(half, 1), &words(&self.written(half, attribution, shape, ports)))
            && same(self.zones.words(half * self.room.buckets, table.len()), table.as_flattened());
        if holds {
            self.used[half] = used(attribution.slots());
        }
        holds
    }

    /// The secret that keys the half in force of maps that are pinned in `folder`.
    pub(super) fn key(folder: &Path) -> Option<Key> {
        let map = |name| pins::map(folder, name);
        let active: Mapped<Active> = Mapped::new(map("ACTIVE")?.as_fd(), 1).ok()?;
        let halves: Mapped<Half> = Mapped::new(map("HALVES")?.as_fd(), 2).ok()?;
        let half = usize::from(active.words(0, 1)[0].load(Ordering::Acquire) == 1);
        let words = halves.words(half, 1);
        Some(Key([words[0].load(Ordering::Relaxed), words[1].load(Ordering::Relaxed)]))
    }

    /// Fills the half that is not in force: counters zero.
    pub(super) fn fill(&mut self, attribution: &Attribution, ports: Ports) -> Result<(), Error> {
        let half = 1 - self.active();
        let Room { cpus, slots, rows, buckets, marks } = self.room;
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
        for (word, value) in self.zones.words(half * buckets, table.len()).iter().zip(table.as_flattened()) {
            word.store(*value, Ordering::Relaxed);
        }
        for cpu in 0..cpus {
            let next = 1 + u64::from(prefixes);
            self.totals.words(half * cpus + cpu, 1)[ROWS].store(next, Ordering::Relaxed);
            for prefix in 0..prefixes as usize {
                let slot = (half * cpus + cpu) * slots + 1 + zones as usize + prefix;
                self.slots.words(slot, 1)[FIELDS].store(1 + prefix as u64, Ordering::Relaxed);
            }
        }
        let written = self.written(half, attribution, shape, ports);
        for (word, value) in self.halves.words(half, 1).iter().zip(words(&written)) {
            word.store(value, Ordering::Relaxed);
        }
        self.used[half] = used;
        Ok(())
    }

    /// What the programs are told of a half.
    fn written(&self, half: usize, attribution: &Attribution, shape: Shape, ports: Ports) -> Half {
        let Room { cpus, slots, rows, buckets, marks } = self.room;
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
            mask: shape.mask,
            bucket: number(half * buckets),
            depths: shape.depths,
            ports: ports.all(),
            totals: number(half * cpus),
            slot: number(half * cpus * slots),
            slots: number(slots),
            row: number(half * cpus * rows),
            rows: number(rows),
            marks: number(half * cpus * marks),
            marks_of_cpu: number(marks),
            summaries: number(summaries(slots)),
            first_prefix: 1 + zones,
            prefixes,
            shared: u32::from(realtime()),
            prefix: all,
        }
    }

    /// Has the programs count as where softirqs can be preempted.
    pub(super) fn share(&self) {
        let at = std::mem::offset_of!(Half, shared);
        let mut bytes = [0; 8];
        bytes[at % 8] = 1;
        self.halves.words(self.active(), 1)[at / 8].fetch_or(u64::from_le_bytes(bytes), Ordering::Relaxed);
    }

    /// Puts the other half in force. What was in force is at rest when this returns.
    pub(super) fn flip(&self) {
        self.next_epoch();
        let next = 1 - self.active() as u64;
        self.active.words(0, 1)[0].store(next, Ordering::Release);
        mapped::until_all_programs_have_ended();
    }

    /// Begins a new epoch.
    pub(super) fn next_epoch(&self) {
        let epoch = &self.active.words(0, 1)[1];
        let next = (epoch.load(Ordering::Relaxed) + 1) & u64::from(u32::MAX);
        epoch.store(next.max(1), Ordering::Relaxed);
    }

    pub(super) const fn room(&self) -> Room {
        self.room
    }

    /// Slots in use in a half.
    pub(super) const fn used(&self, half: usize) -> usize {
        self.used[half]
    }

    /// One of the node's totals, of all CPUs.
    pub(super) fn total(&self, half: usize, index: usize) -> u64 {
        let blocks = (0..self.room.cpus).map(|cpu| self.block(half, cpu)[index].load(Ordering::Relaxed));
        blocks.fold(0, u64::wrapping_add)
    }

    /// The node's totals of one CPU.
    pub(super) fn block(&self, half: usize, cpu: usize) -> &[AtomicU64] {
        self.totals.words(half * self.room.cpus + cpu, 1)
    }

    #[inline]
    pub(super) fn slot(&self, half: usize, cpu: usize, slot: u32) -> &[AtomicU64] {
        self.slots.words((half * self.room.cpus + cpu) * self.room.slots + slot as usize, 1)
    }

    pub(super) fn row(&self, half: usize, cpu: usize, row: usize) -> &[AtomicU64] {
        self.rows.words((half * self.room.cpus + cpu) * self.room.rows + row, 1)
    }

    /// Summaries of a CPU's marks, and the marks.
    pub(super) fn marks(&self, half: usize, cpu: usize) -> (&[AtomicU64], &[AtomicU64]) {
        let Room { cpus, slots, marks, .. } = self.room;
        self.marks.words((half * cpus + cpu) * marks, marks).split_at(summaries(slots))
    }
}

fn map<T>(loaded: &Loaded, name: &'static str) -> Result<Mapped<T>, Error> {
    Mapped::new(loaded.map(name)?, entries(loaded, name)?).map_err(|source| Error::Map { map: name, source })
}

fn entries(loaded: &Loaded, name: &'static str) -> Result<u32, Error> {
    sys::entries(loaded.map(name)?).map_err(|source| Error::Map { map: name, source })
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

/// The upper 64 bits and the lower ones.
fn halves(bits: u128) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, lower @ ..] = bits.to_be_bytes();
    [u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes(lower)]
}

fn words(half: &Half) -> [u64; size_of::<Half>() / 8] {
    // SAFETY: a `Half` is plain numbers without padding, of just this size.
    unsafe { std::mem::transmute_copy(half) }
}
