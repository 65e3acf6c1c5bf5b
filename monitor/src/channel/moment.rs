//! When a signal was made, by a clock that nobody sets: how long the kernel runs, suspends included, and which start of it that was.
//!
//! The wall clock is printed, and nothing else: a signal is no older because somebody set that.

use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use std::time::Duration;

/// Comparable with others of the same start of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moment {
    /// The beginning of its boot id; empty if that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    kernel: String,
    /// Nanoseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    up: u64,
}

impl Moment {
    /// Now.
    pub(super) fn now() -> Self {
        static KERNEL: OnceLock<String> = OnceLock::new();
        let read = || std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let kernel = KERNEL.get_or_init(|| read().chars().take(8).collect()).clone();
        Self { kernel, up: up() }
    }

    /// How long after `earlier` this is; nothing if the kernel was started in between.
    pub(super) fn since(&self, earlier: &Self) -> Option<Duration> {
        let known = !self.kernel.is_empty() && self.kernel == earlier.kernel;
        known.then(|| Duration::from_nanos(self.up.saturating_sub(earlier.up)))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(up: &u64) -> bool {
    *up == 0
}

fn up() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes to `time`, which is ours; every kernel that runs us has this clock.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) } != 0;
    let of = |number: i64| u64::try_from(number).unwrap_or_default();
    if failed { 0 } else { of(time.tv_sec).saturating_mul(1_000_000_000).saturating_add(of(time.tv_nsec)) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn moments_of_one_start_of_the_kernel_can_be_compared_and_no_others() {
        let (earlier, later) = (Moment::now(), Moment::now());
        assert!(later.since(&earlier).is_some_and(|passed| passed < Duration::from_secs(10)));
        assert_eq!(earlier.since(&later).map(|passed| passed < Duration::from_secs(10)), Some(true), "never negative");
        assert_eq!(later.since(&moment("another", 1)), None);
        assert_eq!(Moment::default().since(&Moment::default()), None);
        assert_eq!(moment("this", 9).since(&moment("this", 2)), Some(Duration::from_secs(7)));
    }

    /// So many seconds after a start of the kernel.
    pub(in super::super) fn moment(kernel: &str, seconds: u64) -> Moment {
        Moment { kernel: kernel.to_owned(), up: seconds * 1_000_000_000 }
    }
}
