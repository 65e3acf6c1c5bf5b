//! Each rung counts exactly what was sent and answered, and leaves what others have attached.

use anyhow::{Context, Result, ensure};
use tests::daemon::{Oopsd, Orders, SOON};
use tests::lab::{Namespace, run, until};
use tests::message::query;
use tests::site::{SERVICE, Site};
use tests::traffic::Load;

pub(crate) const ZONES: &str = "[zones]\nnames = [\"nl.\", \"example.org.\"]\n";

#[test]
fn xdp_counts_exactly() -> Result<()> {
    counts_exactly("xdp", "xdp")
}

#[test]
fn tcx_counts_exactly() -> Result<()> {
    counts_exactly("tc", "tcx")
}

#[test]
fn clsact_counts_exactly() -> Result<()> {
    counts_exactly("clsact", "clsact")
}

#[test]
fn a_packet_socket_counts_exactly() -> Result<()> {
    counts_exactly("socket", "socket")
}

fn counts_exactly(wanted: &str, kind: &str) -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let mut oopsd = start(&site, &["--capture", wanted, "--json"])?;
    stands_on(&oopsd, kind)?;
    exchange(&site, &oopsd)?;
    let (status, _) = oopsd.stop()?;
    ensure!(status.success(), "{status}: {}", oopsd.stderr());
    ensure!(attached(&site.host)?.is_empty(), "left behind: {}", attached(&site.host)?);
    // The last sample is taken without the programs, and brings none back.
    ensure!(oopsd.stderr().matches("counting in the kernel").count() <= 1, "{}", oopsd.stderr());
    Ok(())
}

/// Until it is ready.
pub(crate) fn start(site: &Site, arguments: &[&str]) -> Result<Oopsd> {
    let mut oopsd = Oopsd::start(&site.host, &Orders { config: ZONES, arguments, ..Orders::default() })?;
    oopsd.ready()?;
    Ok(oopsd)
}

/// Asks over IPv4 and IPv6 for a configured zone and for another, and sees that all is counted and nothing else.
pub(crate) fn exchange(site: &Site, oopsd: &Oopsd) -> Result<()> {
    let servers = [site.server(SERVICE[0], &["nl."])?, site.server(SERVICE[1], &["nl."])?];
    let loads = SERVICE.map(|to| site.load(to, 1_000, || query("www.eXample.nl.")));
    let others = SERVICE.map(|to| site.load(to, 500, || query("x.test.")));
    until("some thousands", SOON, || {
        let all = loads.iter().chain(&others).flatten().map(Load::sent).sum::<u64>();
        (all > 3_000).then_some(())
    })?;
    let sum = |loads: [Result<Load>; 2]| loads.into_iter().map(|load| load?.stop()).sum::<Result<u64>>();
    let (own, other) = (sum(loads)?, sum(others)?);
    let mut answered = [0, 0];
    for server in servers {
        let by = server.stop()?;
        answered = [answered[0] + by[0], answered[1] + by[1]];
    }
    site.is_lossless()?;
    oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", own)?;
    oopsd.shows("oopsd_queries_total{zone=\"other\"}", other)?;
    oopsd.shows("oopsd_responses_total{zone=\"nl.\",rcode=\"NOERROR\"}", answered[0])?;
    oopsd.shows("oopsd_ede_responses_total{zone=\"other\",info_code=\"20\"}", answered[1])?;
    let metrics = oopsd.metrics()?;
    ensure!(metrics.sum("oopsd_queries_total") == own + other, "{}", metrics.0);
    ensure!(metrics.sum("oopsd_prefix_queries_total") == own + other, "{}", metrics.0);
    // The kernel's programs see all frames, those of neighbour discovery too.
    let skipped = metrics.family("oopsd_skipped_total");
    let other = skipped.lines().filter(|line| !line.contains("not-dns") && !line.ends_with(" 0"));
    ensure!(other.count() == 0, "{skipped}");
    Ok(())
}

#[test]
fn an_occupied_xdp_hook_is_left_alone_and_the_next_rung_is_taken() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    // Any program will do: another oopsd's.
    let first = start(&site, &["--capture", "xdp"])?;
    let before = xdp_program(&site.host)?.context("a program")?;
    let second =
        Oopsd::start(&site.host, &Orders { config: ZONES, metrics: Some("127.0.0.1:9554"), ..Orders::default() })?;
    stands_on(&second, "tcx")?;
    ensure!(xdp_program(&site.host)? == Some(before), "{}", attached(&site.host)?);
    ensure!(second.stderr().contains("not to be had"), "{}", second.stderr());
    exchange(&site, &second)?;
    stands_on(&first, "xdp")
}

#[test]
fn a_pinned_rung_that_is_not_to_be_had_is_an_error() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let mut oopsd = Oopsd::bare(&site.host, &["-i", "lo", "--capture", "xdp", "-c", "/dev/null"])?;
    let status = oopsd.end()?;
    ensure!(status.code() == Some(1), "{status}");
    let said = oopsd.stderr();
    ensure!(said.contains("no capture in the kernel: lo is no Ethernet interface"), "{said}");
    Ok(())
}

#[test]
fn where_the_kernel_cannot_count_sockets_do_and_it_is_said_why() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let oopsd = start(&site, &["-i", "lo", "-i", "eth0"])?;
    stands_on(&oopsd, "socket")?;
    let said = oopsd.stderr();
    ensure!(said.contains("counting by packet sockets") && said.contains("lo is no Ethernet interface"), "{said}");
    Ok(())
}

pub(crate) fn stands_on(oopsd: &Oopsd, kind: &str) -> Result<()> {
    oopsd.shows(&format!("oopsd_capture_active{{interface=\"eth0\",kind=\"{kind}\"}}"), 1)
}

/// The number of the XDP program on `eth0`.
pub(crate) fn xdp_program(namespace: &Namespace) -> Result<Option<u64>> {
    let shown: serde_json::Value = serde_json::from_str(&namespace.ip("-j link show dev eth0")?)?;
    Ok(shown[0]["xdp"]["prog"]["id"].as_u64())
}

/// All that is attached to any interface, as bpftool has it, without its headings.
pub(crate) fn attached(namespace: &Namespace) -> Result<String> {
    let shown = run(namespace.command("bpftool").args(["net", "show"]))?;
    Ok(shown.lines().filter(|line| line.contains("eth0")).map(|line| format!("{}\n", line.trim())).collect())
}
