//! SIGHUP under load: nothing is lost, nothing is signalled, and a broken file changes nothing.

use anyhow::{Context, Result, ensure};
use tests::daemon::{BUSY, Oopsd, Orders, SOON};
use tests::lab::until;
use tests::message::query;
use tests::site::{SERVICE, Site};
use tests::traffic::Load;

/// The zones' series sum to what was sent, and each service prefix's to the same.
const SERIES: [&str; 2] = ["oopsd_queries_total", "oopsd_prefix_queries_total"];

/// Before a reload, and after it: other zones, in other places of the list, and one condition more.
fn configs() -> [String; 2] {
    let scoped = BUSY.to_owned() + "scope = { zone = \"nl.\" }\n";
    let quiet = "[[condition]]\nname = \"quiet\"\nkind = \"query-rate\"\nscope = { zone = \"example.org.\" }\nrising = \"100k\"\n";
    [
        format!("[zones]\nnames = [\"nl.\"]\n{scoped}"),
        format!("[zones]\nnames = [\"example.org.\", \"nl.\", \"www.nl.\"]\n{quiet}{scoped}"),
    ]
}

#[test]
fn a_reload_loses_no_count_keeps_what_is_met_and_signals_nothing() -> Result<()> {
    let [before, after] = configs();
    let Some((site, oopsd)) = Site::watched(&before)? else { return Ok(()) };
    let loads = loads(&site)?;
    oopsd.signal(1)?;
    oopsd.configure(&after)?;
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
    site.is_lossless()?;
    oopsd.sums(&SERIES, sent)?;
    oopsd.signal(2)?;
    ensure!(oopsd.judged() == ["busy met", "busy cleared"], "{:?}", oopsd.edges());
    Ok(())
}

#[test]
fn twenty_reloads_in_a_row_lose_no_count() -> Result<()> {
    let [before, after] = configs();
    let Some((site, oopsd)) = Site::watched(&before)? else { return Ok(()) };
    let loads = loads(&site)?;
    for turn in 1..=20 {
        oopsd.configure(if turn % 2 == 0 { &before } else { &after })?;
        reload(&oopsd, turn)?;
        loads[0].more(20)?;
    }
    let sent = stop(loads)?;
    site.is_lossless()?;
    // The series of a zone go with the zone; those of the service prefixes and of the node stay.
    oopsd.sums(&["oopsd_prefix_queries_total", "oopsd_messages_total"], sent)
}

#[test]
fn reloads_that_queue_up_do_not_keep_it_from_stopping() -> Result<()> {
    let zones: String = (0..50_000).map(|number| format!("zone{number}.example.\n")).collect();
    let (config, files) = ("[zones]\nfile = \"zones.txt\"", &[("zones.txt", &*zones)]);
    let orders = Orders { config, files, ..Orders::default() };
    let Some((site, mut oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    // The kernel makes one of signals that come too fast: they keep pace with a load.
    let load = site.queries(500)?;
    for _ in 0..100 {
        oopsd.kill(libc::SIGHUP);
        load.more(1)?;
    }
    oopsd.stops_in_time()
}

#[test]
fn a_broken_file_leaves_the_old_configuration_in_force_and_says_where() -> Result<()> {
    let [before, _] = configs();
    let Some((site, oopsd)) = Site::watched(&before)? else { return Ok(()) };
    let loads = loads(&site)?;
    oopsd.signal(1)?;
    oopsd.configure(&before.replace("rising = 500", "rising = \"many\""))?;
    oopsd.kill(libc::SIGHUP);
    oopsd.shows("oopsd_config_last_reload_success", 0)?;
    let line = 1 + std::fs::read_to_string(oopsd.path("oopsd.toml"))?
        .lines()
        .position(|line| line.contains("many"))
        .context("the broken line")?;
    let place = format!("oopsd.toml:{line}:10: `rising`");
    ensure!(oopsd.stderr().contains(&place), "{place} is not in {}", oopsd.stderr());
    oopsd.shows("oopsd_condition_met{condition=\"busy\"}", 1)?;
    oopsd.sums(&SERIES, stop(loads)?)?;
    oopsd.configure(&before)?;
    reload(&oopsd, 1)?;
    oopsd.shows("oopsd_config_last_reload_success", 1)?;
    oopsd.signal(2)?;
    ensure!(oopsd.signals().len() == 2, "{:?}", oopsd.edges());
    Ok(())
}

fn loads(site: &Site) -> Result<[Load; 3]> {
    Ok([
        site.queries(1_000)?,
        site.load(SERVICE[1], 1_000, || query("nl."))?,
        site.load(SERVICE[1], 300, || query("example.org."))?,
    ])
}

fn stop(loads: [Load; 3]) -> Result<u64> {
    loads.into_iter().map(Load::stop).sum()
}

/// Asks for a reload and waits until `turn` of them have been done.
fn reload(oopsd: &Oopsd, turn: usize) -> Result<()> {
    oopsd.kill(libc::SIGHUP);
    until(&format!("reload {turn}"), SOON, || {
        (oopsd.stderr().matches("configuration reloaded").count() >= turn).then_some(())
    })
    .with_context(|| oopsd.stderr())
}
