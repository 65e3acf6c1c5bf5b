//! What `run` and `replay` print on standard output: JSON for programs, a line or a table for people.

use crate::interval::{Rates, Row};
use crate::json;
use crate::summary::{Summary, Totals};
use engine::{Intent, Signal, View};
use std::io::{self, Write};

/// As many names as a row for people shows.
const SHOWN: usize = 10;

/// Prints, one way or the other.
#[derive(Debug)]
pub struct Printer<W> {
    out: W,
    json: bool,
}

impl<W: Write> Printer<W> {
    /// Prints to `out`: JSON, one object a line, or text.
    pub const fn new(out: W, json: bool) -> Self {
        Self { out, json }
    }

    /// A condition changed state.
    ///
    /// # Errors
    /// When `out` fails, as for the other methods.
    pub fn signal(&mut self, signal: &Signal) -> io::Result<()> {
        if self.json {
            return self.line(&json::signal(signal));
        }
        writeln!(
            self.out,
            "{}  {} {}: {} of {} is {:.1} (threshold {:.1})",
            json::at(signal.wall),
            signal.condition,
            signal.state.as_str(),
            signal.kind,
            signal.scope,
            signal.value,
            signal.threshold
        )
    }

    /// How a prefix would be announced now.
    ///
    /// # Errors
    /// As for [`Printer::signal`].
    pub fn intent(&mut self, at: engine::Wall, intent: &Intent) -> io::Result<()> {
        if self.json {
            return self.line(&json::intent(at, intent));
        }
        let Intent { router, prefix, action, because } = intent;
        writeln!(self.out, "{}  {prefix} on {router} would be {action}: {because}", json::at(at))
    }

    /// The rates of one interval, and the slopes as `view` has them at its end.
    ///
    /// # Errors
    /// As for [`Printer::signal`].
    pub fn row(&mut self, row: &Row, view: View<'_>) -> io::Result<()> {
        if self.json {
            return self.line(&json::interval(row, view));
        }
        writeln!(self.out, "{}  {}", json::at(row.wall), rates("node", &row.node, view.node_rates().slope))?;
        let mut zones: Vec<_> = row.zones.iter().filter(|(_, rates)| rates.queries + rates.responses > 0.0).collect();
        zones.sort_by(|(_, a), (_, b)| (b.queries + b.responses).total_cmp(&(a.queries + a.responses)));
        for (slot, zone) in zones.iter().take(SHOWN) {
            let name = view.plan().names.get(*slot);
            writeln!(self.out, "                          {}", rates(name, zone, view.rates(*slot).slope))?;
        }
        if let Some(more) = zones.len().checked_sub(SHOWN).filter(|&more| more > 0) {
            writeln!(self.out, "                          and {more} more")?;
        }
        self.out.flush()
    }

    /// What it all came to.
    ///
    /// # Errors
    /// As for [`Printer::signal`].
    pub fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        if self.json {
            return self.line(&json::summary(summary));
        }
        if let Some((first, last)) = summary.span {
            writeln!(self.out, "{} to {}, {} frames", json::at(first), json::at(last), summary.frames)?;
        }
        writeln!(self.out, "{:<32} {:>12} {:>12}  extended errors", "", "queries", "responses")?;
        self.totals("all", &summary.total)?;
        for (name, totals) in summary.zones.iter().chain(&summary.prefixes) {
            if *totals != Totals::default() {
                self.totals(name, totals)?;
            }
        }
        let (queries, responses) = summary.upstream;
        if queries + responses > 0 {
            writeln!(self.out, "{:<32} {queries:>12} {responses:>12}", "upstream (sent, received)")?;
        }
        if let Some(rates) = summary.node_rates {
            writeln!(
                self.out,
                "q/s over {} intervals: p50 {}, p90 {}, p99 {}, max {}",
                rates.intervals, rates.p50, rates.p90, rates.p99, rates.max
            )?;
        }
        let skipped: Vec<_> =
            summary.skipped.iter().filter(|(_, n)| **n > 0).map(|(reason, n)| format!("{reason} {n}")).collect();
        if !skipped.is_empty() {
            writeln!(self.out, "not counted: {}", skipped.join(", "))?;
        }
        self.out.flush()
    }

    fn totals(&mut self, name: &str, totals: &Totals) -> io::Result<()> {
        let codes: Vec<_> = totals.extended_errors.iter().map(|(code, n)| format!("{code}: {n}")).collect();
        writeln!(self.out, "{name:<32} {:>12} {:>12}  {}", totals.queries, totals.responses, codes.join(", "))
    }

    fn line(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}

fn rates(name: &str, rates: &Rates, slope: Option<f64>) -> String {
    let slope = slope.map_or_else(String::new, |slope| format!("  {slope:>+9.0} q/s per s"));
    let errors =
        if rates.extended_errors > 0.0 { format!("  {:.0} EDE/s", rates.extended_errors) } else { String::new() };
    format!("{name:<24} {:>10.0} q/s {:>10.0} r/s{slope}{errors}", rates.queries, rates.responses)
}
