//! Totals since the start, over all generations: as if the capture had never begun at zero again. Rates are made elsewhere.

use crate::{Moved, MovedCodes, Names};
use std::collections::BTreeMap;
use wire::count::{FIELDS, NODE};

/// A total that fell by less than this has wrapped; one that fell by more began again at zero.
const RESET: u64 = 1 << 63;

/// What was counted, by slot and field.
///
/// Two numbers each: what this generation counted, as last read, and what those before it did. Slots that never moved, and
/// the second numbers until there is a second generation, are pages of zeros that nobody wrote to.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    generation: Option<u64>,
    now: Vec<[u64; FIELDS]>,
    before: Vec<[u64; FIELDS]>,
    codes: BTreeMap<(u32, u8), Counted>,
    node_now: [u64; NODE],
    node: [u64; NODE],
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    now: u64,
    before: u64,
}

/// By how much totals grew, and whether one of them began again at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grown<T> {
    /// By how much.
    pub(crate) by: T,
    /// Part of it may be older than the last sample.
    pub(crate) reset: bool,
}

impl Totals {
    pub(crate) fn new(slots: u32) -> Self {
        Self {
            generation: None,
            now: vec![[0; FIELDS]; slots as usize],
            before: vec![[0; FIELDS]; slots as usize],
            codes: BTreeMap::new(),
            node_now: [0; NODE],
            node: [0; NODE],
        }
    }

    /// Goes on with this generation; whether it is a new one.
    pub(crate) fn begin(&mut self, generation: u64) -> bool {
        if self.generation == Some(generation) {
            return false;
        }
        self.generation = Some(generation);
        for (now, before) in self.now.iter_mut().zip(&mut self.before) {
            if *now != [0; FIELDS] {
                for (now, before) in now.iter_mut().zip(before) {
                    *before = before.wrapping_add(core::mem::take(now));
                }
            }
        }
        for counted in self.codes.values_mut() {
            counted.before = counted.before.wrapping_add(core::mem::take(&mut counted.now));
        }
        self.node_now = [0; NODE];
        true
    }

    /// Takes the totals of the node; whether one of them began again at zero.
    pub(crate) fn take_node(&mut self, totals: &[u64; NODE]) -> bool {
        let mut reset = false;
        for ((sum, now), &total) in self.node.iter_mut().zip(&mut self.node_now).zip(totals) {
            let grown = grown(*now, total);
            reset |= grown.reset;
            *sum = sum.wrapping_add(grown.by);
            *now = total;
        }
        reset
    }

    /// Takes the totals of a slot; `None` if there is no such slot.
    pub(crate) fn take(&mut self, moved: &Moved) -> Option<Grown<[u64; FIELDS]>> {
        let index = moved.slot as usize;
        let now = self.now.get_mut(index)?;
        let mut all = Grown { by: [0; FIELDS], reset: false };
        for (field, ((by, now), &total)) in all.by.iter_mut().zip(now).zip(&moved.totals).enumerate() {
            let grown = grown(*now, total);
            if grown.reset {
                all.reset = true;
                if let Some(before) = self.before.get_mut(index).and_then(|before| before.get_mut(field)) {
                    *before = before.wrapping_add(*now);
                }
            }
            *by = grown.by;
            *now = total;
        }
        Some(all)
    }

    /// Takes the total of an info-code; `None` if there is no such slot.
    pub(crate) fn take_code(&mut self, moved: &MovedCodes) -> Option<Grown<u64>> {
        if moved.slot as usize >= self.now.len() {
            return None;
        }
        let counted = self.codes.entry((moved.slot, moved.column)).or_default();
        let grown = grown(counted.now, moved.total);
        if grown.reset {
            counted.before = counted.before.wrapping_add(counted.now);
        }
        counted.now = moved.total;
        Some(grown)
    }

    /// The node's totals since the start.
    pub(crate) const fn node(&self) -> &[u64; NODE] {
        &self.node
    }

    /// A slot's totals since the start.
    pub(crate) fn slot(&self, slot: u32) -> [u64; FIELDS] {
        let index = slot as usize;
        let mut totals = self.now.get(index).copied().unwrap_or_default();
        for (total, before) in totals.iter_mut().zip(self.before.get(index).copied().unwrap_or_default()) {
            *total = total.wrapping_add(before);
        }
        totals
    }

