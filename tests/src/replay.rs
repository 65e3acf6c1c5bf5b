//! `oopsd replay --json`, as a person would run it.

use crate::lab::oopsd;
use crate::tshark::Counts;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What `oopsd replay --json` printed last, and what it said on standard error.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The summary.
    pub summary: Value,
    /// Standard error.
    pub said: String,
}

/// Replays a file with these arguments.
///
/// # Errors
/// When oopsd fails or ends without a summary.
pub fn replay(arguments: &[&str], file: &Path) -> Result<Replayed> {
    let output = Command::new(oopsd()?).args(["replay", "--json"]).args(arguments).arg(file).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "oopsd replay: {}: {said}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().with_context(|| format!("oopsd replay printed nothing: {said}"))?;
    let summary: Value = serde_json::from_str(last)?;
    ensure!(summary["type"] == "summary", "{last}");
    Ok(Replayed { summary, said })
}

impl Replayed {
    /// The node's totals.
    ///
    /// # Errors
    /// When they are not what DESIGN says of them, as for [`Replayed::zone`].
    pub fn total(&self) -> Result<Counts> {
        counts(&self.summary["total"])
    }

    /// A zone's totals, or those of `other`.
    ///
    /// # Errors
    /// As [`Replayed::total`].
    pub fn zone(&self, zone: &str) -> Result<Counts> {
        counts(&self.summary["zones"][zone])
    }

    /// A service prefix's totals.
    ///
    /// # Errors
    /// As [`Replayed::total`].
    pub fn prefix(&self, prefix: &str) -> Result<Counts> {
        counts(&self.summary["prefixes"][prefix])
    }

    /// How often frames were skipped for this reason.
    #[must_use]
    pub fn skipped(&self, reason: &str) -> u64 {
        self.summary["skipped"][reason].as_u64().unwrap_or(0)
    }
}

/// What an object of a summary says.
///
/// # Errors
/// When a count is missing.
pub fn counts(object: &Value) -> Result<Counts> {
    let number = |value: &Value| value.as_u64().with_context(|| format!("not a count in {object}"));
    let ede = object["ede"].as_object().with_context(|| format!("no ede in {object}"))?;
    Ok(Counts {
        queries: number(&object["queries"])?,
        responses: number(&object["responses"])?,
        ede: ede.iter().map(|(code, count)| Ok((code.clone(), number(count)?))).collect::<Result<_>>()?,
    })
}
