//! How much room the maps have: chosen before the programs are loaded, and the same from then on.

use super::super::attribution::Slots;
use super::Error;
use super::loaded::Loaded;
use super::sys;
use layout::{Line, MARKED, Marks, PREFIXES, Row, Slot, Totals};
use wire::zones;

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
    pub(super) slots: usize,
    pub(super) rows: usize,
    pub(super) buckets: usize,
    /// Words of marks, of all kinds.
    pub(super) marks: usize,
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
            // Building may take more than usual.
            buckets: zones::more(buckets.max(zones::buckets_for(zones))),
            marks: marks(slots),
        }
    }

    /// How many bytes all maps take.
    pub(super) fn bytes(&self) -> u64 {
        let sizes = [size_of::<Line>(), size_of::<Totals>(), size_of::<Slot>(), size_of::<Row>(), size_of::<Marks>()];
        self.entries().iter().zip(sizes).map(|((_, entries), size)| u64::from(*entries) * size as u64).sum()
    }

    /// What the maps have been made for.
    pub(super) fn in_force(loaded: &Loaded) -> Result<Self, Error> {
        let half = |name| entries(loaded, name).map(|entries| entries as usize / 2);
        let cpus = half("TOTALS")?.max(1);
        Ok(Self {
            cpus,
            slots: half("SLOTS")? / cpus,
            rows: half("EXTENDED")? / cpus,
            buckets: half("ZONES")? / cpus,
            marks: half("MARKS")? / cpus,
        })
    }

    /// The entries of each map.
    pub(super) fn entries(&self) -> [(&'static str, u32); 5] {
        [
            ("ZONES", self.cpus * self.buckets),
            ("TOTALS", self.cpus),
            ("SLOTS", self.cpus * self.slots),
            ("EXTENDED", self.cpus * self.rows),
            ("MARKS", self.cpus * self.marks),
        ]
        .map(|(map, entries)| (map, u32::try_from(2 * entries).unwrap_or(u32::MAX)))
    }
}

/// Kinds of marks beside the summaries: of what moved; those that stay, of queries and of slots.
const KINDS: usize = 3;

/// Words of marks for so many slots: a bit for each slot in each kind, then summaries.
const fn marks(slots: usize) -> usize {
    (summaries(slots) + KINDS * words_of_marks(slots)).next_multiple_of(LINE)
}

/// Summaries of marks for so many slots.
pub(super) const fn summaries(slots: usize) -> usize {
    slots.div_ceil(MARKED * MARKED)
}

/// Words of marks of one kind.
pub(super) const fn words_of_marks(slots: usize) -> usize {
    slots.div_ceil(MARKED)
}

/// CPUs that there can be.
fn cpus() -> usize {
    aya::util::nr_cpus().unwrap_or(1)
}

/// How many entries a map has.
pub(super) fn entries(loaded: &Loaded, name: &'static str) -> Result<u32, Error> {
    sys::entries(loaded.map(name)?).map_err(|source| Error::Map { map: name, source })
}
