//! Signals as JSON lines, to standard output or a file.

use std::path::PathBuf;

/// A log channel as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// The file to append to; `None` is standard output.
    pub file: Option<PathBuf>,
}
