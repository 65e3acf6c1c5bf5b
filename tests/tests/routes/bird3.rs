//! What the other files show with BIRD 2, with BIRD 3: of everything that it could do differently, once.

use crate::disasters::{bird_dies, bird_is_configured, switched_off};
use crate::intents::random_intents;
use crate::leases::ends_with_oopsd;
use anyhow::Result;
use tests::lab::bird::Version;
use tests::lab::learner::Learner;

#[test]
fn eighty_random_intents_end_right_and_nothing_passes_that_was_not_ordered() -> Result<()> {
    let Some(lab) = Learner::of(Version::Three)? else { return Ok(()) };
    random_intents(&lab, 80)
}

#[test]
fn a_withdrawal_and_a_drain_end_milliseconds_after_oopsd_is_killed() -> Result<()> {
    let Some(lab) = Learner::of(Version::Three)? else { return Ok(()) };
    ends_with_oopsd(&lab, 10)
}

#[test]
fn what_was_wanted_while_bird_was_dead_is_so_when_it_is_back() -> Result<()> {
    bird_dies(Version::Three)
}

#[test]
fn a_new_or_a_broken_configuration_of_bird_changes_nothing() -> Result<()> {
    bird_is_configured(Version::Three)
}

#[test]
fn the_switch_of_the_manual_works_with_oopsd_dead() -> Result<()> {
    switched_off(Version::Three)
}
