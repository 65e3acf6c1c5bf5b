//! Each kind of condition: met and cleared, each edge once, numbered, with what the draft asks for.

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::message::query;
use tests::site::{SERVICE, Site};

#[test]
fn a_query_rate_is_signalled_when_it_crosses_and_when_it_is_over() -> Result<()> {
    let config = r#"
        [zones]
        names = ["nl."]
        [[condition]]
        name = "overload"
        kind = "query-rate"
        scope = { zone = "nl." }
        rising = "1k"
        falling = 700
        keep-for = "200ms"
    "#;
    let Some((site, oopsd)) = Site::watched(config)? else { return Ok(()) };
    let load = site.queries(300)?;
    oopsd.shows("oopsd_condition_met{condition=\"overload\"}", 0)?;
    ensure!(oopsd.signals().is_empty(), "{:?}", oopsd.edges());
    load.set_rate(2_000);
    let met = oopsd.signal(1)?;
    oopsd.shows("oopsd_condition_met{condition=\"overload\"}", 1)?;
    load.set_rate(100);
    let cleared = oopsd.signal(2)?;
    oopsd.shows("oopsd_condition_met{condition=\"overload\"}", 0)?;
    oopsd.shows("oopsd_transitions_total{condition=\"overload\",state=\"met\"}", 1)?;
    oopsd.shows("oopsd_transitions_total{condition=\"overload\",state=\"cleared\"}", 1)?;
    ensure!(oopsd.signals().len() == 2, "{:?}", oopsd.edges());

    for (signal, seq, state, threshold) in [(&met, 1, "met", 1000.0), (&cleared, 2, "cleared", 700.0)] {
        ensure!(signal["type"] == "signal" && signal["seq"] == seq && signal["state"] == state, "{signal}");
        ensure!(signal["condition"] == "overload" && signal["kind"] == "query-rate", "{signal}");
        ensure!(signal["scope"]["zone"] == "nl." && signal["threshold"] == threshold, "{signal}");
        ensure!(signal["window_seconds"] == 0.5, "{signal}");
    }
    let value = |signal: &Value| signal["value"].as_f64().unwrap_or(f64::NAN);
    ensure!(value(&met) >= 1000.0 && value(&cleared) < 700.0, "{met} {cleared}");
    Ok(())
}

#[test]
fn extended_errors_are_signalled_with_their_codes() -> Result<()> {
    let config = r#"
        [zones]
        names = ["nl."]
        [[condition]]
        name = "lame"
        kind = "extended-error"
        codes = [20, 22]
        rising = 100
        keep-for = "200ms"
        [[condition]]
        name = "share"
        kind = "extended-error"
        codes = [20]
        rising-ratio = 0.3
        at-least = 20
        keep-for = "200ms"
        [[condition]]
        name = "never"
        kind = "extended-error"
        codes = [9]
        rising = 1
    "#;
    let Some((site, oopsd)) = Site::watched(config)? else { return Ok(()) };
    let _server = site.server(SERVICE[1], &["nl."])?;
    let fine = site.load(SERVICE[1], 300, || query("www.nl."))?;
    oopsd.shows("oopsd_condition_met{condition=\"share\"}", 0)?;
    let lame = site.load(SERVICE[1], 400, || query("www.not-ours.test."))?;
    oopsd.signal(2)?;
    lame.set_rate(0);
    oopsd.signal(4)?;
    drop(fine);
    let mut edges = oopsd.judged();
    edges[..2].sort();
    edges[2..].sort();
    ensure!(edges == ["lame met", "share met", "lame cleared", "share cleared"], "{edges:?}");
    for signal in &oopsd.signals()[..2] {
        ensure!(signal["arguments"]["codes"]["20"].as_u64() > Some(0), "{signal}");
        ensure!(signal["arguments"]["zones"]["other"].as_u64() > Some(0), "{signal}");
        ensure!(signal["scope"]["node"] == true && signal["kind"] == "extended-error", "{signal}");
    }
    Ok(())
}

#[test]
fn an_increase_is_signalled_while_it_lasts_and_only_over_its_floor() -> Result<()> {
    let config = r#"
        [[condition]]
        name = "surge"
        kind = "query-rate-increase"
        scope = { prefix = "192.0.2.0/24" }
        rising = 800
        at-least = 500
        keep-for = "0s"
        [[condition]]
        name = "under-its-floor"
        kind = "query-rate-increase"
        rising = 100
        at-least = "1M"
        keep-for = "0s"
    "#;
    let Some((site, oopsd)) = Site::watched(config)? else { return Ok(()) };
    let load = site.queries(100)?;
    oopsd.shows("oopsd_condition_met{condition=\"surge\"}", 0)?;
    load.set_rate(3_000);
    let met = oopsd.signal(1)?;
    let cleared = oopsd.signal(2)?;
    ensure!(met["condition"] == "surge" && met["state"] == "met" && met["kind"] == "query-rate-increase", "{met}");
    ensure!(met["scope"]["prefix"] == "192.0.2.0/24", "{met}");
    ensure!(cleared["condition"] == "surge" && cleared["state"] == "cleared", "{cleared}");
    drop(load);
    Ok(())
}
