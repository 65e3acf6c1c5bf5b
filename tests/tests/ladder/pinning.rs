//! `pin = true`: what counts in the kernel goes on counting while no oopsd runs, and the next one takes it over.

use crate::rungs::{ZONES, stands_on, xdp_program};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;
use tests::bpffs::Bpffs;
use tests::daemon::{Oopsd, Orders, SOON};
use tests::lab::{Namespace, run, until};
use tests::message::query;
use tests::site::{SERVICE, Site};

const JUDGED: &str = r#"
[zones]
names = ["nl.", "example.org."]
[[condition]]
name = "surge"
kind = "query-rate-increase"
rising = "4k"
[[condition]]
name = "busy"
kind = "query-rate"
rising = "6k"
keep-for = "0s"
"#;

#[test]
fn a_kill_and_a_restart_lose_no_count_make_no_edge_and_attach_nothing() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let bpffs = Bpffs::new()?;
    let pinned = bpffs.capture(true);
    for rung in ["xdp", "tc", "clsact"] {
        let arguments = ["--capture", rung];
        let orders = Orders { config: JUDGED, capture: &pinned, arguments: &arguments, ..Orders::default() };
        let mut oopsd = Oopsd::start(&site.host, &orders)?;
        oopsd.ready()?;
        let load = site.load(SERVICE[0], 2_000, || query("www.nl."))?;
        let counted = |oopsd: &Oopsd| oopsd.metrics().map(|metrics| metrics.sum("oopsd_queries_total"));
        until("some queries", SOON, || (load.sent() > 1_000).then_some(()))?;
        let links = ids(&site.host, &bpffs.pins())?;
        for _ in 0..3 {
            oopsd.end_by_kill();
            // Nobody looks while these come.
            let sent = load.sent();
            until("more queries", SOON, || (load.sent() > sent + 1_000).then_some(()))?;
            oopsd.restart()?;
            ensure!(ids(&site.host, &bpffs.pins())? == links, "attached anew");
        }
        let sent = load.stop()?;
        site.is_lossless()?;
        oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", sent)?;
        ensure!(counted(&oopsd)? == sent);
        // Neither is a stop the end of counting.
        let (status, _) = oopsd.stop()?;
        ensure!(status.success(), "{status}: {}", oopsd.stderr());
        for _ in 0..100 {
            site.socket(SERVICE[0].parse()?)?.send_to(&query("nl."), SERVICE[0])?;
        }
        oopsd.restart()?;
        oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", sent + 100)?;
        ensure!(oopsd.edges().is_empty(), "{rung}: {:?}", oopsd.edges());
        // Without the pin nothing stays.
        oopsd.configure_by(&Orders { capture: &bpffs.capture(false), ..orders })?;
        oopsd.kill(libc::SIGHUP);
        until("reloaded", SOON, || (!bpffs.pins().exists()).then_some(())).with_context(|| oopsd.stderr())?;
        oopsd.stop()?;
        ensure!(crate::rungs::attached(&site.host)?.is_empty(), "{}", crate::rungs::attached(&site.host)?);
        site.cable_anew()?;
    }
    Ok(())
}

#[test]
fn other_zones_after_a_restart_begin_at_zero_on_the_same_links() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let bpffs = Bpffs::new()?;
    let capture = bpffs.capture(true);
    let orders = Orders { config: ZONES, capture: &capture, ..Orders::default() };
    let mut oopsd = Oopsd::start(&site.host, &orders)?;
    stands_on(&oopsd, "xdp")?;
    let program = xdp_program(&site.host)?;
    let links = ids(&site.host, &bpffs.pins())?;
    let send = |times: u32| {
        (0..times).try_for_each(|_| {
            site.socket(SERVICE[0].parse()?)?.send_to(&query("www.nl."), SERVICE[0])?;
            Ok::<_, anyhow::Error>(())
        })
    };
    send(10)?;
    oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", 10)?;
    oopsd.configure_by(&Orders { config: "[zones]\nnames = [\"example.\", \"www.nl.\"]\n", ..orders })?;
    oopsd.restart()?;
    send(7)?;
    oopsd.shows("oopsd_queries_total{zone=\"www.nl.\"}", 7)?;
    // More than there is room for: other maps, the same links.
    let many: String = (0..50_000).map(|number| format!("zone{number}.example.\n")).collect();
    std::fs::write(oopsd.path("zones.txt"), format!("{many}nl.\n"))?;
    oopsd.configure_by(&Orders { config: "[zones]\nfile = \"zones.txt\"\n", ..orders })?;
    oopsd.restart()?;
    send(5)?;
    oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", 5)?;
    ensure!(ids(&site.host, &bpffs.pins())? == links, "attached anew");
    ensure!(xdp_program(&site.host)? != program, "the same program, upon other maps");
    oopsd.restart()?;
    oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", 5)?;
    ensure!(ids(&site.host, &bpffs.pins())? == links, "attached anew");
    Ok(())
}

