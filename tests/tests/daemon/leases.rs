//! A withdrawal ends with oopsd, which has given up all capabilities but the one that it needs for that.

use anyhow::{Context, Result, ensure};
use tests::daemon::{BUSY, DEMOTED, SOON};
use tests::lab::until;
use tests::site::Site;

const LADDER: &str = "
allow-withdraw = true
ladder = [{ withdraw = true }]
";

#[test]
fn a_withdrawal_is_gone_when_oopsd_is_killed() -> Result<()> {
    let Some((site, mut oopsd)) = Site::watched(&[BUSY, DEMOTED, LADDER].concat())? else { return Ok(()) };
    let load = site.queries(2_000)?;
    oopsd.shows_route("seen", "192.0.2.0/24", "withdraw")?;
    let routes = || site.host.ip("route show table all proto 253");
    ensure!(routes()?.contains("192.0.2.0/24 dev oopsd5353 table 5353"), "{}", routes()?);
    drop(load);
    oopsd.kill_and_start()?;
    let gone = || routes().ok()?.is_empty().then_some(());
    until("no route is left", SOON, gone).with_context(|| format!("{:?}\n{}", routes(), oopsd.stderr()))
}
