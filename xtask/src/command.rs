//! Other programs: run to their end, and a failure says which.

use anyhow::{Context, Result, ensure};
use std::env;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A cargo that knows nothing of the cargo that runs this program: build scripts such as ring's look at its variables,
/// and would build again each time a person goes from `cargo xtask` to `cargo` and back.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let of_this_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if of_this_package.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
    command.args(arguments);
    command
}

/// Runs a command on this terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", text(command)))?;
    ensure!(status.success(), "{} ended with {status}", text(command));
    Ok(())
}

/// Whether a command succeeds; what it prints is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What a command prints on its standard output; on failure the error ends with what it said.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", text(command)))?;
    let said = String::from_utf8_lossy(&stderr);
    ensure!(status.success(), "{} ended with {status}: {}", text(command), said.trim());
    String::from_utf8(stdout).with_context(|| format!("{} printed what is not UTF-8", text(command)))
}

/// The command as a person would type it.
pub(crate) fn text(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = [program].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
