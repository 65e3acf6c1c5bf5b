//! The live `/metrics` as Prometheus' own tool sees it.

use anyhow::{Result, ensure};
use std::fs::File;
use std::process::Command;
use tests::daemon::Oopsd;
use tests::lab;
use tests::message::query;
use tests::site::{SERVICE, Site};

#[test]
fn promtool_has_nothing_to_say() -> Result<()> {
    if !lab::ready(&["promtool"]) {
        return Ok(());
    }
    let Some(site) = Site::new()? else { return Ok(()) };
    let _server = site.server(SERVICE[0], &["nl."])?;
    let config = r#"
        [zones]
        names = ["nl.", "a\\.b.example."]
        [[condition]]
        name = "busy"
        kind = "query-rate"
        rising = 500
        [[condition]]
        name = "lame"
        kind = "extended-error"
        codes = [20]
        rising = "1M"
        [[router]]
        name = "bird"
        type = "kernel-table"
        table = 5353
        [[route]]
        prefix = "192.0.2.0/24"
        router = "bird"
        when = "busy"
        policy = "demote"
    "#;
    let oopsd = Oopsd::start(&site.host, config)?;
    let _loads = [site.load(SERVICE[0], 1_000, || query("nl."))?, site.load(SERVICE[0], 50, || query("x."))?];
    oopsd.signal(1)?;
    oopsd.shows("oopsd_signals_total{channel=\"log\",outcome=\"sent\"}", 1)?;
    let path = oopsd.path("metrics");
    std::fs::write(&path, oopsd.metrics()?.0)?;
    let output = Command::new("promtool").args(["check", "metrics"]).stdin(File::open(path)?).output()?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    Ok(())
}
