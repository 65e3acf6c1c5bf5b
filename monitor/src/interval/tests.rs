//! Rows and distributions of intervals, over samples made up here.

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
