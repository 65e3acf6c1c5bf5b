//! A process that stands still sees no rate that never was, and says what it lost.

use anyhow::{Context, Result, ensure};
use core::time::Duration;
use tests::daemon::{BUSY, Orders, SOON};
use tests::lab::until;
use tests::site::Site;

#[test]
fn a_stall_under_constant_load_makes_no_edge_and_what_it_lost_is_said() -> Result<()> {
    let config = r#"
        [[condition]]
        name = "over"
        kind = "query-rate"
        rising = 300
        keep-for = "0s"
        [[condition]]
        name = "under"
        kind = "query-rate"
        rising = "3k"
        keep-for = "0s"
        [[condition]]
        name = "steady"
        kind = "query-rate-increase"
        rising = "5k"
        keep-for = "0s"
    "#;
    let Some((site, oopsd)) = Site::watched(config)? else { return Ok(()) };
    let load = site.queries(1_000)?;
    ensure!(oopsd.signal(1)?["condition"] == "over");
    oopsd.kill(libc::SIGSTOP);
    // Three seconds of them.
    load.more(3_000)?;
    oopsd.kill(libc::SIGCONT);
    load.more(2_000)?;
    oopsd.shows("oopsd_condition_met{condition=\"over\"}", 1)?;
    let sent = load.stop()?;
    // What the ring cannot hold is lost and said to be lost. It may blind for a moment: that depends on the tick that sees it.
    oopsd.comes_to(sent)?;
    until("the end of the load", SOON, || (oopsd.judged().len() > 1).then_some(())).with_context(|| oopsd.stderr())?;
    ensure!(oopsd.judged() == ["over met", "over cleared"], "{:?}", oopsd.judged());
    Ok(())
}

#[test]
fn a_ring_that_overflows_blinds_and_what_came_is_what_was_counted_and_what_was_lost() -> Result<()> {
    let arguments = ["--capture", "socket"];
    let orders = Orders { config: BUSY, capture: "buffer = \"1MiB\"", arguments: &arguments, ..Orders::default() };
    let Some((site, oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    // Over rising, and few enough for the small ring while a busy machine looks elsewhere.
    let few = 700;
    let load = site.queries(few)?;
    ensure!(oopsd.signal(1)?["condition"] == "busy");
    load.set_rate(20_000);
    // Less than a window, as a busy machine may make it, so that the rest of the window is judged.
    let blind = until("blind", Duration::from_secs(60), || {
        oopsd.kill(libc::SIGSTOP);
        load.more(9_000).ok()?;
        oopsd.kill(libc::SIGCONT);
        load.more(9_000).ok()?;
        oopsd.signals().into_iter().find(|signal| signal["condition"] == "blind")
    })
    .with_context(|| oopsd.stderr())?;
    ensure!(blind["state"] == "met" && blind["value"].as_f64() > Some(0.01), "{blind}");
    let reason = blind["arguments"]["reasons"][0].as_str().context("a reason")?;
    ensure!(reason.ends_with(" % of frames lost"), "{blind}");
    load.set_rate(few);
    oopsd.shows("oopsd_blind", 0)?;
    oopsd.shows("oopsd_condition_met{condition=\"busy\"}", 1)?;
    let sent = load.stop()?;
    site.is_lossless()?;
    oopsd.comes_to(sent)?;
    let metrics = oopsd.metrics()?;
    let [frames, lost] = ["frames", "dropped"].map(|which| metrics.sum(&format!("oopsd_capture_{which}_total")));
    ensure!(lost > 0 && frames + lost == sent, "{frames} frames, {lost} lost, {sent} sent");
    Ok(())
}
