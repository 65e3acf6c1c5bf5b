//! Somebody else keeps changing a route that oopsd wants: one signal says so, and one says that it is over.

use anyhow::{Result, ensure};
use core::time::Duration;
use tests::daemon::{BUSY, DEMOTED};
use tests::lab::until;
use tests::site::Site;

#[test]
fn a_route_that_somebody_keeps_deleting_is_signalled_once_and_when_it_holds_again() -> Result<()> {
    // One change for the step, one that is kept for the way back; and never more than five with any budget.
    for (budget, repairs) in [(4, 2.0), (100, 5.0)] {
        contested_after(budget, repairs)?;
    }
    Ok(())
}

fn contested_after(budget: u32, repairs: f64) -> Result<()> {
    let config = format!("{BUSY}{DEMOTED}changes-per-hour = {budget}\n");
    let Some((site, oopsd)) = Site::watched(&config)? else { return Ok(()) };
    let _load = site.queries(2_000)?;
    oopsd.shows_route("seen", "192.0.2.0/24", "prepend 1")?;
    let contested = until("a signal of the fight", Duration::from_secs(60), || {
        let _ = site.host.ip("route flush table 5353");
        oopsd.signals().into_iter().find(|signal| signal["condition"] == "route-contested")
    })?;
    ensure!(contested["state"] == "met" && contested["scope"]["prefix"] == "192.0.2.0/24", "{contested}");
    ensure!(contested["value"] == repairs && contested["seq"] == 2, "{contested}");
    oopsd.shows("oopsd_route_contested{prefix=\"192.0.2.0/24\",router=\"bird\"}", 1)?;

    let left = u64::from(budget) - 1 - if budget == 4 { 2 } else { 5 };
    oopsd.shows("oopsd_route_budget_left{prefix=\"192.0.2.0/24\",router=\"bird\"}", left)?;

    // Whoever it was puts it back, and lets it be.
    site.host.ip("route add blackhole 192.0.2.0/24 table 5353 proto 253 metric 103")?;
    let over = until("the end of the fight", Duration::from_secs(60), || {
        oopsd.signals().into_iter().find(|signal| signal["seq"] == 3)
    })?;
    ensure!(over["condition"] == "route-contested" && over["state"] == "cleared", "{over}");
    oopsd.shows("oopsd_route_contested{prefix=\"192.0.2.0/24\",router=\"bird\"}", 0)
}

#[test]
fn what_is_removed_when_the_budget_is_spent_waits_for_it() -> Result<()> {
    let config = [BUSY, DEMOTED, "changes-per-hour = 2\n"].concat();
    let Some((site, oopsd)) = Site::watched(&config)? else { return Ok(()) };
    let load = site.queries(2_000)?;
    oopsd.shows_route("seen", "192.0.2.0/24", "prepend 1")?;
    site.host.ip("route flush table 5353")?;
    let met = until("a signal of what is not applied", Duration::from_secs(60), || {
        oopsd.signals().into_iter().find(|signal| signal["condition"] == "route-not-applied")
    })?;
    ensure!(met["arguments"]["reasons"].to_string().contains("once its budget of changes allows it"), "{met}");
    ensure!(site.host.ip("route show table all proto 253")?.is_empty(), "{}", oopsd.stderr());
    // Who is plain already needs no change for the way back.
    drop(load);
    Ok(())
}

#[test]
fn a_route_that_cannot_be_made_so_is_signalled_until_it_can() -> Result<()> {
    let Some((site, oopsd)) = Site::watched(&[BUSY, DEMOTED].concat())? else { return Ok(()) };
    site.host.ip("route add blackhole 192.0.2.0/24 table 5353 proto static metric 7")?;
    let _load = site.queries(2_000)?;
    let met = until("a signal of what is not applied", Duration::from_secs(60), || {
        oopsd.signals().into_iter().find(|signal| signal["condition"] == "route-not-applied")
    })?;
    let reasons = met["arguments"]["reasons"].to_string();
    ensure!(met["state"] == "met" && reasons.contains("proto 4") && reasons.contains("prepend 1"), "{met}");
    site.host.ip("route flush table 5353 proto static")?;
    let seq = met["seq"].as_u64().unwrap_or_default() + 1;
    let over =
        until("its end", Duration::from_secs(60), || oopsd.signals().into_iter().find(|signal| signal["seq"] == seq))?;
    ensure!(over["condition"] == "route-not-applied" && over["state"] == "cleared", "{over}");
    Ok(())
}
