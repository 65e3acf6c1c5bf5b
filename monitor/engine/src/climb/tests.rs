//! A climb that is looked at each second: what moves it, and what holds it back.

mod properties;
mod trace;

use super::*;
use crate::ladder::test::ladder;
use trace::Trace;

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
    assert_eq!(route.changes, [(1, 1), (10 * MINUTE + 1, 3), (35 * MINUTE, 1), (45 * MINUTE, 0)]);
}

#[test]
fn a_condition_that_cleared_just_now_releases_nothing() {
    let mut route = Trace::new(ladder(&[1]));
    for _ in 0..4 {
        route.pass(10 * MINUTE, Known::Met);
        route.pass(9 * MINUTE, Known::Cleared);
    }
    assert_eq!(route.changes, [(1, 1)]);
}

#[test]
fn a_step_that_left_hardly_anything_is_kept_three_times_as_long() {
    let mut route = Trace::new(ladder(&[1]));
    for second in 0..31 * MINUTE {
        // What still falls once it is nearly nothing is no sign that the load has gone.
        let left = if second < 5 * MINUTE { 0.01 } else { 0.0001 };
        let load = if route.step() == 0 { 2.0 } else { left };
        route.load = Some(load);
        route.look(1, if load > 1.0 { Known::Met } else { Known::Cleared });
    }
    assert_eq!(route.changes, [(1, 1), (30 * MINUTE + 1, 0)]);
}

