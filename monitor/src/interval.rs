//! Rates an interval at a time, for people who benchmark name servers: a row for each, and how they were distributed.

use engine::{Names, Time, View, Wall};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;
use wire::count::{FIELDS, NODE, OTHER};
use wire::{Direction, Family, Field, Node, Transport};

/// With more zones than this a row shows only those that moved, and no distribution is kept of them.
pub const SHOWN_ZONES: u32 = 1_000;

/// Turns views into rows.
#[derive(Debug)]
pub struct Intervals {
    every: Duration,
    from: Option<Mark>,
    due: Time,
    node: Histogram<u32>,
    zones: BTreeMap<u32, Histogram<u32>>,
}

/// The totals at the start of an interval.
#[derive(Debug)]
struct Mark {
    at: Time,
    node: [u64; NODE],
    /// Those that were ever seen, in the order of [`slots`].
    zones: Vec<(u32, [u64; FIELDS])>,
}

/// One interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// When it ended.
    pub wall: Wall,
    /// How long it was; the last of a capture may be shorter than the others.
    pub length: Duration,
    /// Of the node.
    pub node: Rates,
    /// Of each zone that is shown, by slot.
    pub zones: Vec<(u32, Rates)>,
}

/// Rates over one interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Queries received a second.
    pub queries: f64,
    /// Responses sent a second.
    pub responses: f64,
    /// Responses sent with an Extended DNS Error, a second.
    pub extended_errors: f64,
}

/// How the query rates of whole intervals were distributed, in queries a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// How many intervals.
    pub intervals: u64,
    /// Half of them were at most this.
    pub p50: u64,
    /// 90 % of them.
    pub p90: u64,
    /// 99 % of them.
    pub p99: u64,
    /// All of them.
    pub max: u64,
}

impl Intervals {
    /// Intervals of this length.
    #[must_use]
    pub fn new(every: Duration) -> Self {
        Self { every, from: None, due: Time(0), node: histogram(), zones: BTreeMap::new() }
    }

    /// Looks at the engine after a step: a row if an interval ended with it, which is at the tick nearest to its end.
    pub fn look(&mut self, view: View<'_>) -> Option<Row> {
        let (at, wall) = view.at()?;
        let Some(mark) = &self.from else {
            self.due = after(at, self.every);
            self.from = Some(Mark::of(view, at));
            return None;
        };
        if after(at, view.plan().tick / 2) < self.due {
            return None;
        }
        let row = mark.row(view, at, wall);
        self.record(&row, view);
        self.from = Some(Mark::of(view, at));
        // Rows keep to the beat; only after a stall do they begin a new one.
        self.due = after(self.due, self.every);
        if self.due <= at {
            self.due = after(at, self.every);
        }
        Some(row)
    }

    /// Goes on under other names: what was begun for a zone goes on for it, whatever its slot is now.
    pub fn rename(&mut self, old: &Names, new: &Names) {
        if new.continues(old) {
            return;
        }
        let begun = self.from.as_mut().map(|mark| std::mem::take(&mut mark.zones)).unwrap_or_default();
        let mut begun: BTreeMap<&str, _> = begun.into_iter().map(|(slot, totals)| (old.get(slot), totals)).collect();
        let seen = std::mem::take(&mut self.zones);
        let mut seen: BTreeMap<&str, _> = seen.into_iter().map(|(slot, rates)| (old.get(slot), rates)).collect();
        for slot in every_slot(new) {
            let name = new.get(slot);
            if let (Some(mark), Some(totals)) = (&mut self.from, begun.remove(name)) {
                mark.zones.push((slot, totals));
            }
            if let Some(rates) = seen.remove(name) {
                self.zones.insert(slot, rates);
            }
        }
    }

    /// The rest after the last whole interval, if anything is left of it. It is not part of the distribution.
    pub fn rest(&mut self, view: View<'_>) -> Option<Row> {
        let (at, wall) = view.at()?;
        let mark = self.from.take()?;
        (at > mark.at).then(|| mark.row(view, at, wall))
    }

    /// The distribution of the node's query rate; `None` before the first whole interval.
    #[must_use]
    pub fn node(&self) -> Option<Distribution> {
        distribution(&self.node)
    }

    /// The distributions of the zones' query rates, by slot.
    pub fn zones(&self) -> impl Iterator<Item = (u32, Distribution)> + '_ {
        self.zones.iter().filter_map(|(&slot, histogram)| Some((slot, distribution(histogram)?)))
    }

    fn record(&mut self, row: &Row, view: View<'_>) {
        let seen = self.node.len();
        add(&mut self.node, row.node.queries);
        if view.plan().names.zones() > SHOWN_ZONES {
            return;
        }
        for (slot, rates) in &row.zones {
            let zone = self.zones.entry(*slot).or_insert_with(|| {
                // A name that was learned late had no queries in the intervals before.
                let mut fresh = histogram();
                let _ = fresh.record_n(0, u32::try_from(seen).unwrap_or(u32::MAX));
                fresh
            });
            add(zone, rates.queries);
        }
    }
}

