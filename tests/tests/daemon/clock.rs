//! The wall clock jumps, as when NTP or a person sets it: only the times in messages change.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use tests::daemon::{BUSY, Oopsd, Orders, routes};
use tests::lab::{self, run};
use tests::site::Site;

/// More than the two hours after which a route would be taken back.
const JUMP: i64 = 180;

#[test]
fn a_jump_of_the_wall_clock_moves_no_edge_no_hold_and_no_route() -> Result<()> {
    if !lab::ready(&["faketime"]) {
        return Ok(());
    }
    let held = BUSY.replace("busy", "held") + "for = \"3s\"\n";
    let folder = tempfile::tempdir()?;
    set(folder.path(), 0)?;
    let preload = run(Command::new("faketime").args(["-f", "+0s", "printenv", "LD_PRELOAD"]))?;
    let offset = folder.path().join("offset");
    let variables = [
        ("LD_PRELOAD", preload.trim()),
        ("FAKETIME_TIMESTAMP_FILE", offset.to_str().context("UTF-8")?),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let orders = Orders { config: &[BUSY, &held, &routes()].concat(), variables: &variables, ..Orders::default() };
    let Some((site, mut oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    let load = site.queries(2_000)?;
    oopsd.signal(1)?;
    let (met, before) = (Instant::now(), seconds_met(&oopsd)?);
    load.more(2_000)?;
    set(folder.path(), JUMP)?;
    oopsd.signal(2)?;
    let after = met.elapsed();
    // Three seconds, and what a busy machine takes: far from what the clock jumps by.
    ensure!((2.5..20.0).contains(&after.as_secs_f64()), "held after {after:?}");
    set(folder.path(), -JUMP)?;
    load.more(4_000)?;
    let (spent, passed) = (seconds_met(&oopsd)? - before, met.elapsed());
    ensure!((spent - passed.as_secs_f64()).abs() < 5.0, "{spent} seconds of {passed:?}");
    ensure!(oopsd.status("/healthz")? == 200);
    oopsd.shows("oopsd_blind", 0)?;
    oopsd.shows_route("seen", "192.0.2.0/24", "prepend 3")?;
    oopsd.shows_route("seen", "2001:db8::/48", "prepend 1")?;
    oopsd.comes_to(load.stop()?)?;
    oopsd.signal(4)?;

    let signals = oopsd.signals();
    let minutes: Vec<_> = signals.iter().map(|signal| Some(minute(signal)? - minute(&signals[0])?)).collect();
    let moved = |index: usize, by: i64| minutes[index].is_some_and(|it: i64| (it - by + 1).rem_euclid(1440) <= 2);
    ensure!(oopsd.judged()[..2] == ["busy met", "held met"] && signals.len() == 4, "{:?}", oopsd.edges());
    ensure!(moved(1, JUMP) && moved(2, -JUMP) && moved(3, -JUMP), "{minutes:?} minutes after the first: {signals:?}");
    // Not killed, so that faketime takes its shared memory with it.
    ensure!(oopsd.stop()?.0.success(), "{}", oopsd.stderr());
    println!("held after {after:?}; minutes after the first signal: {minutes:?}");
    Ok(())
}

/// Sets oopsd's wall clock so many minutes beside the true one.
fn set(folder: &Path, minutes: i64) -> Result<()> {
    let new = folder.join("new");
    fs::write(&new, format!("{minutes:+}m\n"))?;
    Ok(fs::rename(new, folder.join("offset"))?)
}

/// How long the condition has been met, says oopsd.
fn seconds_met(oopsd: &Oopsd) -> Result<f64> {
    let metrics = oopsd.metrics()?;
    let series = metrics.series();
    let seconds =
        series.get("oopsd_condition_seconds_total{condition=\"busy\",state=\"met\"}").context("no such series")?;
    Ok(seconds.parse()?)
}

/// The minute of the day of a signal.
fn minute(signal: &Value) -> Option<i64> {
    let (_, time) = signal["at"].as_str()?.split_once('T')?;
    let (hours, rest) = time.split_once(':')?;
    Some(hours.parse::<i64>().ok()? * 60 + rest.get(..2)?.parse::<i64>().ok()?)
}
