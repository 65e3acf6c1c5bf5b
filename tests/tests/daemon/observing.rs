//! `oopsd run -i` with no configuration: learns names, prints what it sees, touches nothing.

use anyhow::{Context, Result, ensure};
use tests::daemon::{Oopsd, SOON};
use tests::lab::until;
use tests::message::query;
use tests::site::{SERVICE, Site};

#[test]
fn names_are_learned_by_two_labels_up_to_a_thousand_and_the_totals_are_exact() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let mut oopsd = observing(&site, &["--json", "--interval", "100ms"])?;
    let mut number = 0;
    let load = site.load(SERVICE[0], 2_000, move || {
        number += 1;
        match number % 4 {
            0 => query("www.eXample.NL."),
            _ => query(&format!("www.zone{}.test.", number / 4)),
        }
    })?;
    load.more(5_000)?;
    let sent = load.stop()?;
    site.is_lossless()?;
    let in_rows = || {
        let product = |row: &serde_json::Value| Some(row["node"]["query_rate"].as_f64()? * row["seconds"].as_f64()?);
        oopsd.rows().iter().filter_map(product).sum::<f64>()
    };
    until("rows that sum to what was sent", SOON, || ((in_rows() - sent as f64).abs() < 1.0).then_some(()))
        .with_context(|| format!("{} in rows, {sent} sent", in_rows()))?;
    let (status, _) = oopsd.stop()?;
    ensure!(status.success(), "{status}: {}", oopsd.stderr());
    let rows = oopsd.rows();
    let summary = rows.last().context("a summary")?;
    let zones = summary["zones"].as_object().context("zones")?;
    let queries = |name: &str| zones.get(name).and_then(|zone| zone["queries"].as_u64()).unwrap_or_default();
    ensure!(summary["total"]["queries"] == sent, "{sent} sent: {}", summary["total"]);
    ensure!(zones.values().filter_map(|zone| zone["queries"].as_u64()).sum::<u64>() == sent, "{summary}");
    ensure!(zones.len() == 1_001, "{} names", zones.len());
    ensure!(queries("example.nl.") == sent / 4, "{}", zones["example.nl."]);
    ensure!(queries("zone0.test.") == 3 && queries("zone999.test.") == 0 && queries("other") > 0, "{summary}");
    Ok(())
}

#[test]
fn people_get_rows_and_a_table() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let _server = site.server(SERVICE[1], &["nl."])?;
    let mut oopsd = observing(&site, &[])?;
    let load = site.load(SERVICE[1], 500, || query("www.example.org."))?;
    until("its row", SOON, || oopsd.stdout().contains("example.org.").then_some(())).with_context(|| oopsd.stdout())?;
    drop(load);
    let rows = oopsd.stdout();
    ensure!(rows.lines().any(|line| line.contains("  node ")), "{rows}");
    oopsd.stop()?;
    let table = oopsd.stdout().split_off(rows.len());
    ensure!(table.contains("queries") && table.contains("responses"), "{table}");
    let line = table.lines().find(|line| line.starts_with("example.org.")).context(table.clone())?;
    ensure!(line.contains("20"), "{line}");
    Ok(())
}

fn observing(site: &Site, more: &[&str]) -> Result<Oopsd> {
    let oopsd = Oopsd::bare(&site.host, &[&["-i", "eth0"], more].concat())?;
    // What came before the first tick is in the summary and in no row.
    until("a row", SOON, || (!oopsd.stdout().is_empty()).then_some(())).with_context(|| oopsd.stderr())?;
    Ok(oopsd)
}
