//! Up a ladder while a condition is met, slowly down again, over a kill, and never more often than the budget allows.

use anyhow::{Context, Result, ensure};
use tests::daemon::{BUSY, DEMOTED, Oopsd, Orders, SOON};
use tests::frames::send_frames;
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

#[test]
fn what_the_interface_drops_is_evidence_and_an_interface_made_anew_is_not() -> Result<()> {
    let config = [BUSY, DEMOTED, LADDER, "evidence = { drops = true }"].concat();
    let Some((site, oopsd)) = Site::watched(&config)? else { return Ok(()) };
    dropped(&site, 200)?;
    site.cable_anew()?;
    let load = site.queries(2_000)?;
    let held = || oopsd.stderr().contains("no-evidence").then_some(());
    until("it is held back", SOON, held).with_context(|| oopsd.stderr())?;
    load.more(2_000)?;
    ensure!(table(&site)?.is_empty(), "{}\n{}", table(&site)?, oopsd.stderr());
    let flood = until_stepped(&site, &oopsd);
    drop(load);
    flood
}

#[test]
fn a_dry_run_says_the_way_that_a_real_one_goes() -> Result<()> {
    let config = [BUSY, DEMOTED, LADDER].concat();
    let Some((site, real)) = Site::watched(&config)? else { return Ok(()) };
    // Beside it, on the same packets.
    let orders =
        Orders { config: &config, arguments: &["--dry-run"], metrics: Some("127.0.0.1:9554"), ..Orders::default() };
    let dry = Oopsd::start(&site.host, &orders)?;
    let load = site.queries(2_000)?;
    real.shows_route("seen", "192.0.2.0/24", "prepend 3")?;
    drop(load);
    is_plain(&site, &real)?;
    let went = || Some(actions(&real, "announced")).filter(|actions| actions.len() == 4);
    let went = until("the whole way", SOON, went).with_context(|| real.stderr())?;
    until("the same way", SOON, || (actions(&dry, "would announce") == went).then_some(()))
        .with_context(|| format!("{went:?} is not\n{}", dry.stderr()))?;
    ensure!(went == ["prepend 1", "prepend 3", "prepend 1", "plain"], "{went:?}");
    Ok(())
}

/// What it says that it does with the prefix, in order.
fn actions(oopsd: &Oopsd, says: &str) -> Vec<String> {
    let of_line = |line: &str| {
        let (_, rest) = line.split_once(&format!(" {says} prefix=192.0.2.0/24 action="))?;
        Some(rest.split_once(" router=")?.0.to_owned())
    };
    oopsd.stderr().lines().filter_map(of_line).collect()
}

/// Has the host drop frames until it makes a step.
fn until_stepped(site: &Site, oopsd: &Oopsd) -> Result<()> {
    let because = || {
        dropped(site, 100).ok()?;
        oopsd.stderr().contains("% of frames dropped by interfaces").then_some(())
    };
    until("a step because of it", SOON, because).with_context(|| oopsd.stderr())?;
    oopsd.shows_route("seen", "192.0.2.0/24", "prepend 1")
}

/// Sends the host frames of a protocol that it does not speak, which its interface counts as dropped.
fn dropped(site: &Site, frames: usize) -> Result<()> {
    let frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5][..], &[0; 46]].concat();
    send_frames(&site.client, frames, &frame)
}

fn is_plain(site: &Site, oopsd: &Oopsd) -> Result<()> {
    let plain = || table(site).ok()?.is_empty().then_some(());
    until("the plain path", SOON, plain).with_context(|| format!("{:?}\n{}", table(site), oopsd.stderr()))
}

fn table(site: &Site) -> Result<String> {
    Ok(site.host.ip("route show table all proto 253")?.trim().to_owned())
}
