//! Each rung against knotd's own statistics and a packet socket's capture of the same frames.

use crate::scene::{Scene, start};
use anyhow::{Context, Result, bail, ensure};
use tests::replay::{counts, replay};
use tests::servers::Dump;

/// Runs until nothing was lost on the way to knotd, of which oopsd knows nothing, and at most this often.
const TRIES: usize = 4;

#[test]
fn xdp_counts_what_knotd_and_a_packet_socket_count() -> Result<()> {
    the_same("xdp", "xdp", 1_000_000)
}

#[test]
fn tcx_counts_what_knotd_and_a_packet_socket_count() -> Result<()> {
    the_same("tc", "tcx", 1_000_000)
}

#[test]
fn clsact_counts_what_knotd_and_a_packet_socket_count() -> Result<()> {
    the_same("clsact", "clsact", 1_000_000)
}

#[test]
fn a_packet_socket_counts_what_knotd_and_another_one_count() -> Result<()> {
    the_same("socket", "socket", 4_000)
}

fn the_same(capture: &str, rung: &str, rate: u32) -> Result<()> {
    let Some(scene) = Scene::new()? else { return Ok(()) };
    for _ in 0..TRIES {
        let before = scene.before()?;
        let Some(mut oopsd) = start(&scene, capture, rung)? else { return Ok(()) };
        let dump = Dump::tcpdump(&scene.site.host, scene.folder.path(), "eth0", "-B 262144")?;
        let Some(mut sent) = scene.load(3, rate)? else { continue };
        let Ok(file) = dump.end(&scene.site.client, scene.folder.path(), "192.0.2.1", "nl") else { continue };
        sent[0] += 1; // the one that ends the capture
        said(rung, sent);
        let summary = scene.agree(&mut oopsd, sent, &before)?;

        let config = oopsd.path("oopsd.toml");
        let replayed = replay(&["-c", config.to_str().context("UTF-8")?], &file)?;
        ensure!(replayed.total()? == counts(&summary["total"])?, "{}, {summary}", replayed.summary);
        for zone in ["nl.", "example.org.", "broken.test.", "other"] {
            ensure!(
                replayed.zone(zone)? == counts(&summary["zones"][zone])?,
                "{zone}: {}, {summary}",
                replayed.summary
            );
        }
        ensure!(replayed.summary["prefixes"] == summary["prefixes"], "{}, {summary}", replayed.summary);
        return Ok(());
    }
    bail!("some were lost in each of {TRIES} runs");
}

#[expect(clippy::print_stdout, reason = "the counts are what one wants to read of a run")]
fn said(rung: &str, sent: [u64; 4]) {
    let [udp4, udp6, tcp4, tcp6] = sent;
    println!("{rung}: {udp4} over UDP and IPv4, {udp6} over IPv6; {tcp4} over TCP and IPv4, {tcp6} over IPv6");
}
