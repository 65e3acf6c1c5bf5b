//! The figures that oopsd must reach, measured beside its peers in the same run: `cargo xtask bench [PART]...`
//!
//! The part `fleet` measures no time: it simulates, and with `--plots DIR` it draws what the manual shows, with
//! `--others N` it runs so many other fleets.
//!
//! Every figure is time on a processor, of this thread or of a whole process: what else runs on the machine does not count,
//! though it does disturb the caches. Rounds of what is compared take turns, and a ratio is the median of the ratios of
//! their rounds.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a person reads what it prints")]

mod bpf;
mod engine;
mod figure;
mod frames;
mod kernel;
mod live;
mod machine;
mod packet;
mod process;
mod reaction;
mod replay;
mod resident;
mod signals;
mod sketch;
mod table;
mod tick;
mod trace;
mod veth;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// What a part of the benches may fail with: something that it needs is not here.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the part `fleet` does beside its table.
struct More {
    /// The folder for plots, if there is one.
    plots: Option<PathBuf>,
    /// How many other fleets are run.
    others: u64,
}

/// Its name, and what it does.
type Part = (&'static str, fn(&More) -> Outcome<()>);

/// In this order, so that what measures memory starts from a small process.
const PARTS: [Part; 12] = [
    ("resident", |_| resident::measure()),
    ("replay", |_| replay::measure()),
    ("engine", |_| engine::measure()),
    ("kernel", |_| kernel::measure()),
    ("kernel-veth", |_| veth::measure()),
    ("kernel-tick", |_| tick::measure()),
    ("packet", |_| packet::measure()),
    ("million", |_| packet::measure_million()),
    ("live", |_| live::measure()),
    ("reaction", |_| reaction::measure()),
    ("signals", |_| signals::measure()),
    ("fleet", simulate),
];

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let more = match More::take(&mut words) {
        Ok(more) => more,
        Err(error) => return done(Err(error)),
    };
    if let [replay::READ, file] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return done(replay::read(file));
    }
    machine::print();
    table::heading();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let outcome = PARTS.iter().filter(|(name, _)| wanted(name)).try_for_each(|(_, measure)| measure(&more));
    machine::print_load();
    done(outcome)
}

/// A fleet on paper.
fn simulate(more: &More) -> Outcome<()> {
    fleet::report(&mut |line| println!("{line}"));
    if more.others > 0 {
        fleet::others(more.others, &mut |line| println!("{line}"));
    }
    more.plots.as_deref().map_or(Ok(()), fleet::plots)
}

impl More {
    /// Takes its options out of the words of the command line.
    fn take(words: &mut Vec<String>) -> Outcome<Self> {
        let plots = value(words, "--plots")?.map(PathBuf::from);
        let others = value(words, "--others")?.map_or(Ok(0), |number| number.parse());
        Ok(Self { plots, others: others.map_err(|error| format!("--others: {error}"))? })
    }
}

/// The word after an option, if that is there; both are taken out.
fn value(words: &mut Vec<String>, option: &str) -> Outcome<Option<String>> {
    match words.iter().position(|word| word == option) {
        Some(at) if at + 1 < words.len() => Ok(words.drain(at..at + 2).nth(1)),
        Some(_) => Err(format!("{option} needs a value").into()),
        None => Ok(None),
    }
}

fn done(outcome: Outcome<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches: {error}");
            ExitCode::FAILURE
        }
    }
}
