//! Capture files: pcap and pcapng, whose packets are the clock.
//!
//! Samples come at the first packet's time and every tick from there, across silences too, so that conditions clear as
//! they would have. What is made of the samples, and what is printed, is the caller's.

mod ahead;
mod source;

use super::attribution::Attribution;
use super::batch::Batch;
use super::tally::Tally;
use super::{collector, link};
use engine::{Sample, Sight, Time, Wall};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use source::Source;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::{Link, Ports};

/// A silence longer than this is stepped over: one sample before it and one behind.
const JUMP: i64 = 3_600_000_000_000;

/// Later times, which only a broken file has, are taken for this one, in the year 2116.
const LATEST: i64 = i64::MAX / 2;

/// The progress bar is moved once in so many frames.
const STRIDE: u64 = 1 << 16;

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Extent {
    /// Frames in all files.
    pub frames: u64,
    /// The time of the first frame.
    pub first: Option<Wall>,
    /// The latest time of a frame.
    pub last: Option<Wall>,
    /// The files whose last record is cut off. What came before it counts.
    pub cut: Vec<CutOff>,
    /// Why it ended early: the first file that cannot be read, or not to its end. All that came before counts.
    pub failed: Option<Error>,
}

/// A file that ends within a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// The file, as given.
    pub file: PathBuf,
    /// How many whole frames it has.
    pub after: u64,
    /// What libpcap says.
    pub why: String,
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is missing, not readable, empty or not a capture.
    #[error("{}: {why}", file.display())]
    Open {
        /// The file, as given.
        file: PathBuf,
        /// What the system or libpcap says.
        why: String,
    },
    /// Its frames begin in a way that `wire` does not read.
    #[error("{}: link type {datalink}; oopsd reads {known}", file.display(), known = link::KNOWN)]
    Link {
        /// The file, as given.
        file: PathBuf,
        /// The link type's name and number.
        datalink: String,
    },
    /// It cannot be read on, and was not just cut off. What came before was sampled.
    #[error("{}: after {after} frames: {why}", file.display())]
    Broken {
        /// The file, as given.
        file: PathBuf,
        /// How many frames came before.
        after: u64,
        /// What libpcap says.
        why: String,
    },
}

/// A bar over the bytes of these files, on stderr if that is a terminal; print through [`ProgressBar::suspend`].
/// Hidden if the length of one of them is not known: `-` for standard input, or a pipe.
#[must_use]
pub fn progress(files: &[PathBuf]) -> ProgressBar {
    let length = |file| std::fs::metadata(file).ok().filter(|found| found.is_file()).map(|found| found.len());
    let Some(all) = files.iter().map(length).sum() else { return ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        .expect("the template is well-formed");
    ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr()).with_style(style)
}

/// Reads `files` in order (`-` is standard input) and gives `each` a sample of one generation at every tick.
///
/// A frame older than one before it counts at the later one's time.
pub fn read(
    files: &[PathBuf],
    ports: Ports,
    attribution: &Attribution,
    tick: Duration,
    bar: &ProgressBar,
    each: impl FnMut(Sample),
) -> Extent {
    let mut extent = Extent::default();
    let mut ticks = Ticks::new(attribution, tick, each);
    let mut read = || {
        files.iter().try_for_each(found)?;
        files.iter().try_for_each(|file| one(file, ports, bar, &mut ticks, &mut extent.cut))
    };
    extent.failed = read().err();
    ticks.close();
    bar.finish_and_clear();
    if ticks.frames > 0 {
        (extent.first, extent.last) = (Some(Wall(ticks.first)), Some(Wall(ticks.last)));
    }
    extent.frames = ticks.frames;
    extent
}

/// A file that is missing is said to be before hours are spent on those in front of it.
fn found(file: &PathBuf) -> Result<(), Error> {
    if file == Path::new("-") {
        return Ok(());
    }
    std::fs::metadata(file).map(drop).map_err(|error| Error::Open { file: file.clone(), why: error.to_string() })
}

