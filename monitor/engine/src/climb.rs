//! Up a ladder while a condition is met, and slowly down again.

use crate::budget::{Budget, Moment};
use crate::effect::Effect;
use crate::ladder::{HOUR, HeldBack, Ladder};
use crate::machine::Known;
use crate::{Action, Evidence, Intent, Policy, Record, Route, Rung, Time, When};
use core::fmt;
use core::time::Duration;

/// Where a route is on its ladder, and what it has been through.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Climb {
    /// What it follows, by the conditions' indices.
    pub(crate) when: Option<When<usize>>,
    /// How it is announced, as far as that is known.
    action: Option<Action>,
    /// The number of its step, 0 for plain. The action may be one of a ladder that is not in force any more.
    step: usize,
    /// The engine has said how it should be announced: its condition was known once.
    wanted: bool,
    /// What a router announces is still to be compared with what was remembered.
    awaited: bool,
    /// The ladder it comes down by where the policy has none.
    left: Option<Ladder>,
    /// For how long it was seen there: time that is blind does not count.
    kept: Duration,
    /// How often the hold was doubled.
    doubled: u32,
    /// It was released, and the condition has not stayed cleared for a hold since.
    released: bool,
    /// When it left the plain path.
    began: Option<Moment>,
    /// It has been held for as long as it may: no more steps until the condition has cleared.
    spent: bool,
    /// An operator wants it plain until then, or until the condition clears.
    plain: Option<(Moment, bool)>,
    /// What its steps did to the load.
    effect: Effect,
    budget: Budget,
    held_back: Option<HeldBack>,
    because: String,
}

/// What is known at a tick.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) known: Known,
    /// The load that it follows, as a multiple of falling, if it is one.
    pub(crate) load: Option<f64>,
    pub(crate) at: Time,
    /// The time that was seen since the last look.
    pub(crate) elapsed: Duration,
    /// How what it follows became what it is, in words.
    pub(crate) why: &'a dyn Fn() -> String,
    /// The harm that is seen of what is asked for, in words.
    pub(crate) harm: &'a dyn Fn(Evidence) -> Option<String>,
}

impl fmt::Debug for Look<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { known, at, elapsed, .. } = self;
        to.debug_struct("Look").field("known", known).field("at", at).field("elapsed", elapsed).finish_non_exhaustive()
    }
}

impl Climb {
    pub(crate) fn new() -> Self {
        Self {
            when: None,
            action: None,
            step: 0,
            wanted: false,
            awaited: false,
            left: None,
            kept: Duration::MAX,
            doubled: 0,
            released: false,
            began: None,
            spent: false,
            plain: None,
            effect: Effect::new(),
            budget: Budget::default(),
            held_back: None,
            because: String::new(),
        }
    }

    /// Follows what it is to follow; whether a router is to be told.
    pub(crate) fn follow(&mut self, policy: &Policy, look: Look<'_>) -> bool {
        self.budget.pass(look.at);
        // What the router announces is from before this engine, or from before the plan changed: it stays.
        if self.awaited {
            return false;
        }
        if look.known == Known::Unknown {
            return self.expire(policy, look);
        }
        self.held_back = None;
        self.effect.see(look.load, look.elapsed);
        self.kept = self.kept.saturating_add(look.elapsed);
        let fresh = !core::mem::replace(&mut self.wanted, true);
        self.action.get_or_insert(Action::Plain);
        if fresh {
            self.because = (look.why)();
        }
        match (policy, self.left.take()) {
            (Policy::Demote(ladder), _) => self.climb(ladder, look) || fresh,
            (Policy::Absorb, Some(ladder)) if self.step > 0 => {
                let changed = self.climb(&ladder, Look { known: Known::Cleared, load: None, ..look });
                self.left = Some(ladder);
                changed || fresh
            }
            (Policy::Absorb, _) => {
                let plain = self.action.replace(Action::Plain) == Some(Action::Plain);
                if fresh && look.known == Known::Met {
                    self.because.push_str("; absorbed");
                }
                fresh || !plain
            }
        }
    }

    /// Nothing is known of its condition: no step is made but the last one back, when it is time for that.
    fn expire(&mut self, policy: &Policy, look: Look<'_>) -> bool {
        let ladder = match (policy, self.left.clone()) {
            (Policy::Demote(ladder), _) => ladder.clone(),
            (Policy::Absorb, Some(ladder)) => ladder,
            (Policy::Absorb, None) => return false,
        };
        let over = self.step > 0 && self.demoted(look.at) >= ladder.max_hold;
        let changed = over && self.climb(&ladder, look);
        self.wanted |= changed;
        changed
    }

    /// The router announces it so, and this engine has wanted nothing of it yet: it is on that step.
    pub(crate) fn found(&mut self, policy: &Policy, action: Action, at: Time) {
        self.awaited = false;
        if self.wanted || self.action == Some(action) {
            return;
        }
        let ladder = match (policy, &self.left) {
            (Policy::Demote(ladder), _) | (Policy::Absorb, Some(ladder)) => ladder,
            (Policy::Absorb, None) => return,
        };
        self.step = step_of(ladder, action);
        self.action = Some(action);
        self.effect = Effect::new();
        if self.step == 0 {
            self.began = None;
        } else {
            self.kept = Duration::ZERO;
            self.began.get_or_insert(at.into());
        }
    }

