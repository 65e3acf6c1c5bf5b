//! Routers: who announces the prefixes. One file each, one reconciler in front of them all.

pub mod kernel_table;

use engine::{Action, Intent};

/// A router as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Config {
    /// A route in a private kernel table, which BIRD (or another daemon) learns.
    KernelTable(kernel_table::Config),
}

/// A route as wanted and as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The router, by name.
    pub router: String,
    /// The prefix.
    pub prefix: String,
    /// What the engine wants; `None` until it said so.
    pub wanted: Option<Action>,
    /// What was read back last; `None` if it could not be read.
    pub seen: Option<Action>,
    /// Changes made.
    pub changes: u64,
    /// Attempts that failed.
    pub errors: u64,
    /// The last failure, until the next success.
    pub error: Option<String>,
}

/// All routers, running: keeps what is seen equal to what is wanted.
#[derive(Debug)]
pub struct Routers {}

impl Routers {
    /// Says how prefixes should be announced now. Does not wait.
    pub fn want(&self, intents: &[Intent]) {
        let _ = intents;
    }

    /// Every route as wanted and as seen.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        Vec::new()
    }
}
