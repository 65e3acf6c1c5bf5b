//! Interfaces that go away and come back: blind, never calm.

use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::time::Instant;
use tests::daemon::{BUSY, Oopsd, Orders, SOON};
use tests::lab::until;
use tests::site::Site;

#[test]
fn an_interface_that_is_deleted_blinds_and_its_successor_is_taken_up() -> Result<()> {
    away_and_back(|site| site.host.ip("link del eth0").map(|_| ()), Site::cable)
}

#[test]
fn an_interface_that_is_down_blinds_and_is_taken_up_again() -> Result<()> {
    let back = |site: &Site| {
        site.host.ip("link set eth0 up")?;
        // What the kernel forgets of an interface that is down.
        site.host.ip("addr replace fd53::1/64 dev eth0 nodad")?;
        site.client.ip("route replace 2001:db8::/48 via fd53::1")?;
        Ok(())
    };
    away_and_back(|site| site.host.ip("link set eth0 down").map(|_| ()), back)
}

#[test]
fn an_interface_that_is_down_at_the_start_is_waited_for() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    site.host.ip("link set eth0 down")?;
    let mut oopsd = Oopsd::start(&site.host, &Orders { config: BUSY, ..Orders::default() })?;
    oopsd.shows("oopsd_blind", 1)?;
    ensure!(oopsd.status("/readyz")? == 503 && oopsd.status("/healthz")? == 200);
    site.host.ip("link set eth0 up")?;
    oopsd.ready()?;
    oopsd.shows("oopsd_blind", 0)
}

fn away_and_back(away: impl Fn(&Site) -> Result<()>, back: impl Fn(&Site) -> Result<()>) -> Result<()> {
    let Some((site, mut oopsd)) = Site::watched(BUSY)? else { return Ok(()) };
    let load = site.queries(2_000)?;
    ensure!(oopsd.signal(1)?["condition"] == "busy");
    away(&site)?;
    let gone = Instant::now();
    let blind = oopsd.signal(2)?;
    let noticed = gone.elapsed();
    ensure!(noticed < Duration::from_secs(5), "noticed after {noticed:?}");
    ensure!(blind["condition"] == "blind" && blind["state"] == "met", "{blind}");
    ensure!(blind["arguments"]["reasons"][0].as_str().is_some_and(|why| why.starts_with("eth0: ")), "{blind}");
    oopsd.shows("oopsd_blind", 1)?;
    ensure!(oopsd.metrics()?.sum("oopsd_capture_active") == 0, "active while blind");
    ensure!(oopsd.status("/readyz")? == 503, "ready while blind");
    ensure!(oopsd.status("/healthz")? == 200, "the judging goes on");
    oopsd.shows("oopsd_condition_met{condition=\"busy\"}", 1)?;
    let counted = oopsd.metrics()?.sum("oopsd_queries_total");

    back(&site)?;
    let seen = oopsd.signal(3)?;
    ensure!(seen["condition"] == "blind" && seen["state"] == "cleared", "{seen}");
    oopsd.ready()?;
    oopsd.shows("oopsd_blind", 0)?;
    until("counts go on", SOON, || (oopsd.metrics().ok()?.sum("oopsd_queries_total") > counted + 500).then_some(()))
        .with_context(|| oopsd.stderr())?;
    ensure!(oopsd.signals().len() == 3, "{:?}", oopsd.edges());
    oopsd.shows("oopsd_condition_met{condition=\"busy\"}", 1)?;
    drop(load);
    let cleared = oopsd.signal(4)?;
    ensure!(cleared["condition"] == "busy" && cleared["state"] == "cleared", "{cleared}");
    Ok(())
}
