//! Up a ladder while a condition is met, and slowly down again.

use crate::ladder::{HOUR, Ladder};
use crate::machine::Known;
use crate::{Action, Intent, Policy, Route, Rung, Time};
use core::time::Duration;
use std::collections::VecDeque;

/// Where a route is on its ladder, and what it has been through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Climb {
    /// The condition it follows, as an index.
    pub(crate) condition: Option<usize>,
    /// The number of its step, 0 for plain; `None` until the condition says so, or a router.
    step: Option<usize>,
    /// The condition is known, and so how the prefix should be announced.
    known: bool,
    /// For how long it was seen there: time that is blind does not count.
    kept: Duration,
    /// How often the hold was doubled.
    doubled: u32,
    /// It was released, and the condition has not stayed cleared for a hold since.
    released: bool,
    /// When it left the plain path.
    began: Option<Time>,
    /// It has been held for as long as it may: no more steps until the condition has cleared.
    spent: bool,
    /// The changes of the last hour.
    changes: VecDeque<Time>,
    /// The budget keeps it from the change that is due.
    over_budget: bool,
    because: String,
}

/// What is known of the condition at a tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    pub(crate) known: Known,
    pub(crate) at: Time,
    /// The time that was seen since the last look.
    pub(crate) elapsed: Duration,
    /// How the condition became what it is, in words.
    pub(crate) why: &'a str,
}

impl Climb {
    pub(crate) const fn new() -> Self {
        Self {
            condition: None,
            step: None,
            known: false,
            kept: Duration::MAX,
            doubled: 0,
            released: false,
            began: None,
            spent: false,
            changes: VecDeque::new(),
            over_budget: false,
            because: String::new(),
        }
    }

    /// Follows the condition; whether the action changed.
    pub(crate) fn follow(&mut self, policy: &Policy, look: Look<'_>) -> bool {
        // What the router announces is from before this engine, or from before the plan changed: it stays.
        if look.known == Known::Unknown {
            return false;
        }
        self.kept = self.kept.saturating_add(look.elapsed);
        let fresh = !core::mem::replace(&mut self.known, true);
        let step = *self.step.get_or_insert(0);
        if fresh {
            look.why.clone_into(&mut self.because);
        }
        match policy {
            Policy::Absorb => {
                if fresh && look.known == Known::Met {
                    self.because.push_str("; absorbed");
                }
                fresh
            }
            Policy::Demote(ladder) => self.climb(ladder, step, look) || fresh,
        }
    }

    /// The router announced it so before this engine began: it is on that step.
    pub(crate) fn found(&mut self, policy: &Policy, action: Action, at: Time) {
        let Policy::Demote(ladder) = policy else { return };
        let step = (1..=ladder.steps.len()).find(|&step| ladder.action(step) == action);
        if self.step.is_none() && step.is_some() {
            self.step = step;
            self.kept = Duration::ZERO;
            self.began = Some(at);
        }
    }

    /// Goes on under another policy, on the same step as far as there is one.
    pub(crate) fn under(&self, policy: &Policy) -> Option<Self> {
        let Policy::Demote(ladder) = policy else { return None };
        let step = self.step.map(|step| step.min(ladder.steps.len()));
        Some(Self { step, ..self.clone() })
    }

    fn climb(&mut self, ladder: &Ladder, step: usize, look: Look<'_>) -> bool {
        while self.changes.front().is_some_and(|&change| look.at.since(change) >= HOUR) {
            self.changes.pop_front();
        }
        let due = self.due(ladder, step, look);
        // The last change of an hour is kept for the way back to the plain path.
        let needed = if matches!(due, Some((0, _))) { 1 } else { 2 };
        self.over_budget = due.is_some() && self.left(ladder) < needed;
        let Some((to, because)) = due.filter(|_| !self.over_budget) else { return false };
        if to > step && self.released {
            self.doubled = self.doubled.saturating_add(1);
        }
        self.released = to < step;
        self.step = Some(to);
        self.kept = Duration::ZERO;
        self.began = (to > 0).then(|| self.began.unwrap_or(look.at));
        self.changes.push_back(look.at);
        self.because = because;
        true
    }

    /// The step that should be next, and why.
    fn due(&mut self, ladder: &Ladder, step: usize, look: Look<'_>) -> Option<(usize, String)> {
        let Look { known, at, why, .. } = look;
        let last = ladder.steps.len();
        let demoted = self.began.map_or(Duration::ZERO, |began| at.since(began));
        if step > 0 && demoted >= ladder.max_hold {
            self.spent = known == Known::Met;
            return Some((0, format!("{why}; held for {:?}, which is the longest", ladder.max_hold)));
        }
        let hold = self.hold(ladder);
        match known {
            Known::Met if self.spent || step >= last || self.kept < ladder.step_every => None,
            // It would hardly have begun before it ends.
            Known::Met if step > 0 && demoted.saturating_add(ladder.step_every) > ladder.max_hold => None,
            Known::Met if self.released && hold >= ladder.max_hold => {
                self.spent = true;
                None
            }
            Known::Met => {
                let to = step.saturating_add(1);
                Some((to, if last > 1 { format!("{why}; step {to} of {last}") } else { why.to_owned() }))
            }
            Known::Cleared => {
                self.spent = false;
                if self.kept < hold {
                    return None;
                }
                if step == 0 {
                    self.released = false;
                    self.doubled = 0;
                }
                step.checked_sub(1).map(|to| (to, why.to_owned()))
            }
            Known::Unknown => None,
        }
    }

