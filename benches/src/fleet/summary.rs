//! What all runs together say of ours beside the other ways.

use crate::scenario::Scenario;
use crate::score::Score;
use crate::way::Way;
use engine::Action;
use std::cmp::Ordering;

/// What fleets of one size came to in one scenario, by each way.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) scenario: Scenario,
    pub(crate) sites: usize,
    pub(crate) fleets: u64,
    pub(crate) scores: Vec<(Way, Score)>,
}

const OURS: Way = Way::OursByEvidence;
/// What ours is measured by. A withdrawal is not: the overload of sites that serve nobody is little.
const RIVALS: [Way; 3] = [Way::Nothing, Way::Threshold(Action::Prepend(1)), Way::UpDown];

impl Row {
    /// The mean of the fleets, rounded as the table prints it.
    fn overload(&self, way: Way) -> u64 {
        let score = self.scores.iter().find(|(of, _)| *of == way);
        score.map_or(u64::MAX, |(_, score)| (score.overload as f64 / self.fleets as f64).round_ties_even() as u64)
    }

    /// The least overload of what ours is measured by.
    fn least(&self) -> u64 {
        RIVALS.map(|way| self.overload(way)).into_iter().min().unwrap_or(u64::MAX)
    }

    /// Adds what other fleets of this size came to in this scenario.
    pub(crate) fn add(&mut self, other: &Self) {
        self.fleets += other.fleets;
        self.scores.iter_mut().zip(&other.scores).for_each(|((_, sum), (_, score))| sum.add(score));
    }

    fn name(&self) -> String {
        format!("{}, {} sites", self.scenario.name(), self.sites)
    }
}

/// Prints a line a way, each with how often ours has less overload; `what` is what a row is of.
pub(crate) fn print(rows: &[Row], what: &str, print: &mut dyn FnMut(&str)) {
    let judged: Vec<&Row> = rows.iter().filter(|row| row.scenario != Scenario::AllSites).collect();
    let (all, count) = (rows.len(), judged.len());
    print(&format!(
        "Of {count} {what} in which not all sites are attacked, overload and share unanswered in the mean, and"
    ));
    print(&format!(
        "in how many \"{}\" has less overload, as much, and more; of all {all}, in how many there were",
        OURS.name()
    ));
    print("returns to a state left less than 10 minutes ago.");
    print("");
    print(&format!(
        "{:<34} {:>9} {:>10} {:>8} {:>8} {:>8} {:>8}",
        "", "overload", "unanswered", "returns", "less", "as much", "more"
    ));
    let ways = rows.first().map_or(&[][..], |row| &row.scores);
    for (index, &(way, _)) in ways.iter().enumerate() {
        let mean = |of: fn(&Row, &Score) -> f64| {
            judged.iter().map(|row| of(row, &row.scores[index].1)).sum::<f64>() / count as f64
        };
        let returning = rows.iter().filter(|row| row.scores[index].1.oscillations > 0).count();
        let compared = if way == OURS { String::new() } else { compared(&judged, |row| row.overload(way)) };
        let line = format!(
            "    {:<30} {:>9.0} {:>8.2} % {:>8} {compared}",
            way.name(),
            mean(|row, score| score.overload as f64 / row.fleets as f64),
            100.0 * mean(|_, score| score.share_unanswered()),
            returning,
        );
        print(line.trim_end());
    }
    let rivals = RIVALS.map(Way::name).join("; ");
    print(&format!("    {:<58} {}", "the least of the three *", compared(&judged, Row::least)));
    print(&format!("    * {rivals}"));
}

/// In how many rows ours has less overload, as much, and more.
fn compared(rows: &[&Row], with: impl Fn(&Row) -> u64) -> String {
    let count = |ordering: Ordering| rows.iter().filter(|row| row.overload(OURS).cmp(&with(row)) == ordering).count();
    [Ordering::Less, Ordering::Equal, Ordering::Greater].map(|ordering| format!("{:>8}", count(ordering))).join(" ")
}

/// Prints where ours has not less overload than each of the three, with the overload of those that have no more.
pub(crate) fn print_exceptions(rows: &[Row], print: &mut dyn FnMut(&str)) {
    let judged: Vec<&Row> = rows.iter().filter(|row| row.scenario != Scenario::AllSites).collect();
    let exceptions: Vec<&Row> = judged.iter().copied().filter(|row| row.overload(OURS) >= row.least()).collect();
    print("");
    print(&format!(
        "Less than each of the three in {} of {} pairs of scenario and size; not in:",
        judged.len() - exceptions.len(),
        judged.len()
    ));
    for row in exceptions {
        let others = RIVALS.into_iter().filter(|&way| row.overload(way) <= row.overload(OURS));
        let others: Vec<String> = others.map(|way| format!("{} {}", way.name(), row.overload(way))).collect();
        print(&format!("    {}: {} {}; {}", row.name(), OURS.name(), row.overload(OURS), others.join("; ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fleets of two sites, by the overload of no action, ban time, check and ours.
    fn row(scenario: Scenario, overload: [u64; 4]) -> Row {
        let ways = RIVALS.into_iter().chain([OURS]);
        let score = |overload| Score { overload, oscillations: overload / 100, ..Score::default() };
        let scores = ways.zip(overload.map(score)).collect();
        Row { scenario, sites: 2, fleets: 2, scores }
    }

    #[test]
    fn a_summary_counts_where_ours_has_less_and_names_where_not() {
        let rows = [
            row(Scenario::OneSite, [60, 80, 400, 40]),
            row(Scenario::Rolling, [30, 20, 400, 21]),
            row(Scenario::SiteLoss, [10, 80, 70, 60]),
            row(Scenario::AllSites, [100, 0, 0, 900]),
        ];
        let mut lines = Vec::new();
        print(&rows, "pairs", &mut |line| lines.push(line.split_whitespace().collect::<Vec<_>>().join(" ")));
        print_exceptions(&rows, &mut |line| lines.push(line.trim().to_owned()));
        for line in [
            // Means of two fleets, as whole seconds: 10 and 10.5 are as much. All sites attacked counts for returns alone.
            "no action 17 0.00 % 1 2 0 1",
            "ban time, prepend 1 30 0.00 % 0 2 1 0",
            "up/down check 145 0.00 % 2 3 0 0",
            "oopsd, with evidence 20 0.00 % 1",
            "the least of the three * 1 1 1",
            "Less than each of the three in 1 of 3 pairs of scenario and size; not in:",
            "rolling attack, 2 sites: oopsd, with evidence 10; ban time, prepend 1 10",
            "site lost, 2 sites: oopsd, with evidence 30; no action 5",
        ] {
            assert!(lines.iter().any(|printed| printed == line), "{line}: {lines:#?}");
        }
        assert!(!lines.iter().any(|line| line.starts_with("one site attacked")), "{lines:#?}");
    }
}
