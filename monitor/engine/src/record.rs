//! What is to be known of a route when the engine begins anew. Where it is kept meanwhile is not the engine's.

use crate::{Action, Ladder};
use core::time::Duration;

/// What a route has been through. All times are how long ago, so that they can be carried from one clock to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The router, by name.
    pub router: String,
    /// The prefix.
    pub prefix: String,
    /// How it was last wanted, or found.
    pub action: Action,
    /// For how long it was seen so.
    pub kept: Duration,
    /// How often its hold was doubled.
    pub doubled: u32,
    /// It was released, and the condition has not stayed cleared for a hold since.
    pub released: bool,
    /// It was held for as long as it may be, and the condition has not cleared since.
    pub spent: bool,
    /// Since when it is not plain.
    pub began: Option<Duration>,
    /// For how long an operator still wants it plain, and whether that ends when the condition clears.
    pub plain_for: Option<(Duration, bool)>,
    /// The changes of the last hour.
    pub changes: Vec<Change>,
    /// By how much each step that is in force divided the load, where that was seen.
    pub divided: Vec<Option<f64>>,
    /// What it climbs, or comes down by if it has no ladder any more.
    pub ladder: Ladder,
}

/// A change of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// How long ago.
    pub ago: Duration,
    /// The prefix was withdrawn.
    pub withdrawal: bool,
}

impl Record {
    /// The same after a time in which nobody looked.
    #[must_use]
    pub fn aged(mut self, by: Duration) -> Self {
        self.began = self.began.map(|ago| ago.saturating_add(by));
        self.plain_for = self.plain_for.map(|(left, until_cleared)| (left.saturating_sub(by), until_cleared));
        for change in &mut self.changes {
            change.ago = change.ago.saturating_add(by);
        }
        self
    }

    /// Whether only time has passed between the two.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        let still = |record: &Self| Self {
            kept: Duration::ZERO,
            began: record.began.map(|_| Duration::ZERO),
            plain_for: record.plain_for.map(|(_, until_cleared)| (Duration::ZERO, until_cleared)),
            changes: record.changes.iter().map(|change| Change { ago: Duration::ZERO, ..*change }).collect(),
            ..record.clone()
        };
        still(self) == still(other)
    }
}
