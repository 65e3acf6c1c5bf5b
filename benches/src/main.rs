//! The figures that oopsd must reach, measured beside its peers in the same run: `cargo xtask bench [PART]...`
//!
//! The part `fleet` measures no time: it simulates, and with `--plots DIR` it draws what the manual shows.
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
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a part of the benches may fail with: something that it needs is not here.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// Its name, and what it does; the folder for plots, if there is one.
type Part = (&'static str, fn(Option<&Path>) -> Outcome<()>);

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
    let plots = match words.iter().position(|word| word == "--plots") {
        Some(at) if at + 1 < words.len() => words.drain(at..at + 2).nth(1).map(PathBuf::from),
        Some(_) => return done(Err("--plots needs a folder".into())),
        None => None,
    };
    if let [replay::READ, file] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return done(replay::read(file));
    }
    machine::print();
    table::heading();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let outcome = PARTS.iter().filter(|(name, _)| wanted(name)).try_for_each(|(_, measure)| measure(plots.as_deref()));
    machine::print_load();
    done(outcome)
}

/// A fleet on paper.
fn simulate(plots: Option<&Path>) -> Outcome<()> {
    fleet::report(&mut |line| println!("{line}"));
    plots.map_or(Ok(()), fleet::plots)
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
