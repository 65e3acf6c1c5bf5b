//! What waits for channels, as an operator is shown it: the control socket's answers, and what `oopsd outbox list --json` prints. Keys
//! are stable.

use super::letter::decode;
use super::outbox::Kept;
use crate::json;
use serde::{Deserialize, Serialize};

/// A channel, and how it stands with what waits for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub channel: String,
    /// Whether the configuration has it; signals of one that it has not any more are kept for when it has.
    pub configured: bool,
    /// How many signals wait, with what is being sent.
    pub waiting: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// When the oldest of these was made, in UTC.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub oldest: Option<String>,
    /// The receiver said that it is gone, and is sent nothing.
    pub disabled: bool,
    /// The last answer, while that is a no.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answer: Option<String>,
    /// From now to the next attempt, after a no.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_attempt_seconds: Option<f64>,
    /// Accepted by the other side since oopsd started.
    pub sent: u64,
    /// Given up after attempts that failed.
    pub failed: u64,
    /// Given up without an attempt, or dropped by an operator.
    pub dropped: u64,
    /// Left to a newer one of the same condition and scope.
    pub superseded: u64,
}

/// A signal that waits for a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// By which it can be dropped; it grows from signal to signal, in all runs.
    pub number: u64,
    /// As receivers get it.
    pub id: String,
    /// When it was made, in UTC.
    pub at: String,
    /// Its condition.
    pub condition: String,
    /// The kind of that.
    pub kind: String,
    /// `met` or `cleared`.
    pub state: String,
    /// What the condition watches, in words.
    pub scope: String,
    /// The value at the edge.
    pub value: f64,
    /// Older signals that it stands for too.
    pub superseded: u64,
    /// Signals given up before it.
    pub lost: u64,
    /// It is being sent.
    pub trying: bool,
}

impl Line {
    pub(super) fn new(number: u64, kept: &Kept, trying: bool) -> Option<Self> {
        let (signal, sender) = decode(&kept.text)?;
        Some(Self {
            number,
            id: sender.id(signal.seq),
            at: json::at(signal.wall),
            condition: signal.condition,
            kind: signal.kind.to_owned(),
            state: signal.state.as_str().to_owned(),
            scope: signal.scope.to_string(),
            value: signal.value,
            superseded: kept.superseded,
            lost: kept.lost,
            trying,
        })
    }
}

/// What became of signals that an operator drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// So many were.
    pub dropped: u64,
    /// So many still wait.
    pub waiting: u64,
    /// What was being sent may arrive.
    pub trying: bool,
}
