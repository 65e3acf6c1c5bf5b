//! Other fleets than those of the table: they show how far it is one of chance.

use crate::run::run;
use crate::scenario::Scenario;
use crate::summary::{self, Row};
use crate::way::Way;
use engine::Action;
use std::num::NonZero;
use std::thread::{available_parallelism, scope};

/// Of how many sites, in turn.
const SITES: [usize; 4] = [2, 5, 20, 50];
/// The seed of the first: far from those of the table.
const FIRST: u64 = 1001;

/// Runs so many other fleets and prints what they come to.
pub fn others(fleets: u64, print: &mut dyn FnMut(&str)) {
    let all: Vec<(u64, usize)> = (FIRST..FIRST + fleets).zip(SITES.into_iter().cycle()).collect();
    let threads = available_parallelism().map_or(1, NonZero::get);
    let rows: Vec<Row> = scope(|scope| {
        let begin = |part| scope.spawn(move || rows(part));
        let parts: Vec<_> = all.chunks(all.len().div_ceil(threads).max(1)).map(begin).collect();
        parts.into_iter().flat_map(|part| part.join().expect("a simulation does not panic")).collect()
    });
    print("");
    print(&format!("{fleets} other fleets, of {} to {} sites.", SITES[0], SITES[SITES.len() - 1]));
    summary::print(&rows, "runs", print);
    summary::print_exceptions(&together(&rows), print);
}

/// A row for each scenario of each fleet, by its seed and size.
fn rows(fleets: &[(u64, usize)]) -> Vec<Row> {
    let scenarios = Scenario::ALL.into_iter().filter(|&scenario| scenario != Scenario::AllSites);
    let ways = Way::ALL.into_iter().filter(|&way| way != Way::Threshold(Action::Withdraw));
    let of_one = |&(seed, sites): &(u64, usize)| {
        let ways = ways.clone();
        scenarios.clone().map(move |scenario| {
            let scores = ways.clone().map(|way| (way, run(sites, seed, scenario, way))).collect();
            Row { scenario, sites, fleets: 1, scores }
        })
    };
    fleets.iter().flat_map(of_one).collect()
}

/// A row for each scenario and size.
fn together(rows: &[Row]) -> Vec<Row> {
    let mut sums: Vec<Row> = Vec::new();
    for row in rows {
        match sums.iter_mut().find(|sum| (sum.scenario, sum.sites) == (row.scenario, row.sites)) {
            Some(sum) => sum.add(row),
            None => sums.push(row.clone()),
        }
    }
    sums
}
