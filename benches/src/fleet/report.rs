//! The table that is printed: each scenario, each size of fleet, each way.

use crate::oracle;
use crate::run::run;
use crate::scenario::Scenario;
use crate::score::Score;
use crate::summary::{self, Row};
use crate::way::Way;

/// How many sites, and how many such fleets: the smaller they are, the more do they differ.
const FLEETS: [(usize, u64); 5] = [(2, 8), (5, 6), (20, 3), (50, 1), (200, 1)];
/// The seed of the first fleet of each size.
pub(crate) const FIRST: u64 = 1;

/// Prints all runs, a line at a time.
pub fn report(print: &mut dyn FnMut(&str)) {
    print(
        "Four hours of a fleet. Overload in site-seconds over capacity; unanswered is the share of resolvers' queries;",
    );
    print(
        "changes of paths; returns to a state left less than 10 and 30 minutes ago; site-hours not plain; sites not plain,",
    );
    print("and withdrawn, at once. All but the last two and the share are means of so many fleets.");
    let mut rows = Vec::new();
    for scenario in Scenario::ALL {
        for (sites, fleets) in FLEETS {
            print("");
            print(&format!(
                "{:<34} {:>9} {:>10} {:>8} {:>7} {:>7} {:>7} {:>6} {:>6}",
                format!("{}, {sites} sites (x{fleets})", scenario.name()),
                "overload",
                "unanswered",
                "changes",
                "< 10",
                "< 30",
                "hours",
                "away",
                "gone"
            ));
            let sum = |one: &dyn Fn(u64) -> Score| {
                let mut sum = Score::default();
                (FIRST..FIRST + fleets).for_each(|seed| sum.add(&one(seed)));
                sum
            };
            let mut scores = Vec::new();
            for way in Way::ALL {
                let score = sum(&|seed| run(sites, seed, scenario, way));
                print(&line(&way.name(), &score, fleets));
                scores.push((way, score));
            }
            if sites == oracle::SITES {
                print(&line(oracle::NAME, &sum(&|seed| oracle::run(seed, scenario)), fleets));
            }
            rows.push(Row { scenario, sites, fleets, scores });
        }
    }
    print("");
    summary::print(&rows, "pairs of scenario and size", print);
    summary::print_exceptions(&rows, print);
}

fn line(name: &str, score: &Score, fleets: u64) -> String {
    let mean = |sum: u64| sum as f64 / fleets as f64;
    format!(
        "    {:<30} {:>9.0} {:>8.2} % {:>8.1} {:>7.1} {:>7.1} {:>7.1} {:>6} {:>6}",
        name,
        mean(score.overload),
        100.0 * score.share_unanswered(),
        mean(score.changes),
        mean(score.oscillations),
        mean(score.returns),
        mean(score.demoted) / 3600.0,
        score.away,
        score.withdrawn
    )
}
