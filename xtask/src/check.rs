//! What a reviewer would otherwise have to check.

use crate::command::{cargo, output, run, text};
use crate::setup::{Purpose, setup};
use anyhow::{Result, ensure};
use std::process::Command;

/// Runs all checks and names those that failed; with `quick` formatting and lints only.
pub(crate) fn check(quick: bool) -> Result<()> {
    let mut doc = cargo(&["doc", "--no-deps", "--workspace", "--locked", "--quiet"]);
    doc.env("RUSTDOCFLAGS", "-Dwarnings");
    let mut all = vec![
        cargo(&["fmt", "--all", "--check"]),
        cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"]),
    ];
    if !quick {
        setup(&[Purpose::Check])?;
        all.extend([
            doc,
            // As a person builds it: of the workspace, the tests ask for the features too.
            cargo(&["clippy", "--package", "oopsd", "--locked", "--quiet", "--", "-D", "warnings"]),
            cargo(&["deny", "--log-level", "error", "check", "bans", "licenses", "sources"]),
            cargo(&["machete"]),
        ]);
        all.extend(advisories());
    }
    let failed: Vec<String> = all.into_iter().filter_map(failure).collect();
    ensure!(failed.is_empty(), "failed: {}", failed.join("; "));
    Ok(())
}

/// Runs one check; its text if it fails.
fn failure(mut check: Command) -> Option<String> {
    println!("check: {}", text(&check));
    run(&mut check).is_err().then(|| text(&check))
}

/// The advisories against the database of now, or nothing where it cannot be fetched.
fn advisories() -> Option<Command> {
    match output(&mut cargo(&["deny", "--log-level", "error", "fetch", "db"])) {
        Ok(_) => Some(cargo(&["deny", "check", "--disable-fetch", "advisories"])),
        Err(why) => {
            let why = format!("{why:#}").split_whitespace().collect::<Vec<_>>().join(" ");
            println!("skipped: advisories: {why}");
            None
        }
    }
}
