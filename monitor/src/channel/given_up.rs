//! What a channel gave up, and why: trouble from the first signal until it has sent one again and given up none for a minute.
//!
//! The receiver itself is told by the `lost` of the next one; who else is told, and by which signal, is the engine's.

use super::Waits;
use crate::config::units::show_duration;
use engine::{Of, Trouble, Troubled};
use std::time::{Duration, Instant};

/// So long nothing is given up before that is over: a channel that has too much to send says so once, not every time.
const QUIET: Duration = Duration::from_secs(60);

/// Why a signal was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Newer ones needed its place.
    NoRoom,
    /// It was tried for as long as it may be.
    TooOld,
    /// The receiver said that it is gone.
    Gone,
}

/// What was given up since all was well.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    signals: u64,
    why: Option<Why>,
    /// Of these, those that were not looked at yet.
    fresh: bool,
    last: Option<Instant>,
    sent_since: bool,
}

impl GivenUp {
    /// So many more.
    pub(super) const fn add(&mut self, signals: u64, why: Why) {
        if signals > 0 {
            self.signals += signals;
            self.why = Some(why);
            self.fresh = true;
            self.sent_since = false;
        }
    }

    /// One was accepted.
    pub(super) const fn sent(&mut self) {
        self.sent_since = true;
    }

    /// The trouble of the channel, if there is any; the log is told when it begins and when it is over. `answer` is the last no.
    pub(super) fn trouble(
        &mut self,
        channel: &str,
        waits: &Waits,
        answer: Option<&str>,
        now: Instant,
    ) -> Option<Troubled> {
        let why = self.why?;
        let begins = self.last.is_none();
        if std::mem::take(&mut self.fresh) {
            self.last = Some(now);
        }
        let since = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let signals = self.signals;
        if since >= QUIET && self.sent_since {
            tracing::info!(channel, signals, "gives no signals up any more, and sends again: so many were given up");
            *self = Self::default();
            return None;
        }
        let mut reasons = vec![said(channel, why, waits)];
        reasons.extend(answer.map(|answer| format!("its last answer: {answer}")));
        if begins {
            tracing::warn!(channel, signals, "gives signals up: {}", reasons.join("; "));
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of signals is far below 2^52")]
        let value = signals as f64;
        let of = Of::Channel(channel.to_owned());
        Some(Troubled { of, trouble: Trouble::GivenUp, value, threshold: 1.0, window: QUIET, reasons })
    }
}

/// What happened, to which channel, and what can be done.
fn said(channel: &str, why: Why, waits: &Waits) -> String {
    match why {
        Why::NoRoom => format!(
            "channel {channel} has no room for more than {} signals or {} bytes: more `queue` or `queue-size`, or a receiver that is faster",
            waits.count, waits.bytes
        ),
        Why::TooOld => {
            format!(
                "channel {channel} had no yes for them within {} (`give-up`): see to its receiver",
                show_duration(waits.age)
            )
        }
        Why::Gone => format!(
            "channel {channel} was told that its receiver is gone (410): `oopsd outbox retry {channel}` or a reload tries it again"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_with_the_first_and_ends_a_minute_after_the_last_once_one_was_sent() {
        let (mut given_up, start) = (GivenUp::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let at = |given_up: &mut GivenUp, seconds| {
            given_up.trouble("siem", &Waits::default(), Some("500"), after(seconds)).map(|trouble| trouble.value)
        };
        assert_eq!(at(&mut given_up, 0), None);
        given_up.add(3, Why::NoRoom);
        assert_eq!(at(&mut given_up, 1), Some(3.0));
        given_up.sent();
        assert_eq!(at(&mut given_up, 60), Some(3.0));
        given_up.add(1, Why::TooOld);
        assert_eq!(at(&mut given_up, 60), Some(4.0));
        assert_eq!(at(&mut given_up, 121), Some(4.0), "nothing was sent");
        given_up.sent();
        assert_eq!(at(&mut given_up, 122), None);
        assert_eq!(at(&mut given_up, 123), None);
        given_up.add(1, Why::Gone);
        assert_eq!(at(&mut given_up, 124), Some(1.0), "and it begins anew");
    }

    #[test]
    fn the_reasons_say_which_channel_what_happened_and_what_to_do() {
        let mut given_up = GivenUp::default();
        let mut reasons = |why| {
            given_up.add(1, why);
            given_up.trouble("siem", &Waits::default(), None, Instant::now()).unwrap().reasons.remove(0)
        };
        assert_eq!(
            reasons(Why::NoRoom),
            "channel siem has no room for more than 10000 signals or 16777216 bytes: more `queue` or `queue-size`, or a receiver that is faster"
        );
        assert_eq!(reasons(Why::TooOld), "channel siem had no yes for them within 1d (`give-up`): see to its receiver");
        assert!(reasons(Why::Gone).contains("`oopsd outbox retry siem` or a reload"));
    }
}