    /// Goes on under another policy. Nothing changes by that alone: what comes next is by the new one.
    pub(crate) fn under(&self, old: &Policy, new: &Policy) -> Self {
        let mut climb = self.clone();
        if old != new {
            climb.effect = Effect::new();
        }
        let ladder = match (old, &self.left) {
            (Policy::Demote(ladder), _) | (Policy::Absorb, Some(ladder)) => Some(ladder),
            (Policy::Absorb, None) => None,
        };
        match new {
            Policy::Demote(ladder) => {
                climb.step = self.action.map_or(0, |action| step_of(ladder, action));
                climb.left = None;
            }
            Policy::Absorb => climb.left = ladder.filter(|_| self.step > 0).cloned(),
        }
        climb
    }

    /// What it does once it is in no plan any more: it comes down; `None` if there is nothing left to do or to remember.
    pub(crate) fn leave(&self, policy: &Policy) -> Option<Policy> {
        let ladder = match (policy, &self.left) {
            (Policy::Demote(ladder), _) | (Policy::Absorb, Some(ladder)) => ladder,
            (Policy::Absorb, None) => return None,
        };
        (!self.is_done()).then(|| Policy::Demote(ladder.clone()))
    }

    /// It is on a step.
    pub(crate) const fn is_demoted(&self) -> bool {
        self.step > 0
    }

    /// It is plain, and no change of it counts any more.
    pub(crate) fn is_done(&self) -> bool {
        self.step == 0 && self.budget.is_empty()
    }

    /// Back to the plain path at once, and no step for `time`, or else until the condition has cleared, an hour at most.
    pub(crate) fn release(&mut self, at: Time, time: Option<Duration>) {
        self.plain = Some((Moment::after(at, time.unwrap_or(HOUR)), time.is_none()));
        if self.step > 0 {
            self.budget.spend(at, Action::Plain);
            self.kept = Duration::ZERO;
        }
        self.awaited = false;
        self.wanted = true;
        self.step = 0;
        self.effect.step(0, false);
        self.action = Some(Action::Plain);
        self.began = None;
        self.released = false;
        self.left = None;
        "released by an operator".clone_into(&mut self.because);
    }

    fn climb(&mut self, ladder: &Ladder, look: Look<'_>) -> bool {
        let Some((to, because)) = self.due(ladder, look) else { return false };
        let action = ladder.action(to);
        self.held_back = self.budget.forbids(ladder, action);
        if self.held_back.is_some() {
            return false;
        }
        if to > self.step && self.released {
            self.doubled = self.doubled.saturating_add(1);
        }
        self.effect.step(to, to > self.step);
        self.released = to < self.step;
        self.step = to;
        self.action = Some(action);
        self.kept = Duration::ZERO;
        self.began = (to > 0).then(|| self.began.unwrap_or_else(|| look.at.into()));
        self.budget.spend(look.at, action);
        self.because = because;
        true
    }

    /// The step that should be next, and why.
    fn due(&mut self, ladder: &Ladder, look: Look<'_>) -> Option<(usize, String)> {
        let Look { known, load, at, why, harm, .. } = look;
        let (step, last) = (self.step, ladder.steps.len());
        let demoted = self.demoted(at);
        self.plain = self.plain.filter(|(until, to_clear)| {
            let cleared = *to_clear && known == Known::Cleared;
            !until.ahead(at).is_zero() && !cleared
        });
        if step > 0 && demoted >= ladder.max_hold {
            self.spent = known != Known::Cleared;
            return Some((0, format!("{}; held for {:?}, which is the longest", why(), ladder.max_hold)));
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
            Known::Met if self.plain.is_some() => {
                self.held_back = Some(HeldBack::Released);
                None
            }
            Known::Met => {
                let harm = match ladder.evidence.map(harm) {
                    None => String::new(),
                    Some(Some(harm)) => format!("; {harm}"),
                    Some(None) => {
                        self.held_back = Some(HeldBack::NoEvidence);
                        return None;
                    }
                };
                let to = step.saturating_add(1);
                let (why, number) = (why(), if last > 1 { format!("; step {to} of {last}") } else { String::new() });
                Some((to, format!("{why}{harm}{number}")))
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
                // It is cleared because of the step, not because the load has gone.
                if load.is_some() && self.effect.would_be_back() {
                    return None;
                }
                // Of a step of another ladder nobody can say which of these is weaker.
                let foreign = self.action != Some(ladder.action(step));
                step.checked_sub(1).map(|to| (if foreign { 0 } else { to }, why()))
            }
            Known::Unknown => None,
        }
    }

    /// For how long it has not been plain.
    fn demoted(&self, at: Time) -> Duration {
        self.began.map_or(Duration::ZERO, |began| began.ago(at))
    }

    /// How long a step is kept before it is released.
    fn hold(&self, ladder: &Ladder) -> Duration {
        let factor = 2_u32.saturating_pow(self.doubled);
        ladder.hold.saturating_mul(factor).min(ladder.max_hold)
    }

