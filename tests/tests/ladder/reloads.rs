//! SIGHUP while the kernel counts: another half of the same counters, on the same links.

use crate::life::xdp_link;
use crate::rungs::{ZONES, stands_on, xdp_program};
use anyhow::{Context, Result, ensure};
use tests::daemon::{Oopsd, Orders, SOON};
use tests::lab::until;
use tests::site::Site;

const OTHERS: &str = "[zones]\nnames = [\"org.\", \"www.nl.\", \"example.org.\", \"nl.\"]\n";

#[test]
fn fifty_reloads_under_load_lose_no_count_and_attach_nothing() -> Result<()> {
    let Some((site, oopsd)) = Site::watched(ZONES)? else { return Ok(()) };
    stands_on(&oopsd, "xdp")?;
    let (link, program) = (xdp_link(&site)?, xdp_program(&site.host)?);
    let load = site.queries(4_000)?;
    let mut frames = 0;
    for turn in 1..=50 {
        oopsd.configure(if turn % 2 == 0 { ZONES } else { OTHERS })?;
        reload(&oopsd, turn)?;
        let now = oopsd.metrics()?.sum("oopsd_capture_frames_total");
        ensure!(now >= frames, "{frames} frames became {now}");
        frames = now;
    }
    let sent = load.stop()?;
    site.is_lossless()?;
    // The series of a zone go with the zone; those of the service prefixes stay.
    oopsd.sums(&["oopsd_prefix_queries_total"], sent)?;
    ensure!((xdp_link(&site)?, xdp_program(&site.host)?) == (link, program), "attached anew");
    ensure!(oopsd.signals().is_empty(), "{:?}", oopsd.edges());
    Ok(())
}

#[test]
fn more_than_there_is_room_for_is_refused_and_the_old_zones_stay() -> Result<()> {
    let Some((site, oopsd)) = Site::watched(ZONES)? else { return Ok(()) };
    let many: String = (0..5_000).map(|number| format!("zone{number}.example.\n")).collect();
    std::fs::write(oopsd.path("zones.txt"), many)?;
    oopsd.configure("[zones]\nfile = \"zones.txt\"\n")?;
    oopsd.kill(libc::SIGHUP);
    oopsd.shows("oopsd_config_last_reload_success", 0)?;
    ensure!(oopsd.stderr().contains("that there is room for until the next start"), "{}", oopsd.stderr());
    let load = site.queries(1_000)?;
    load.more(500)?;
    oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", load.stop()?)
}

#[test]
fn counters_over_the_limit_are_refused() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let capture = "kernel-memory = \"1MiB\"\n";
    let pinned = Orders { config: ZONES, capture, arguments: &["--capture", "xdp"], ..Orders::default() };
    let said = format!("{:?}", Oopsd::start(&site.host, &pinned).err().context("it started")?);
    ensure!(said.contains("kernel-memory allows 1 MiB"), "{said}");
    let mut oopsd = Oopsd::start(&site.host, &Orders { arguments: &[], ..pinned })?;
    oopsd.ready()?;
    stands_on(&oopsd, "socket")?;
    ensure!(oopsd.stderr().contains("kernel-memory allows 1 MiB"), "{}", oopsd.stderr());
    Ok(())
}

#[test]
fn an_interface_that_a_reload_brings_is_attached_and_the_other_one_is_left_alone() -> Result<()> {
    let Some((site, oopsd)) = Site::watched(ZONES)? else { return Ok(()) };
    site.host.cable("eth1", &site.client, "eth1")?;
    let (link, program) = (xdp_link(&site)?, xdp_program(&site.host)?);
    let load = site.queries(2_000)?;
    let file = std::fs::read_to_string(oopsd.path("oopsd.toml"))?;
    std::fs::write(oopsd.path("oopsd.toml"), file.replace("[\"eth0\"]", "[\"eth0\", \"eth1\"]"))?;
    reload(&oopsd, 1)?;
    oopsd.shows("oopsd_capture_active{interface=\"eth1\",kind=\"xdp\"}", 1)?;
    std::fs::write(oopsd.path("oopsd.toml"), &file)?;
    reload(&oopsd, 2)?;
    ensure!((xdp_link(&site)?, xdp_program(&site.host)?) == (link, program), "attached anew");
    let shown: serde_json::Value = serde_json::from_str(&site.host.ip("-j link show dev eth1")?)?;
    ensure!(shown[0]["xdp"].is_null(), "{shown}");
    oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", load.stop()?)
}

/// Asks for a reload and waits until `turn` of them have been done.
fn reload(oopsd: &Oopsd, turn: usize) -> Result<()> {
    oopsd.kill(libc::SIGHUP);
    until(&format!("reload {turn}"), SOON, || {
        (oopsd.stderr().matches("configuration reloaded").count() >= turn).then_some(())
    })
    .with_context(|| oopsd.stderr())
}