#[test]
fn an_upgrade_puts_its_programs_upon_the_same_links_and_counters() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let bpffs = Bpffs::new()?;
    let capture = bpffs.capture(true);
    for rung in ["xdp", "tc", "clsact"] {
        let arguments = ["--capture", rung];
        let orders = Orders { config: ZONES, capture: &capture, arguments: &arguments, ..Orders::default() };
        let mut oopsd = Oopsd::start(&site.host, &orders)?;
        oopsd.ready()?;
        let (links, program) = (ids(&site.host, &bpffs.pins())?, xdp_program(&site.host)?);
        let load = site.queries(2_000)?;
        load.more(500)?;
        oopsd.end_by_kill();
        // What is pinned is said to be another object's.
        let about = bpffs.pins().join("about");
        let said = std::fs::read_link(&about)?;
        let (version, _) = said.to_str().and_then(|said| said.split_once('-')).context("a version")?;
        std::fs::remove_file(&about)?;
        std::os::unix::fs::symlink(format!("{version}-0123456789abcdef"), &about)?;
        oopsd.restart()?;
        load.more(500)?;
        let sent = load.stop()?;
        site.is_lossless()?;
        oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", sent)?;
        if rung != "clsact" {
            ensure!(ids(&site.host, &bpffs.pins())? == links, "{rung}: attached anew");
        }
        ensure!(rung != "xdp" || xdp_program(&site.host)? != program, "the old programs");
        oopsd.configure_by(&Orders { capture: &bpffs.capture(false), ..orders })?;
        oopsd.kill(libc::SIGHUP);
        until("reloaded", SOON, || (!bpffs.pins().exists()).then_some(())).with_context(|| oopsd.stderr())?;
        oopsd.stop()?;
        site.cable_anew()?;
    }
    Ok(())
}

#[test]
fn counters_that_are_laid_out_otherwise_begin_anew_on_the_same_links() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let bpffs = Bpffs::new()?;
    let capture = bpffs.capture(true);
    let orders = Orders { config: ZONES, capture: &capture, ..Orders::default() };
    let mut oopsd = Oopsd::start(&site.host, &orders)?;
    stands_on(&oopsd, "xdp")?;
    let (links, program) = (ids(&site.host, &bpffs.pins())?, xdp_program(&site.host)?);
    let send = |times: u32| {
        (0..times).try_for_each(|_| {
            site.socket(SERVICE[0].parse()?)?.send_to(&query("www.nl."), SERVICE[0])?;
            Ok::<_, anyhow::Error>(())
        })
    };
    send(10)?;
    oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", 10)?;
    oopsd.end_by_kill();
    // As an older version had left them.
    let (about, map) = (bpffs.pins().join("about"), |name| bpffs.pins().join("maps").join(name));
    std::fs::remove_file(&about)?;
    std::os::unix::fs::symlink("1-0123456789abcdef", &about)?;
    std::fs::rename(map("MARKS"), map("DIRTY"))?;
    oopsd.restart()?;
    ensure!(oopsd.stderr().contains("another version's"), "{}", oopsd.stderr());
    send(7)?;
    oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", 7)?;
    ensure!(ids(&site.host, &bpffs.pins())? == links, "attached anew");
    ensure!(xdp_program(&site.host)? != program, "the old programs");
    ensure!(!map("DIRTY").exists(), "the old maps");
    oopsd.restart()?;
    oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", 7)
}

#[test]
fn two_cannot_have_the_same_pins() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let bpffs = Bpffs::new()?;
    let capture = bpffs.capture(true);
    let orders = Orders { config: ZONES, capture: &capture, ..Orders::default() };
    let first = Oopsd::start(&site.host, &orders)?;
    let second = Oopsd::start(&site.host, &Orders { metrics: Some("127.0.0.1:9554"), ..orders });
    let said = format!("{:?}", second.err().context("it started")?);
    ensure!(said.contains("another oopsd has it"), "{said}");
    stands_on(&first, "xdp")
}

#[test]
fn where_nothing_can_be_pinned_it_says_so() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let capture = format!("pin = true\npin-path = \"{}/oopsd\"\n", folder.path().display());
    let orders = Orders { config: ZONES, capture: &capture, ..Orders::default() };
    let said = format!("{:?}", Oopsd::start(&site.host, &orders).err().context("it started")?);
    ensure!(said.contains("is no BPF file system: mount -t bpf bpf "), "{said}");
    Ok(())
}

/// The numbers of all links on `eth0`, as bpftool has them; for filters, those of their programs.
fn ids(namespace: &Namespace, pins: &Path) -> Result<Vec<u64>> {
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(pins.join("links"))? {
        let path = entry?.path();
        let shown = run(Command::new("bpftool").args(["-j", "link", "show", "pinned"]).arg(&path))?;
        let shown: serde_json::Value = serde_json::from_str(&shown)?;
        ids.push(shown["id"].as_u64().context("a link")?);
    }
    if ids.is_empty() {
        let shown = run(namespace.command("bpftool").args(["-j", "net", "show"]))?;
        let shown: serde_json::Value = serde_json::from_str(&shown)?;
        ids.extend(shown[0]["tc"].as_array().into_iter().flatten().filter_map(|filter| filter["id"].as_u64()));
    }
    ids.sort_unstable();
    Ok(ids)
}
