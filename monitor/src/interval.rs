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
mod tests {
    use super::*;
    use engine::{Engine, Moved as Slot, Names, Plan, Sample, Sight};
    use std::sync::Arc;

    const TICK: u64 = 100_000_000;

    #[test]
    fn a_row_has_the_rates_of_its_interval() {
        let rows = rows(&[10, 10, 10, 30, 30, 30], 0);
        let rates: Vec<(f64, f64)> = rows.iter().map(|row| (row.node.queries, row.length.as_secs_f64())).collect();
        assert_eq!(rates, [(100.0, 0.3), (300.0, 0.3)]);
        assert_eq!(rows[1].zones, [(1, Rates { queries: 300.0, responses: 0.0, extended_errors: 0.0 }), (0, NONE)]);
    }

    #[test]
    fn ticks_that_come_late_do_not_move_the_beat() {
        let rows = rows(&[10; 30], TICK / 5);
        assert_eq!(rows.len(), 10);
    }

    #[test]
    fn the_rest_is_a_shorter_row_outside_the_distribution() {
        let (mut intervals, mut engine) = (Intervals::new(Duration::from_millis(300)), engine());
        let mut whole = 0;
        for sample in samples(&[10, 10, 10, 90, 90], 0) {
            engine.step(&sample);
            whole += usize::from(intervals.look(engine.view()).is_some());
        }
        let rest = intervals.rest(engine.view()).unwrap();
        assert_eq!((whole, rest.node.queries, rest.length), (1, 900.0, Duration::from_millis(200)));
        let node = intervals.node().unwrap();
        assert_eq!((node.intervals, node.p50, node.max), (1, 100, 100));
    }

    #[test]
    fn the_distribution_reaches_any_rate() {
        let (mut intervals, mut engine) = (Intervals::new(Duration::from_millis(300)), engine());
        for sample in samples(&[18_400, 18_400, 18_400, 400_000, 400_000, 400_000], 0) {
            engine.step(&sample);
            intervals.look(engine.view());
        }
        let node = intervals.node().unwrap();
        assert!(node.p50.abs_diff(184_000) <= 184 && node.max.abs_diff(4_000_000) <= 4_000, "{node:?}");
    }

    #[test]
    fn an_interval_goes_on_when_zones_change_places() {
        let (mut intervals, mut engine) = (Intervals::new(Duration::from_millis(300)), engine());
        let plan = |zones: &[&str]| Plan { names: Arc::new(Names::new(zones, [""; 0])), ..engine_plan() };
        let mut rows = Vec::new();
        for (nth, mut sample) in samples(&[10, 10, 10, 10, 10, 10], 0).enumerate() {
            if nth == 5 {
                let new = plan(&["com.", "nl."]);
                intervals.rename(&engine.view().plan().names, &new.names);
                engine.replan(new);
            }
            if nth >= 5 {
                sample.generation = 2;
                sample.moved[0].slot = 2;
                sample.moved[0].totals[0] -= 40;
            }
            engine.step(&sample);
            rows.extend(intervals.look(engine.view()));
        }
        let queries: Vec<Vec<f64>> =
            rows.iter().map(|row| row.zones.iter().map(|(_, rates)| rates.queries).collect()).collect();
        assert_eq!(queries, [vec![100.0, 0.0], vec![0.0, 100.0, 0.0]]);
        assert_eq!(intervals.zones().map(|(slot, rates)| (slot, rates.intervals)).nth(2).map(|it| it.1), Some(2));
    }

    const NONE: Rates = Rates { queries: 0.0, responses: 0.0, extended_errors: 0.0 };

    /// Rows of 300 ms over so many queries a tick, each second tick `late` by so many nanoseconds.
    fn rows(queries: &[u64], late: u64) -> Vec<Row> {
        let (mut intervals, mut engine) = (Intervals::new(Duration::from_millis(300)), engine());
        samples(queries, late)
            .filter_map(|sample| {
                engine.step(&sample);
                intervals.look(engine.view())
            })
            .collect()
    }

    fn samples(queries: &[u64], late: u64) -> impl Iterator<Item = Sample> {
        let totals = std::iter::once(0).chain(queries.iter().scan(0, |sum, &n| {
            *sum += n;
            Some(*sum)
        }));
        let (transport, family) = (Transport::Udp, Family::V4);
        let received = Node::Message { direction: Direction::Received, response: false, transport, family }.index();
        totals.zip(0_u64..).map(move |(total, tick)| {
            let mut node = [0; NODE];
            node[received] = total;
            let at = tick * TICK + if tick % 2 == 1 { late } else { 0 };
            let moved = vec![Slot { slot: 1, totals: [total, 0, 0, 0, 0, 0, 0] }];
            let wall = Wall(i64::try_from(at).unwrap());
            Sample { at: Time(at), wall, generation: 1, node, moved, codes: vec![], sight: Sight::default() }
        })
    }

    fn engine() -> Engine {
        Engine::new(engine_plan())
    }

    fn engine_plan() -> Plan {
        Plan {
            names: Arc::new(Names::new(["nl."], [""; 0])),
            groups: vec![],
            tick: Duration::from_nanos(TICK),
            window: Duration::from_secs(1),
            slope_window: Duration::from_secs(5),
            lost_share: 0.01,
            conditions: vec![],
            routes: vec![],
        }
    }
}
