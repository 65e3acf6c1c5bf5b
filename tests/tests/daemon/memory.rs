//! What routes have been through outlives a kill; one oopsd at a time may change them.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use tests::daemon::{BUSY, DEMOTED, Oopsd, Orders, SOON, STATE};
use tests::lab::until;
use tests::site::Site;

const PREFIX: &str = "192.0.2.0/24";

const LADDER: &str = r#"
ladder = [{ prepend = 1 }]
step-every = "0s"
hold = "0s"
changes-per-hour = 3
"#;

#[test]
fn a_budget_outlives_a_kill() -> Result<()> {
    let Some((site, mut oopsd)) = Site::watched(&[BUSY, DEMOTED, LADDER].concat())? else { return Ok(()) };
    let load = site.queries(2_000)?;
    oopsd.shows_route("seen", PREFIX, "prepend 1")?;
    shows_budget(&oopsd, 2)?;
    oopsd.restart()?;
    shows_budget(&oopsd, 2)?;
    drop(load);
    oopsd.shows_route("seen", PREFIX, "plain")?;
    shows_budget(&oopsd, 1)?;
    oopsd.restart()?;
    let load = site.queries(2_000)?;
    let over = until("over the budget", SOON, || {
        oopsd.signals().into_iter().find(|signal| signal["condition"] == "over-budget")
    })
    .with_context(|| oopsd.stderr())?;
    ensure!(over["value"] == 2.0 && over["threshold"] == 3.0, "{over}");
    load.more(1_000)?;
    ensure!(site.host.ip("route show table all proto 253")?.trim().is_empty(), "{}", oopsd.stderr());
    Ok(())
}

#[test]
fn what_is_remembered_and_broken_is_set_aside_and_changes_no_route() -> Result<()> {
    let Some((site, mut oopsd)) = Site::watched(&[BUSY, DEMOTED, LADDER].concat())? else { return Ok(()) };
    let load = site.queries(2_000)?;
    oopsd.shows_route("seen", PREFIX, "prepend 1")?;
    let table = site.host.ip("route show table 5353")?;
    let file = oopsd.path(STATE).join("routes");
    let whole = fs::read(&file)?;
    let middle = whole.len() / 2;
    let mut flipped = whole.clone();
    flipped[middle] ^= 1;
    for broken in [&[][..], &whole[..middle], &flipped, b"oopsd routes 9 0\n{}\n"] {
        oopsd.end_by_kill();
        fs::write(&file, broken)?;
        oopsd.restart()?;
        ensure!(oopsd.stderr().contains("routes.broken"), "{}", oopsd.stderr());
        ensure!(site.host.ip("route show table 5353")? == table, "it was {table}");
        shows_budget(&oopsd, 3)?;
    }
    oopsd.shows_route("wanted", PREFIX, "prepend 1")?;
    drop(load);
    oopsd.shows_route("seen", PREFIX, "plain")
}

#[test]
fn a_second_one_is_refused_with_the_number_of_the_first() -> Result<()> {
    let Some((site, oopsd)) = Site::watched(&[BUSY, DEMOTED, LADDER].concat())? else { return Ok(()) };
    let state = oopsd.path(STATE);
    let state = state.to_str().context("UTF-8")?;
    let text = fs::read_to_string(oopsd.path("oopsd.toml"))?.replace("127.0.0.1:9553", "127.0.0.1:9554");
    let file = oopsd.path("second.toml");
    fs::write(&file, format!("state-directory = \"{state}\"\n{text}"))?;
    let mut second = Oopsd::bare(&site.host, &["-c", file.to_str().context("UTF-8")?])?;
    let status = second.end()?;
    let said = second.stderr();
    ensure!(
        !status.success() && said.contains(&format!("(pid {})", oopsd.process())) && said.contains(state),
        "{said}"
    );
    // One that judges and changes nothing may run beside it.
    let mut dry = Oopsd::bare(&site.host, &["-c", file.to_str().context("UTF-8")?, "--dry-run"])?;
    until("it counts", SOON, || dry.stderr().contains("counting node").then_some(()))?;
    ensure!(dry.stop()?.0.success(), "{}", dry.stderr());
    Ok(())
}

#[test]
fn a_full_disk_is_said_once_and_stops_no_route() -> Result<()> {
    let orders = Orders { config: &[BUSY, DEMOTED, LADDER].concat(), ..Orders::default() };
    let Some((site, oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    let state = oopsd.path(STATE);
    // What stands where the next one would be written: nothing can be, whoever we are.
    fs::create_dir(state.join(".routes.next"))?;
    fs::set_permissions(&state, fs::Permissions::from_mode(0o555))?;
    let load = site.queries(2_000)?;
    oopsd.shows_route("seen", PREFIX, "prepend 1")?;
    drop(load);
    oopsd.shows_route("seen", PREFIX, "plain")?;
    let failed = oopsd.metrics()?.sum("oopsd_state_writes_failed_total");
    ensure!(failed >= 2, "{failed}");
    fs::remove_dir(state.join(".routes.next"))?;
    until("it is written again", SOON, || oopsd.stderr().contains("the state is written again").then_some(()))?;
    let said = oopsd.stderr();
    ensure!(said.matches("cannot write the state").count() == 1, "{said}");
    Ok(())
}

#[test]
fn a_disk_that_hangs_holds_up_no_route_and_no_end() -> Result<()> {
    let Some((site, mut oopsd)) = Site::watched(&[BUSY, DEMOTED, LADDER].concat())? else { return Ok(()) };
    // A pipe that nobody reads: opening it to write never returns.
    let pipe = oopsd.path(STATE).join(".routes.next");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status()?;
    ensure!(made.success(), "{made}");
    let load = site.queries(2_000)?;
    oopsd.shows_route("seen", PREFIX, "prepend 1")?;
    drop(load);
    oopsd.shows_route("seen", PREFIX, "plain")?;
    let said = oopsd.stderr();
    ensure!(said.matches("the disk is slow").count() == 1, "{said}");
    oopsd.stops_in_time()
}

fn shows_budget(oopsd: &Oopsd, left: u64) -> Result<()> {
    oopsd.shows(&format!("oopsd_route_budget_left{{prefix=\"{PREFIX}\",router=\"bird\"}}"), left)
}
