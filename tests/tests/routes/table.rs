//! Every action by way of a kernel table and BIRD.

use anyhow::{Result, ensure};
use engine::Action;
use std::time::Instant;
use tests::lab::learner::{ACTIONS, Learner};
use tests::lab::peering::{V4, V6};

#[test]
fn every_action_is_at_the_upstream_as_it_is_wanted() -> Result<()> {
    let Some(lab) = Learner::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd(env!("CARGO_BIN_EXE_routers"))?;
    let mark = lab.peering.listener.mark();
    let mut took = Vec::new();
    for action in ACTIONS.into_iter().chain(ACTIONS.into_iter().rev()) {
        for prefix in [V4, V6] {
            let start = Instant::now();
            oopsd.want(prefix, &action.to_string())?;
            lab.reaches(prefix, action)?;
            took.push(start.elapsed());
            oopsd.sees(prefix, &action.to_string())?;
        }
    }
    took.sort_unstable();
    println!("want() to the upstream: median {:?}, longest {:?}", took[took.len() / 2], took[took.len() - 1]);
    ensure!(lab.peering.listener.session_changes(mark).is_empty());
    // Once for each prefix, though withdrawn in both of two rounds: the second round goes on where the first ended.
    let withdrawals = lab.peering.listener.withdrawals(mark);
    ensure!(withdrawals.len() == 2, "{withdrawals:?}");
    ensure!(ACTIONS.last() == Some(&Action::Withdraw) && lab.table().is_empty(), "left: {}", lab.table());
    Ok(())
}
