//! Signals by HTTPS POST: CloudEvents 1.0 (structured JSON) with Standard Webhooks headers.

use std::path::PathBuf;
use std::time::Duration;

/// A webhook as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// Where to POST; `https`, or `http` to a loopback address.
    pub url: String,
    /// Files with one `whsec_` secret each, the newest first; the body is signed with every one.
    pub secret_files: Vec<PathBuf>,
    /// A PEM file with the authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// How many signals may wait.
    pub queue: usize,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long a signal is tried for.
    pub give_up: Duration,
}
