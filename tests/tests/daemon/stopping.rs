//! SIGTERM ends it within two seconds, whatever it is doing; routes outlive it.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use tests::daemon::{BUSY, Oopsd, Orders, SOON, routes};
use tests::lab::{Namespace, Running, oopsd, until};
use tests::site::Site;

#[test]
fn it_stops_at_once_while_an_interface_is_idle_and_under_load() -> Result<()> {
    for rate in [0, 3_000] {
        let Some((site, mut oopsd)) = Site::watched("")? else { return Ok(()) };
        let load = site.queries(rate)?;
        load.more(u64::from(rate) / 10)?;
        oopsd.stops_in_time()?;
    }
    Ok(())
}

#[test]
fn that_nobody_reads_what_it_says_does_not_end_it() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("oopsd.toml");
    std::fs::write(&file, "[capture]\ninterfaces = [\"eth0\"]\n[zones]\nnames = [\"nl.\"]\n")?;
    let mut command = site.host.command(oopsd()?.to_str().context("UTF-8")?);
    command.args(["run", "--capture", "socket", "-c"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = Running::start(&mut command)?;
    let said = BufReader::new(running.0.stderr.take().context("piped")?);
    ensure!(said.lines().map_while(Result::ok).any(|line| line.contains("counting node")), "it does not begin");
    // Its reader is gone; each of these has it say something.
    running.signal(libc::SIGHUP);
    running.signal(libc::SIGTERM);
    let status = until("its end", SOON, || running.0.try_wait().ok().flatten())?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[test]
fn a_demoted_route_outlives_a_kill_and_is_taken_back_once_the_condition_cleared() -> Result<()> {
    // Where a busy machine keeps the sender from sending, the load is under falling indeed, and the routes come down: not within this.
    let patient = BUSY.replace("100ms", "2s");
    let Some((site, mut oopsd)) = Site::watched(&(patient + &routes()))? else { return Ok(()) };
    let load = site.queries(2_000)?;
    oopsd.signal(1)?;
    let demoted = holds(&site, &oopsd, 2)?;
    oopsd.shows_route("wanted", "192.0.2.0/24", "prepend 3")?;
    oopsd.shows_route("wanted", "2001:db8::/48", "prepend 1")?;

    // The kernel says every change of the table, so that one that is made and undone shows too.
    let mut monitor = site.host.command("ip");
    let changes = oopsd.path("monitor");
    monitor.args(["monitor", "route"]).stdout(std::fs::File::create(&changes)?);
    let monitor = Running::start(&mut monitor)?;
    let watched = || std::fs::read_to_string(&changes).unwrap_or_default();
    until("the kernel is watched", SOON, || {
        site.host.ip("route add blackhole 198.51.100.0/24 table 99").ok()?;
        site.host.ip("route del blackhole 198.51.100.0/24 table 99").ok()?;
        watched().contains("198.51.100.0/24").then_some(())
    })?;
    oopsd.restart()?;
    ensure!(table(&site.host) == demoted, "{demoted} became {}", table(&site.host));
    oopsd.signal(2)?;
    oopsd.shows_route("wanted", "192.0.2.0/24", "prepend 3")?;
    let (status, _) = oopsd.stop()?;
    ensure!(status.success() && table(&site.host) == demoted, "{demoted} became {}", table(&site.host));
    oopsd.restart()?;
    // At any moment of its start, and of what it does then.
    for moment in 0..10 {
        oopsd.kill_and_start()?;
        load.more(moment * 120)?;
    }
    oopsd.restart()?;
    ensure!(!watched().contains("table 5353"), "the routes were touched: {}", watched());

    drop(load);
    holds(&site, &oopsd, 0)?;
    oopsd.shows_route("wanted", "192.0.2.0/24", "plain")?;
    until("the kernel says so", SOON, || watched().contains("table 5353").then_some(()))?;
    drop(monitor);
    Ok(())
}

#[test]
fn killed_while_it_changes_routes_it_ends_with_the_right_ones() -> Result<()> {
    let Some((site, mut oopsd)) = Site::watched(&(BUSY.to_owned() + &routes()))? else { return Ok(()) };
    let load = site.queries(2_000)?;
    for moment in 0..6 {
        // Its window is full and the condition met after some 600 ms.
        load.more(1_100 + moment * 80)?;
        oopsd.kill_and_start()?;
        site.host.ip("route flush table 5353").ok();
        site.host.ip("-6 route flush table 5353").ok();
    }
    holds(&site, &oopsd, 2)?;
    oopsd.shows_route("seen", "192.0.2.0/24", "prepend 3")?;
    oopsd.shows_route("seen", "2001:db8::/48", "prepend 1")?;
    drop(load);
    holds(&site, &oopsd, 0).map(|_| ())
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() -> Result<()> {
    let orders = Orders { config: &(BUSY.to_owned() + &routes()), arguments: &["--dry-run"], ..Orders::default() };
    let Some((site, oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    let load = site.queries(2_000)?;
    oopsd.signal(1)?;
    oopsd.shows_route("wanted", "192.0.2.0/24", "prepend 3")?;
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

/// Waits until oopsd has so many routes; which they are.
fn holds(site: &Site, oopsd: &Oopsd, routes: usize) -> Result<String> {
    until(&format!("{routes} routes"), SOON, || Some(table(&site.host)).filter(|table| table.lines().count() == routes))
        .with_context(|| format!("{}\n{}", table(&site.host), oopsd.stderr()))
}

/// oopsd's routes, of both families, without how long they will last.
fn table(host: &Namespace) -> String {
    let show = |family| host.ip(&format!("{family} route show table 5353"));
    // A table that nobody has put a route into is none.
    show("-4").unwrap_or_default() + &show("-6").unwrap_or_default()
}
