//! What takes a site away ends with oopsd, however oopsd ends. What only lengthens a path stays.

use anyhow::{Context, Result, ensure};
use core::time::Duration;
use engine::Action;
use std::time::Instant;
use tests::lab::learner::{Learner, TABLE, is_as};
use tests::lab::peering::{V4, V6};

#[test]
fn a_withdrawal_and_a_drain_end_milliseconds_after_oopsd_is_killed() -> Result<()> {
    let Some(lab) = Learner::new()? else { return Ok(()) };
    ends_with_oopsd(&lab, 20)
}

#[expect(clippy::print_stdout, reason = "a figure for whoever runs the tests")]
pub(crate) fn ends_with_oopsd(lab: &Learner, rounds: usize) -> Result<()> {
    let mut took = Vec::new();
    for round in 0..rounds {
        let action = [Action::Withdraw, Action::GracefulShutdown][round % 2];
        let mut oopsd = lab.oopsd(env!("CARGO_BIN_EXE_routers"))?;
        for prefix in [V4, V6] {
            oopsd.want(prefix, &action.to_string())?;
            lab.reaches(prefix, action)?;
        }
        let mark = lab.peering.listener.mark();
        let killed = Instant::now();
        oopsd.running.kill();
        for prefix in [V4, V6] {
            lab.reaches(prefix, Action::Plain)?;
        }
        let updates = lab.peering.listener.updates(mark);
        let last = updates.iter().map(|(at, _)| *at).max().context("no update")?;
        took.push(last - killed);
        ensure!(lab.table().is_empty(), "left: {}", lab.table());
    }
    took.sort_unstable();
    let median = took[rounds / 2];
    println!("SIGKILL to the UPDATE at the upstream: median {median:?}, longest {:?}", took[rounds - 1]);
    // A busy machine takes its time.
    ensure!(median < Duration::from_millis(500), "{took:?}");
    Ok(())
}

#[test]
fn a_longer_path_outlives_oopsd() -> Result<()> {
    let Some(lab) = Learner::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd(env!("CARGO_BIN_EXE_routers"))?;
    let statics = [Action::Prepend(2), Action::Med(65_535), Action::Community(64_999, 666)];
    for action in statics {
        // From a lease to what is static: nothing of the lease may be left in it.
        oopsd.want(V4, &Action::Withdraw.to_string())?;
        oopsd.sees(V4, &Action::Withdraw.to_string())?;
        oopsd.want(V4, &action.to_string())?;
        lab.reaches(V4, action)?;
        oopsd.sees(V4, &action.to_string())?;
        let (mark, table) = (lab.peering.listener.mark(), lab.table());
        oopsd.running.kill();
        oopsd = lab.oopsd(env!("CARGO_BIN_EXE_routers"))?;
        oopsd.sees(V4, &action.to_string())?;
        ensure!(lab.table() == table, "{}", lab.table());
        let updates = lab.peering.listener.updates(mark);
        ensure!(updates.is_empty(), "{action}: {updates:?}");
    }
    Ok(())
}

#[test]
fn a_stopped_oopsd_keeps_its_lease_until_it_is_killed() -> Result<()> {
    let Some(lab) = Learner::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd(env!("CARGO_BIN_EXE_routers"))?;
    oopsd.want(V4, &Action::Withdraw.to_string())?;
    lab.reaches(V4, Action::Withdraw)?;
    oopsd.running.signal(libc::SIGSTOP);
    // BIRD looks at the whole table as well, each five seconds; here it is told to.
    lab.bird.ask("reload oopsd_learn4")?;
    ensure!(is_as(lab.peering.listener.route(V4).as_ref(), Action::Withdraw));
    oopsd.running.kill();
    lab.reaches(V4, Action::Plain)
}

#[test]
fn an_interface_that_somebody_deletes_or_sets_down_is_made_anew() -> Result<()> {
    let Some(lab) = Learner::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd(env!("CARGO_BIN_EXE_routers"))?;
    for prefix in [V4, V6] {
        oopsd.want(prefix, &Action::Withdraw.to_string())?;
        lab.reaches(prefix, Action::Withdraw)?;
    }
    let table = lab.table();
    for done in ["link set down dev", "link del dev"] {
        lab.peering.host.ip(&format!("{done} oopsd{TABLE}"))?;
        // It may be back before BIRD has looked.
        lab.holds(&table)?;
        for prefix in [V4, V6] {
            oopsd.sees(prefix, &Action::Withdraw.to_string())?;
            lab.reaches(prefix, Action::Withdraw)?;
        }
    }
    oopsd.running.kill();
    lab.reaches(V4, Action::Plain)?;
    lab.reaches(V6, Action::Plain)
}

#[test]
fn the_interface_says_nothing_and_has_no_address() -> Result<()> {
    let Some(lab) = Learner::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd(env!("CARGO_BIN_EXE_routers"))?;
    oopsd.want(V6, &Action::Withdraw.to_string())?;
    oopsd.sees(V6, &Action::Withdraw.to_string())?;
    let shown = lab.peering.host.ip(&format!("addr show dev oopsd{TABLE}"))?;
    ensure!(shown.contains("UP") && !shown.contains("inet"), "{shown}");
    let rules = lab.peering.host.ip("rule show")? + &lab.peering.host.ip("-6 rule show")?;
    ensure!(!rules.contains(&TABLE.to_string()), "{rules}");
    Ok(())
}
