//! `oopsd channel test`: whether a channel works, from its configuration alone. The daemon is not asked, and need not run.

use crate::channel::{self, Sender, trial};
use crate::cli::Test;
use crate::config::{self, Config, Purpose};
use engine::Wall;
use std::io::{self, Write};
use std::time::{Instant, SystemTime};

/// Why a channel was not tried, or said no.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] config::Errors),
    /// There is no such channel.
    #[error("no channel is called {0}; there are: {1}")]
    Unknown(String, String),
    /// It cannot work as configured.
    #[error(transparent)]
    Channel(#[from] channel::Error),
    /// The other side did not take it.
    #[error("{channel}: not accepted after {milliseconds} ms: {why}")]
    Refused {
        /// The channel.
        channel: String,
        /// How long that took.
        milliseconds: u128,
        /// What it said.
        why: String,
    },
    /// Threads of the operating system, or standard output.
    #[error("cannot try it")]
    Io(#[from] io::Error),
}

/// Sends a test signal and says what came of it.
///
/// # Errors
/// When it was not accepted, or could not be tried.
pub fn test(arguments: &Test, out: &mut impl Write) -> Result<(), Error> {
    channel::install_tls();
    let config = Config::load(&arguments.config, Purpose::Run)?;
    let name = &arguments.name;
    let Some(wanted) = config.channels.iter().find(|channel| channel.name == *name) else {
        let names: Vec<&str> = config.channels.iter().map(|channel| channel.name.as_str()).collect();
        return Err(Error::Unknown(name.clone(), names.join(", ")));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    // Of its own: receivers that know ids take each test for a new one.
    let sender = Sender { node: config.node.clone(), boot: format!("test-{wall:x}") };
    let began = Instant::now();
    let answer = runtime.block_on(trial(wanted, sender, Wall(i64::try_from(wall).unwrap_or(i64::MAX))))?;
    let milliseconds = began.elapsed().as_millis();
    answer.map_err(|why| Error::Refused { channel: name.clone(), milliseconds, why })?;
    writeln!(out, "{name}: accepted after {milliseconds} ms; the signal's condition is \"test\"")?;
    Ok(())
}
