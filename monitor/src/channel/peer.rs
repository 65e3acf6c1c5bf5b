//! The other side of every channel but the log: which it is, and nothing else.

use super::delivery::{Answer, Peer};
use super::letter::Letter;
use super::{Sender, dbus, exec, notify, webhook};
use tokio::runtime::Handle;

/// One of them, ready to be sent to.
#[derive(Debug)]
pub(super) enum Other {
    Exec(exec::Settings),
    Webhook(webhook::Settings),
    Dbus(dbus::Settings),
    Notify(notify::Settings),
}

impl Other {
    /// Does what it has to before the first signal; goes on as `before` was, where it is the same.
    pub(super) fn begin(&mut self, before: Option<&Self>, sender: &Sender, runtime: &Handle) {
        if let Self::Dbus(dbus) = self {
            let before = before.and_then(|before| if let Self::Dbus(before) = before { Some(before) } else { None });
            dbus.begin(before, sender, runtime);
        }
    }
}

impl Peer for Other {
    async fn attempt(&self, letter: &Letter) -> Answer {
        match self {
            Self::Exec(exec) => exec.attempt(letter).await,
            Self::Webhook(webhook) => webhook.attempt(letter).await,
            Self::Dbus(dbus) => dbus.attempt(letter).await,
            Self::Notify(notify) => notify.attempt(letter).await,
        }
    }
}
