//! Nothing grows with what an attacker sends: not memory, not series, not lines.

use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::net::TcpStream;
use tests::daemon::{BUSY, METRICS, SOON};
use tests::lab::until;
use tests::message::query;
use tests::site::{SERVICE, Site};

const ZONES: &str = "[zones]\nnames = [\"nl.\"]\n";

#[test]
fn random_names_grow_neither_memory_nor_series_nor_lines() -> Result<()> {
    const FLOOD: u64 = 200_000;
    let Some((site, oopsd)) = Site::watched(ZONES)? else { return Ok(()) };
    let _server = site.server(SERVICE[0], &["nl."])?;
    let mut state = 1_u64;
    let load = site.load(SERVICE[0], 1_000, move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        query(&if state >> 63 == 0 { format!("{state:016x}.nl.") } else { format!("{state:x}.{:04x}.", state >> 48) })
    })?;
    load.more(1_000)?;
    let (memory, series) = (oopsd.resident()?, oopsd.metrics()?.series().len());
    load.set_rate(100_000);
    load.more(FLOOD)?;
    let sent = load.stop()?;
    let accounted = || {
        let metrics = oopsd.metrics().ok()?;
        let lost = metrics.sum("oopsd_capture_dropped_total") + site.lost().ok()?[0];
        Some((metrics.sum("oopsd_queries_total"), lost, metrics))
    };
    let (_, _, metrics) = until("every query counted or said to be lost", SOON, || {
        accounted().filter(|(counted, lost, _)| *counted + lost >= sent)
    })
    .with_context(|| format!("{sent} sent, {:?}", accounted().map(|(counted, lost, _)| (counted, lost))))?;
    let grown = oopsd.resident()?.saturating_sub(memory);
    ensure!(grown < 2 << 20, "{grown} bytes more");
    // Codes and reasons that were zero so far may have come to be seen: a handful, whatever the names.
    ensure!(metrics.series().len() < series + 8, "{series} series became {}", metrics.series().len());
    ensure!(oopsd.stderr().lines().count() < 20, "{}", oopsd.stderr());
    Ok(())
}

#[test]
fn malformed_messages_are_counted_by_reason_and_nothing_else() -> Result<()> {
    let Some((site, oopsd)) = Site::watched(ZONES)? else { return Ok(()) };
    let lines = oopsd.stderr().lines().count();
    let mut turn = 0;
    let load = site.load(SERVICE[1], 5_000, move || {
        turn = (turn + 1) % 5;
        let mut message = query("\x1b[2J\r\n\0.nl.");
        match turn {
            0 => message.truncate(7),
            1 => message[5] = 2,
            2 => message.splice(12.., [0xC0, 12, 0, 1, 0, 1]).for_each(drop),
            3 => message = query(&"x.".repeat(200)),
            _ => message.truncate(15),
        }
        message
    })?;
    load.more(10_000)?;
    let sent = load.stop()?;
    site.is_lossless()?;
    // In the kernel all frames are seen, those of neighbour discovery too.
    let skipped = || {
        let metrics = oopsd.metrics().ok()?;
        let other: u64 = metrics.series().get("oopsd_skipped_total{reason=\"not-dns\"}")?.parse().ok()?;
        Some(metrics.sum("oopsd_skipped_total") - other)
    };
    until("all are skipped", SOON, || (skipped()? == sent).then_some(()))
        .with_context(|| format!("{sent} sent, {:?} skipped", skipped()))?;
    let metrics = oopsd.metrics()?;
    ensure!(metrics.sum("oopsd_queries_total") == 0 && metrics.sum("oopsd_messages_total") == 0, "{}", metrics.0);
    ensure!(oopsd.stderr().lines().count() == lines, "{}", oopsd.stderr());
    ensure!(oopsd.signals().is_empty(), "{:?}", oopsd.edges());
    Ok(())
}

#[test]
fn slow_readers_of_the_metrics_delay_no_signal_and_change_no_count() -> Result<()> {
    let Some((site, oopsd)) = Site::watched(&(ZONES.to_owned() + BUSY))? else { return Ok(()) };
    let slow = site.host.inside(|| {
        let connect = |_| -> Result<TcpStream> {
            let mut stream = TcpStream::connect(METRICS)?;
            stream.write_all(b"GET /metrics HT")?;
            Ok(stream)
        };
        (0..150).map(connect).collect::<Result<Vec<_>>>()
    })?;
    let load = site.queries(2_000)?;
    ensure!(oopsd.signal(1)?["state"] == "met");
    let sent = load.stop()?;
    drop(slow);
    oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", sent)
}
