//! The extended errors that a condition watches: how many there were, which, and in which zones. Whether that is much is
//! for `measure` to say.

use crate::clock::Base;
use crate::series::Series;
use crate::{Arguments, Names};
use core::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// Zones that a signal names.
const NAMED: usize = 8;

/// Zones that are kept of a tick.
const KEPT: usize = 64;

/// What occurred of a set of info-codes in a scope.
#[derive(Clone, Debug)]
pub(crate) struct Errors {
    codes: u64,
    total: Series<1>,
    recent: VecDeque<Recent>,
}

/// What occurred at a tick: all codes, and of the zones those with most.
#[derive(Clone, Debug)]
struct Recent {
    tick: u64,
    codes: Vec<(u8, u64)>,
    zones: Vec<(u32, u64)>,
}

/// An info-code that occurred.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occurred {
    /// The info-code, or `wire::count::OTHER_CODES`.
    pub(crate) column: u8,
    /// How often.
    pub(crate) count: u64,
    /// In which zone; `None` where only a prefix is known.
    pub(crate) zone: Option<u32>,
}

impl Errors {
    /// For a set of info-codes, from tick `since` on.
    pub(crate) const fn new(codes: u64, since: u64) -> Self {
        Self { codes, total: Series::new(since), recent: VecDeque::new() }
    }

    /// Adds what occurred at `tick`; nobody will ask for what was up to tick `oldest`.
    pub(crate) fn add(&mut self, tick: u64, oldest: u64, occurred: Occurred) {
        if self.codes.checked_shr(u32::from(occurred.column)).is_none_or(|codes| codes & 1 == 0) {
            return;
        }
        self.total.add(tick, oldest, [occurred.count]);
        while self.recent.front().is_some_and(|recent| recent.tick <= oldest && recent.tick != tick) {
            self.recent.pop_front();
        }
        if self.recent.back().is_none_or(|recent| recent.tick != tick) {
            self.recent.push_back(Recent { tick, codes: Vec::new(), zones: Vec::new() });
        }
        if let Some(recent) = self.recent.back_mut() {
            recent.add(occurred);
        }
    }

    /// How many occurred since `base`.
    pub(crate) fn increase(&self, base: Base) -> Option<u64> {
        self.total.increase(base).map(|[total]| total)
    }

    /// What occurred since `base`, for a signal.
    pub(crate) fn arguments(&self, base: Base, names: &Names) -> Arguments {
        let (mut codes, mut zones) = (BTreeMap::new(), BTreeMap::new());
        for recent in self.recent.iter().filter(|recent| recent.tick > base.tick) {
            for &(column, count) in &recent.codes {
                add(codes.entry(column).or_default(), count);
            }
            for &(slot, count) in &recent.zones {
                add(zones.entry(slot).or_default(), count);
            }
        }
        Arguments { codes, zones: named(zones.into_iter().collect(), names), reasons: Vec::new() }
    }
}

impl Recent {
    fn add(&mut self, occurred: Occurred) {
        match self.codes.iter_mut().find(|(column, _)| *column == occurred.column) {
            Some((_, count)) => add(count, occurred.count),
            None => self.codes.push((occurred.column, occurred.count)),
        }
        let Some(zone) = occurred.zone else { return };
        match self.zones.last_mut() {
            Some((last, count)) if *last == zone => add(count, occurred.count),
            _ => {
                if self.zones.len() >= KEPT.saturating_mul(2) {
                    keep(&mut self.zones, KEPT);
                }
                self.zones.push((zone, occurred.count));
            }
        }
    }
}

/// The most frequent zones, by name, for a signal.
pub(crate) fn named(mut zones: Vec<(u32, u64)>, names: &Names) -> Vec<(String, u64)> {
    keep(&mut zones, NAMED);
    zones.into_iter().map(|(slot, count)| (names.get(slot).to_owned(), count)).collect()
}

/// Keeps the most frequent zones, most first, and the lower slot first among equals.
fn keep(zones: &mut Vec<(u32, u64)>, most: usize) {
    zones.sort_unstable_by_key(|&(slot, count)| (Reverse(count), slot));
    zones.truncate(most);
}

const fn add(sum: &mut u64, count: u64) {
    *sum = sum.saturating_add(count);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_name_the_codes_of_the_set_and_the_zones_with_most() {
        let names = Names::new((1..=500).map(|zone| format!("z{zone}.")), [""; 0]);
        let mut errors = Errors::new(1 << 22 | 1 << 6, 0);
        for zone in 1..=500 {
            for column in [6, 20, 22] {
                errors.add(3, 0, Occurred { column, count: if zone == 77 { 9 } else { 1 }, zone: Some(zone) });
            }
        }
        errors.add(4, 0, Occurred { column: 63, count: 1, zone: None });
        let arguments = errors.arguments(Base { tick: 0, seconds: 1.0 }, &names);
        assert_eq!(arguments.codes, BTreeMap::from([(6, 508), (22, 508)]));
        assert_eq!(arguments.zones.len(), 8);
        assert_eq!(arguments.zones[0], ("z77.".to_owned(), 18));
        assert_eq!(errors.increase(Base { tick: 2, seconds: 1.0 }), Some(1016));
        assert_eq!(errors.increase(Base { tick: 3, seconds: 1.0 }), Some(0));
        assert!(errors.recent[0].zones.len() <= 2 * KEPT);
    }
}
