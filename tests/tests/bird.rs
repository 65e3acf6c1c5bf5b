//! oopsd's routers against a real BIRD and a real upstream: two namespaces, a cable, a BGP session for each address family.
//!
//! The upstream counts what it is sent, so that a passing withdrawal or a session that flapped is seen even when nobody looked at that moment.

use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::fs;
use std::time::Instant;
use tests::lab::bird::{self, Bird, HOST, Session, Version};
use tests::lab::{self, Namespace, Running, until};
use tests::routers::Routers;

const V4: &str = "192.0.2.0/24";
const V6: &str = "2001:db8::/48";
const TABLE: u32 = 5353;
/// Long enough for a busy machine; what is timed is printed.
const SOON: Duration = lab::SOON;

#[test]
fn the_path_at_the_upstream_is_longer_by_what_is_wanted_and_plain_again() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let before = lab.sessions()?;
    let mut oopsd = lab.oopsd("wet")?;
    let mut took = Vec::new();
    for prepends in [1, 2, 3, 2, 1, 0, 3, 0] {
        for prefix in [V4, V6] {
            let start = Instant::now();
            oopsd.want(prefix, &longer(prepends))?;
            lab.reaches(prefix, prepends)?;
            took.push(start.elapsed());
        }
    }
    took.sort_unstable();
    println!("want() to the upstream's table: median {:?}, longest {:?}", took[took.len() / 2], took[took.len() - 1]);
    lab.undisturbed(&before, 8)
}

#[test]
fn stopping_killing_and_starting_change_no_route() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd("wet")?;
    let (before, table) = lab.announced(&mut oopsd, [2, 3])?;

    oopsd.stop()?;
    let mut oopsd = lab.oopsd("wet")?;
    oopsd.sees(V4, &longer(2))?;
    oopsd.sees(V6, &longer(3))?;
    oopsd.running.kill();
    let mut oopsd = lab.oopsd("wet")?;
    oopsd.sees(V4, &longer(2))?;
    let row = oopsd.status(V4)?;
    ensure!(row["wanted"].is_null() && row["changes"] == 0, "{row}");
    ensure!(lab.table() == table, "the table is another: {}", lab.table());
    lab.undisturbed(&before, 0)?;

    oopsd.want(V4, &longer(0))?;
    lab.reaches(V4, 0)?;
    lab.reaches(V6, 3)
}

#[test]
fn a_flushed_table_is_put_back() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd("wet")?;
    let (_, table) = lab.announced(&mut oopsd, [1, 1])?;
    lab.host.ip(&format!("route flush table {TABLE}"))?;
    lab.host.ip(&format!("-6 route flush table {TABLE}"))?;
    lab.holds(&table)?;
    lab.reaches(V4, 1)?;
    lab.reaches(V6, 1)
}

#[test]
fn routes_of_others_in_the_table_are_left_alone() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let foreign = [
        format!("blackhole 198.51.100.0/24 table {TABLE} proto 253 metric 101"),
        format!("blackhole {V4} table {TABLE} proto static metric 200"),
        format!("unreachable {V4} table {TABLE} proto 253 metric 201"),
        format!("blackhole {V6} table {TABLE} proto static metric 200"),
    ];
    for route in &foreign {
        lab.host.ip(&format!("route add {route}"))?;
    }
    let table = lab.table();
    let mut oopsd = lab.oopsd("wet")?;
    for prepends in [1, 3, 0] {
        for prefix in [V4, V6] {
            oopsd.want(prefix, &longer(prepends))?;
            lab.reaches(prefix, prepends)?;
        }
    }
    lab.holds(&table)
}

#[test]
fn a_route_that_hides_ours_is_an_error_that_names_it() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let foreign = format!("blackhole {V4} table {TABLE} proto static metric 7");
    lab.host.ip(&format!("route add {foreign}"))?;
    let mut oopsd = lab.oopsd("wet")?;
    oopsd.want(V4, &longer(2))?;
    let error = oopsd.fails(V4)?;
    ensure!(error.contains(&format!("blackhole {V4} table {TABLE}")) && error.contains("metric 7"), "{error}");
    lab.reaches(V4, 0)?;

    lab.host.ip(&format!("route del {foreign}"))?;
    oopsd.sees(V4, &longer(2))?;
    lab.reaches(V4, 2)
}