    pub(crate) fn held_back(&self) -> Option<HeldBack> {
        self.held_back
    }

    pub(crate) fn rung(&self, policy: &Policy) -> Rung {
        let budget_left = match policy {
            Policy::Absorb => None,
            Policy::Demote(ladder) => Some(self.budget.left(ladder)),
        };
        Rung { action: self.action.filter(|_| self.wanted), budget_left, held_back: self.held_back }
    }

    /// How the prefix should be announced, for a router.
    pub(crate) fn intent(&self, route: &Route) -> Option<Intent> {
        let (router, prefix) = (route.router.clone(), route.prefix.clone());
        let action = self.rung(&route.policy).action?;
        Some(Intent { router, prefix, action, because: self.because.clone() })
    }

    /// What is to be remembered of it; `None` if there is nothing.
    pub(crate) fn record(&self, route: &Route, at: Time) -> Option<Record> {
        let ladder = match (&route.policy, &self.left) {
            (Policy::Demote(ladder), _) | (Policy::Absorb, Some(ladder)) => ladder,
            (Policy::Absorb, None) => return None,
        };
        let nothing = self.is_done() && !self.spent && !self.released && self.doubled == 0 && self.plain.is_none();
        (!nothing).then(|| Record {
            router: route.router.clone(),
            prefix: route.prefix.clone(),
            action: self.action.unwrap_or(Action::Plain),
            kept: self.kept,
            doubled: self.doubled,
            released: self.released,
            spent: self.spent,
            began: self.began.map(|began| began.ago(at)),
            plain_for: self.plain.map(|(until, to_clear)| (until.ahead(at), to_clear)),
            changes: self.budget.changes(at),
            ladder: ladder.clone(),
        })
    }

    /// Goes on from a record. Nothing is done before it is known what the router announces.
    pub(crate) fn restored(self, record: &Record, policy: &Policy, at: Time) -> Self {
        let old = Policy::Demote(record.ladder.clone());
        let step = step_of(&record.ladder, record.action);
        let remembered = Self {
            action: Some(record.action),
            step,
            awaited: true,
            kept: record.kept,
            doubled: record.doubled,
            released: record.released,
            began: (step > 0).then(|| Moment::before(at, record.began.unwrap_or_default())),
            spent: record.spent,
            plain: record.plain_for.map(|(left, to_clear)| (Moment::after(at, left), to_clear)),
            budget: Budget::of(&record.changes, at),
            ..self
        };
        remembered.under(&old, policy)
    }
}

/// The step that says this; what no step says counts as the last.
fn step_of(ladder: &Ladder, action: Action) -> usize {
    let last = ladder.steps.len();
    (0..=last).find(|&step| ladder.action(step) == action).unwrap_or(last)
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
    fn a_step_is_kept_while_the_load_that_is_left_says_that_it_would_be_back() {
        let mut route = Trace::new(ladder(&[1]));
        route.offer(40 * MINUTE, 2.0);
        assert_eq!(route.changes, [(1, 1)]);
        route.offer(2 * MINUTE, 0.8);
        assert_eq!(route.changes.len(), 2);
    }

    #[test]
    fn not_even_such_a_load_keeps_it_beyond_max_hold_or_when_nobody_follows_it() {
        let mut route = Trace::new(ladder(&[1]));
        route.offer(3600, 2.0);
        let mut left = Trace { climb: route.climb.clone(), seconds: route.seconds, ..Trace::new(ladder(&[1])) };
        left.look(1, Known::Cleared);
        assert_eq!(left.step(), 0);
        route.offer(3601, 2.0);
        assert_eq!(route.changes, [(1, 1), (7201, 0)]);
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
            let changes = 1 + usize::from(action == 0);
            let held_back = over_budget.then_some(HeldBack::OverBudget { changes, limit: 2 });
            assert_eq!((route.climb.held_back, route.step()), (held_back, action));
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
        harm: Option<String>,
        load: Option<f64>,
        seconds: u64,
        changes: Vec<(u64, u8)>,
    }

    impl Trace {
        fn new(ladder: Ladder) -> Self {
            let (climb, policy) = (Climb::new(), Policy::Demote(ladder));
            Self { climb, policy, harm: None, load: None, seconds: 0, changes: Vec::new() }
        }

        fn look(&mut self, seconds: u64, known: Known) {
            self.seconds += seconds;
            let (at, elapsed) = (Time(self.seconds * 1_000_000_000), Duration::from_secs(seconds));
            let before = self.step();
            let why = || String::from("c");
            let harm = |_| self.harm.clone();
            self.climb.follow(&self.policy, Look { known, load: self.load, at, elapsed, why: &why, harm: &harm });
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

        /// That many times falling is offered; each step leaves a third of it.
        fn offer(&mut self, seconds: u64, offered: f64) {
            for _ in 0..seconds {
                let load = if self.step() == 0 { offered } else { offered / 3.0 };
                self.load = Some(load);
                let known = if load >= 1.4 { Known::Met } else { Known::Cleared };
                self.look(1, known);
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
