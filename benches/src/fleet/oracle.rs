//! What moving load could reach at two sites: every minute the best of what they could announce, by one who knows all.

use crate::run::Fleet;
use crate::scenario::{Course, MINUTE, SECONDS, Scenario};
use crate::score::Score;
use crate::way::Way;
use crate::world::World;
use engine::Action;

pub(crate) const NAME: &str = "oracle, knowing all";
pub(crate) const SITES: usize = 2;

/// What both sites announce.
type Choice = [Action; SITES];

/// All there is: how much longer one path is than the other is all that matters.
const CHOICES: [Choice; 7] = [
    [Action::Plain, Action::Plain],
    [Action::Prepend(1), Action::Plain],
    [Action::Prepend(2), Action::Plain],
    [Action::Prepend(3), Action::Plain],
    [Action::Plain, Action::Prepend(1)],
    [Action::Plain, Action::Prepend(2)],
    [Action::Plain, Action::Prepend(3)],
];

/// A choice is judged by what comes of it within this time if it stays. In sum a minute gives more overload than five, ten
/// give hardly less.
const AHEAD: usize = 5 * MINUTE;

/// Runs a fleet of two sites. Every minute each choice is tried with the very seconds that come, and every network knows at
/// once of the one that is taken: the least overload, then the fewest unanswered, then plain.
pub(crate) fn run(seed: u64, scenario: Scenario) -> Score {
    let world = World::new(SITES, seed);
    let course = Course::new(scenario, &world, seed ^ 1);
    let mut fleet = Fleet::new(&world, Way::Nothing, seed ^ 2);
    for second in 0..SECONDS {
        // With one site left all go there, whatever it announces.
        if second.is_multiple_of(MINUTE) && !fleet.is_site_lost() {
            fleet.announce_at_once(second, &best(&fleet, second, &course));
        }
        fleet.second(second, &course);
    }
    fleet.score
}

fn best(fleet: &Fleet<'_>, second: usize, course: &Course) -> Choice {
    let mut best = CHOICES[0];
    let mut least = (u64::MAX, f64::MAX);
    for choice in CHOICES {
        let harm = harm(fleet.clone(), second, course, &choice, least.0);
        if harm < least {
            (best, least) = (choice, harm);
        }
        if least == (0, 0.0) {
            break;
        }
    }
    best
}

/// Overload and queries unanswered up to the end of what is looked at, or until there is more overload than `least`.
fn harm(mut fleet: Fleet<'_>, second: usize, course: &Course, choice: &Choice, least: u64) -> (u64, f64) {
    fleet.score = Score::default();
    fleet.announce_at_once(second, choice);
    for second in second..(second + AHEAD).min(SECONDS) {
        fleet.second(second, course);
        if fleet.score.overload > least {
            break;
        }
    }
    (fleet.score.overload, fleet.score.unanswered)
}
