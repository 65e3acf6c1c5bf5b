//! The ticks of the recent past: when each was, and which one a window begins with. What was counted at them is in `series`.

use crate::Time;
use core::time::Duration;
use std::collections::VecDeque;

/// When the last ticks were, numbered without gaps and without end.
///
/// It holds the ticks of the longest window and one before them. Those closer together than half a tick become one, so
/// that their number is bounded however often samples come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    ticks: VecDeque<Time>,
    first: u64,
}

/// How time went from the last sample to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// On, by this much.
    Forward(Duration),
    /// Not at all: nothing can be judged.
    Still,
    /// Too far to say what happened between, or back: windows begin here.
    Broken(Duration),
}

/// Where a window begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Base {
    /// The tick it begins with.
    pub(crate) tick: u64,
    /// Seconds from then to now; over 0.
    pub(crate) seconds: f64,
}

impl Clock {
    /// Takes the next tick; `limit` is the longest time between two that can be judged.
    pub(crate) fn pass(&mut self, at: Time, tick: Duration, limit: Duration, keep: Duration) -> Passage {
        let Some(&last) = self.ticks.back() else {
            self.ticks.push_back(at);
            return Passage::Broken(Duration::ZERO);
        };
        if at > last {
            let elapsed = at.since(last);
            self.push(at, tick);
            if elapsed > limit {
                self.forget();
                return Passage::Broken(elapsed);
            }
            self.prune(keep);
            Passage::Forward(elapsed)
        } else if at < last {
            self.ticks.push_back(at);
            self.forget();
            Passage::Broken(Duration::ZERO)
        } else {
            Passage::Still
        }
    }

    fn push(&mut self, at: Time, tick: Duration) {
        let before = self.ticks.len().checked_sub(2).and_then(|index| self.ticks.get(index)).copied();
        if let (Some(before), Some(last)) = (before, self.ticks.back_mut())
            && last.since(before).saturating_mul(2) < tick
        {
            *last = at;
        } else {
            self.ticks.push_back(at);
        }
    }

    fn prune(&mut self, keep: Duration) {
        let Some(start) = self.start(keep) else { return };
        while self.ticks.get(1).is_some_and(|&next| next <= start) {
            self.ticks.pop_front();
            self.first = self.first.saturating_add(1);
        }
    }

    /// Forgets all ticks but the last: every window begins with it.
    pub(crate) fn forget(&mut self) {
        while self.ticks.len() > 1 {
            self.ticks.pop_front();
            self.first = self.first.saturating_add(1);
        }
    }

    /// The newest tick that is at least `window` old; `None` while there is none, that is, the window is not full.
    pub(crate) fn base(&self, window: Duration) -> Option<Base> {
        let start = self.start(window)?;
        let index = self.ticks.partition_point(|&at| at <= start).checked_sub(1)?;
        let seconds = self.ticks.back()?.since(*self.ticks.get(index)?).as_secs_f64();
        (seconds > 0.0).then_some(Base { tick: self.first.saturating_add(index as u64), seconds })
    }

    fn start(&self, window: Duration) -> Option<Time> {
        let nanos = u64::try_from(window.as_nanos()).ok()?;
        self.ticks.back()?.0.checked_sub(nanos).map(Time)
    }

    /// The number of the oldest tick.
    pub(crate) const fn first(&self) -> u64 {
        self.first
    }

    /// The number of the newest tick; that of the first to come while there is none.
    pub(crate) fn last(&self) -> u64 {
        self.first.saturating_add((self.ticks.len() as u64).saturating_sub(1))
    }

    /// The ticks from number `from` on, with their numbers.
    pub(crate) fn since(&self, from: u64) -> impl Iterator<Item = (u64, Time)> {
        let skip = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        (self.first..).zip(self.ticks.iter().copied()).skip(skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(100);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_window_is_full_once_a_tick_is_as_old_as_it() {
        let mut clock = Clock::default();
        for tick in 0..10 {
            pass(&mut clock, tick * 100);
            assert_eq!(clock.base(SECOND), None);
        }
        pass(&mut clock, 1000);
        assert_eq!(clock.base(SECOND), Some(Base { tick: 0, seconds: 1.0 }));
    }

    #[test]
    fn a_window_reaches_back_to_the_newest_tick_before_it() {
        let mut clock = Clock::default();
        for at in [0, 90, 210, 600, 1100] {
            pass(&mut clock, at);
        }
        assert_eq!(clock.base(SECOND), Some(Base { tick: 1, seconds: 1.01 }));
    }

    #[test]
    fn ticks_that_come_too_fast_become_one() {
        let mut clock = Clock::default();
        for at in 0..60_000 {
            assert_ne!(pass(&mut clock, at), Passage::Still);
        }
        assert!(clock.ticks.len() < 30, "{} ticks", clock.ticks.len());
        assert!((clock.base(SECOND).unwrap().seconds - 1.0).abs() < 0.051);
    }

    #[test]
    fn a_gap_and_a_jump_back_begin_all_windows_again() {
        let mut clock = Clock::default();
        for at in 0..20 {
            pass(&mut clock, 100_000 + at * 100);
        }
        assert_eq!(pass(&mut clock, 101_900), Passage::Still);
        assert_eq!(pass(&mut clock, 103_000), Passage::Broken(Duration::from_millis(1100)));
        assert_eq!(clock.base(SECOND), None);
        assert_eq!(pass(&mut clock, 102_999), Passage::Broken(Duration::ZERO));
        assert_eq!(pass(&mut clock, 103_099), Passage::Forward(TICK));
        assert_eq!(clock.since(0).count(), 2);
    }

    fn pass(clock: &mut Clock, millis: u64) -> Passage {
        clock.pass(Time(millis * 1_000_000), TICK, SECOND, SECOND)
    }
}