fn one(
    file: &Path,
    ports: Ports,
    bar: &ProgressBar,
    ticks: &mut Ticks<'_, impl FnMut(Sample)>,
    cut: &mut Vec<CutOff>,
) -> Result<(), Error> {
    let (source, link) = open(file)?;
    let before = ticks.frames;
    let mut bytes = 0;
    // What comes over a pipe may be live: nothing waits there for more to come.
    let most = if file == Path::new("-") { 1 } else { usize::MAX };
    let end = ahead::frames(source, most, |time, frame| {
        ticks.frame(time.clamp(0, LATEST));
        ticks.batch.count_frame(ticks.attribution, ports, link, frame, None, &mut ticks.tally);
        bytes += 16 + frame.len() as u64;
        if ticks.frames.is_multiple_of(STRIDE) {
            bar.inc(std::mem::take(&mut bytes));
        }
    });
    if end == pcap::Error::NoMorePackets {
        return Ok(());
    }
    let (file, after, why) = (file.to_owned(), ticks.frames - before, said(file, &end));
    if !why.contains("truncated") {
        return Err(Error::Broken { file, after, why });
    }
    tracing::warn!(file = %file.display(), frames = after, why, "the file ends within a record");
    cut.push(CutOff { file, after, why });
    Ok(())
}

fn open(file: &Path) -> Result<(Source, Link), Error> {
    let source = Source::open(file).map_err(|error| Error::Open { file: file.to_owned(), why: said(file, &error) })?;
    let datalink = source.capture.get_datalink();
    let link =
        link::of(datalink).ok_or_else(|| Error::Link { file: file.to_owned(), datalink: link::print(datalink) })?;
    Ok((source, link))
}

/// What libpcap says, without the file's name, which the error has already.
fn said(file: &Path, error: &pcap::Error) -> String {
    let text = if let pcap::Error::PcapError(text) = error { text.clone() } else { error.to_string() };
    let said = text.strip_prefix(&format!("{}: ", file.display())).unwrap_or(&text);
    let meant = if said == "unknown file format" { "; oopsd reads pcap and pcapng, not compressed" } else { "" };
    format!("{said}{meant}")
}

/// The clock of a capture file, and what is sampled at its ticks. All times are nanoseconds since 1970.
struct Ticks<'a, F> {
    attribution: &'a Attribution,
    batch: Batch,
    tally: Tally,
    tick: i64,
    each: F,
    frames: u64,
    first: i64,
    last: i64,
    next: i64,
}

impl<'a, F: FnMut(Sample)> Ticks<'a, F> {
    fn new(attribution: &'a Attribution, tick: Duration, each: F) -> Self {
        let tick = i64::try_from(tick.as_nanos()).unwrap_or(i64::MAX).max(1);
        let (batch, tally) = (Batch::default(), Tally::new(attribution.slots()));
        Self { attribution, batch, tally, tick, each, frames: 0, first: 0, last: i64::MIN, next: i64::MIN }
    }

    /// Takes every sample that is due before a frame of this time is counted.
    #[inline(always)]
    fn frame(&mut self, time: i64) {
        if time >= self.next {
            self.advance(time);
        }
        self.last = self.last.max(time);
        self.frames += 1;
    }

    #[cold]
    fn advance(&mut self, time: i64) {
        if self.frames == 0 {
            self.first = time;
            self.next = time;
        }
        if time.saturating_sub(self.next) > JUMP {
            tracing::warn!(from = self.last, to = time, "the capture is silent for over an hour: stepping over it");
            self.sample();
            self.next = time - (time - self.next) % self.tick;
        }
        while self.next <= time {
            self.sample();
        }
    }

    /// The sample behind the last frame, at the tick that would have seen it.
    fn close(&mut self) {
        if self.frames > 0 {
            self.sample();
        }
    }

    fn sample(&mut self) {
        self.batch.settle(self.attribution, &mut self.tally);
        let sight = Sight { blind: Vec::new(), frames: self.frames, dropped: 0, missed: 0 };
        let at = Time(u64::try_from(self.next).unwrap_or(0));
        (self.each)(collector::merge(&mut [&mut self.tally], 0, at, Wall(self.next), sight));
        self.next = self.next.saturating_add(self.tick);
    }
}

#[cfg(test)]
mod tests;
