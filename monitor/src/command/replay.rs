//! `oopsd replay`: judges capture files exactly as `run` would have, in packet time, and touches nothing.

use crate::capture::attribution::Attribution;
use crate::capture::file;
use crate::cli::Replay;
use crate::config::{self, Config, Purpose};
use crate::interval::{Intervals, Row};
use crate::print::Printer;
use crate::summary::Summary;
use engine::{Engine, Plan, Sample, Step, View};
use indicatif::ProgressBar;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration, or a zone on the command line.
    #[error(transparent)]
    Config(#[from] config::Errors),
    /// A capture file.
    #[error(transparent)]
    File(#[from] file::Error),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Replays the files and prints what came of it. What came before the fault in a broken file is printed all the same.
///
/// # Errors
/// When the configuration or a file cannot be read, or standard output fails.
pub fn replay(arguments: &Replay) -> Result<(), Error> {
    let mut config = match &arguments.config {
        Some(path) => Config::load(path, Purpose::Judge)?,
        None if arguments.zones.is_empty() => Config::observe(Vec::new()),
        None => Config::for_zones(arguments.zones.iter().map(String::as_str))?,
    };
    let learns = arguments.config.is_none() && arguments.zones.is_empty();
    let attribution =
        if learns { Attribution::learning() } else { Attribution::new(&config.plan.names, &config.prefixes) };
    let every = arguments.interval.unwrap_or(Duration::from_secs(1));
    config.plan.tick = config.plan.tick.min(every);
    let tick = config.plan.tick;
    let bar = file::progress(&arguments.files);
    let mut judged = Judged {
        intervals: Intervals::new(every),
        rows: arguments.interval.is_some(),
        engine: Engine::new(config.plan),
        printer: Printer::new(BufWriter::new(io::stdout().lock()), arguments.json),
        attribution: &attribution,
        bar: &bar,
        failed: None,
    };
    let read =
        file::read(&arguments.files, config.capture.ports, &attribution, tick, &bar, |sample| judged.take(&sample));
    match judged.close(read) {
        // Whoever read the output has seen enough.
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Everything behind the capture.
struct Judged<'a, W> {
    engine: Engine,
    intervals: Intervals,
    rows: bool,
    printer: Printer<W>,
    attribution: &'a Attribution,
    bar: &'a ProgressBar,
    failed: Option<io::Error>,
}

impl<W: Write> Judged<'_, W> {
    fn take(&mut self, sample: &Sample) {
        if self.attribution.learned_count() >= self.engine.view().plan().names.slots() {
            let names = Arc::new(self.attribution.learned());
            let plan = self.engine.view().plan().clone();
            self.engine.replan(Plan { names, ..plan });
        }
        let step = self.engine.step(sample);
        let row = self.intervals.look(self.engine.view()).filter(|_| self.rows);
        if self.failed.is_some() || (step.signals.is_empty() && step.intents.is_empty() && row.is_none()) {
            return;
        }
        let (printer, view) = (&mut self.printer, self.engine.view());
        self.failed = self.bar.suspend(|| print(printer, view, sample, &step, row.as_ref())).err();
    }

    fn close(mut self, extent: file::Extent) -> Result<(), Error> {
        let view = self.engine.view();
        if let Some(row) = self.intervals.rest(view).filter(|_| self.rows) {
            self.failed = self.failed.or_else(|| self.printer.row(&row, view).err());
        }
        if extent.frames > 0 || extent.failed.is_none() {
            let span = extent.first.zip(extent.last);
            let summary = Summary::new(view, &self.intervals, span, extent.frames);
            self.failed = self.failed.or_else(|| self.printer.summary(&summary).err());
        }
        match (extent.failed, self.failed) {
            (Some(error), _) => Err(error.into()),
            (None, Some(error)) => Err(Error::Output(error)),
            (None, None) => Ok(()),
        }
    }
}

fn print<W: Write>(
    printer: &mut Printer<W>,
    view: View<'_>,
    sample: &Sample,
    step: &Step,
    row: Option<&Row>,
) -> io::Result<()> {
    for signal in &step.signals {
        printer.signal(signal)?;
    }
    for intent in &step.intents {
        printer.intent(sample.wall, intent)?;
    }
    row.map_or(Ok(()), |row| printer.row(row, view))
}
