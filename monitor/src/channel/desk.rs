//! Where an operator asks what waits, and what he has done about it, while the channels run. Nothing here keeps a signal waiting for
//! longer than it takes to look at a few hundred.

use super::outbox::Outbox;
use super::outbox::journal::Wake;
use super::row::{Dropped, Line, Row};
use std::sync::Arc;

/// All channels, as they were when it was asked for.
#[derive(Clone, Debug)]
pub struct Desk {
    pub(super) outboxes: Vec<Arc<Outbox>>,
    pub(super) journal: Option<Wake>,
}

impl Desk {
    /// How each channel stands: those that are configured, in that order, and those for which signals still wait.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let strangers = self.journal.iter().flat_map(Wake::strangers);
        self.outboxes.iter().map(|outbox| outbox.row()).chain(strangers).collect()
    }

    /// The first few hundred signals that wait for a channel, from this number on.
    ///
    /// # Errors
    /// With the names there are, if that is none.
    pub fn waiting(&self, channel: &str, from: u64) -> Result<Vec<Line>, String> {
        if let Some(outbox) = self.outboxes.iter().find(|outbox| outbox.name() == channel) {
            return Ok(outbox.lines(from));
        }
        self.journal.as_ref().and_then(|journal| journal.lines(channel, from)).ok_or_else(|| self.unknown(channel))
    }

    /// Has a channel, or all of them, try again at once, also one whose receiver is gone. Returns which do.
    ///
    /// # Errors
    /// With the names there are, if that is none.
    pub fn retry(&self, channel: Option<&str>) -> Result<Vec<String>, String> {
        let is_meant = |outbox: &&Arc<Outbox>| channel.is_none_or(|channel| outbox.name() == channel);
        let meant: Vec<_> = self.outboxes.iter().filter(is_meant).collect();
        if let (Some(channel), true) = (channel, meant.is_empty()) {
            return Err(self.unknown(channel));
        }
        Ok(meant.into_iter().map(|outbox| outbox.retry()).map(str::to_owned).collect())
    }

    /// Drops these of what waits for a channel, or all of it.
    ///
    /// # Errors
    /// With the names there are, if that is none.
    pub fn discard(&self, channel: &str, numbers: Option<&[u64]>) -> Result<Dropped, String> {
        let dropped = match self.outboxes.iter().find(|outbox| outbox.name() == channel) {
            Some(outbox) => Some(outbox.discard(numbers)),
            None => self.journal.as_ref().and_then(|journal| journal.discard(channel, numbers)),
        };
        let dropped = dropped.ok_or_else(|| self.unknown(channel))?;
        tracing::warn!(channel, dropped = dropped.dropped, waiting = dropped.waiting, "signals dropped by an operator");
        Ok(dropped)
    }

    fn unknown(&self, channel: &str) -> String {
        unknown(channel, &self.rows())
    }
}

/// That there is no such channel, and which there are.
pub(super) fn unknown(channel: &str, rows: &[Row]) -> String {
    let names: Vec<&str> = rows.iter().map(|row| row.channel.as_str()).collect();
    format!("no channel is called {channel}; there are: {}", names.join(", "))
}
