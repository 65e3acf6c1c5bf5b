//! Intervals and the summary as objects.

use super::{at, rounded};
use crate::interval::{Distribution, Rates, Row};
use crate::summary::{Summary, Totals};
use engine::View;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// An interval as an object; the slopes, over their own window, are those of `view`, as it was at the end of the interval.
#[must_use]
pub fn interval(row: &Row, view: View<'_>) -> impl Serialize {
    let names = &view.plan().names;
    Interval {
        r#type: "interval",
        at: at(row.wall),
        seconds: row.length.as_secs_f64(),
        node: RatesObject::of(&row.node, view.node_rates().slope),
        zones: Pairs(
            row.zones
                .iter()
                .map(|(slot, rates)| (names.get(*slot).to_owned(), RatesObject::of(rates, view.rates(*slot).slope)))
                .collect(),
        ),
    }
}

/// A summary as an object.
#[must_use]
pub fn summary(summary: &Summary) -> impl Serialize + '_ {
    SummaryObject {
        r#type: "summary",
        first: summary.span.map(|(first, _)| at(first)),
        last: summary.span.map(|(_, last)| at(last)),
        frames: summary.frames,
        total: object(&summary.total),
        zones: objects(&summary.zones),
        prefixes: objects(&summary.prefixes),
        upstream: Upstream { queries: summary.upstream.0, responses: summary.upstream.1 },
        other_opcodes: summary.other_opcodes,
        truncated_responses: summary.truncated_responses,
        unwalked_responses: summary.unwalked,
        skipped: &summary.skipped,
        malformed: &summary.malformed,
        query_rates: QueryRates {
            node: summary.node_rates.map(distribution),
            zones: Pairs(summary.zone_rates.iter().map(|(name, rates)| (name.clone(), distribution(*rates))).collect()),
        },
    }
}

#[derive(Serialize)]
struct Interval {
    r#type: &'static str,
    at: String,
    seconds: f64,
    node: RatesObject,
    zones: Pairs<RatesObject>,
}

#[derive(Serialize)]
struct RatesObject {
    query_rate: f64,
    slope: Option<f64>,
    response_rate: f64,
    ede_rate: f64,
}

impl RatesObject {
    fn of(rates: &Rates, slope: Option<f64>) -> Self {
        Self {
            query_rate: rounded(rates.queries),
            slope: slope.map(rounded),
            response_rate: rounded(rates.responses),
            ede_rate: rounded(rates.extended_errors),
        }
    }
}

#[derive(Serialize)]
struct SummaryObject<'a> {
    r#type: &'static str,
    first: Option<String>,
    last: Option<String>,
    frames: u64,
    total: TotalsObject<'a>,
    zones: Pairs<TotalsObject<'a>>,
    prefixes: Pairs<TotalsObject<'a>>,
    upstream: Upstream,
    other_opcodes: u64,
    truncated_responses: u64,
    unwalked_responses: u64,
    skipped: &'a BTreeMap<&'static str, u64>,
    malformed: &'a BTreeMap<&'static str, u64>,
    query_rates: QueryRates,
}

#[derive(Serialize)]
struct TotalsObject<'a> {
    queries: u64,
    responses: u64,
    ede: &'a BTreeMap<String, u64>,
}

fn object(totals: &Totals) -> TotalsObject<'_> {
    TotalsObject { queries: totals.queries, responses: totals.responses, ede: &totals.extended_errors }
}

fn objects(all: &[(String, Totals)]) -> Pairs<TotalsObject<'_>> {
    Pairs(all.iter().map(|(name, totals)| (name.clone(), object(totals))).collect())
}

#[derive(Serialize)]
struct Upstream {
    queries: u64,
    responses: u64,
}

#[derive(Serialize)]
struct QueryRates {
    node: Option<DistributionObject>,
    zones: Pairs<DistributionObject>,
}

#[derive(Serialize)]
struct DistributionObject {
    intervals: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    max: u64,
}

fn distribution(rates: Distribution) -> DistributionObject {
    let Distribution { intervals, p50, p90, p99, max } = rates;
    DistributionObject { intervals, p50, p90, p99, max }
}

/// An object whose keys come in a given order.
struct Pairs<T>(Vec<(String, T)>);

impl<T: Serialize> Serialize for Pairs<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