    /// How long a step is kept before it is released.
    fn hold(&self, ladder: &Ladder) -> Duration {
        let factor = 2_u32.saturating_pow(self.doubled);
        ladder.hold.saturating_mul(factor).min(ladder.max_hold)
    }

    fn left(&self, ladder: &Ladder) -> usize {
        ladder.changes.saturating_sub(self.changes.len())
    }

    /// Whether the budget keeps it from a change that is due; how many were made within the hour.
    pub(crate) fn over_budget(&self) -> (bool, usize) {
        (self.over_budget, self.changes.len())
    }

    pub(crate) fn rung(&self, policy: &Policy) -> Rung {
        let (action, budget_left) = match policy {
            Policy::Absorb => (Action::Plain, None),
            Policy::Demote(ladder) => (ladder.action(self.step.unwrap_or(0)), Some(self.left(ladder))),
        };
        Rung { action: self.known.then_some(action), budget_left }
    }

    /// How the prefix should be announced, for a router.
    pub(crate) fn intent(&self, route: &Route) -> Option<Intent> {
        let (router, prefix) = (route.router.clone(), route.prefix.clone());
        let action = self.rung(&route.policy).action?;
        Some(Intent { router, prefix, action, because: self.because.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::test::ladder;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const MINUTE: u64 = 60;

    #[test]
    fn a_route_is_left_alone_until_its_condition_is_known() {
        let mut route = Trace::new(ladder(&[2]));
        route.look(1, Known::Unknown);
        assert_eq!(route.action(), None);
        route.look(1, Known::Met);
        assert_eq!(route.action(), Some(Action::Prepend(2)));
    }

    #[test]
    fn it_climbs_a_step_at_a_time_and_comes_down_a_step_at_a_time() {
        let mut route = Trace::new(ladder(&[1, 3]));
        route.pass(25 * MINUTE, Known::Met);
        route.pass(45 * MINUTE, Known::Cleared);
        assert_eq!(route.changes, [(1, 1), (10 * MINUTE + 1, 3), (25 * MINUTE + 1, 1), (35 * MINUTE + 1, 0)]);
    }

    #[test]
    fn a_step_is_kept_for_the_hold_though_the_condition_clears_at_once() {
        let mut route = Trace::new(ladder(&[1]));
        route.look(1, Known::Met);
        route.pass(20 * MINUTE, Known::Cleared);
        assert_eq!(route.changes, [(1, 1), (10 * MINUTE + 1, 0)]);
    }

    #[test]
    fn each_return_of_the_condition_doubles_the_hold() {
        let mut route = Trace::new(Ladder { changes: 100, ..ladder(&[1]) });
        route.under_a_load_that_one_step_halves(5 * 3600);
        let kept: Vec<u64> = route.kept();
        assert_eq!(kept[..4], [10, 20, 40, 80].map(|minutes| minutes * MINUTE));
    }

    #[test]
    fn a_load_that_comes_back_whenever_it_is_let_is_absorbed_in_the_end() {
        let mut route = Trace::new(ladder(&[1]));
        route.under_a_load_that_one_step_halves(48 * 3600);
        let (last, action) = *route.changes.last().unwrap();
        assert_eq!((action, route.climb.spent), (0, true));
        assert!(last < 9 * 3600, "{:?}", route.changes);
        route.look(1, Known::Cleared);
        route.look(1, Known::Met);
        assert_eq!(route.action(), Some(Action::Prepend(1)));
    }

    #[test]
    fn a_step_ends_after_max_hold_until_the_condition_has_cleared() {
        let mut route = Trace::new(ladder(&[1, 2]));
        route.pass(24 * 3600, Known::Met);
        assert_eq!(route.changes, [(1, 1), (10 * MINUTE + 1, 2), (2 * 3600 + 1, 0)]);
        assert_eq!(route.climb.because, "c; held for 7200s, which is the longest");
        route.look(1, Known::Cleared);
        route.look(1, Known::Met);
        assert_eq!(route.action(), Some(Action::Prepend(1)));
    }

    #[test]
    fn over_the_budget_it_stays_and_says_so_and_the_way_back_is_always_open() {
        let mut route =
            Trace::new(Ladder { changes: 2, hold: Duration::ZERO, step_every: Duration::ZERO, ..ladder(&[1]) });
        for (known, over_budget, action) in
            [(Known::Met, false, 1), (Known::Cleared, false, 0), (Known::Met, true, 0), (Known::Cleared, false, 0)]
        {
            route.look(1, known);
            assert_eq!(
                (route.climb.over_budget(), route.step()),
                ((over_budget, 1 + usize::from(action == 0)), action)
            );
        }
        route.pass(3600, Known::Met);
        assert_eq!(route.changes, [(1, 1), (2, 0), (3602, 1)]);
    }

    #[test]
    fn time_that_was_not_seen_does_not_count_as_kept() {
        let mut route = Trace::new(ladder(&[1]));
        route.look(1, Known::Met);
        route.seconds += 3600;
        route.look(1, Known::Cleared);
        assert_eq!(route.step(), 1);
    }

    #[test]
    fn what_was_found_is_released_like_any_other_step() {
        let mut route = Trace::new(ladder(&[1, 3]));
        route.climb.found(&route.policy, Action::Prepend(3), Time(0));
        route.look(1, Known::Unknown);
        assert_eq!(route.action(), None);
        route.pass(30 * MINUTE, Known::Cleared);
        assert_eq!(route.changes, [(2, 3), (10 * MINUTE + 1, 1), (20 * MINUTE + 1, 0)]);
    }

    #[test]
    fn absorbing_keeps_the_path_plain() {
        let mut route = Trace::new(ladder(&[1]));
        route.policy = Policy::Absorb;
        route.look(1, Known::Met);
        assert_eq!((route.action(), route.climb.because.as_str()), (Some(Action::Plain), "c; absorbed"));
    }

    proptest! {
        /// Whatever the condition does: the budget, the distances, one step at a time, the end of every hold.
        #[test]
        fn no_condition_makes_it_flap(
            steps in 1_usize..4,
            changes in 2_usize..7,
            hold in 1_u64..900,
            every in 1_u64..900,
            longest in 900_u64..7200,
            course in vec((1_u64..2000, prop_oneof![Just(Known::Met), Just(Known::Cleared)]), 1..80),
        ) {
            let ladder = Ladder {
                hold: Duration::from_secs(hold),
                step_every: Duration::from_secs(every),
                max_hold: Duration::from_secs(longest),
                changes,
                ..ladder(&[1, 2, 3][..steps])
            };
            let mut route = Trace::new(ladder);
            for (seconds, known) in course {
                route.pass(seconds, known);
            }
            let mut left_plain = None;
            for pair in route.changes.windows(2) {
                let [(before, from), (at, to)] = [pair[0], pair[1]];
                if from == 0 {
                    prop_assert!(at - before >= every, "{:?}", route.changes);
                    continue;
                }
                let back = to == 0;
                prop_assert!(back || from.abs_diff(to) == 1, "{:?}", route.changes);
                let left = *left_plain.get_or_insert(before);
                prop_assert!(at - left <= longest, "{:?}", route.changes);
                prop_assert!(at - left == longest || at - before >= hold.min(every), "{:?}", route.changes);
                if back {
                    left_plain = None;
                }
            }
            for hour in route.changes.windows(changes + 1) {
                prop_assert!(hour[changes].0 - hour[0].0 >= 3600, "{:?}", route.changes);
            }
        }
    }

    /// A climb that is looked at each second, and its changes: when, and to how many prepends.
    struct Trace {
        climb: Climb,
        policy: Policy,
        seconds: u64,
        changes: Vec<(u64, u8)>,
    }

    impl Trace {
        fn new(ladder: Ladder) -> Self {
            Self { climb: Climb::new(), policy: Policy::Demote(ladder), seconds: 0, changes: Vec::new() }
        }

        fn look(&mut self, seconds: u64, known: Known) {
            self.seconds += seconds;
            let (at, elapsed) = (Time(self.seconds * 1_000_000_000), Duration::from_secs(seconds));
            let before = self.step();
            self.climb.follow(&self.policy, Look { known, at, elapsed, why: "c" });
            if self.step() != before {
                self.changes.push((self.seconds, self.step()));
            }
        }

        fn pass(&mut self, seconds: u64, known: Known) {
            (0..seconds).for_each(|_| self.look(1, known));
        }

        /// Met on the plain path, cleared on any other.
        fn under_a_load_that_one_step_halves(&mut self, seconds: u64) {
            for _ in 0..seconds {
                self.look(1, if self.step() == 0 { Known::Met } else { Known::Cleared });
            }
        }

        fn action(&self) -> Option<Action> {
            self.climb.rung(&self.policy).action
        }

        fn step(&self) -> u8 {
            if let Some(Action::Prepend(times)) = self.action() { times } else { 0 }
        }

        /// How long the path was demoted, each time.
        fn kept(&self) -> Vec<u64> {
            self.changes.chunks_exact(2).map(|pair| pair[1].0 - pair[0].0).collect()
        }
    }
}
