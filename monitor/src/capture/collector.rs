//! Several tallies become one sample: sums of what moved in any of them. It costs what moved.

use super::attribution::Attribution;
use super::batch::Batch;
use super::tally::Tally;
use engine::{Moved, MovedCodes, Sample, Sight, Time, Wall};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wire::count::NODE;

/// What one thread counts into. It holds the lock for a batch of frames at a time.
#[derive(Debug)]
pub struct Desk {
    /// Where messages belong.
    pub attribution: Arc<Attribution>,
    /// How many there were.
    pub tally: Tally,
    /// What does not count yet: nothing, while nobody holds the lock.
    pub batch: Batch,
}

/// The desks of all threads, in the generation they are in.
#[derive(Debug)]
pub struct Collector {
    desks: Vec<Arc<Mutex<Desk>>>,
    generation: u64,
    crowded: bool,
}

impl Collector {
    /// As many desks as there are threads to fill them, all zero, in a generation of their own.
    #[must_use]
    pub fn new(threads: usize, attribution: &Arc<Attribution>) -> Self {
        let desk = || Arc::new(Mutex::new(Desk::new(attribution)));
        Self { desks: std::iter::repeat_with(desk).take(threads).collect(), generation: generation(), crowded: false }
    }

    /// The desks, one for each thread.
    #[must_use]
    pub fn desks(&self) -> &[Arc<Mutex<Desk>>] {
        &self.desks
    }

    /// The totals now, as those that moved since the last call. Holds all desks meanwhile.
    #[must_use]
    pub fn sample(&mut self, at: Time, wall: Wall, sight: Sight) -> Sample {
        let mut desks = lock(&self.desks);
        let mut tallies: Vec<&mut Tally> = desks.iter_mut().map(|desk| &mut desk.tally).collect();
        if !self.crowded && tallies.iter().any(|tally| tally.crowded() > 0) {
            self.crowded = true;
            tracing::warn!("extended errors in too many zones: those of further zones count for other");
        }
        merge(&mut tallies, self.generation, at, wall, sight)
    }

    /// The last sample of this generation; another one begins in which messages belong where `attribution` says.
    #[must_use]
    pub fn replace(&mut self, attribution: &Arc<Attribution>, at: Time, wall: Wall, sight: Sight) -> Sample {
        let fresh: Vec<Desk> = self.desks.iter().map(|_| Desk::new(attribution)).collect();
        let mut desks = lock(&self.desks);
        let mut old: Vec<Desk> =
            desks.iter_mut().zip(fresh).map(|(desk, fresh)| std::mem::replace(&mut **desk, fresh)).collect();
        drop(desks);
        let mut tallies: Vec<&mut Tally> = old.iter_mut().map(|desk| &mut desk.tally).collect();
        let before = std::mem::replace(&mut self.generation, generation());
        self.crowded = false;
        merge(&mut tallies, before, at, wall, sight)
    }
}

impl Desk {
    fn new(attribution: &Arc<Attribution>) -> Self {
        Self { attribution: Arc::clone(attribution), tally: Tally::new(attribution.slots()), batch: Batch::default() }
    }
}

fn lock(desks: &[Arc<Mutex<Desk>>]) -> Vec<MutexGuard<'_, Desk>> {
    desks.iter().map(|desk| desk.lock().unwrap_or_else(PoisonError::into_inner)).collect()
}

/// A number that no other generation of this process has.
pub(super) fn generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Sums tallies of the same slots, and begins the next epoch in each.
pub(super) fn merge(tallies: &mut [&mut Tally], generation: u64, at: Time, wall: Wall, sight: Sight) -> Sample {
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
    use engine::Names;
    use wire::{Counters as _, Field, Node, Skip};

    #[test]
    fn a_sample_is_the_sum_of_what_moved_in_any_tally() {
        let mut collector = Collector::new(2, &attribution(9));
        count(&collector, 0, 5, 1 << 22 | 1 << 6);
        count(&collector, 1, 5, 1 << 22);
        count(&collector, 1, 2, 1 << 63);
        let sample = sample(&mut collector);
        assert_eq!(moved(&sample), [(2, 1), (5, 2)]);
        assert_eq!(codes(&sample), [(2, 63, 1), (5, 6, 1), (5, 22, 2)]);
        assert_eq!(sample.node[Node::Skipped(Skip::NotDns).index()], 3);
    }

    #[test]
    fn what_rests_is_not_in_the_sample_and_what_moves_again_has_its_whole_total() {
        let mut collector = Collector::new(2, &attribution(9));
        count(&collector, 0, 5, 1 << 22);
        assert_eq!(moved(&sample(&mut collector)), [(5, 1)]);
        let resting = sample(&mut collector);
        assert_eq!((resting.moved.len(), resting.codes.len()), (0, 0));
        count(&collector, 1, 5, 1 << 22);
        let again = sample(&mut collector);
        assert_eq!((moved(&again), codes(&again)), (vec![(5, 2)], vec![(5, 22, 2)]));
    }

    #[test]
    fn the_last_counts_of_a_generation_are_its_own_and_the_next_begins_at_zero() {
        let mut collector = Collector::new(2, &attribution(9));
        count(&collector, 0, 5, 0);
        let first = sample(&mut collector);
        count(&collector, 1, 5, 0);
        let last = collector.replace(&attribution(3), Time(2), Wall(2), Sight::default());
        assert_eq!((last.generation, moved(&last)), (first.generation, vec![(5, 2)]));
        count(&collector, 0, 3, 0);
        let next = sample(&mut collector);
        assert!(next.generation > last.generation);
        assert_eq!(moved(&next), [(3, 1)]);
        assert_eq!(next.node[Node::Skipped(Skip::NotDns).index()], 1);
    }

    fn attribution(zones: usize) -> Arc<Attribution> {
        let names = (0..zones).map(|zone| format!("zone{zone}."));
        Arc::new(Attribution::new(&Names::new(names, [""; 0]), &[]))
    }

    fn count(collector: &Collector, desk: usize, slot: u32, codes: u64) {
        let tally = &mut collector.desks()[desk].lock().unwrap().tally;
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