#[test]
fn thirty_changes_in_a_row_end_right() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let before = lab.sessions()?;
    let mut oopsd = lab.oopsd("wet")?;
    let mut state: u32 = 20_261_121;
    let mut last = [0, 0];
    for _ in 0..30 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (which, prepends) = (usize::from(state & 1 << 30 != 0), (state >> 20) & 3);
        oopsd.want([V4, V6][which], &longer(prepends))?;
        last[which] = prepends;
        // Some come while the one before is being made so, and some after.
        if state & 1 << 29 != 0 {
            lab.reaches([V4, V6][which], prepends)?;
        }
    }
    lab.reaches(V4, last[0])?;
    lab.reaches(V6, last[1])?;
    oopsd.sees(V4, &longer(last[0]))?;
    oopsd.sees(V6, &longer(last[1]))?;
    lab.undisturbed(&before, 30)
}

#[test]
fn a_reload_keeps_what_was_wanted_and_leaves_a_route_it_no_longer_has() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd("wet")?;
    let (before, table) = lab.announced(&mut oopsd, [1, 2])?;
    oopsd.reload(&config(&[V4]))?;
    ensure!(oopsd.status(V4)?["wanted"] == "prepend 1" && oopsd.status(V6).is_err(), "{}", oopsd.status(V4)?);
    oopsd.sees(V4, &longer(1))?;
    ensure!(lab.table() == table, "the table is another: {}", lab.table());
    lab.undisturbed(&before, 0)
}

#[test]
fn another_table_takes_over_what_stands_in_the_one_before_and_that_is_emptied() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let others = format!("blackhole 198.51.100.0/24 table {TABLE} proto 253 metric 101");
    lab.host.ip(&format!("route add {others}"))?;
    let mut oopsd = lab.oopsd("wet")?;
    lab.announced(&mut oopsd, [2, 0])?;
    oopsd.want(V6, "withdraw")?;
    oopsd.sees(V6, "withdraw")?;
    let log = tempfile::NamedTempFile::new()?;
    let mut monitor = lab.host.command("ip");
    let _monitor = Running::start(monitor.args(["monitor", "route"]).stdout(log.reopen()?))?;
    let said = || fs::read_to_string(log.path()).unwrap_or_default();
    // It listens once it hears of this.
    until("it listens", SOON, || {
        let _ = lab.host.ip("route add blackhole 203.0.113.0/24 table 77");
        let _ = lab.host.ip("route del blackhole 203.0.113.0/24 table 77");
        said().contains("203.0.113.0/24").then_some(())
    })?;

    let text = config(&[V4, V6]);
    let moved = text.replace(&format!("table = {TABLE}"), "table = 5454");
    oopsd.reload(&moved)?;
    let table = |number: u32| {
        let show = |family| lab.host.ip(&format!("{family} route show table {number}")).unwrap_or_default();
        show("-4") + &show("-6")
    };
    until("the old table is empty", SOON, || (table(TABLE).lines().count() == 1).then_some(()))
        .with_context(|| table(TABLE))?;
    ensure!(table(TABLE).contains("198.51.100.0/24"), "of no route of oopsd's, and gone: {}", table(TABLE));
    let new = table(5454);
    ensure!(new.contains("192.0.2.0/24 proto 253 metric 102") && new.contains("dev oopsd5454"), "{new}");
    let heard = || said().lines().filter(|line| line.contains("Deleted") && line.contains("proto 253")).count() >= 2;
    until("both are heard of", SOON, || heard().then_some(())).with_context(said)?;
    for prefix in [V4, V6] {
        let at = |deleted: bool, table: &str| {
            let of = |line: &&str| line.contains(prefix) && line.contains(table) && line.contains("Deleted") == deleted;
            said().lines().position(|line| of(&line))
        };
        let (stood, gone) = (at(false, "table 5454"), at(true, &format!("table {TABLE}")));
        ensure!(stood.is_some() && gone.is_some() && stood < gone, "{prefix}: {}", said());
    }
    until("its interface is gone", SOON, || lab.host.ip(&format!("link show oopsd{TABLE}")).is_err().then_some(()))?;

    // And back at once, also of what only the one before has wanted.
    oopsd.running.kill();
    let mut oopsd = Routers::start(&mut lab.host.command(env!("CARGO_BIN_EXE_routers")), &moved, "wet")?;
    oopsd.sees(V4, "prepend 2")?;
    oopsd.reload(&text)?;
    oopsd.sees(V4, "prepend 2")?;
    until("the other table is empty", SOON, || table(5454).is_empty().then_some(())).with_context(|| table(5454))?;
    lab.reaches(V4, 2)
}

