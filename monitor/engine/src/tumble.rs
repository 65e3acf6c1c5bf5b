//! Rates of the zones that are too many to watch: one for each window that has ended, in 28 bytes a zone.

use crate::Time;
use core::time::Duration;

/// Counts of the present window and of the last one that each zone moved in.
///
/// Windows follow each other without overlap. A zone is touched only when it moves; one that rested in a window reads 0.
#[derive(Clone, Debug)]
pub(crate) struct Tumble {
    /// By slot: the window it moved in last, three counts in it, and those of the window before that. No struct, because an
    /// array of integers is allocated as zeros without being written.
    zones: Vec<[u32; 7]>,
    window: u32,
    start: Time,
    seconds: Option<f64>,
}

impl Tumble {
    /// For slots under `slots`; none if all zones are watched.
    pub(crate) fn new(slots: u32) -> Self {
        Self { zones: vec![[0; 7]; slots as usize], window: 1, start: Time(0), seconds: None }
    }

    /// Adds to the present window.
    pub(crate) fn add(&mut self, slot: u32, counts: [u64; 3]) {
        let Some([window, a, b, c, last @ ..]) = self.zones.get_mut(slot as usize) else { return };
        if *window != self.window {
            *last = if window.wrapping_add(1) == self.window { [*a, *b, *c] } else { [0; 3] };
            [*a, *b, *c] = [0; 3];
            *window = self.window;
        }
        for (sum, count) in [a, b, c].into_iter().zip(counts) {
            *sum = sum.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// Ends the present window if it is as long as `window` now.
    pub(crate) fn pass(&mut self, at: Time, window: Duration) {
        let long = at.since(self.start);
        if long >= window && !long.is_zero() {
            self.seconds = Some(long.as_secs_f64());
            self.start = at;
            self.window = self.window.wrapping_add(1);
        }
    }

    /// Forgets what was counted; a window begins now.
    pub(crate) fn restart(&mut self, at: Time) {
        self.seconds = None;
        self.start = at;
        self.window = self.window.wrapping_add(2);
    }

    /// The counts of the last window that ended, a second; `None` before the first, or if the slot is not kept here.
    pub(crate) fn rates(&self, slot: u32) -> Option<[f64; 3]> {
        let &[window, a, b, c, d, e, f] = self.zones.get(slot as usize)?;
        let seconds = self.seconds?;
        let counts = match self.window.wrapping_sub(window) {
            0 => [d, e, f],
            1 => [a, b, c],
            _ => [0; 3],
        };
        Some(counts.map(|count| f64::from(count) / seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_reads_its_last_whole_window_and_then_nothing() {
        let mut tumble = Tumble::new(3);
        tumble.restart(Time(0));
        tumble.add(1, [100, 0, 0]);
        assert_eq!(rate(&tumble), None);
        pass(&mut tumble, 1000);
        assert_eq!(rate(&tumble), Some(100.0));
        tumble.add(1, [900, 0, 0]);
        assert_eq!(rate(&tumble), Some(100.0));
        pass(&mut tumble, 3000);
        assert_eq!(rate(&tumble), Some(450.0));
        pass(&mut tumble, 4000);
        assert_eq!(rate(&tumble), Some(0.0));
        tumble.restart(Time(5_000_000_000));
        assert_eq!(rate(&tumble), None);
    }

    fn rate(tumble: &Tumble) -> Option<f64> {
        tumble.rates(1).map(|[queries, ..]| queries)
    }

    fn pass(tumble: &mut Tumble, millis: u64) {
        tumble.pass(Time(millis * 1_000_000), Duration::from_secs(1));
    }
}
