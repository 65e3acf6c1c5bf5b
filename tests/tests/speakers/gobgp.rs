//! GoBGP, over its gRPC API.

use super::suite::{LATER, SOON, Suite, fails_with};
use anyhow::{Result, ensure};
use engine::Action;
use tests::lab::gobgp::Gobgp;
use tests::lab::peering::{Peering, V4, V6};

#[test]
fn every_action_is_announced_and_taken_back() -> Result<()> {
    let Some((lab, gobgp)) = start()? else { return Ok(()) };
    let before = gobgp.ask("global rib -j")?;
    suite(&lab).every_action_and_back()?;
    let after = gobgp.ask("global rib -j")?;
    ensure!(attributes(&before) == attributes(&after), "not as it was: {before}{after}");
    Ok(())
}

#[test]
fn three_hundred_random_intents_end_right() -> Result<()> {
    let Some((lab, _gobgp)) = start()? else { return Ok(()) };
    println!("300 intents, {} announcements", suite(&lab).random_intents(300)?);
    Ok(())
}

#[test]
fn killed_two_hundred_times_it_withdraws_nothing() -> Result<()> {
    let Some((lab, _gobgp)) = start()? else { return Ok(()) };
    suite(&lab).killed_at_any_moment(200)
}

#[test]
fn nothing_is_sent_for_nothing() -> Result<()> {
    let Some((lab, _gobgp)) = start()? else { return Ok(()) };
    suite(&lab).nothing_is_sent_for_nothing()
}

#[test]
fn while_it_is_stopped_nothing_hangs() -> Result<()> {
    let Some((lab, gobgp)) = start()? else { return Ok(()) };
    let error = suite(&lab).stopped(|signal| gobgp.running.signal(signal))?;
    ensure!(error.contains("did not answer"), "{error}");
    Ok(())
}

#[test]
fn what_a_health_check_withdrew_stays_withdrawn() -> Result<()> {
    let Some((lab, gobgp)) = start()? else { return Ok(()) };
    suite(&lab).absent(|| gobgp.ask(&format!("global rib del {V4}")).map(drop), || gobgp.announce())
}

#[test]
fn an_announcement_of_somebody_else_is_left_alone() -> Result<()> {
    let Some((lab, gobgp)) = start()? else { return Ok(()) };
    let foreign = format!("global rib add {V4} nexthop 10.53.0.1 community 64999:9");
    suite(&lab).foreign(|| gobgp.ask(&foreign).map(drop))
}

#[test]
fn the_switch_that_needs_no_oopsd_works() -> Result<()> {
    let Some((lab, gobgp)) = start()? else { return Ok(()) };
    suite(&lab).switched_off(|| gobgp.announce())
}

#[test]
fn restarted_it_is_told_again() -> Result<()> {
    let Some((lab, mut gobgp)) = start()? else { return Ok(()) };
    let suite = suite(&lab);
    suite.begins()?;
    let mut oopsd = suite.oopsd()?;
    for prefix in [V4, V6] {
        oopsd.want(prefix, "prepend 3")?;
    }
    suite.settled(&mut oopsd, [Action::Prepend(3); 2])?;

    gobgp.running.kill();
    let error = fails_with(&mut oopsd, V4, "is gobgpd running")?;
    ensure!(error.contains("127.0.0.1:50051"), "{error}");
    gobgp.restart()?;
    lab.listener.up(2, LATER)?;
    fails_with(&mut oopsd, V4, "never begins one")?;
    ensure!(lab.listener.path(V4).is_none(), "it was announced by nobody");
    gobgp.announce()?;
    lab.listener.reaches(V4, SOON, |found| found.is_some())?;
    suite.settled(&mut oopsd, [Action::Prepend(3); 2])
}

/// Everything but the age.
fn attributes(rib: &str) -> Option<serde_json::Value> {
    let rib: serde_json::Value = serde_json::from_str(rib).ok()?;
    Some(rib[V4][0]["attrs"].clone())
}

/// Announces both prefixes with these.
const ATTRIBUTES: &str = "origin igp community 64999:1,no-export large-community 64999:1:2 local-pref 200";

fn start() -> Result<Option<(Peering, Gobgp)>> {
    let Some(lab) = Peering::new(&["gobgpd", "gobgp"])? else { return Ok(None) };
    let gobgp = Gobgp::start(&lab.host, ATTRIBUTES)?;
    Ok(Some((lab, gobgp)))
}

fn suite(lab: &Peering) -> Suite<'_> {
    Suite { lab, router: String::from("type = \"gobgp\""), communities: vec![(64999, 1), (65535, 65281)] }
}
