//! Tests and benches: their tools are installed first.

use crate::command::{cargo, run};
use crate::setup::{Purpose, setup};
use anyhow::Result;

/// Runs every test. Tests that need root or a program that is not here say `skipped: why`, and fail where CI runs them as root.
pub(crate) fn test() -> Result<()> {
    setup(&[Purpose::Test])?;
    // The binaries first: tests start them.
    run(&mut cargo(&["build", "--workspace", "--locked"]))?;
    run(&mut cargo(&["test", "--doc", "--workspace", "--locked", "--quiet"]))?;
    run(&mut cargo(&["nextest", "run", "--workspace", "--locked"]))
}

/// Runs the benches.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    setup(&[Purpose::Bench])?;
    // The programs themselves first: they are measured as a whole.
    let programs = ["--package", "oopsd", "--bin", "oopsd", "--package", "tests", "--bin", "channels"];
    run(cargo(&["build", "--release", "--locked"]).args(programs))?;
    run(cargo(&["bench", "--package", "benches", "--locked", "--"]).args(arguments))
}
