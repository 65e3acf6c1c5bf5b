//! The command line of oopsd: parses it, sets up what it says of itself, runs one command, prints what went wrong once.

use clap::Parser;
use oopsd::cli::{Channel, Cli, Command};
use oopsd::command;
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    say(cli.verbose);
    let outcome: Result<(), Box<dyn Error>> = match cli.command {
        Command::Replay(arguments) => command::replay(&arguments).map_err(Into::into),
        Command::Check(arguments) => {
            command::check(&arguments.config, arguments.write_include, &mut std::io::stdout().lock())
                .map_err(Into::into)
        }
        Command::Release(arguments) => command::release(&arguments, &mut std::io::stdout().lock()).map_err(Into::into),
        Command::Channel(Channel::Test(arguments)) => {
            command::channel(&arguments, &mut std::io::stdout().lock()).map_err(Into::into)
        }
        Command::Outbox(what) => command::outbox(&what, &mut std::io::stdout().lock()).map_err(Into::into),
        Command::Run(arguments) => command::run(&arguments).map_err(Into::into),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do about a standard error that is gone.
            let _ = writeln!(std::io::stderr(), "{}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Logs go to standard error; under systemd the journal adds the time. `OOPSD_LOG` overrides what -v asks for.
fn say(verbose: u8) {
    let default = match verbose {
        0 => "info",
        1 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("OOPSD_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // What cannot be said is not worth an end: there is nobody to tell that nobody listens.
        .log_internal_errors(false)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // An error whose text already ends with its cause's says it once.
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
