//! An operator takes routes back: from the oopsd that runs, or by dropping them from its configuration.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Output;
use tests::daemon::{BUSY, DEMOTED, Oopsd, SOON, STATE};
use tests::lab::{oopsd, until};
use tests::site::Site;

const PREFIX: &str = "192.0.2.0/24";

const LADDER: &str = r#"
ladder = [{ prepend = 1 }, { prepend = 3 }]
step-every = "0s"
hold = "1s"
changes-per-hour = 10
"#;

/// The other kinds of routers, and a route for one of them.
const OTHERS: &str = r#"
[[router]]
name = "include"
type = "bird"
include = "/run/oopsd.conf"
protocols = ["up"]
[[router]]
name = "exa"
type = "exabgp"
[[router]]
name = "go"
type = "gobgp"
[[route]]"#;
const OF_OTHERS: &str = r#"
[[route]]
prefix = "PREFIX"
router = "go"
when = "busy"
policy = "demote"
"#;

#[test]
fn a_release_takes_routes_back_at_once_over_any_budget_and_keeps_them_plain() -> Result<()> {
    let config = [BUSY, DEMOTED, &LADDER.replace("= 10", "= 3")].concat();
    let Some((site, mut oopsd)) = Site::watched(&config)? else { return Ok(()) };
    let load = site.queries(2_000)?;
    oopsd.shows_route("seen", PREFIX, "prepend 3")?;
    shows_budget(&oopsd, 1)?;
    let refused = release(&site, &oopsd, &["--prefix", "198.51.100.0/24"])?;
    ensure!(!refused.status.success() && text(&refused.stderr).contains(PREFIX), "{refused:?}");
    let released = release(&site, &oopsd, &["--prefix", PREFIX, "--for", "1h"])?;
    ensure!(released.status.success(), "{released:?}\n{}", oopsd.stderr());
    let said = text(&released.stdout);
    ensure!(said == "192.0.2.0/24 on bird: was prepend 3, is plain; stays plain for 1h\n", "{said}");
    ensure!(table(&site)?.is_empty(), "{}", table(&site)?);
    // Neither the load nor a restart brings it back.
    load.more(1_000)?;
    oopsd.restart()?;
    oopsd.signal(2)?;
    load.more(1_000)?;
    ensure!(table(&site)?.is_empty(), "{}", oopsd.stderr());
    shows_budget(&oopsd, 0)
}

#[test]
fn with_no_oopsd_running_a_release_says_what_works() -> Result<()> {
    let Some((site, mut oopsd)) = Site::watched(&[BUSY, DEMOTED, LADDER].concat())? else { return Ok(()) };
    oopsd.end_by_kill();
    let refused = release(&site, &oopsd, &[])?;
    let said = text(&refused.stderr);
    ensure!(!refused.status.success() && said.contains("ip route flush table 5353") && said.contains(STATE), "{said}");
    let named =
        [DEMOTED, LADDER].concat().replace("[[route]]", OTHERS) + &OF_OTHERS.replace("PREFIX", "198.51.100.0/24");
    oopsd.configure(&(BUSY.to_owned() + &named))?;
    let said = text(&release(&site, &oopsd, &[])?.stderr);
    for switch in [
        "ip route flush table 5353; ip -6 route flush table 5353",
        "sed -i 's/= \\[.*/= [];/' /run/oopsd.conf && birdc -s /run/bird/bird.ctl configure",
        "on exa: SIGUSR1 to ExaBGP",
        "> /run/exabgp/exabgp.in",
        "on go: `gobgp global rib add` of 198.51.100.0/24",
    ] {
        ensure!(said.contains(switch), "{switch}: {said}");
    }
    // Also while somebody is at work on the file.
    let file = oopsd.path("oopsd.toml");
    fs::write(&file, format!("state-directory = \"/nowhere/at/all\"\n{}\n[[rou", fs::read_to_string(&file)?))?;
    let refused = release(&site, &oopsd, &[])?;
    ensure!(text(&refused.stderr).contains("/nowhere/at/all/control"), "{refused:?}");
    Ok(())
}

#[test]
fn who_asks_and_says_nothing_holds_nobody_up() -> Result<()> {
    let Some((site, oopsd)) = Site::watched(&[BUSY, DEMOTED, LADDER].concat())? else { return Ok(()) };
    let socket = oopsd.path(STATE).join("control");
    let _silent = UnixStream::connect(&socket)?;
    let mut other = UnixStream::connect(&socket)?;
    other.set_read_timeout(Some(SOON))?;
    other.write_all(b"{\"command\":\"routes\"}\n")?;
    let mut answer = String::new();
    BufReader::new(other).read_line(&mut answer)?;
    ensure!(answer.starts_with("{\"routes\":[{\"prefix\":\"192.0.2.0/24\""), "{answer}");
    let _load = site.queries(2_000)?;
    oopsd.shows_route("seen", PREFIX, "prepend 3")
}

#[test]
fn a_route_that_a_reload_drops_comes_down_step_by_step_and_is_forgotten() -> Result<()> {
    let Some((site, oopsd)) = Site::watched(&[BUSY, DEMOTED, LADDER].concat())? else { return Ok(()) };
    let load = site.queries(2_000)?;
    oopsd.shows_route("seen", PREFIX, "prepend 3")?;
    let mut monitor = site.host.command("ip");
    let changes = oopsd.path("monitor");
    monitor.args(["monitor", "route"]).stdout(fs::File::create(&changes)?);
    let _monitor = tests::lab::Running::start(&mut monitor)?;
    oopsd.configure(BUSY)?;
    oopsd.kill(libc::SIGHUP);
    until("it is forgotten", SOON, || oopsd.stderr().contains("not configured any more: forgotten").then_some(()))
        .with_context(|| oopsd.stderr())?;
    ensure!(table(&site)?.is_empty(), "{}", table(&site)?);
    let said = oopsd.stderr();
    let announced: Vec<&str> = said.lines().filter(|line| line.contains("announced prefix")).collect();
    ensure!(announced.len() == 4 && said.contains("because=\"not configured any more\""), "{announced:#?}");
    ensure!(!said.contains("an intent for no configured route"), "{said}");
    load.more(200)?;
    ensure!(oopsd.metrics()?.family("oopsd_route_wanted").is_empty(), "{}", oopsd.metrics()?.0);
    Ok(())
}

fn release(site: &Site, daemon: &Oopsd, arguments: &[&str]) -> Result<Output> {
    let mut command = site.host.command("env");
    command.arg(format!("STATE_DIRECTORY={}", daemon.path(STATE).display())).arg(oopsd()?).arg("release");
    command.arg("-c").arg(daemon.path("oopsd.toml")).args(arguments);
    Ok(command.output()?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn shows_budget(oopsd: &Oopsd, left: u64) -> Result<()> {
    oopsd.shows(&format!("oopsd_route_budget_left{{prefix=\"{PREFIX}\",router=\"bird\"}}"), left)
}

fn table(site: &Site) -> Result<String> {
    Ok(site.host.ip("route show table all proto 253")?.trim().to_owned())
}
