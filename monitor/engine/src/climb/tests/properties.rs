//! What no condition and no restart makes a climb do.

use super::super::*;
use super::Trace;
use crate::ladder::test::ladder;
use proptest::collection::vec;
use proptest::prelude::*;

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

proptest! {
    /// However often it begins anew, and whatever the routers announce by then.
    #[test]
    fn no_restart_frees_a_budget(
        changes in 2_usize..6,
        withdrawals in 1_usize..3,
        course in vec((1_u64..1500, any::<bool>(), 0_u8..6), 1..60),
    ) {
        let steps = vec![Action::Prepend(1), Action::Withdraw];
        let (step_every, hold) = (Duration::from_secs(60), Duration::from_secs(30));
        let mut route = Trace::new(Ladder { steps, step_every, hold, changes, withdrawals, ..ladder(&[]) });
        let (mut all, mut away) = (Vec::new(), Vec::new());
        for (seconds, met, what) in course {
            if what == 0 {
                let action = route.action().unwrap_or(Action::Plain);
                route.restart();
                route.find(action);
            }
            for _ in 0..seconds {
                let before = route.climb.action;
                route.look(1, if met { Known::Met } else { Known::Cleared });
                if before.is_some() && route.climb.action != before {
                    all.push(route.seconds);
                    away.extend((route.climb.action == Some(Action::Withdraw)).then_some(route.seconds));
                }
            }
        }
        for (times, limit) in [(&all, changes), (&away, withdrawals)] {
            for hour in times.windows(limit + 1) {
                prop_assert!(hour[limit] - hour[0] >= 3600, "{times:?}");
            }
        }
    }

    /// RFC 2439 with a half-life of 15 minutes: the penalties of an attribute change, a withdrawal and the announcement
    /// after one, and what suppresses, as the strictest receivers have them.
    #[test]
    fn with_the_defaults_no_route_is_ever_damped(
        prepends in 0_usize..4,
        withdraw in any::<bool>(),
        course in vec((1_u64..4000, any::<bool>()), 1..40),
    ) {
        let mut steps: Vec<Action> = (1..).take(prepends).map(Action::Prepend).collect();
        if withdraw || steps.is_empty() {
            steps.push(Action::Withdraw);
        }
        let mut route = Trace::new(Ladder { steps, ..ladder(&[]) });
        let penalties = [(500.0, 1000.0, 500.0, 2000.0), (500.0, 1000.0, 1000.0, 3000.0)];
        let mut damped = [0.0_f64; 2];
        for (seconds, met) in course {
            for _ in 0..seconds {
                let before = route.climb.action.unwrap_or(Action::Plain);
                route.look(1, if met { Known::Met } else { Known::Cleared });
                let after = route.climb.action.unwrap_or(Action::Plain);
                for (sum, (change, away, back, limit)) in damped.iter_mut().zip(penalties) {
                    *sum *= 0.5_f64.powf(1.0 / 900.0);
                    *sum += match (before, after) {
                        (before, after) if before == after => 0.0,
                        (_, Action::Withdraw) => away,
                        (Action::Withdraw, _) => back,
                        (_, _) => change,
                    };
                    prop_assert!(*sum < limit, "{sum} after {} s", route.seconds);
                }
            }
        }
    }
}
