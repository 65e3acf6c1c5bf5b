//! The live `/metrics` as Prometheus' own tool sees it.

use anyhow::{Result, ensure};
use std::fs::File;
use std::process::Command;
use tests::daemon::{BUSY, routes};
use tests::lab;
use tests::message::query;
use tests::site::{SERVICE, Site};

#[test]
fn promtool_has_nothing_to_say() -> Result<()> {
    if !lab::ready(&["promtool"]) {
        return Ok(());
    }
    let config = [
        "[zones]\nnames = [\"nl.\", \"a\\\\.b.example.\"]\n",
        BUSY,
        "[[condition]]\nname = \"lame\"\nkind = \"extended-error\"\ncodes = [20]\nrising = \"1M\"\n",
        &routes(),
    ];
    let Some((site, oopsd)) = Site::watched(&config.concat())? else { return Ok(()) };
    let _server = site.server(SERVICE[0], &["nl."])?;
    let _loads = [site.queries(1_000)?, site.load(SERVICE[0], 50, || query("x."))?];
    oopsd.signal(1)?;
    oopsd.shows("oopsd_signals_total{channel=\"log\",outcome=\"sent\"}", 1)?;
    let path = oopsd.path("metrics");
    std::fs::write(&path, oopsd.metrics()?.0)?;
    let output = Command::new("promtool").args(["check", "metrics"]).stdin(File::open(path)?).output()?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    Ok(())
}
