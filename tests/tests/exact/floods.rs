//! kxdpgun as fast as it goes: random names, sources that are not theirs, tags.

use crate::scene::{Scene, start};
use anyhow::{Context, Result, ensure};
use tests::lab::run;

#[test]
fn spoofed_sources_and_random_names_take_no_memory_on_xdp() -> Result<()> {
    flood("xdp", "xdp", &[])
}

#[test]
fn spoofed_sources_and_random_names_take_no_memory_on_tcx() -> Result<()> {
    flood("tc", "tcx", &[])
}

#[test]
fn tags_in_the_frame_hide_nothing_from_xdp() -> Result<()> {
    flood("xdp", "xdp", &["-v", "100"])
}

#[test]
fn tags_beside_the_frame_hide_nothing_from_tcx() -> Result<()> {
    flood("tc", "tcx", &["-v", "100"])
}

fn flood(capture: &str, rung: &str, arguments: &[&str]) -> Result<()> {
    let Some(scene) = Scene::new()? else { return Ok(()) };
    scene.site.host.ip("route add 10.0.0.0/8 via 203.0.113.2")?;
    std::fs::write(scene.folder.path().join("names"), names(100_000).join("\n") + "\n")?;
    let Some(mut oopsd) = start(&scene, capture, rung)? else { return Ok(()) };
    let shoot = |seconds: &str| -> Result<u64> {
        let mut gun = scene.site.client.command("kxdpgun");
        gun.args(["-t", seconds, "-Q", "2000000", "-r", "-l", "10.0.0.0/8", "-I", "eth0"]);
        gun.args(["-L", "02:00:00:00:00:02", "-R", "02:00:00:00:00:01"]).args(arguments);
        let said = run(gun.arg("-i").arg(scene.folder.path().join("names")).arg("192.0.2.1"))?;
        let line = said.lines().find_map(|line| line.trim().strip_prefix("total queries:"));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).with_context(|| said.clone())
    };
    let mut sent = shoot("1")?;
    let (memory, series) = (oopsd.resident()?, oopsd.metrics()?.series().len());
    sent += shoot("4")?;
    let lost = scene.site.lost()?[0];
    let query = "oopsd_messages_total{direction=\"received\",qr=\"query\",transport=\"udp\",family=\"ipv4\"}";
    oopsd.shows(query, sent - lost)?;
    let grown = oopsd.resident()?.saturating_sub(memory);
    ensure!(grown < 256 << 10, "{grown} bytes more");
    ensure!(oopsd.metrics()?.series().len() < series + 8, "{series} series became {}", oopsd.metrics()?.series().len());
    let metrics = oopsd.metrics()?;
    ensure!(metrics.sum("oopsd_queries_total") == sent - lost, "{}", metrics.family("oopsd_queries_total"));
    oopsd.stop()?;
    said(rung, sent, lost, grown);
    Ok(())
}

/// Names that nobody asked for before: half of them in a zone.
fn names(count: u64) -> Vec<String> {
    let name = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(format!("{:x}.{:x}.{} A", *state >> 16, *state >> 40, if *state >> 63 == 0 { "nl" } else { "test" }))
    };
    (0..count).scan(1, |state, _| name(state)).collect()
}

#[expect(clippy::print_stdout, reason = "the counts are what one wants to read of a run")]
fn said(rung: &str, sent: u64, lost: u64, grown: u64) {
    println!("{rung}: {sent} sent, {lost} lost by the cable, all others counted; {grown} bytes more in memory");
}
