//! What moved since the last sample. It costs what moved: each CPU marks the slots that it counts in.
//!
//! A few others are looked at each time, in turn, so that nothing that some CPU should ever fail to mark stays unseen.

use super::half::Maps;
use super::known::{self, Known};
use super::mapped;
use super::marks::{self, ALL, Marked, MarksOfCpu, Taking, merged};
use super::room::Room;
use engine::{Moved, MovedCodes, Sample, Sight, Time, Wall};
use layout::{MARKED, OF_NODE};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wire::count::{CODES, FIELDS, Field, NODE, OTHER};

/// How many slots are looked at in turn at each reading, marked or not.
const STRIPE: usize = 64;

/// A slot is fetched from memory while as many before it are looked at, and what is known of it as many earlier.
const AHEAD: usize = 16;

/// If the last reading is longer ago than this a counter of queries may have gone round since: no CPU counts 2^32 in less.
const ROUND: Duration = Duration::from_secs(20);

/// What was read of one half.
#[derive(Debug)]
pub(super) struct Read {
    half: usize,
    /// What is known of each slot in use.
    known: Known,
    /// Totals by column, of slots that have extended errors.
    codes: HashMap<u32, [u64; CODES]>,
    /// Slots that were marked for the last reading, in order: a program may have counted in them after it.
    again: Vec<Marked>,
    /// Slots that are marked now, in order.
    marked: Vec<Marked>,
    /// Slots to look at now, in order.
    look: Vec<Marked>,
    taking: Taking,
    /// The first slot of the stripe whose turn it is.
    stripe: usize,
    /// All slots have been looked at once.
    swept: bool,
    /// When the last reading was.
    at: Option<Time>,
}

impl Read {
    /// Of the half in force now, of which nothing was counted before.
    pub(super) fn new(maps: &mut Maps) -> Self {
        Self { swept: true, ..Self::taken(maps) }
    }

    /// Of the half in force now, whatever is in it.
    pub(super) fn taken(maps: &mut Maps) -> Self {
        let half = maps.active();
        Self {
            half,
            known: maps.take_known(half),
            codes: HashMap::new(),
            again: Vec::new(),
            marked: Vec::new(),
            look: Vec::new(),
            taking: Taking::default(),
            stripe: 0,
            swept: false,
            at: None,
        }
    }

    /// Has the next reading look at all slots.
    pub(super) const fn sweep(&mut self) {
        self.swept = false;
    }

    /// Has each zone have been queried so often on each CPU, as far as its counters tell: while nothing counts.
    pub(super) fn advance(&self, maps: &Maps, to: u64) {
        for slot in (0_u32..).take(self.known.slots()) {
            let Some((bucket, entry)) = self.known.place(slot) else { continue };
            for cpu in 0..maps.room().cpus {
                let at = layout::counter(entry);
                let word = &maps.line(self.half, cpu, bucket)[at / 8];
                let others = word.load(Ordering::Relaxed) & !(u64::from(u32::MAX) << (8 * (at % 8)));
                word.store(others | u64::from(lower(to)) << (8 * (at % 8)), Ordering::Relaxed);
                let halves = to / u64::from(layout::HALVES);
                maps.slot(self.half, cpu, slot)[Field::Queries as usize].store(halves, Ordering::Relaxed);
            }
        }
    }

    /// Frames that reached the programs.
    pub(super) fn frames(&self, maps: &Maps) -> u64 {
        maps.frames(self.half)
    }

    /// The totals now, as those that moved since the last call.
    pub(super) fn sample(&mut self, maps: &Maps, generation: u64, at: Time, wall: Wall) -> Sample {
        let marks: Vec<_> = (0..maps.room().cpus).map(|cpu| maps.marks(self.half, cpu)).collect();
        self.taking.take_all(&marks, !self.swept, &mut self.marked);
        let node = std::array::from_fn::<_, NODE, _>(|index| maps.total(self.half, OF_NODE + index));
        let whole = !self.swept || self.at.is_none_or(|before| at.since(before) > ROUND);
        let mut look = std::mem::take(&mut self.look);
        look.clear();
        if self.swept {
            // Crowded zones count for `other`, unmarked.
            let others = std::iter::once(OTHER).chain(self.turn()).map(|slot| Marked { slot, cpus: ALL });
            look.extend(merged(merged(self.marked.iter().copied(), self.again.iter().copied()), others));
        } else {
            self.swept = true;
            let all = marks::ever(&marks).map(|slot| Marked { slot, cpus: ALL });
            look.extend(all.take_while(|marked| (marked.slot as usize) < self.known.slots()));
        }
        self.at = Some(at);
        std::mem::swap(&mut self.marked, &mut self.again);
        let (mut moved, mut codes) = (Vec::with_capacity(look.len()), Vec::new());
        for (nth, &marked) in look.iter().enumerate() {
            if let Some(later) = look.get(nth + 2 * AHEAD) {
                self.known.prefetch(later.slot);
            }
            if let Some(later) = look.get(nth + AHEAD) {
                self.fetch(maps, &marks, *later);
            }
            let slot = marked.slot;
            let touched = self.known.is_touched(slot) || marks::is_touched(&marks, marked);
            if let Some(totals) = self.slot(maps, marked, touched, whole) {
                moved.push(Moved { slot, totals });
            }
            if touched {
                self.known.touch(slot);
                self.codes(maps, slot, &mut codes);
            }
        }
        self.look = look;
        Sample { at, wall, generation, node, moved, codes, sight: Sight::default() }
    }

