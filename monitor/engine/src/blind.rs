//! Whether the capture can be trusted: what it says of itself, and the share of frames it lost. What freezes then is in `judge`.

use crate::clock::Clock;
use crate::series::Series;
use crate::{Sight, State, Time};
use core::time::Duration;

/// Sight is lost at once and comes back slowly: only after a whole window without a reason and without loss over the limit.
#[derive(Clone, Debug)]
pub(crate) struct Blindness {
    /// Frames that reached the capture, frames it lost, and frames that interfaces lost.
    frames: Series<3>,
    last: Option<[u64; 3]>,
    blind: bool,
    clear: Option<Time>,
    share: Option<f64>,
    missed: Option<f64>,
}

/// Interfaces count what nobody here speaks (spanning tree, LLDP) among what they lost. So few frames, and so small a share of all, are no
/// harm.
const FEW_MISSED: u64 = 10;
const SMALL_SHARE: f64 = 0.001;

impl Blindness {
    pub(crate) const fn new() -> Self {
        Self { frames: Series::new(0), last: None, blind: false, clear: None, share: None, missed: None }
    }

    /// Counts the frames of a sample. Those of a new generation begin anywhere.
    pub(crate) fn count(&mut self, sight: &Sight, clock: &Clock, fresh: bool) {
        let now = [sight.frames, sight.dropped, sight.missed];
        let before = if fresh { now } else { self.last.unwrap_or(now) };
        self.last = Some(now);
        let mut grown = [0; 3];
        for (grown, (now, before)) in grown.iter_mut().zip(now.into_iter().zip(before)) {
            let by = now.wrapping_sub(before);
            *grown = if by > 1 << 63 { 0 } else { by };
        }
        if grown != [0; 3] {
            self.frames.add(clock.last(), clock.first(), grown);
        }
    }

    /// Judges the capture over `window`; the edge, if there is one.
    pub(crate) fn judge(
        &mut self,
        at: Time,
        sight: &Sight,
        clock: &Clock,
        window: Duration,
        limit: f64,
    ) -> Option<State> {
        let increase = clock.base(window).and_then(|base| self.frames.increase(base));
        self.share = increase.map(|[frames, lost, _]| share(frames, lost));
        self.missed = increase
            .filter(|&[_, _, missed]| missed >= FEW_MISSED)
            .map(|[frames, _, missed]| share(frames, missed))
            .filter(|&share| share >= SMALL_SHARE);
        if !sight.blind.is_empty() || self.share.is_some_and(|share| share > limit) {
            self.clear = None;
            return (!core::mem::replace(&mut self.blind, true)).then_some(State::Met);
        }
        if !self.blind {
            return None;
        }
        let clear = *self.clear.get_or_insert(at);
        if self.share.is_none() || at.since(clear) < window {
            return None;
        }
        self.blind = false;
        self.clear = None;
        Some(State::Cleared)
    }

    /// The time before this sample is not known: a clear window begins anew.
    pub(crate) const fn restart(&mut self) {
        self.clear = None;
    }

    /// The share of frames lost over the window, if that is full.
    pub(crate) const fn share(&self) -> Option<f64> {
        self.share
    }

    /// The share of frames that interfaces lost over the window, if it is one that matters.
    pub(crate) const fn missed(&self) -> Option<f64> {
        self.missed
    }

    pub(crate) const fn is_blind(&self) -> bool {
        self.blind
    }

    /// The share of frames that could not be seen; all of them where an interface cannot be.
    pub(crate) fn value(&self, sight: &Sight) -> f64 {
        if sight.blind.is_empty() { self.share.unwrap_or(0.0) } else { 1.0 }
    }

    /// Why it is blind, in words.
    pub(crate) fn reasons(&self, sight: &Sight, limit: f64) -> Vec<String> {
        let mut reasons = sight.blind.clone();
        if let Some(share) = self.share.filter(|&share| share > limit) {
            reasons.push(format!("{:.1} % of frames lost", share * 100.0));
        }
        reasons
    }
}

fn share(frames: u64, lost: u64) -> f64 {
    if lost == 0 { 0.0 } else { lost as f64 / (frames as f64 + lost as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losing_more_than_the_limit_over_a_window_is_blind_until_a_window_was_clear() {
        let mut trace = Trace::new();
        assert_eq!(trace.run(20, 1000, 0), []);
        assert_eq!(trace.run(10, 1000, 20), [(5, State::Met)]);
        // Ten ticks until the loss has left the window far enough, ten more of clear sight.
        assert_eq!(trace.run(40, 1000, 0), [(14, State::Cleared)]);
    }

    #[test]
    fn a_reason_is_blind_at_once_and_clear_after_a_window() {
        let mut trace = Trace::new();
        trace.run(20, 10, 0);
        trace.sight.blind = vec!["eth0: down".into()];
        assert_eq!(trace.run(10, 10, 0), [(0, State::Met)]);
        assert_eq!(trace.blindness.reasons(&trace.sight, 0.01), ["eth0: down"]);
        trace.sight.blind.clear();
        assert_eq!(trace.run(20, 10, 0), [(10, State::Cleared)]);
    }

    #[test]
    fn an_idle_interface_is_not_blind() {
        assert_eq!(Trace::new().run(50, 0, 0), []);
    }

    #[test]
    fn what_interfaces_lose_is_harm_and_no_blindness_unless_it_is_hardly_anything() {
        let mut trace = Trace::new();
        trace.run(20, 10_000, 0);
        trace.missed(10, 10_000, 9);
        assert_eq!(trace.blindness.missed(), None, "90 of 100,000");
        trace.missed(10, 10_000, 11);
        assert!(trace.blindness.missed().is_some_and(|share| (0.001..0.0012).contains(&share)));
        assert!(!trace.blindness.is_blind());
        trace.run(20, 10, 0);
        assert_eq!(trace.blindness.missed(), None);
        trace.missed(1, 10, 9);
        assert_eq!(trace.blindness.missed(), None, "9 of 109");
        assert_eq!(trace.blindness.share(), Some(0.0));
    }

    struct Trace {
        clock: Clock,
        blindness: Blindness,
        sight: Sight,
        at: u64,
    }

    impl Trace {
        fn new() -> Self {
            Self { clock: Clock::default(), blindness: Blindness::new(), sight: Sight::default(), at: 0 }
        }

        fn missed(&mut self, ticks: usize, frames: u64, missed: u64) {
            for _ in 0..ticks {
                self.sight.missed += missed;
                assert_eq!(self.run(1, frames, 0), []);
            }
        }

        fn run(&mut self, ticks: usize, frames: u64, dropped: u64) -> Vec<(usize, State)> {
            let (tick, window) = (Duration::from_millis(100), Duration::from_secs(1));
            let mut edges = Vec::new();
            for index in 0..ticks {
                self.at += 100_000_000;
                self.sight.frames += frames;
                self.sight.dropped += dropped;
                let at = Time(self.at);
                self.clock.pass(at, tick, window, window);
                self.blindness.count(&self.sight, &self.clock, false);
                if let Some(state) = self.blindness.judge(at, &self.sight, &self.clock, window, 0.01) {
                    edges.push((index, state));
                }
            }
            edges
        }
    }
}
