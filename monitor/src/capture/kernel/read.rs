//! What moved since the last sample. It costs what moved: each CPU lists the slots that it counts in.
//!
//! A few others are looked at each time, in turn, so that nothing that some CPU should ever fail to list stays unseen.

use super::half::Maps;
use super::known::{self, Known};
use super::list::{self, Lists, Marks, Place};
use super::mapped;
use super::room::Room;
use super::sort;
use engine::{Moved, MovedCodes, Sample, Sight, Time, Wall};
use layout::{LISTED, OF_NODE};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wire::count::{CODES, FIELDS, Field, NODE, OTHER};

/// How many slots are looked at in turn at each reading, listed or not.
const STRIPE: usize = 16;

/// As many places are fetched from memory together before any of them is looked at. Each is likely on a page of its own whose
/// address the processor has to find first: it finds several at once as long as little else is between them.
const TOGETHER: usize = 64;

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
    lists: Lists,
    /// What was listed for the last reading: a program may have counted there after it.
    places: Vec<Place>,
    /// Slots that may have moved, for this reading.
    found: Vec<Found>,
    /// In which order to take them: for each its slot, and which it is.
    order: Vec<u64>,
    /// The first slot of the stripe whose turn it is.
    stripe: usize,
    /// How many of the next readings look at all slots.
    whole: usize,
    /// When the last reading was.
    at: Option<Time>,
}

/// A slot that may have moved. What it takes to tell is here, so that what is known of it need not be fetched again.
#[derive(Clone, Copy, Debug)]
struct Found {
    slot: u32,
    /// Something was counted in the slot itself, which is to be read.
    touched: bool,
    /// More queries were counted.
    grew: bool,
    /// All queries so far.
    queries: u64,
}

impl Found {
    /// What was found of the same slot on two CPUs, or in two ways; the other one later.
    const fn and(self, other: Self) -> Self {
        Self { touched: self.touched || other.touched, grew: self.grew || other.grew, ..other }
    }
}

/// After what was not followed all is looked at for two readings: a program may count behind the first.
const LOST: usize = 2;

impl Read {
    /// Of the half in force now, of which nothing was counted before.
    pub(super) fn new(maps: &mut Maps) -> Self {
        Self { whole: 0, lists: Lists::read_up_to(vec![0; maps.room().cpus]), ..Self::taken(maps) }
    }

    /// Of the half in force now, whatever is in it.
    pub(super) fn taken(maps: &mut Maps) -> Self {
        let half = maps.active();
        Self {
            half,
            known: maps.take_known(half),
            codes: HashMap::new(),
            lists: Lists::read_up_to((0..maps.room().cpus).map(|cpu| listed(maps, half, cpu)).collect()),
            places: Vec::new(),
            found: Vec::new(),
            order: Vec::new(),
            stripe: 0,
            whole: LOST,
            at: None,
        }
    }

    /// Has the next reading look at all slots.
    pub(super) const fn sweep(&mut self) {
        if self.whole == 0 {
            self.whole = 1;
        }
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
        maps.begin_reading(self.half);
        let cpus = maps.room().cpus;
        let marks: Vec<_> = (0..cpus).map(|cpu| maps.marks(self.half, cpu)).collect();
        let last = self.places.len();
        for (cpu, number) in (0..cpus).zip(0_u32..) {
            let written = listed(maps, self.half, cpu);
            if !self.lists.read_on(number, maps.list(self.half, cpu), written, &mut self.places) {
                self.whole = LOST;
            }
        }
        if self.at.is_none_or(|before| at.since(before) > ROUND) {
            self.sweep();
        }
        self.at = Some(at);
        let node = std::array::from_fn::<_, NODE, _>(|index| maps.total(self.half, OF_NODE + index));
        self.found.clear();
        // Crowded zones count for `other`, unlisted.
        self.touch(OTHER);
        if self.whole > 0 {
            self.whole -= 1;
            self.look_at_all(maps, &marks);
        } else {
            self.look_where_listed(maps);
            self.look_in_turn(maps, &marks);
        }
        self.places.drain(..last);
        let found = std::mem::take(&mut self.found);
        let mut order = std::mem::take(&mut self.order);
        // Those of one slot in the order in which they were found.
        order.extend(found.iter().zip(0_u64..).map(|(found, nth)| u64::from(found.slot) << 32 | nth));
        sort::by_upper_half(&mut order);
        let (mut moved, mut codes) = (Vec::with_capacity(found.len()), Vec::new());
        for of_slot in order.chunk_by(|one, other| one >> 32 == other >> 32) {
            let of_slot = of_slot.iter().filter_map(|nth| found.get(lower(*nth) as usize).copied());
            let Some(found) = of_slot.reduce(Found::and) else { continue };
            if let Some(totals) = self.totals(maps, found) {
                moved.push(Moved { slot: found.slot, totals });
            }
            if found.touched {
                self.codes(maps, found.slot, &mut codes);
            }
        }
        order.clear();
        (self.found, self.order) = (found, order);
        Sample { at, wall, generation, node, moved, codes, sight: Sight::default() }
    }

