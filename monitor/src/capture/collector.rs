//! Several tallies become one sample: sums of what moved in any of them. It costs what moved.

use super::tally::{Slots, Tally};
use engine::{Moved, MovedCodes, Sample, Sight, Time, Wall};
use std::ops::DerefMut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wire::count::NODE;

/// The tallies of one generation.
#[derive(Debug)]
pub struct Collector {
    tallies: Vec<Arc<Mutex<Tally>>>,
    generation: u64,
    crowded: bool,
}

impl Collector {
    /// As many tallies as there are threads to fill them, all zero.
    #[must_use]
    pub fn new(threads: usize, slots: Slots, generation: u64) -> Self {
        let tally = || Arc::new(Mutex::new(Tally::new(slots)));
        Self { tallies: std::iter::repeat_with(tally).take(threads).collect(), generation, crowded: false }
    }

    /// The tallies, one for each thread.
    #[must_use]
    pub fn tallies(&self) -> &[Arc<Mutex<Tally>>] {
        &self.tallies
    }

    /// The generation of its samples.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The totals now, as those that moved since the last call. Holds all tallies meanwhile.
    #[must_use]
    pub fn sample(&mut self, at: Time, wall: Wall, sight: Sight) -> Sample {
        let mut tallies: Vec<MutexGuard<'_, Tally>> =
            self.tallies.iter().map(|tally| tally.lock().unwrap_or_else(PoisonError::into_inner)).collect();
        if !self.crowded && tallies.iter().any(|tally| tally.crowded() > 0) {
            self.crowded = true;
            tracing::warn!("extended errors in too many zones: those of further zones count for other");
        }
        merge(&mut tallies, self.generation, at, wall, sight)
    }
}

/// Sums tallies of the same slots, and begins the next epoch in each.
pub(super) fn merge(
    tallies: &mut [impl DerefMut<Target = Tally>],
    generation: u64,
    at: Time,
    wall: Wall,
    sight: Sight,
) -> Sample {
    let mut node = [0_u64; NODE];
    let mut slots = Vec::with_capacity(tallies.iter().map(|tally| tally.moved.len()).sum());
    let mut columns = Vec::new();
    for tally in tallies.iter() {
        for (sum, total) in node.iter_mut().zip(tally.node) {
            *sum = sum.wrapping_add(total);
        }
        slots.extend_from_slice(&tally.moved);
        columns.extend(tally.moved_rows.iter().map(|&row| tally.row_moved(row)));
    }
    slots.sort_unstable();
    slots.dedup();
    columns.sort_unstable();
    columns.dedup_by(|later, first| {
        let same = later.0 == first.0;
        first.1 |= if same { later.1 } else { 0 };
        same
    });
    let moved =
        slots.into_iter().map(|slot| Moved { slot, totals: sum(tallies.iter().map(|tally| tally.totals(slot))) });
    let moved = moved.collect();
    let mut codes = Vec::new();
    for (slot, mut left) in columns {
        let totals = sum(tallies.iter().filter_map(|tally| tally.codes(slot).copied()));
        while left != 0 {
            let column = left.trailing_zeros();
            left &= left - 1;
            #[expect(clippy::cast_possible_truncation, reason = "a column is below 64")]
            codes.push(MovedCodes { slot, column: column as u8, total: totals[column as usize] });
        }
    }
    for tally in tallies {
        tally.turn();
    }
    Sample { at, wall, generation, node, moved, codes, sight }
}

fn sum<const N: usize>(all: impl Iterator<Item = [u64; N]>) -> [u64; N] {
    all.fold([0; N], |mut sums, totals| {
        for (sum, total) in sums.iter_mut().zip(totals) {
            *sum = sum.wrapping_add(total);
        }
        sums
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Counters as _, Field, Node, Skip};

    #[test]
    fn a_sample_is_the_sum_of_what_moved_in_any_tally() {
        let mut collector = Collector::new(2, Slots { zones: 9, prefixes: 0 }, 7);
        count(&collector, 0, 5, 1 << 22 | 1 << 6);
        count(&collector, 1, 5, 1 << 22);
        count(&collector, 1, 2, 1 << 63);
        let sample = sample(&mut collector);
        assert_eq!(sample.generation, 7);
        assert_eq!(moved(&sample), [(2, 1), (5, 2)]);
        assert_eq!(codes(&sample), [(2, 63, 1), (5, 6, 1), (5, 22, 2)]);
        assert_eq!(sample.node[Node::Skipped(Skip::NotDns).index()], 3);
    }

    #[test]
    fn what_rests_is_not_in_the_sample_and_what_moves_again_has_its_whole_total() {
        let mut collector = Collector::new(2, Slots { zones: 9, prefixes: 0 }, 1);
        count(&collector, 0, 5, 1 << 22);
        assert_eq!(moved(&sample(&mut collector)), [(5, 1)]);
        let resting = sample(&mut collector);
        assert_eq!((resting.moved.len(), resting.codes.len()), (0, 0));
        count(&collector, 1, 5, 1 << 22);
        let again = sample(&mut collector);
        assert_eq!((moved(&again), codes(&again)), (vec![(5, 2)], vec![(5, 22, 2)]));
    }

    fn count(collector: &Collector, tally: usize, slot: u32, codes: u64) {
        let mut tally = collector.tallies()[tally].lock().unwrap();
        tally.node(Node::Skipped(Skip::NotDns));
        tally.slot(slot, Field::Queries);
        tally.extended_errors(slot, codes);
    }

    fn sample(collector: &mut Collector) -> Sample {
        collector.sample(Time(1), Wall(1), Sight::default())
    }

    fn moved(sample: &Sample) -> Vec<(u32, u64)> {
        sample.moved.iter().map(|moved| (moved.slot, moved.totals[Field::Queries as usize])).collect()
    }

    fn codes(sample: &Sample) -> Vec<(u32, u8, u64)> {
        sample.codes.iter().map(|codes| (codes.slot, codes.column, codes.total)).collect()
    }
}
