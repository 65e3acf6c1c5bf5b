//! Up a ladder while a condition is met, slowly down again, over a kill, and never more often than the budget allows.

use anyhow::{Context, Result, ensure};
use tests::daemon::{BUSY, DEMOTED, Oopsd, SOON};
use tests::lab::until;
use tests::site::Site;

const LADDER: &str = r#"
ladder = [{ prepend = 1 }, { prepend = 3 }]
step-every = "1s"
hold = "1s"
"#;

#[test]
fn a_kill_on_the_way_makes_no_difference() -> Result<()> {
    let Some((site, mut oopsd)) = Site::watched(&[BUSY, DEMOTED, LADDER].concat())? else { return Ok(()) };
    let load = site.queries(2_000)?;
    oopsd.shows_route("seen", "192.0.2.0/24", "prepend 1")?;
    oopsd.shows_route("seen", "192.0.2.0/24", "prepend 3")?;
    let table = table(&site)?;
    oopsd.kill_and_start()?;
    oopsd.signal(2)?;
    ensure!(self::table(&site)? == table, "it was {table} before the kill");
    drop(load);
    oopsd.shows_route("seen", "192.0.2.0/24", "prepend 1")?;
    is_plain(&site, &oopsd)
}

#[test]
fn over_its_budget_a_route_stays_and_the_way_back_is_open() -> Result<()> {
    let config = [BUSY, DEMOTED, LADDER, "changes-per-hour = 2"].concat();
    let Some((site, oopsd)) = Site::watched(&config)? else { return Ok(()) };
    let load = site.queries(2_000)?;
    let [met, over] = [oopsd.signal(1)?, oopsd.signal(2)?];
    ensure!(met["condition"] == "busy" && over["condition"] == "over-budget", "{met} {over}");
    ensure!(over["scope"]["prefix"] == "192.0.2.0/24" && over["threshold"] == 2.0, "{over}");
    oopsd.shows("oopsd_route_budget_left{prefix=\"192.0.2.0/24\",router=\"bird\"}", 1)?;
    drop(load);
    is_plain(&site, &oopsd)?;
    let load = site.queries(2_000)?;
    let last = until("over the budget again", SOON, || oopsd.signals().get(5).cloned())?;
    ensure!(last["condition"] == "over-budget" && last["state"] == "met", "{:?}", oopsd.signals());
    load.more(2_000)?;
    ensure!(table(&site)?.is_empty(), "{}", table(&site)?);
    Ok(())
}

fn is_plain(site: &Site, oopsd: &Oopsd) -> Result<()> {
    let plain = || table(site).ok()?.is_empty().then_some(());
    until("the plain path", SOON, plain).with_context(|| format!("{:?}\n{}", table(site), oopsd.stderr()))
}

fn table(site: &Site) -> Result<String> {
    Ok(site.host.ip("route show table all proto 253")?.trim().to_owned())
}