    /// The slots whose turn it is.
    fn turn(&mut self) -> impl Iterator<Item = u32> + use<> {
        let first = if self.stripe < self.known.slots() { self.stripe } else { 0 };
        self.stripe = first + STRIPE;
        (0_u32..).take(self.known.slots()).skip(first).take(STRIPE)
    }

    /// Has the processor fetch what is to be looked at.
    #[inline]
    fn fetch(&self, maps: &Maps, marks: &[MarksOfCpu<'_>], marked: Marked) {
        let place = self.known.place(marked.slot);
        let touched = self.known.is_touched(marked.slot);
        for cpu in marked.cpus(marks.len()) {
            if let Some((bucket, _)) = place {
                mapped::prefetch(maps.line(self.half, cpu, bucket).as_ptr());
            }
            if !touched {
                mapped::prefetch(&raw const marks[cpu].touched[marked.slot as usize / MARKED]);
            }
        }
        if touched {
            for cpu in 0..marks.len() {
                mapped::prefetch(maps.slot(self.half, cpu, marked.slot).as_ptr());
            }
        }
    }

    /// The totals of a slot, if they moved; `whole`: counters may have gone round since the last reading.
    #[inline]
    fn slot(&mut self, maps: &Maps, marked: Marked, touched: bool, whole: bool) -> Option<[u64; FIELDS]> {
        let (half, slot) = (self.half, marked.slot);
        let known = self.known.slot_mut(slot)?;
        let mut totals = [0_u64; FIELDS];
        if touched {
            for cpu in 0..maps.room().cpus {
                for (total, word) in totals.iter_mut().zip(maps.slot(half, cpu, slot)) {
                    *total = total.wrapping_add(word.load(Ordering::Relaxed));
                }
            }
        }
        let before = known::counted(known);
        let mut queries = before.0;
        if let Some((bucket, entry)) = known::place(known) {
            totals[Field::Queries as usize] = 0;
            let marked = if whole { Marked { cpus: ALL, ..marked } } else { marked };
            queries = if whole { 0 } else { queries };
            for cpu in marked.cpus(maps.room().cpus) {
                // In this order.
                let halves = whole.then(|| maps.slot(half, cpu, slot)[Field::Queries as usize].load(Ordering::Acquire));
                let counter = counter(maps.line(half, cpu, bucket), entry);
                let last = std::mem::replace(known::counter(known, cpu), counter);
                queries = queries.wrapping_add(match halves {
                    Some(halves) => layout::queries(halves, counter),
                    None => u64::from(counter.wrapping_sub(last)),
                });
            }
        }
        let rest = lower(totals.iter().fold(0_u64, |sum, total| sum.wrapping_add(*total)));
        known::count(known, queries, rest);
        totals[Field::Queries as usize] = totals[Field::Queries as usize].wrapping_add(queries);
        ((queries, rest) != before).then_some(totals)
    }

    /// The totals of a slot's extended errors that moved.
    fn codes(&mut self, maps: &Maps, slot: u32, codes: &mut Vec<MovedCodes>) {
        let Room { cpus, rows, .. } = maps.room();
        let row = |cpu| lower(maps.slot(self.half, cpu, slot)[FIELDS].load(Ordering::Relaxed)) as usize;
        if slot != OTHER && (0..cpus).all(|cpu| row(cpu) == 0) {
            return;
        }
        let mut sums = [0_u64; CODES];
        for cpu in 0..cpus {
            let row = row(cpu);
            if (row > 0 || slot == OTHER) && row < rows {
                for (sum, word) in sums.iter_mut().zip(maps.row(self.half, cpu, row)) {
                    *sum = sum.wrapping_add(word.load(Ordering::Relaxed));
                }
            }
        }
        let last = self.codes.entry(slot).or_insert([0; CODES]);
        for (column, (total, last)) in (0_u8..).zip(sums.iter().zip(last)) {
            if *total != std::mem::replace(last, *total) {
                codes.push(MovedCodes { slot, column, total: *total });
            }
        }
    }
}

/// A counter of queries in a bucket.
#[inline]
fn counter(line: &[AtomicU64], entry: usize) -> u32 {
    let at = layout::counter(entry);
    lower(line[at / 8].load(Ordering::Acquire) >> (8 * (at % 8)))
}

/// The lower 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "what is above them is meant to go")]
const fn lower(word: u64) -> u32 {
    word as u32
}
