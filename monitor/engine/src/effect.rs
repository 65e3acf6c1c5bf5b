//! What the steps of a route did to the load that its condition measures. What follows from that is in `climb`.
//!
//! After a step the value says what load is left. What there would be without the step is what is left times what the step
//! moved, and that shows in the three minutes after it: by then paths have changed, and what is sent mostly has not.

use core::time::Duration;

/// By how much each step that is in force divided the load.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Effect {
    /// The load, as a multiple of the falling threshold, without what comes and goes within seconds.
    load: Option<f64>,
    /// The last step up, while it is being watched.
    watched: Option<Watched>,
    /// By step in force, the first one first: how many times less load there was after it, at least 1; `None` where nobody saw.
    divided: Vec<Option<f64>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Watched {
    /// For how long.
    age: Duration,
    /// The most load before paths can have changed.
    most: f64,
    /// The least load once they have.
    least: f64,
}

/// Until then few paths have changed, and whoever began to send is doing so in full.
const MOVING: Duration = Duration::from_secs(60);
/// From then on most have.
const MOVED: Duration = Duration::from_secs(90);
/// For so long a step is watched.
const SETTLED: Duration = Duration::from_secs(180);
/// A load that is divided by this or more is hardly there.
const HARDLY: f64 = 20.0;
/// A load over this, as a multiple of falling, is far over rising too: half as much again, where falling has its default.
const FAR: f64 = 1.5 / 0.7;
/// What comes and goes within this time does not count.
const SMOOTH: Duration = Duration::from_secs(10);

impl Effect {
    pub(crate) const fn new() -> Self {
        Self { load: None, watched: None, divided: Vec::new() }
    }

    /// As it was remembered.
    pub(crate) fn of(divided: &[Option<f64>]) -> Self {
        Self { divided: divided.to_vec(), ..Self::new() }
    }

    /// What is to be remembered.
    pub(crate) fn divided(&self) -> Vec<Option<f64>> {
        self.divided.clone()
    }

    /// Takes the load now, if it can be measured.
    pub(crate) fn see(&mut self, load: Option<f64>, elapsed: Duration) {
        let Some(now) = load else { return };
        let share = (elapsed.as_secs_f64() / SMOOTH.as_secs_f64()).min(1.0);
        let before = self.load.unwrap_or(now);
        let load = before + (now - before) * share;
        self.load = Some(load);
        let Some(Watched { age, most, least }) = &mut self.watched else { return };
        *age = age.saturating_add(elapsed);
        if *age < MOVING {
            *most = most.max(load);
        } else if *age >= MOVED {
            *least = least.min(load);
        }
        if *age >= SETTLED {
            if let Some(last) = self.divided.last_mut() {
                *last = Some((*most / least.max(f64::MIN_POSITIVE)).max(1.0));
            }
            self.watched = None;
        }
    }

    /// The route is on this step now, from a lower one if `up`.
    pub(crate) fn step(&mut self, to: usize, up: bool) {
        self.watched = None;
        self.divided.resize(to, None);
        if up && let Some(load) = self.load {
            self.watched = Some(Watched { age: Duration::ZERO, most: load, least: f64::MAX });
        }
    }

    /// Whether the last step left hardly anything: how that goes up and down says nothing of what was moved.
    pub(crate) fn left_nothing(&self) -> bool {
        matches!(self.divided.last(), Some(&Some(divided)) if divided >= HARDLY)
    }

    /// Whether the last step moved so little that another one like it would leave the load far over rising: who is left has no
    /// other path, or others come instead.
    pub(crate) fn is_futile(&self) -> bool {
        let Some(&Some(divided)) = self.divided.last() else { return false };
        self.load.is_some_and(|load| load / divided >= FAR)
    }

    /// Whether the load is far over rising.
    pub(crate) fn is_far(&self) -> bool {
        self.load.is_some_and(|load| load >= FAR)
    }

    /// Whether the load would not be under falling if the last step were released, as far as is known.
    pub(crate) fn would_be_back(&self) -> bool {
        let Some(&Some(divided)) = self.divided.last() else { return false };
        self.load.is_some_and(|load| load * divided >= 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_step_moved_would_be_back_without_it() {
        let mut effect = stepped(2.0, 0.8);
        assert!(effect.would_be_back());
        see(&mut effect, 60, |_| 0.3);
        assert!(!effect.would_be_back(), "2.0 / 0.8 * 0.3 is under falling");
    }

    #[test]
    fn nothing_is_known_before_paths_have_changed() {
        let mut effect = Effect::new();
        see(&mut effect, 60, |_| 2.0);
        effect.step(1, true);
        see(&mut effect, 170, |_| 0.8);
        assert!(!effect.would_be_back());
        see(&mut effect, 10, |_| 0.8);
        assert!(effect.would_be_back());
    }

    #[test]
    fn a_load_that_only_begins_counts_in_full() {
        let mut effect = Effect::new();
        see(&mut effect, 60, |_| 0.5);
        effect.step(1, true);
        // It takes half a minute to become 3, and the step leaves a third of it.
        see(&mut effect, 30, |second| 1.0 + second as f64 / 15.0);
        see(&mut effect, 20, |_| 3.0);
        see(&mut effect, 200, |_| 1.0);
        see(&mut effect, 60, |_| 0.5);
        assert!(effect.would_be_back());
        see(&mut effect, 60, |_| 0.2);
        assert!(!effect.would_be_back());
    }

    #[test]
    fn each_step_is_known_by_itself() {
        let mut effect = stepped(4.0, 2.0);
        effect.step(2, true);
        see(&mut effect, 20, |_| 2.0);
        see(&mut effect, 200, |_| 0.6);
        see(&mut effect, 60, |_| 0.4);
        assert!(effect.would_be_back(), "2.0 / 0.6 * 0.4");
        effect.step(1, false);
        see(&mut effect, 60, |_| 0.4);
        assert!(!effect.would_be_back(), "4.0 / 2.0 * 0.4");
        effect.step(0, false);
        assert!(!effect.would_be_back());
    }

    #[test]
    fn where_hardly_anything_is_left_it_says_nothing() {
        assert!(
            !stepped(2.0, 0.2).left_nothing() && stepped(2.0, 0.05).left_nothing() && stepped(2.0, 0.0).left_nothing()
        );
        assert!(!Effect::new().left_nothing());
    }

    #[test]
    fn a_step_that_moved_little_of_much_is_futile() {
        assert!(stepped(3.0, 2.8).is_futile() && !stepped(3.0, 2.0).is_futile());
        let mut effect = stepped(3.0, 2.8);
        see(&mut effect, 60, |_| 2.0);
        assert!(!effect.is_futile(), "of what is left now it may be enough");
    }

    #[test]
    fn of_a_step_that_was_found_nothing_is_known() {
        let mut effect = Effect::new();
        see(&mut effect, 600, |_| 5.0);
        assert!(!effect.would_be_back() && !effect.is_futile());
    }

    /// On a first step that left `after` of `before`.
    fn stepped(before: f64, after: f64) -> Effect {
        let mut effect = Effect::new();
        see(&mut effect, 60, |_| before);
        effect.step(1, true);
        see(&mut effect, 20, |_| before);
        see(&mut effect, 200, |_| after);
        effect
    }

    fn see(effect: &mut Effect, seconds: u64, load: impl Fn(u64) -> f64) {
        (0..seconds).for_each(|second| effect.see(Some(load(second)), Duration::from_secs(1)));
    }
}
