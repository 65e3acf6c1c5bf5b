//! A process that stands still sees no rate that never was.

use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::thread;
use tests::daemon::{Oopsd, SOON};
use tests::lab::until;
use tests::message::query;
use tests::site::{SERVICE, Site};

#[test]
fn a_stall_under_constant_load_makes_no_edge_and_what_it_lost_is_said() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
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
    let oopsd = Oopsd::start(&site.host, config)?;
    let load = site.load(SERVICE[0], 1_000, || query("nl."))?;
    ensure!(oopsd.signal(1)?["condition"] == "over");
    oopsd.kill(libc::SIGSTOP);
    // The stall itself is what is tested.
    thread::sleep(Duration::from_secs(3));
    oopsd.kill(libc::SIGCONT);
    let sent = load.sent();
    until("two seconds more", SOON, || (load.sent() > sent + 2_000).then_some(()))?;
    oopsd.shows("oopsd_condition_met{condition=\"over\"}", 1)?;
    let sent = load.stop()?;
    // What the ring cannot hold is lost and said to be lost. It may blind for a moment: that depends on the tick that sees it.
    until("all is counted or said to be lost", SOON, || {
        let metrics = oopsd.metrics().ok()?;
        (metrics.sum("oopsd_queries_total") + metrics.sum("oopsd_capture_dropped_total") == sent).then_some(())
    })
    .with_context(|| format!("{sent} sent; {}", oopsd.metrics().map(|metrics| metrics.0).unwrap_or_default()))?;
    let edges = || {
        let of_conditions = |(condition, _): &(String, String)| condition != "blind";
        oopsd
            .edges()
            .into_iter()
            .filter(of_conditions)
            .map(|(name, state)| format!("{name} {state}"))
            .collect::<Vec<_>>()
    };
    until("the end of the load", SOON, || (edges().len() > 1).then_some(())).with_context(|| oopsd.stderr())?;
    ensure!(edges() == ["over met", "over cleared"], "{:?}", edges());
    Ok(())
}
