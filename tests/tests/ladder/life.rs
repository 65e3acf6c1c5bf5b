//! What others do to an interface: the programs taken off, the interface deleted, made anew, renamed, an AF_XDP server on it.

use crate::rungs::{ZONES, attached, stands_on, xdp_program};
use anyhow::{Context, Result, ensure};
use core::time::Duration;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Instant;
use tests::bpffs::Bpffs;
use tests::daemon::{BUSY, Oopsd, Orders, SOON};
use tests::lab::{self, Running, run, until};
use tests::site::Site;

/// Within this, something that changed is counted again or said to be blind: half a second, and what a busy machine takes.
const LIMIT: Duration = Duration::from_secs(5);

#[test]
fn a_link_that_somebody_detaches_is_blindness_until_a_reload() -> Result<()> {
    let orders = Orders { config: BUSY, arguments: &["--capture", "xdp"], ..Orders::default() };
    let Some((site, mut oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    let load = site.queries(2_000)?;
    oopsd.signal(1)?;
    let link = xdp_link(&site)?;
    let gone = Instant::now();
    run(Command::new("bpftool").args(["link", "detach", "id", &link.to_string()]))?;
    let blind = oopsd.signal(2)?;
    ensure!(gone.elapsed() < LIMIT, "after {:?}", gone.elapsed());
    ensure!(blind["condition"] == "blind" && blind["state"] == "met", "{blind}");
    ensure!(
        blind["arguments"]["reasons"][0].as_str().is_some_and(|why| why.contains("taken the programs off")),
        "{blind}"
    );
    oopsd.shows("oopsd_condition_met{condition=\"busy\"}", 1)?;
    // It does not fight with whoever did that.
    oopsd.shows("oopsd_blind", 1)?;
    ensure!(xdp_program(&site.host)?.is_none(), "attached again by itself");
    oopsd.kill(libc::SIGHUP);
    let seen = oopsd.signal(3)?;
    ensure!(seen["condition"] == "blind" && seen["state"] == "cleared", "{seen}");
    ensure!(xdp_program(&site.host)?.is_some(), "not attached by the reload");
    oopsd.ready()?;
    load.stop()?;
    Ok(())
}

#[test]
fn a_filter_that_somebody_removes_is_blindness() -> Result<()> {
    let orders = Orders { config: BUSY, arguments: &["--capture", "clsact"], ..Orders::default() };
    let Some((site, oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    let gone = Instant::now();
    run(site.host.command("tc").args(["filter", "del", "dev", "eth0", "egress"]))?;
    let blind = oopsd.signal(1)?;
    ensure!(gone.elapsed() < LIMIT, "after {:?}", gone.elapsed());
    ensure!(blind["condition"] == "blind" && blind["state"] == "met", "{blind}");
    Ok(())
}

#[test]
fn an_interface_made_anew_is_counted_on_by_each_rung_without_capabilities_for_links() -> Result<()> {
    for rung in ["xdp", "tc", "clsact"] {
        let orders = Orders { config: ZONES, arguments: &["--capture", rung], ..Orders::default() };
        let Some((site, mut oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
        site.host.ip("link del eth0")?;
        ensure!(oopsd.signal(1)?["state"] == "met", "{rung}");
        site.cable()?;
        let back = Instant::now();
        until("it counts again", SOON, || (oopsd.metrics().ok()?.sum("oopsd_capture_active") == 1).then_some(()))
            .with_context(|| oopsd.stderr())?;
        ensure!(back.elapsed() < LIMIT, "{rung}: after {:?}", back.elapsed());
        oopsd.ready()?;
        let load = site.queries(1_000)?;
        load.more(500)?;
        oopsd.sums(&["oopsd_queries_total"], load.stop()?)?;
    }
    Ok(())
}

#[test]
fn a_renamed_interface_is_counted_on_as_before() -> Result<()> {
    let Some((site, mut oopsd)) = Site::watched(ZONES)? else { return Ok(()) };
    stands_on(&oopsd, "xdp")?;
    let load = site.queries(1_000)?;
    load.more(500)?;
    site.host.ip("link set eth0 name wan0")?;
    until("it is said", SOON, || oopsd.stderr().contains("it is counted on as before").then_some(()))
        .with_context(|| oopsd.stderr())?;
    load.more(500)?;
    site.host.ip("link set wan0 name eth0")?;
    load.more(500)?;
    let sent = load.stop()?;
    oopsd.ready()?;
    oopsd.sums(&["oopsd_queries_total"], sent)?;
    ensure!(oopsd.signals().is_empty(), "{:?}", oopsd.edges());
    Ok(())
}

#[test]
fn filters_of_a_killed_run_are_taken_over_or_removed() -> Result<()> {
    let orders = Orders { config: ZONES, arguments: &["--capture", "clsact"], ..Orders::default() };
    let Some((site, mut oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    let filters = || attached(&site.host).map(|all| all.matches("oopsd_").count());
    ensure!(filters()? == 2, "{}", attached(&site.host)?);
    oopsd.restart()?;
    ensure!(filters()? == 2, "{}", attached(&site.host)?);
    let load = site.queries(1_000)?;
    load.more(500)?;
    oopsd.sums(&["oopsd_queries_total"], load.stop()?)?;
    oopsd.end_by_kill();
    ensure!(filters()? == 2, "{}", attached(&site.host)?);
    let mut next = Oopsd::start(&site.host, &Orders { config: ZONES, ..Orders::default() })?;
    next.ready()?;
    stands_on(&next, "xdp")?;
    ensure!(filters()? == 0, "{}", attached(&site.host)?);
    Ok(())
}

#[test]
fn filters_of_others_stay() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let tc = |words: &str| run(site.host.command("tc").args(words.split_whitespace()));
    // Any program will do: one that another oopsd has pinned.
    let bpffs = Bpffs::new()?;
    let capture = bpffs.capture(true);
    let orders = Orders { config: ZONES, capture: &capture, arguments: &["--capture", "xdp"], ..Orders::default() };
    let mut other = Oopsd::start(&site.host, &orders)?;
    other.ready()?;
    tc("qdisc add dev eth0 clsact")?;
    let program = bpffs.pins().join("programs/ingress_tc");
    tc(&format!("filter add dev eth0 ingress prio 7 bpf da object-pinned {}", program.display()))?;
    let shown = || tc("filter show dev eth0 ingress").map(|all| all.matches("pref 7 bpf").count());
    let before = shown()?;
    ensure!(before > 0, "{}", tc("filter show dev eth0 ingress")?);
    let arguments = ["--capture", "clsact"];
    let orders = Orders { config: ZONES, arguments: &arguments, metrics: Some("127.0.0.1:9554"), ..Orders::default() };
    let mut oopsd = Oopsd::start(&site.host, &orders)?;
    oopsd.ready()?;
    let load = site.queries(1_000)?;
    load.more(500)?;
    oopsd.sums(&["oopsd_queries_total"], load.stop()?)?;
    oopsd.stop()?;
    let all = tc("filter show dev eth0 ingress")?;
    ensure!(shown()? == before && !all.contains("oopsd_"), "{all}");
    Ok(())
}

#[test]
fn an_af_xdp_server_is_blindness() -> Result<()> {
    if !lab::ready(&["knotd"]) {
        return Ok(());
    }
    let orders = Orders { config: BUSY, arguments: &["--capture", "tc"], ..Orders::default() };
    let Some((site, oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let at = folder.path().display();
    let config = format!(
        "server:\n    rundir: {at}\nxdp:\n    listen: eth0@53\ndatabase:\n    storage: {at}\n\
         log:\n  - target: stderr\n    any: info\n"
    );
    std::fs::write(folder.path().join("knot.conf"), config)?;
    let log = std::fs::File::create(folder.path().join("log"))?;
    let mut command = site.host.command("knotd");
    command.arg("-c").arg(folder.path().join("knot.conf")).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let said = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let mut knotd = Running::start(&mut command)?;
    until("knotd on XDP", SOON, || xdp_program(&site.host).ok().flatten()).with_context(said)?;
    let there = Instant::now();
    let blind = oopsd.signal(1).with_context(said)?;
    ensure!(there.elapsed() < LIMIT, "after {:?}", there.elapsed());
    ensure!(blind["arguments"]["reasons"][0].as_str().is_some_and(|why| why.contains("AF_XDP")), "{blind}");
    knotd.kill();
    let _ = site.host.ip("link set dev eth0 xdp off");
    let seen = oopsd.signal(2)?;
    ensure!(seen["state"] == "cleared", "{seen}");
    Ok(())
}

/// The number of the XDP link on `eth0`.
pub(crate) fn xdp_link(site: &Site) -> Result<u64> {
    let program = xdp_program(&site.host)?.context("a program")?;
    let links: Value = serde_json::from_str(&run(Command::new("bpftool").args(["-j", "link", "list"]))?)?;
    let link = links.as_array().into_iter().flatten().find(|link| link["prog_id"] == program);
    link.and_then(|link| link["id"].as_u64()).context("a link")
}
