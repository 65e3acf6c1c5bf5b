//! A few totals over the recent past: their increase over a window, and the slope of a rate. When the ticks were is in `clock`.

use crate::clock::{Base, Clock};
use std::collections::VecDeque;

/// `N` totals as they were at the ticks at which they moved; at all others they were as at the one before.
///
/// One that does not move costs nothing, and one that never did holds no memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Series<const N: usize> {
    entries: VecDeque<(u64, [u64; N])>,
    total: [u64; N],
    since: u64,
}

impl<const N: usize> Series<N> {
    /// Zeros, which say nothing of the time before tick `since`.
    pub(crate) const fn new(since: u64) -> Self {
        Self { entries: VecDeque::new(), total: [0; N], since }
    }

    /// Adds to the totals at `tick`; nobody will ask for what was before tick `oldest`.
    pub(crate) fn add(&mut self, tick: u64, oldest: u64, increase: [u64; N]) {
        for (total, increase) in self.total.iter_mut().zip(increase) {
            *total = total.wrapping_add(increase);
        }
        match self.entries.back_mut() {
            Some((last, total)) if *last == tick => *total = self.total,
            _ => self.entries.push_back((tick, self.total)),
        }
        while self.entries.get(1).is_some_and(|&(next, _)| next <= oldest) {
            self.entries.pop_front();
        }
    }

    /// How much the totals grew since `base`; `None` if they are not known that far back.
    pub(crate) fn increase(&self, base: Base) -> Option<[u64; N]> {
        if base.tick < self.since {
            return None;
        }
        let before = self.entries.partition_point(|&(tick, _)| tick <= base.tick);
        let mut increase = self.total;
        if let Some((_, then)) = before.checked_sub(1).and_then(|index| self.entries.get(index)) {
            for (total, then) in increase.iter_mut().zip(then) {
                *total = total.wrapping_sub(*then);
            }
        }
        Some(increase)
    }

    /// The increases since `base`, a second.
    pub(crate) fn rates(&self, base: Base) -> Option<[f64; N]> {
        Some(self.increase(base)?.map(|increase| increase as f64 / base.seconds))
    }

    /// How fast the rate of the first total changes, a second per second: the least-squares line through the rates of
    /// the ticks since `base`, each weighing as much as it is long. `None` if there are fewer than two, or not known.
    pub(crate) fn slope(&self, clock: &Clock, base: Base) -> Option<f64> {
        if base.tick < self.since {
            return None;
        }
        let mut ticks = clock.since(base.tick);
        let (_, start) = ticks.next()?;
        let mut next = self.entries.partition_point(|&(tick, _)| tick <= base.tick);
        let mut total =
            next.checked_sub(1).and_then(|index| self.entries.get(index)).map_or(0, |(_, totals)| first(totals));
        let (mut before, mut weights, mut times, mut squares, mut counts, mut products) =
            (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for (tick, at) in ticks {
            let now = at.since(start).as_secs_f64();
            let (weight, middle) = (now - before, (now + before) / 2.0);
            before = now;
            let mut count = 0.0;
            if let Some((moved, totals)) = self.entries.get(next)
                && *moved == tick
            {
                count = first(totals).wrapping_sub(total) as f64;
                total = first(totals);
                next = next.saturating_add(1);
            }
            weights += weight;
            times += weight * middle;
            squares += weight * middle * middle;
            counts += count;
            products += count * middle;
        }
        let spread = squares - times * times / weights;
        let slope = (products - counts * times / weights) / spread;
        (spread > f64::EPSILON && slope.is_finite()).then_some(slope)
    }
}

fn first<const N: usize>(totals: &[u64; N]) -> u64 {
    totals.first().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;
    use core::time::Duration;

    #[test]
    fn a_series_that_rests_keeps_its_total() {
        let clock = clock(0..=20);
        let mut series = Series::new(0);
        series.add(3, 0, [30]);
        assert_eq!(series.increase(clock.base(Duration::from_secs(1)).unwrap()), Some([0]));
        assert_eq!(series.increase(clock.base(Duration::from_millis(1800)).unwrap()), Some([30]));
    }

    #[test]
    fn the_slope_of_a_ramp_is_its_steepness() {
        let clock = clock(0..50);
        let mut ramp = Series::new(0);
        for (tick, _) in clock.since(1) {
            ramp.add(tick, 0, [tick * 100]);
        }
        let slope = ramp.slope(&clock, clock.base(Duration::from_secs(4)).unwrap()).unwrap();
        assert!((slope - 10_000.0).abs() < 1e-6, "{slope}");
    }

    #[test]
    fn a_steady_rate_with_uneven_ticks_has_no_slope() {
        let mut clock = Clock::default();
        let mut series = Series::new(0);
        let mut before = 0;
        for step in 0..80_u64 {
            let at = step * 100 + (step * 7919) % 61;
            clock.pass(
                Time(at * 1_000_000),
                Duration::from_millis(100),
                Duration::from_secs(1),
                Duration::from_secs(5),
            );
            series.add(clock.last(), clock.first(), [(at - before) * 10]);
            before = at;
        }
        let slope = series.slope(&clock, clock.base(Duration::from_secs(5)).unwrap()).unwrap();
        assert!(slope.abs() < 1e-6, "{slope}");
    }

    #[test]
    fn a_series_knows_nothing_of_the_time_before_it() {
        let clock = clock(0..=20);
        let mut series = Series::new(11);
        series.add(12, 0, [5]);
        assert_eq!(series.increase(clock.base(Duration::from_secs(1)).unwrap()), None);
        assert_eq!(series.slope(&clock, clock.base(Duration::from_secs(1)).unwrap()), None);
        assert_eq!(series.increase(clock.base(Duration::from_millis(900)).unwrap()), Some([5]));
    }

    fn clock(tenths: impl IntoIterator<Item = u64>) -> Clock {
        let mut clock = Clock::default();
        for tenth in tenths {
            let (tick, long) = (Duration::from_millis(100), Duration::from_secs(60));
            clock.pass(Time(tenth * 100_000_000), tick, long, long);
        }
        clock
    }
}