#[test]
fn bird_restarted_announces_the_same_level() -> Result<()> {
    let Some(mut lab) = Lab::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd("wet")?;
    oopsd.want(V4, &longer(2))?;
    lab.reaches(V4, 2)?;
    drop(oopsd);
    lab.announcer.restart()?;
    lab.announcer.established("up4")?;
    lab.reaches(V4, 2)
}

#[test]
fn a_dry_run_changes_nothing() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd("dry")?;
    oopsd.want(V4, &longer(3))?;
    oopsd.sees(V4, &longer(0))?;
    let row = oopsd.status(V4)?;
    ensure!(row["wanted"] == "prepend 3" && row["changes"] == 0 && row["errors"] == 0, "{row}");
    ensure!(lab.table().is_empty(), "a route appeared: {}", lab.table());
    Ok(())
}

#[test]
fn without_the_capability_the_error_says_which_one() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut command = lab.host.command("setpriv");
    command.args(["--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]);
    let mut oopsd = Routers::start(command.arg(env!("CARGO_BIN_EXE_routers")), &config(&[V4, V6]), "wet")?;
    oopsd.want(V4, &longer(1))?;
    let error = oopsd.fails(V4)?;
    ensure!(error.contains("CAP_NET_ADMIN") && error.contains(V4) && error.contains("table 5353"), "{error}");
    Ok(())
}

#[test]
fn bird_takes_the_text_for_its_configuration() -> Result<()> {
    if !lab::ready(&["bird"]) {
        return Ok(());
    }
    for prefixes in [&[V4][..], &[V6], &[V4, V6, "198.51.100.0/24"]] {
        bird::parses(&format!("router id 192.0.2.1;\nprotocol device {{}}\n{}", fragment(prefixes)))?;
    }
    Ok(())
}

/// The host with BIRD, and its upstream with another.
struct Lab {
    announcer: Bird,
    upstream: Bird,
    host: Namespace,
    _far: Namespace,
}

impl Lab {
    /// Both sessions are established and both prefixes at the upstream with a plain path; `None` if this cannot run here.
    fn new() -> Result<Option<Self>> {
        if !lab::ready(&["ip", "bird"]) {
            return Ok(None);
        }
        let (host, far) = (Namespace::new("host")?, Namespace::new("upstream")?);
        host.cable("up", &far, "down")?;
        host.ip("addr add 192.0.2.1/32 dev lo")?;
        for (namespace, interface, last) in [(&host, "up", 1), (&far, "down", 2)] {
            namespace.ip(&format!("addr add 10.53.0.{last}/30 dev {interface}"))?;
            namespace.ip(&format!("addr add fd53::{last}/64 dev {interface} nodad"))?;
        }
        let upstream = Bird::start(Version::Two, &far, UPSTREAM)?;
        let conf = format!("{HOST}\n{}\n{}", fragment(&[V4, V6]), bird::sessions(CHANNELS));
        let announcer = Bird::start(Version::Two, &host, &conf)?;
        let lab = Self { announcer, upstream, host, _far: far };
        lab.sessions()?;
        lab.reaches(V4, 0)?;
        lab.reaches(V6, 0)?;
        Ok(Some(lab))
    }

    fn sessions(&self) -> Result<[Session; 2]> {
        Ok([self.upstream.established("down4")?, self.upstream.established("down6")?])
    }

    /// Since `before`, no session changed, nothing was withdrawn and at most `changes` announcements came in each family.
    fn undisturbed(&self, before: &[Session; 2], changes: u64) -> Result<()> {
        for (before, now) in before.iter().zip(&self.sessions()?) {
            ensure!(now.since.abs_diff(before.since) <= 1, "the session flapped: {before:?}, {now:?}");
            ensure!(now.withdrawals == before.withdrawals, "a withdrawal passed: {before:?}, {now:?}");
            ensure!(now.updates - before.updates <= changes, "more updates than changes: {before:?}, {now:?}");
        }
        Ok(())
    }

    /// Waits until the upstream sees `prefix` with a path longer by `prepends`.
    fn reaches(&self, prefix: &str, prepends: u32) -> Result<()> {
        let wanted = vec![64999; 1 + prepends as usize];
        let what = format!("{prefix} at the upstream by {wanted:?}");
        until(&what, SOON, || self.upstream.path(prefix).filter(|path| *path == wanted))
            .map(|_| ())
            .with_context(|| format!("it is by {:?}; the table holds {:?}", self.upstream.path(prefix), self.table()))
    }

    /// Wants so many prepends for the two prefixes and waits until it is so; the sessions and the table then.
    fn announced(&self, oopsd: &mut Routers, prepends: [u32; 2]) -> Result<([Session; 2], String)> {
        let wanted = [V4, V6].into_iter().zip(prepends);
        wanted.clone().try_for_each(|(prefix, prepends)| oopsd.want(prefix, &longer(prepends)))?;
        for (prefix, prepends) in wanted {
            self.reaches(prefix, prepends)?;
            oopsd.sees(prefix, &longer(prepends))?;
        }
        Ok((self.sessions()?, self.table()))
    }

    /// All routes of oopsd's table, as `ip route` prints them.
    fn table(&self) -> String {
        let show = |family| self.host.ip(&format!("{family} route show table {TABLE}"));
        // A table that nobody has put a route into is none.
        show("-4").unwrap_or_default() + &show("-6").unwrap_or_default()
    }

    /// Waits until the table is `wanted`.
    fn holds(&self, wanted: &str) -> Result<()> {
        until(&format!("table {TABLE} holds {wanted}"), SOON, || (self.table() == wanted).then_some(()))
    }

    fn oopsd(&self, mode: &str) -> Result<Routers> {
        Routers::start(&mut self.host.command(env!("CARGO_BIN_EXE_routers")), &config(&[V4, V6]), mode)
    }
}

/// As an action is written.
fn longer(by: u32) -> String {
    if by == 0 { "plain".to_owned() } else { format!("prepend {by}") }
}

fn config(prefixes: &[&str]) -> String {
    let mut text = format!("{CONFIG}table = {TABLE}\n");
    for prefix in prefixes {
        text +=
            &format!("[[route]]\nprefix = \"{prefix}\"\nrouter = \"bird\"\nwhen = \"overload\"\npolicy = \"demote\"\n");
    }
    text
}

const CONFIG: &str = r#"
[[condition]]
name = "overload"
kind = "query-rate"
rising = "1k"
[[router]]
name = "bird"
type = "kernel-table"
"#;

fn fragment(prefixes: &[&str]) -> String {
    let config = oopsd::router::kernel_table::Config { name: "bird".to_owned(), table: TABLE };
    let routes: Vec<engine::Route> = prefixes
        .iter()
        .map(|prefix| engine::Route {
            prefix: (*prefix).to_owned(),
            router: "bird".to_owned(),
            when: "overload".into(),
            policy: engine::Policy::Absorb,
        })
        .collect();
    oopsd::router::kernel_table::bird_fragment(&config, &routes)
}

const CHANNELS: [&str; 2] = ["table oopsd_out4; export all;", "table oopsd_out6; export all;"];

const UPSTREAM: &str = "
router id 10.53.0.2;
protocol device {}
protocol bgp down4 {
  local 10.53.0.2 as 64998; neighbor 10.53.0.1 as 64999; passive;
  error wait time 1, 2;
  ipv4 { import all; export none; };
}
protocol bgp down6 {
  local fd53::2 as 64998; neighbor fd53::1 as 64999; passive;
  error wait time 1, 2;
  ipv6 { import all; export none; };
}
";
