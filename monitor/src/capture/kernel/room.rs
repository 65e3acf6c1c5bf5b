//! How much room the maps have: chosen before the programs are loaded, and the same from then on.

use super::super::attribution::Slots;
use super::Error;
use super::loaded::Loaded;
use super::sys;
use layout::{Line, Listed, MARKED, Marks, PREFIXES, Row, Slot, State, Totals};
use std::fs;
use wire::zones;

/// As many rows of extended errors as a CPU has at most, beside those of `other` and the prefixes.
const MOST_ROWS: usize = 16_384;

/// Words of marks in a cache line: no two CPUs share one.
const LINE: usize = 8;

/// Zones for which there is room beyond those that there are at the start.
const MORE: usize = 1_000;

/// The maps of one value.
pub(super) const VALUES: [&str; 2] = ["STATE", "TOTALS"];

/// How many entries a half has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) cpus: usize,
    pub(super) slots: usize,
    pub(super) rows: usize,
    pub(super) buckets: usize,
    /// Words of marks, of both kinds.
    pub(super) marks: usize,
    /// Entries of a list: a power of two.
    pub(super) list: usize,
}

impl Room {
    /// For as much as this, and a quarter more; and a thousand zones more at least.
    ///
    /// # Errors
    /// It is not known for how many CPUs.
    pub(super) fn of(slots: Slots, buckets: usize) -> Result<Self, Error> {
        let zones = slots.zones as usize + (slots.zones as usize / 4).max(MORE);
        let slots = 1 + zones + PREFIXES;
        Ok(Self {
            cpus: cpus()?,
            slots,
            rows: 1 + PREFIXES + zones.min(MOST_ROWS),
            // Building may take more than usual.
            buckets: zones::more(buckets.max(zones::buckets_for(zones))),
            marks: (KINDS * words_of_marks(slots)).next_multiple_of(LINE),
            list: (slots / LISTED).next_power_of_two().max(LEAST),
        })
    }

    /// How many bytes all maps take.
    pub(super) fn bytes(&self) -> u64 {
        let [line, slot, row] = [size_of::<Line>(), size_of::<Slot>(), size_of::<Row>()];
        let sizes = [line, slot, row, size_of::<Marks>(), size_of::<Listed>()];
        let arrays = self.entries().into_iter().zip(sizes).map(|((_, entries), size)| u64::from(entries) * size as u64);
        arrays.chain(self.values().map(|(_, size)| size as u64)).sum()
    }

    /// What the maps have been made for.
    pub(super) fn in_force(loaded: &Loaded) -> Result<Self, Error> {
        let half = |name, size| {
            let bytes = sys::bytes(loaded.map(name)?).map_err(|source| Error::Map { map: name, source })?;
            Ok(bytes / size / 2)
        };
        let cpus = half("TOTALS", size_of::<Totals>())?.max(1);
        Ok(Self {
            cpus,
            slots: half("SLOTS", size_of::<Slot>())? / cpus,
            rows: half("EXTENDED", size_of::<Row>())? / cpus,
            buckets: half("ZONES", size_of::<Line>())? / cpus,
            marks: half("MARKS", size_of::<Marks>())? / cpus,
            list: half("LIST", size_of::<Listed>())? / cpus,
        })
    }

    /// The size of each map of one value.
    pub(super) const fn values(&self) -> [(&'static str, usize); 2] {
        let [state, totals] = VALUES;
        [(state, size_of::<State>()), (totals, 2 * self.cpus * size_of::<Totals>())]
    }

    /// The entries of each other map.
    pub(super) fn entries(&self) -> [(&'static str, u32); 5] {
        [
            ("ZONES", self.cpus * self.buckets),
            ("SLOTS", self.cpus * self.slots),
            ("EXTENDED", self.cpus * self.rows),
            ("MARKS", self.cpus * self.marks),
            ("LIST", self.cpus * self.list),
        ]
        .map(|(map, entries)| (map, u32::try_from(2 * entries).unwrap_or(u32::MAX)))
    }
}

/// Kinds of marks: of queries, and of slots.
const KINDS: usize = 2;

/// If more than one of so many slots move between two readings on a CPU, its list does not hold them, and all slots are looked
/// at: that costs about as much.
const LISTED: usize = 8;

/// The shortest list, for a few zones of which each moves in more than one way.
const LEAST: usize = 1024;

/// Words of marks of one kind.
pub(super) const fn words_of_marks(slots: usize) -> usize {
    slots.div_ceil(MARKED)
}

/// As many numbers as CPUs can have: one that is counted by no shard of its own would be counted by another's.
fn cpus() -> Result<usize, Error> {
    const POSSIBLE: &str = "/sys/devices/system/cpu/possible";
    let failed = |why: String| Error::Processors { path: POSSIBLE, why };
    let ranges = fs::read_to_string(POSSIBLE).map_err(|error| failed(error.to_string()))?;
    numbers(&ranges).ok_or_else(|| failed(format!("{ranges:?}")))
}

/// One more than the highest number in ranges such as `0-3,8-11`.
fn numbers(ranges: &str) -> Option<usize> {
    ranges.trim_end().rsplit(['-', ',']).next()?.parse::<usize>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_may_leave_numbers_out() {
        assert_eq!(["0\n", "0-1\n", "0-3,8-11\n", "0,2\n"].map(numbers), [Some(1), Some(2), Some(12), Some(3)]);
        assert_eq!(["", "\n", "0-", "many"].map(numbers), [None; 4]);
    }
}
