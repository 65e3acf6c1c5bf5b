//! Man pages and completions. The package oopsd writes them, from the same definitions that parse its arguments.

use crate::command::{cargo, run};
use anyhow::Result;

/// Writes the man pages to target/man.
pub(crate) fn man() -> Result<()> {
    write("man", "target/man")
}

/// Writes the completions to target/completions.
pub(crate) fn completions() -> Result<()> {
    write("completions", "target/completions")
}

fn write(what: &str, folder: &str) -> Result<()> {
    run(&mut cargo(&["run", "--quiet", "--package", "oopsd", "--example", "manual", "--", what, folder]))?;
    println!("{what}: {folder}");
    Ok(())
}
