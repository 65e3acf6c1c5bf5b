//! SIGTERM ends it within two seconds, whatever it is doing; routes outlive it.

use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::thread;
use tests::daemon::{Oopsd, SOON};
use tests::lab::{Namespace, until};
use tests::message::query;
use tests::site::{SERVICE, Site};

/// Both families, the host's own table, and a condition that holds them.
const ROUTES: &str = r#"
[[condition]]
name = "busy"
kind = "query-rate"
rising = 500
keep-for = "300ms"
[[router]]
name = "bird"
type = "kernel-table"
table = 5353
[[route]]
prefix = "192.0.2.0/24"
router = "bird"
when = "busy"
policy = "demote"
ladder = [{ prepend = 3 }]
[[route]]
prefix = "2001:db8::/48"
router = "bird"
when = "busy"
policy = "demote"
ladder = [{ prepend = 1 }]
"#;

const WANTED: [&str; 2] = [
    "oopsd_route_wanted{prefix=\"192.0.2.0/24\",router=\"bird\"}",
    "oopsd_route_wanted{prefix=\"2001:db8::/48\",router=\"bird\"}",
];

#[test]
fn it_stops_at_once_while_an_interface_is_idle_and_under_load() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    for rate in [0, 3_000] {
        let mut oopsd = Oopsd::start(&site.host, "")?;
        let load = site.load(SERVICE[0], rate, || query("nl."))?;
        until("load", SOON, || (load.sent() >= u64::from(rate) / 10).then_some(()))?;
        let (status, after) = oopsd.stop()?;
        ensure!(status.success() && after.as_secs_f64() < 2.0, "{status} after {after:?}: {}", oopsd.stderr());
    }
    Ok(())
}

#[test]
fn a_demoted_route_outlives_a_kill_and_is_taken_back_once_the_condition_cleared() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let mut oopsd = Oopsd::start(&site.host, ROUTES)?;
    let load = site.load(SERVICE[0], 2_000, || query("nl."))?;
    oopsd.signal(1)?;
    let demoted = until("both routes", SOON, || Some(table(&site.host)).filter(|table| table.lines().count() == 2))
        .with_context(|| oopsd.stderr())?;
    oopsd.shows(WANTED[0], 3)?;
    oopsd.shows(WANTED[1], 1)?;

    // The kernel says every change of the table, so that one that is made and undone shows too.
    let mut monitor = site.host.command("ip");
    let changes = oopsd.path("monitor");
    monitor.args(["monitor", "route"]).stdout(std::fs::File::create(&changes)?);
    let monitor = tests::lab::Running::start(&mut monitor)?;
    let watched = || std::fs::read_to_string(&changes).unwrap_or_default();
    until("the kernel is watched", SOON, || {
        site.host.ip("route add blackhole 198.51.100.0/24 table 99").ok()?;
        site.host.ip("route del blackhole 198.51.100.0/24 table 99").ok()?;
        watched().contains("198.51.100.0/24").then_some(())
    })?;
    oopsd.restart()?;
    ensure!(table(&site.host) == demoted, "{demoted} became {}", table(&site.host));
    oopsd.signal(2)?;
    oopsd.shows(WANTED[0], 3)?;
    let (status, _) = oopsd.stop()?;
    ensure!(status.success() && table(&site.host) == demoted, "{demoted} became {}", table(&site.host));
    oopsd.restart()?;
    // At any moment of its start, and of what it does then.
    for moment in 0..10 {
        oopsd.kill_and_start()?;
        thread::sleep(Duration::from_millis(moment * 60));
    }
    oopsd.restart()?;
    ensure!(!watched().contains("table 5353"), "the routes were touched: {}", watched());

    drop(load);
    until("plain again", SOON, || table(&site.host).is_empty().then_some(()))
        .with_context(|| format!("{}\n{}", table(&site.host), oopsd.stderr()))?;
    oopsd.shows(WANTED[0], 0)?;
    until("the kernel says so", SOON, || watched().contains("table 5353").then_some(()))?;
    drop(monitor);
    Ok(())
}

#[test]
fn killed_while_it_changes_routes_it_ends_with_the_right_ones() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let mut oopsd = Oopsd::start(&site.host, ROUTES)?;
    let load = site.load(SERVICE[0], 2_000, || query("nl."))?;
    for moment in 0..6 {
        // Its window is full and the condition met after some 600 ms.
        thread::sleep(Duration::from_millis(550 + moment * 40));
        oopsd.kill_and_start()?;
        site.host.ip("route flush table 5353").ok();
        site.host.ip("-6 route flush table 5353").ok();
    }
    until("both routes", SOON, || (table(&site.host).lines().count() == 2).then_some(()))
        .with_context(|| format!("{}\n{}", table(&site.host), oopsd.stderr()))?;
    oopsd.shows("oopsd_route_seen{prefix=\"192.0.2.0/24\",router=\"bird\"}", 3)?;
    oopsd.shows("oopsd_route_seen{prefix=\"2001:db8::/48\",router=\"bird\"}", 1)?;
    drop(load);
    until("plain again", SOON, || table(&site.host).is_empty().then_some(()))
        .with_context(|| format!("{}\n{}", table(&site.host), oopsd.stderr()))
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let oopsd = Oopsd::start_with(&site.host, ROUTES, &["--dry-run"], |_| Ok(()))?;
    let load = site.load(SERVICE[0], 2_000, || query("nl."))?;
    oopsd.signal(1)?;
    oopsd.shows(WANTED[0], 3)?;
    until("what it would do", SOON, || {
        let said = oopsd.stderr();
        said.lines().any(|line| line.contains("192.0.2.0/24")).then_some(())
    })
    .with_context(|| oopsd.stderr())?;
    ensure!(table(&site.host).is_empty(), "{}", table(&site.host));
    drop(load);
    oopsd.signal(2)?;
    ensure!(table(&site.host).is_empty(), "{}", table(&site.host));
    Ok(())
}

/// oopsd's routes, of both families, without how long they will last.
fn table(host: &Namespace) -> String {
    let show = |family| host.ip(&format!("{family} route show table 5353"));
    // A table that nobody has put a route into is none.
    show("-4").unwrap_or_default() + &show("-6").unwrap_or_default()
}
