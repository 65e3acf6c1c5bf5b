//! The other side of every channel but the log: which it is, and nothing else.

use super::delivery::{Answer, Peer};
#[cfg(feature = "dots")]
use super::dots;
use super::letter::Letter;
use super::{Sender, dbus, exec, mqtt, notify, syslog, webhook};
use engine::Signal;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// One of them, ready to be sent to.
#[derive(Debug)]
pub(super) enum Other {
    Exec(exec::Settings),
    Webhook(webhook::Settings),
    Dbus(dbus::Settings),
    Notify(notify::Settings),
    #[cfg(feature = "dots")]
    Dots(dots::Settings),
    Syslog(syslog::Settings),
    Mqtt(mqtt::Settings),
}

impl Other {
    /// Does what it has to before the first signal; goes on as `before` was, where it is the same.
    pub(super) fn begin(&mut self, before: Option<&Self>, sender: &Sender, runtime: &Handle) {
        match self {
            Self::Dbus(dbus) => {
                let before = before.and_then(|it| if let Self::Dbus(before) = it { Some(before) } else { None });
                dbus.begin(before, sender, runtime);
            }
            Self::Webhook(webhook) => {
                let before = before.and_then(|it| if let Self::Webhook(before) = it { Some(before) } else { None });
                webhook.begin(before, sender);
            }
            Self::Syslog(syslog) => {
                if let Some(Self::Syslog(before)) = before {
                    syslog.begin(before);
                }
            }
            #[cfg(feature = "dots")]
            Self::Dots(dots) => {
                if let Some(Self::Dots(before)) = before {
                    dots.begin(before);
                }
            }
            Self::Mqtt(mqtt) => {
                let before = before.and_then(|it| if let Self::Mqtt(before) = it { Some(before) } else { None });
                mqtt.begin(before, sender, runtime);
            }
            Self::Exec(_) | Self::Notify(_) => {}
        }
    }

    /// Remembers how things are now, for what is said besides signals.
    pub(super) fn note(&self, signal: &Signal) {
        match self {
            Self::Webhook(webhook) => webhook.note(signal),
            Self::Mqtt(mqtt) => mqtt.note(signal),
            #[cfg(feature = "dots")]
            Self::Dots(_) => {}
            Self::Exec(_) | Self::Dbus(_) | Self::Notify(_) | Self::Syslog(_) => {}
        }
    }

    /// Nothing more is sent.
    pub(super) async fn leave(&self) {
        if let Self::Mqtt(mqtt) = self {
            mqtt.leave().await;
        }
    }
}

impl Peer for Other {
    fn at_once(&self) -> usize {
        if let Self::Syslog(syslog) = self { syslog.at_once() } else { 1 }
    }

    async fn attempt(&self, letters: &[Letter]) -> Answer {
        for letter in letters {
            let answer = match self {
                Self::Exec(exec) => exec.attempt(letter).await,
                Self::Webhook(webhook) => webhook.attempt(letter).await,
                Self::Dbus(dbus) => dbus.attempt(letter).await,
                Self::Notify(notify) => notify.attempt(letter).await,
                #[cfg(feature = "dots")]
                Self::Dots(dots) => dots.attempt(letter).await,
                Self::Mqtt(mqtt) => mqtt.attempt(letter).await,
                // It takes all of them together.
                Self::Syslog(syslog) => return syslog.attempt(letters).await,
            };
            if answer != Answer::Yes {
                return answer;
            }
        }
        Answer::Yes
    }

    fn again(&self) -> Option<Instant> {
        match self {
            Self::Webhook(webhook) => webhook.again(),
            #[cfg(feature = "dots")]
            Self::Dots(dots) => dots.again(),
            Self::Syslog(syslog) => syslog.again(),
            Self::Exec(_) | Self::Dbus(_) | Self::Notify(_) | Self::Mqtt(_) => None,
        }
    }

    async fn remind(&self) -> Answer {
        match self {
            Self::Webhook(webhook) => webhook.remind().await,
            #[cfg(feature = "dots")]
            Self::Dots(dots) => dots.remind().await,
            Self::Syslog(syslog) => syslog.remind().await,
            Self::Exec(_) | Self::Dbus(_) | Self::Notify(_) | Self::Mqtt(_) => Answer::Yes,
        }
    }
}
