//! When to try again: jittered exponential backoff, and Retry-After (RFC 9110 section 10.2.3).

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// No answer makes us wait longer than this for the next attempt.
const LONGEST: Duration = Duration::from_secs(3600);
/// The least wait after an answer that asks for fewer requests.
const SLOW: Duration = Duration::from_secs(5);

/// When the next attempt may be, whichever signal it is for: a peer that is down is not asked more often because
/// there is more to tell it.
#[derive(Debug)]
pub(super) struct Pace {
    delays: ExponentialBackoff,
    pub(super) not_before: Instant,
}

impl Pace {
    /// At once.
    pub(super) fn new() -> Self {
        let delays = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(Duration::from_secs(60))
            .without_max_times()
            .with_jitter()
            .build();
        Self { delays, not_before: Instant::now() }
    }

    /// An attempt failed. What the other side asked for stands; else each wait is about twice the one before: 0.5 to
    /// 1 s first, 60 to 120 s in the end, and no less than 5 s if it is `overloaded`.
    pub(super) fn failed(&mut self, retry_after: Option<Duration>, overloaded: bool) -> Duration {
        let backoff = self.delays.next().unwrap_or(LONGEST);
        let least = if overloaded { SLOW } else { Duration::ZERO };
        let delay = retry_after.unwrap_or(backoff.max(least)).min(LONGEST);
        self.not_before = Instant::now() + delay;
        delay
    }
}

/// The value of a Retry-After header as a wait from `now` on: seconds or an IMF-fixdate; nothing if it is neither.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("0", now), Some(Duration::ZERO));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:07 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO), "in the past");
        for neither in ["", "soon", "-1", "1.5"] {
            assert_eq!(retry_after(neither, now), None, "{neither}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_a_minute_and_are_jittered() {
        let mut pace = Pace::new();
        let mut least = Duration::from_millis(500);
        for _ in 0..12 {
            let delay = pace.failed(None, false);
            assert!(delay >= least && delay <= 2 * least, "{delay:?} is not within {least:?} and twice that");
            assert_eq!(pace.not_before, Instant::now() + delay);
            least = (2 * least).min(Duration::from_secs(60));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_stands_but_for_no_longer_than_an_hour() {
        let mut pace = Pace::new();
        assert_eq!(pace.failed(Some(Duration::from_secs(7)), true), Duration::from_secs(7));
        assert_eq!(pace.failed(Some(Duration::MAX), false), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn an_overloaded_peer_gets_five_seconds() {
        assert!(Pace::new().failed(None, true) >= SLOW);
    }
}