    /// The totals of info-codes since the start, ascending.
    pub(crate) fn codes(&self) -> impl Iterator<Item = (u32, u8, u64)> {
        self.codes.iter().map(|(&(slot, column), counted)| (slot, column, counted.now.wrapping_add(counted.before)))
    }

    /// Makes room for slots after the present ones.
    pub(crate) fn extend(&mut self, slots: u32) {
        self.now.resize(slots as usize, [0; FIELDS]);
        self.before.resize(slots as usize, [0; FIELDS]);
    }

    /// Totals for other slots: those of the same name go on, in a generation that is yet to begin.
    pub(crate) fn rename(&self, old: &Names, new: &Names) -> Self {
        let mut totals = Self { node: self.node, ..Self::new(new.slots()) };
        let mut counted: Vec<u32> = (0..old.slots()).filter(|&slot| self.slot(slot) != [0; FIELDS]).collect();
        counted.sort_unstable_by(|&a, &b| old.get(a).cmp(old.get(b)));
        let mut moved = BTreeMap::new();
        for (slot, before) in (0..new.slots()).zip(&mut totals.before) {
            let name = new.get(slot);
            if let Ok(index) = counted.binary_search_by(|&known| old.get(known).cmp(name))
                && let Some(&known) = counted.get(index)
            {
                *before = self.slot(known);
                moved.insert(known, slot);
            }
        }
        for (slot, column, before) in self.codes() {
            if let Some(&slot) = moved.get(&slot) {
                totals.codes.insert((slot, column), Counted { now: 0, before });
            }
        }
        totals
    }
}

const fn grown(before: u64, now: u64) -> Grown<u64> {
    let by = now.wrapping_sub(before);
    if by > RESET { Grown { by: now, reset: true } } else { Grown { by, reset: false } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_go_on_over_generations() {
        let mut totals = Totals::new(3);
        assert!(totals.begin(7));
        assert_eq!(take(&mut totals, 1, 10), Some((10, false)));
        assert_eq!(take(&mut totals, 1, 15), Some((5, false)));
        assert!(!totals.begin(7));
        assert!(totals.begin(8));
        assert_eq!(take(&mut totals, 1, 4), Some((4, false)));
        assert_eq!(totals.slot(1)[0], 19);
        assert_eq!(take(&mut totals, 3, 4), None);
        assert_eq!(totals.slot(3), [0; FIELDS]);
    }

    #[test]
    fn a_total_that_wraps_grows_and_one_that_falls_began_again() {
        let mut totals = Totals::new(2);
        totals.begin(0);
        take(&mut totals, 1, 100);
        assert_eq!(take(&mut totals, 1, 30), Some((30, true)));
        assert_eq!(totals.slot(1)[0], 130);
        assert_eq!(grown(u64::MAX - 1, 3), Grown { by: 5, reset: false });
    }

    #[test]
    fn totals_and_codes_follow_their_names() {
        let old = Names::new(["a.", "b.", "c."], ["192.0.2.0/24"]);
        let new = Names::new(["c.", "d.", "a."], ["192.0.2.0/24"]);
        let mut totals = Totals::new(old.slots());
        totals.begin(0);
        for slot in 0..5 {
            take(&mut totals, slot, 10 + u64::from(slot));
        }
        totals.take_code(&MovedCodes { slot: 3, column: 22, total: 5 });
        totals.take_code(&MovedCodes { slot: 2, column: 22, total: 6 });
        let mut totals = totals.rename(&old, &new);
        let queries: Vec<u64> = (0..5).map(|slot| totals.slot(slot)[0]).collect();
        assert_eq!(queries, [10, 13, 0, 11, 14]);
        assert_eq!(totals.codes().collect::<Vec<_>>(), [(1, 22, 5)]);
        assert!(totals.begin(0));
        take(&mut totals, 1, 1);
        assert_eq!(totals.slot(1)[0], 14);
    }

    fn take(totals: &mut Totals, slot: u32, queries: u64) -> Option<(u64, bool)> {
        let mut fields = [0; FIELDS];
        fields[0] = queries;
        totals.take(&Moved { slot, totals: fields }).map(|grown| (grown.by[0], grown.reset))
    }
}
