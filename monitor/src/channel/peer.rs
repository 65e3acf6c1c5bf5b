//! The other side of every channel but the log: which it is, and nothing else.

use super::delivery::{Answer, Peer};
use super::letter::Letter;
use super::webhook;

/// One of them, ready to be sent to.
#[derive(Debug)]
pub(super) enum Other {
    Webhook(webhook::Settings),
}

impl Peer for Other {
    async fn attempt(&self, letter: &Letter) -> Answer {
        match self {
            Self::Webhook(webhook) => webhook.attempt(letter).await,
        }
    }
}