impl Mark {
    fn of(view: View<'_>, at: Time) -> Self {
        let zones =
            slots(view).map(|slot| (slot, view.totals(slot))).filter(|(_, totals)| totals.iter().any(|&n| n > 0));
        Self { at, node: *view.node(), zones: zones.collect() }
    }

    fn row(&self, view: View<'_>, at: Time, wall: Wall) -> Row {
        let length = at.since(self.at);
        let seconds = length.as_secs_f64();
        let all = view.plan().names.zones() <= SHOWN_ZONES;
        let mut extended = 0;
        let mut zones = Vec::new();
        let mut before = self.zones.iter().peekable();
        for slot in slots(view) {
            let then = before.next_if(|(seen, _)| *seen == slot).map_or([0; FIELDS], |(_, totals)| *totals);
            let moved = Moved::between(&then, &view.totals(slot));
            extended += moved.extended_errors;
            if all || moved != Moved::default() {
                zones.push((slot, moved.rates(seconds)));
            }
        }
        let node = Moved {
            queries: node_total(view.node(), false).wrapping_sub(node_total(&self.node, false)),
            responses: node_total(view.node(), true).wrapping_sub(node_total(&self.node, true)),
            extended_errors: extended,
        };
        Row { wall, length, node: node.rates(seconds), zones }
    }
}

/// What was counted in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moved {
    queries: u64,
    responses: u64,
    extended_errors: u64,
}

impl Moved {
    fn between(then: &[u64; FIELDS], now: &[u64; FIELDS]) -> Self {
        let since = |field: Field| now[field as usize].wrapping_sub(then[field as usize]);
        Self {
            queries: since(Field::Queries),
            responses: responses(now).wrapping_sub(responses(then)),
            extended_errors: since(Field::WithExtendedError),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of one interval are far under 2^53")]
    fn rates(self, seconds: f64) -> Rates {
        Rates {
            queries: self.queries as f64 / seconds,
            responses: self.responses as f64 / seconds,
            extended_errors: self.extended_errors as f64 / seconds,
        }
    }
}

/// Responses sent, whatever their RCODE.
#[must_use]
pub fn responses(totals: &[u64; FIELDS]) -> u64 {
    [Field::NoError, Field::NxDomain, Field::ServFail, Field::Refused, Field::OtherRcode]
        .iter()
        .fold(0, |sum, &field| sum.wrapping_add(totals[field as usize]))
}

/// Queries received, or responses sent, by the node; or, with the directions turned, its upstream side.
#[must_use]
pub fn node_total(node: &[u64; NODE], response: bool) -> u64 {
    messages(node, if response { Direction::Sent } else { Direction::Received }, response)
}

/// Messages with opcode QUERY that went `direction`, over any transport and family.
#[must_use]
pub fn messages(node: &[u64; NODE], direction: Direction, response: bool) -> u64 {
    let mut sum = 0_u64;
    for transport in [Transport::Udp, Transport::Tcp] {
        for family in [Family::V4, Family::V6] {
            let index = Node::Message { direction, response, transport, family }.index();
            sum = sum.wrapping_add(node[index]);
        }
    }
    sum
}

fn after(time: Time, length: Duration) -> Time {
    Time(time.0.saturating_add(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)))
}

fn slots(view: View<'_>) -> impl Iterator<Item = u32> {
    every_slot(&view.plan().names)
}

/// The zones, `other` last.
fn every_slot(names: &Names) -> impl Iterator<Item = u32> + use<> {
    (1..=names.zones()).chain([OTHER])
}

fn histogram() -> Histogram<u32> {
    Histogram::new(3).expect("three significant digits are allowed")
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is finite and not negative")]
fn add(histogram: &mut Histogram<u32>, rate: f64) {
    // Unlike `saturating_record`, this makes room for what is larger than anything before it.
    histogram.record(rate.round() as u64).expect("indices of 64 bits reach every rate");
}

fn distribution(histogram: &Histogram<u32>) -> Option<Distribution> {
    (!histogram.is_empty()).then(|| Distribution {
        intervals: histogram.len(),
        p50: histogram.value_at_quantile(0.5),
        p90: histogram.value_at_quantile(0.9),
        p99: histogram.value_at_quantile(0.99),
        max: histogram.max(),
    })
}

#[cfg(test)]
mod tests;