#[test]
fn a_path_that_moved_little_of_much_is_not_made_longer_still() {
    let withdrawing = vec![Action::Prepend(1), Action::Withdraw];
    for (load, left, steps, climbed) in [
        (4.0, 3.8, None, 1),
        (4.0, 2.5, None, 2),
        (2.0, 1.9, None, 2),
        // What a longer path did says nothing of what takes it away.
        (4.0, 3.8, Some(withdrawing), 2),
    ] {
        let ladder = ladder(&[1, 2]);
        let mut route = Trace::new(Ladder { steps: steps.unwrap_or(ladder.steps), ..ladder });
        for _ in 0..60 * MINUTE {
            route.load = Some(if route.changes.is_empty() { load } else { left });
            route.look(1, Known::Met);
        }
        assert_eq!(route.changes.len(), climbed, "{load} {left}: {:?}", route.changes);
        assert_eq!(route.climb.held_back, (climbed == 1).then_some(HeldBack::Futile));
    }
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
fn what_a_step_did_to_the_load_is_remembered() {
    let mut route = Trace::new(ladder(&[1]));
    route.offer(10 * MINUTE, 2.0);
    route.restart();
    route.find(Action::Prepend(1));
    // Until it is known again how the route is, the load is not the one of a plain path.
    route.load = Some(2.0 / 3.0);
    route.pass(30 * MINUTE, Known::Cleared);
    assert_eq!(route.action(), Some(Action::Prepend(1)));
    route.load = Some(0.2);
    route.pass(2 * MINUTE, Known::Cleared);
    assert_eq!(route.action(), Some(Action::Plain));
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
    let mut route = Trace::new(Ladder { changes: 2, hold: Duration::ZERO, step_every: Duration::ZERO, ..ladder(&[1]) });
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

#[test]
fn no_step_up_without_the_harm_that_is_asked_for() {
    let evidence = Some(Evidence { unanswered: Some(0.1), drops: false });
    let mut route = Trace::new(Ladder { evidence, ..ladder(&[1, 2]) });
    route.pass(60, Known::Met);
    assert_eq!((route.step(), route.climb.held_back), (0, Some(HeldBack::NoEvidence)));
    route.harm = Some("20.0 % of queries unanswered".into());
    route.look(1, Known::Met);
    assert_eq!(route.climb.because, "c; 20.0 % of queries unanswered; step 1 of 2");
    route.harm = None;
    route.pass(3600, Known::Met);
    assert_eq!(route.changes, [(61, 1)]);
    route.pass(10 * MINUTE, Known::Cleared);
    assert_eq!(route.changes.len(), 2, "the way back asks for none");
}

#[test]
fn a_further_step_is_made_by_harm_that_came_at_once_or_lasts_or_is_great() {
    let evidence = Some(Evidence { unanswered: Some(0.05), drops: false });
    for (creeps, load, stepped) in [(60, 1.6, 0), (300, 1.6, 299), (300, 4.0, 3)] {
        let mut route = Trace::new(Ladder { evidence, ..ladder(&[1, 2]) });
        let mut pass = |seconds, known, load, harm: Option<&str>| {
            (route.load, route.harm) = (Some(load), harm.map(Into::into));
            route.pass(seconds, known);
            (route.step(), route.climb.held_back)
        };
        assert_eq!(pass(1, Known::Met, 2.0, Some("harm")).0, 1);
        assert_eq!(pass(20 * MINUTE, Known::Cleared, 0.8, None).0, 1, "it would be back");
        pass(creeps, Known::Met, 1.2, None);
        if stepped > 0 {
            assert_eq!(
                pass(stepped, Known::Met, load, Some("harm")),
                (1, Some(HeldBack::NoEvidence)),
                "{creeps} {load}"
            );
        }
        assert_eq!(pass(1, Known::Met, load, Some("harm")), (2, None), "{creeps} {load}");
    }
}

#[test]
fn what_somebody_removes_is_put_back_out_of_the_same_budget() {
    let mut route = Trace::new(ladder(&[1]));
    assert!(!route.put_back(), "nobody has wanted anything yet");
    route.look(1, Known::Met);
    assert_eq!([route.put_back(), route.put_back(), route.put_back()], [true, true, false]);
    route.pass(20 * MINUTE, Known::Cleared);
    assert_eq!(route.action(), Some(Action::Plain), "the last change of an hour is for the way back");
    assert!(!route.put_back());
    route.pass(60 * MINUTE, Known::Cleared);
    assert!(route.put_back());
}

#[test]
fn a_withdrawal_has_a_budget_of_its_own() {
    let mut route = Trace::new(Ladder {
        steps: vec![Action::Prepend(1), Action::Withdraw],
        step_every: Duration::from_secs(1),
        hold: Duration::from_secs(1),
        changes: 100,
        ..ladder(&[])
    });
    route.pass(2, Known::Met);
    assert_eq!(route.action(), Some(Action::Withdraw));
    route.pass(10, Known::Cleared);
    assert_eq!(route.action(), Some(Action::Plain));
    route.pass(3000, Known::Met);
    assert_eq!(route.action(), Some(Action::Prepend(1)));
    assert_eq!(route.climb.held_back, Some(HeldBack::OverBudget { changes: 1, limit: 1 }));
    route.pass(590, Known::Met);
    assert_eq!(route.action(), Some(Action::Withdraw), "an hour after the first");
}

#[test]
fn what_is_released_by_hand_is_plain_at_once_and_stays_so() {
    let mut route = Trace::new(Ladder { changes: 2, ..ladder(&[1]) });
    route.look(1, Known::Met);
    route.release(None);
    assert_eq!((route.step(), route.climb.because.as_str()), (0, "released by an operator"));
    route.pass(3599, Known::Met);
    assert_eq!((route.step(), route.climb.held_back), (0, Some(HeldBack::Released)));
    route.pass(2, Known::Met);
    assert_eq!(route.step(), 1, "an hour later");
    // Over its budget now, and still.
    route.release(Some(Duration::from_secs(7200)));
    assert_eq!(route.step(), 0);
    route.look(1, Known::Cleared);
    route.pass(7100, Known::Met);
    assert_eq!(route.step(), 0, "for as long as was said, whatever clears");
    route.pass(100, Known::Met);
    assert_eq!(route.step(), 1);
}

#[test]
fn a_release_ends_when_the_condition_clears() {
    let mut route = Trace::new(ladder(&[1]));
    route.look(1, Known::Met);
    route.release(None);
    route.look(1, Known::Cleared);
    route.pass(600, Known::Met);
    assert_eq!(route.step(), 1);
}

#[test]
fn a_ladder_that_changes_changes_no_route_by_itself() {
    for (steps, then) in [(&[1_u8, 2][..], 1), (&[2], 0), (&[2, 1], 2)] {
        let mut route = Trace::new(ladder(&[1]));
        route.look(1, Known::Met);
        let new = Policy::Demote(ladder(steps));
        route.climb = route.climb.under(&route.policy, &new);
        route.policy = new;
        route.look(1, Known::Met);
        assert_eq!(route.step(), 1);
        route.pass(700, Known::Cleared);
        assert_eq!(route.changes[1].1, if then == 1 { 0 } else { then }, "{steps:?}");
    }
}

#[test]
fn a_route_that_is_to_absorb_comes_down_a_step_at_a_time() {
    let mut route = Trace::new(ladder(&[1, 3]));
    route.pass(11 * MINUTE, Known::Met);
    route.climb = route.climb.under(&route.policy, &Policy::Absorb);
    route.policy = Policy::Absorb;
    route.pass(60 * MINUTE, Known::Met);
    assert_eq!(route.changes, [(1, 1), (10 * MINUTE + 1, 3), (20 * MINUTE + 1, 1), (30 * MINUTE + 1, 0)]);
    assert_eq!(route.climb.left, None);
}

#[test]
fn what_is_remembered_waits_for_what_the_router_announces() {
    for (found, step) in [(Action::Prepend(3), 3), (Action::Plain, 0), (Action::Prepend(1), 1), (Action::Med(7), 0)] {
        let mut route = Trace::new(ladder(&[1, 3]));
        route.pass(11 * MINUTE, Known::Met);
        route.restart();
        route.pass(10, Known::Met);
        assert_eq!(route.action(), None, "nothing is said before it is found");
        route.find(found);
        route.pass(60, Known::Met);
        assert_eq!((route.step(), route.climb.rung(&route.policy).budget_left), (step, Some(2)));
    }
}

#[test]
fn a_step_whose_condition_is_never_known_ends_too() {
    let mut route = Trace::new(ladder(&[1]));
    route.find(Action::Prepend(1));
    route.pass(7199, Known::Unknown);
    assert_eq!(route.action(), None);
    route.pass(1, Known::Unknown);
    assert_eq!(route.action(), Some(Action::Plain));
}
