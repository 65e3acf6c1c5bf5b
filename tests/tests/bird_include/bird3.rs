//! What the other files show with BIRD 2, with BIRD 3, which exports after it says that it is done, and calls attributes by other names.

use crate::actions::{every_action, random_intents};
use crate::operator::{broken_conf, others_configure, refused_constants, session_restarts, undone};
use crate::outages::killed_and_started;
use anyhow::Result;
use tests::lab::bird::Version;

#[test]
fn every_action_reaches_the_upstream_and_goes_back() -> Result<()> {
    every_action(Version::Three)
}

#[test]
fn eighty_random_intents_end_right() -> Result<()> {
    random_intents(Version::Three, 80)
}

#[test]
fn a_broken_bird_conf_is_named_and_nothing_is_touched() -> Result<()> {
    broken_conf(Version::Three)
}

#[test]
fn constants_that_bird_refuses_are_taken_back() -> Result<()> {
    refused_constants(Version::Three)
}

#[test]
fn others_may_configure_at_the_same_time() -> Result<()> {
    others_configure(Version::Three)
}

#[test]
fn an_undo_and_a_soft_configure_are_survived() -> Result<()> {
    undone(Version::Three)
}

#[test]
fn a_configure_that_restarts_a_session_is_waited_for() -> Result<()> {
    session_restarts(Version::Three)
}

#[test]
fn bird_killed_and_started_again_announces_the_same() -> Result<()> {
    killed_and_started(Version::Three)
}
