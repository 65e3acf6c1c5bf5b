//! The other side of every channel but the log: which it is, and nothing else.

use super::delivery::{Answer, Peer};
use super::letter::Letter;
use super::{exec, webhook};

/// One of them, ready to be sent to.
#[derive(Debug)]
pub(super) enum Other {
    Exec(exec::Settings),
    Webhook(webhook::Settings),
}

impl Peer for Other {
    async fn attempt(&self, letter: &Letter) -> Answer {
        match self {
            Self::Exec(exec) => exec.attempt(letter).await,
            Self::Webhook(webhook) => webhook.attempt(letter).await,
        }
    }
}
