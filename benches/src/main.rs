//! The figures that oopsd must reach, measured beside its peers in the same run: `cargo xtask bench [PART]...`
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
mod replay;
mod resident;
mod table;
mod tick;
mod trace;
mod veth;

use std::error::Error;
use std::process::ExitCode;

/// What a part of the benches may fail with: something that it needs is not here.
type Outcome<T> = Result<T, Box<dyn Error>>;

type Part = (&'static str, fn() -> Outcome<()>);

/// In this order, so that what measures memory starts from a small process.
const PARTS: [Part; 9] = [
    ("resident", resident::measure),
    ("replay", replay::measure),
    ("engine", engine::measure),
    ("kernel", kernel::measure),
    ("kernel-veth", veth::measure),
    ("kernel-tick", tick::measure),
    ("packet", packet::measure),
    ("million", packet::measure_million),
    ("live", live::measure),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [replay::READ, file] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return done(replay::read(file));
    }
    machine::print();
    table::heading();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let outcome = PARTS.iter().filter(|(name, _)| wanted(name)).try_for_each(|(_, measure)| measure());
    machine::print_load();
    done(outcome)
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