    /// Looks at what was listed for this reading and for the last one.
    fn look_where_listed(&mut self, maps: &Maps) {
        let places = std::mem::take(&mut self.places);
        let mut counters = [None; TOGETHER];
        for together in places.chunks(TOGETHER) {
            for place in together {
                self.known.prefetch(place.slot);
            }
            for (&Place { slot, cpu, own }, counter) in together.iter().zip(&mut counters) {
                *counter = None;
                if own || self.known.is_touched(slot) {
                    let cpus = 0..maps.room().cpus;
                    cpus.for_each(|cpu| mapped::prefetch(maps.slot(self.half, cpu, slot).as_ptr()));
                }
                if !own && let Some(place) = self.known.place(slot) {
                    let found = Counter::of(maps, self.half, cpu as usize, place);
                    mapped::prefetch(found.word);
                    *counter = Some(found);
                }
            }
            for (&Place { slot, cpu, own }, counter) in together.iter().zip(&counters) {
                if own {
                    self.touch(slot);
                } else if let Some(counter) = counter {
                    self.more(slot, cpu as usize, counter.read());
                }
            }
        }
        self.places = places;
    }

    /// Looks at the slots whose turn it is.
    fn look_in_turn(&mut self, maps: &Maps, marks: &[Marks<'_>]) {
        let first = if self.stripe < self.known.slots() { self.stripe } else { 0 };
        self.stripe = first + STRIPE;
        for slot in (0_u32..).take(self.known.slots()).skip(first).take(STRIPE) {
            (0..maps.room().cpus).for_each(|cpu| self.queries(maps, slot, cpu));
            if list::is_touched(marks, slot) {
                self.touch(slot);
            }
        }
    }

    /// Looks at all slots where anything was ever counted.
    fn look_at_all(&mut self, maps: &Maps, marks: &[Marks<'_>]) {
        let slots = self.known.slots();
        for slot in list::ever(marks).take_while(|slot| (*slot as usize) < slots) {
            if list::is_touched(marks, slot) {
                self.touch(slot);
            }
            self.all_queries(maps, slot);
        }
    }

    /// Takes the slot for one where something else than queries may have been counted.
    #[inline]
    fn touch(&mut self, slot: u32) {
        if let Some(known) = self.known.slot_mut(slot) {
            known::touch(known);
            self.found.push(Found { slot, touched: true, grew: false, queries: known::queries(known) });
        }
    }

    /// Adds the queries that a CPU has counted in a zone's bucket since the last reading.
    #[inline]
    fn queries(&mut self, maps: &Maps, slot: u32, cpu: usize) {
        let Some(place) = self.known.place(slot) else { return };
        self.more(slot, cpu, Counter::of(maps, self.half, cpu, place).read());
    }

    /// Adds the queries by which a CPU's `counter` of a zone is further than at the last reading.
    #[inline]
    fn more(&mut self, slot: u32, cpu: usize, counter: u32) {
        let Some(known) = self.known.slot_mut(slot) else { return };
        let more = counter.wrapping_sub(std::mem::replace(known::counter(known, cpu), counter));
        if more > 0 {
            let queries = known::queries(known).wrapping_add(more.into());
            known::put(known, queries);
            self.found.push(Found { slot, touched: known::is_touched(known), grew: true, queries });
        }
    }

    /// Puts all queries that were ever counted of a zone, whatever was read before.
    fn all_queries(&mut self, maps: &Maps, slot: u32) {
        let Some(known) = self.known.slot_mut(slot) else { return };
        let Some(place) = known::place(known) else { return };
        let mut queries = 0_u64;
        for cpu in 0..maps.room().cpus {
            // In this order.
            let halves = maps.slot(self.half, cpu, slot)[Field::Queries as usize].load(Ordering::Acquire);
            let counter = Counter::of(maps, self.half, cpu, place).read();
            *known::counter(known, cpu) = counter;
            queries = queries.wrapping_add(layout::queries(halves, counter));
        }
        if queries != known::queries(known) {
            known::put(known, queries);
            self.found.push(Found { slot, touched: known::is_touched(known), grew: true, queries });
        }
    }

    /// The totals of a slot, if they moved.
    #[inline]
    fn totals(&mut self, maps: &Maps, found: Found) -> Option<[u64; FIELDS]> {
        const QUERIES: usize = Field::Queries as usize;
        let Found { slot, touched, grew, queries } = found;
        let mut totals = [0_u64; FIELDS];
        totals[QUERIES] = queries;
        if !touched {
            return grew.then_some(totals);
        }
        let known = self.known.slot_mut(slot)?;
        for cpu in 0..maps.room().cpus {
            for (total, word) in totals.iter_mut().zip(maps.slot(self.half, cpu, slot)) {
                *total = total.wrapping_add(word.load(Ordering::Relaxed));
            }
        }
        if known::place(known).is_some() {
            totals[QUERIES] = queries;
        }
        let rest = totals.iter().fold(0_u64, |sum, total| sum.wrapping_add(*total)).wrapping_sub(queries);
        (known::replace_rest(known, lower(rest)) != lower(rest) || grew).then_some(totals)
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

/// Entries that a CPU ever wrote to its list.
fn listed(maps: &Maps, half: usize, cpu: usize) -> u64 {
    maps.block(half, cpu)[LISTED].load(Ordering::Acquire)
}

/// A counter of queries in a bucket.
#[derive(Clone, Copy, Debug)]
struct Counter<'m> {
    word: &'m AtomicU64,
    shift: usize,
}

impl<'m> Counter<'m> {
    #[inline]
    fn of(maps: &'m Maps, half: usize, cpu: usize, (bucket, entry): (usize, usize)) -> Self {
        let at = layout::counter(entry);
        Self { word: &maps.line(half, cpu, bucket)[at / 8], shift: 8 * (at % 8) }
    }

    #[inline]
    fn read(self) -> u32 {
        lower(self.word.load(Ordering::Acquire) >> self.shift)
    }
}

/// The lower 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "what is above them is meant to go")]
const fn lower(word: u64) -> u32 {
    word as u32
}
