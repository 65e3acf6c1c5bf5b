//! The one table that is printed, a row at a time.

use crate::figure::Figure;
use std::fmt::Write as _;

/// The heading.
pub(crate) fn heading() {
    line("what (CPU time unless it says otherwise)", "median", "least", "target", "ours/peer", "");
}

/// A figure of ours, in `unit`, and what it is to be at most.
pub(crate) fn ours(what: &str, unit: &str, figure: &Figure, at_most: Option<f64>) {
    let target = at_most.map(|most| format!("<= {}", number(most, unit))).unwrap_or_default();
    let verdict = verdict(at_most.map(|most| figure.median() <= most));
    line(what, &number(figure.median(), unit), &number(figure.least(), unit), &target, "", verdict);
}

/// A figure of a peer, and what ours is to be at most as a multiple of it.
pub(crate) fn peer(what: &str, unit: &str, figure: &Figure, ours: &Figure, at_most: Option<f64>) {
    let target = at_most.map(|most| format!("<= {most:.3} x")).unwrap_or_default();
    let ratio = ours.over(figure);
    let verdict = verdict(at_most.map(|most| ratio <= most));
    let (median, least) = (number(figure.median(), unit), number(figure.least(), unit));
    line(&format!("    {what}"), &median, &least, &target, &format!("{ratio:.3} x"), verdict);
}

/// Something that was not measured, and why.
pub(crate) fn skipped(what: &str, why: &str) {
    println!("{what:<64}  skipped: {why}");
}

const fn verdict(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "",
    }
}

fn number(value: f64, unit: &str) -> String {
    let mut text = String::new();
    let digits = if value < 10.0 { 2 } else { usize::from(value < 1000.0) };
    write!(text, "{value:.digits$} {unit}").expect("a string can be written to");
    text
}

fn line(what: &str, median: &str, least: &str, target: &str, ratio: &str, verdict: &str) {
    println!("{what:<64}  {median:>11}  {least:>11}  {target:>11}  {ratio:>9}  {verdict}");
}
