//! SIGHUP under load: nothing is lost, nothing is signalled, and a broken file changes nothing.

use anyhow::{Context, Result, ensure};
use core::time::Duration;
use tests::daemon::{Oopsd, SOON};
use tests::lab::until;
use tests::message::query;
use tests::site::{SERVICE, Site};
use tests::traffic::Load;

const BEFORE: &str = r#"
[zones]
names = ["nl."]
[[condition]]
name = "busy"
kind = "query-rate"
scope = { zone = "nl." }
rising = 500
keep-for = "100ms"
"#;

const AFTER: &str = r#"
[zones]
names = ["example.org.", "nl.", "www.nl."]
[[condition]]
name = "quiet"
kind = "query-rate"
scope = { zone = "example.org." }
rising = "100k"
[[condition]]
name = "busy"
kind = "query-rate"
scope = { zone = "nl." }
rising = 500
keep-for = "100ms"
"#;

#[test]
fn a_reload_loses_no_count_keeps_what_is_met_and_signals_nothing() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let oopsd = Oopsd::start(&site.host, BEFORE)?;
    let loads = loads(&site)?;
    oopsd.signal(1)?;
    oopsd.configure(AFTER)?;
    reload(&oopsd, 1)?;
    // What comes from here on belongs where the new configuration says.
    until("www.nl. has queries of its own", SOON, || {
        let metrics = oopsd.metrics().ok()?;
        let count: u64 = metrics.series().get("oopsd_queries_total{zone=\"www.nl.\"}")?.parse().ok()?;
        (count > 200).then_some(())
    })?;
    oopsd.shows("oopsd_condition_met{condition=\"busy\"}", 1)?;
    oopsd.shows("oopsd_condition_met{condition=\"quiet\"}", 0)?;
    oopsd.shows("oopsd_config_last_reload_success", 1)?;
    let sent = stop(loads)?;
    ensure!(site.lost()? == [0, 0], "the cable lost some: {:?}", site.lost()?);
    adds_up(&oopsd, sent)?;
    oopsd.signal(2)?;
    let edges = oopsd.edges();
    let edges: Vec<_> = edges.iter().map(|(condition, state)| (condition.as_str(), state.as_str())).collect();
    ensure!(edges == [("busy", "met"), ("busy", "cleared")], "{edges:?}");
    Ok(())
}

#[test]
fn twenty_reloads_in_a_row_lose_no_count() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let oopsd = Oopsd::start(&site.host, BEFORE)?;
    let loads = loads(&site)?;
    for turn in 1..=20 {
        // Other zones, in other places of the list.
        oopsd.configure(if turn % 2 == 0 { BEFORE } else { AFTER })?;
        reload(&oopsd, turn)?;
        let sent = loads[0].sent();
        until("more queries", SOON, || (loads[0].sent() > sent + 20).then_some(()))?;
    }
    let sent = stop(loads)?;
    ensure!(site.lost()? == [0, 0], "the cable lost some: {:?}", site.lost()?);
    // The series of a zone go with the zone; those of the service prefixes and of the node stay.
    comes_to(&oopsd, &["oopsd_prefix_queries_total", "oopsd_messages_total"], sent)
}

#[test]
fn reloads_that_queue_up_do_not_keep_it_from_stopping() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let zones: String = (0..50_000).map(|number| format!("zone{number}.example.\n")).collect();
    let write = |folder: &std::path::Path| Ok(std::fs::write(folder.join("zones.txt"), &zones)?);
    let mut oopsd = Oopsd::start_with(&site.host, "[zones]\nfile = \"zones.txt\"", &[], write)?;
    // The kernel makes one of signals that come too fast.
    for _ in 0..100 {
        oopsd.kill(libc::SIGHUP);
        std::thread::sleep(Duration::from_millis(2));
    }
    let (status, after) = oopsd.stop()?;
    ensure!(status.success() && after.as_secs_f64() < 2.0, "{status} after {after:?}");
    Ok(())
}

#[test]
fn a_broken_file_leaves_the_old_configuration_in_force_and_says_where() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let oopsd = Oopsd::start(&site.host, BEFORE)?;
    let loads = loads(&site)?;
    oopsd.signal(1)?;
    oopsd.configure(&BEFORE.replace("rising = 500", "rising = \"many\""))?;
    oopsd.kill(libc::SIGHUP);
    oopsd.shows("oopsd_config_last_reload_success", 0)?;
    let line = 1 + std::fs::read_to_string(oopsd.path("oopsd.toml"))?
        .lines()
        .position(|line| line.contains("many"))
        .context("the broken line")?;
    let place = format!("oopsd.toml:{line}:10: `rising`");
    ensure!(oopsd.stderr().contains(&place), "{place} is not in {}", oopsd.stderr());
    oopsd.shows("oopsd_condition_met{condition=\"busy\"}", 1)?;
    adds_up(&oopsd, stop(loads)?)?;
    oopsd.configure(BEFORE)?;
    reload(&oopsd, 1)?;
    oopsd.shows("oopsd_config_last_reload_success", 1)?;
    oopsd.signal(2)?;
    ensure!(oopsd.signals().len() == 2, "{:?}", oopsd.edges());
    Ok(())
}

fn loads(site: &Site) -> Result<[Load; 3]> {
    Ok([
        site.load(SERVICE[0], 1_000, || query("www.nl."))?,
        site.load(SERVICE[1], 1_000, || query("nl."))?,
        site.load(SERVICE[1], 300, || query("example.org."))?,
    ])
}

fn stop(loads: [Load; 3]) -> Result<u64> {
    loads.into_iter().map(Load::stop).sum()
}

/// Asks for a reload and waits until `turn` of them have been done.
fn reload(oopsd: &Oopsd<'_>, turn: usize) -> Result<()> {
    oopsd.kill(libc::SIGHUP);
    until(&format!("reload {turn}"), SOON, || {
        (oopsd.stderr().matches("configuration reloaded").count() >= turn).then_some(())
    })
    .with_context(|| oopsd.stderr())
}

/// Waits until the zones' series sum to what was sent, and each service prefix's to the same.
fn adds_up(oopsd: &Oopsd<'_>, sent: u64) -> Result<()> {
    comes_to(oopsd, &["oopsd_queries_total", "oopsd_prefix_queries_total"], sent)
}

/// Waits until each family sums to `sent`.
fn comes_to(oopsd: &Oopsd<'_>, families: &[&str], sent: u64) -> Result<()> {
    let sums = || {
        let metrics = oopsd.metrics().ok()?;
        Some(families.iter().map(|family| metrics.sum(family)).collect::<Vec<_>>())
    };
    until("all that was sent", SOON, || sums().filter(|sums| sums.iter().all(|&sum| sum == sent)))
        .map(|_| ())
        .with_context(|| format!("{sent} sent, {:?} counted; {}", sums(), oopsd.stderr()))
}
