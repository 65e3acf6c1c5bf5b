//! As an ordinary user: what counting needs is enough, and is given up once it counts.

use crate::rungs::{ZONES, exchange, stands_on};
use anyhow::{Context, Result, ensure};
use std::fs;
use tests::daemon::{Oopsd, Orders, SOON};
use tests::lab::{self, until};
use tests::site::Site;

const NEEDED: &str = "+bpf,+perfmon,+net_admin,+net_raw";

fn as_nobody(capabilities: &str) -> [String; 9] {
    let words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"].map(String::from);
    let [a, b, c, d, e, f] = words;
    let inherited = format!("--inh-caps=-all,{capabilities}");
    [a, b, c, d, e, f, inherited, format!("--ambient-caps=-all,{capabilities}"), String::from("--no-new-privs")]
}

#[test]
fn an_ordinary_user_counts_on_each_rung_and_keeps_only_what_it_may_need_again() -> Result<()> {
    const NET_ADMIN: u64 = 1 << 12;
    const NET_RAW: u64 = 1 << 13;
    if !lab::ready(&["setpriv"]) {
        return Ok(());
    }
    for (rung, kept) in [("xdp", 0), ("tc", 0), ("clsact", NET_ADMIN), ("socket", NET_RAW)] {
        let through = as_nobody(NEEDED);
        let through: Vec<&str> = through.iter().map(String::as_str).collect();
        let arguments = ["--capture", rung];
        let orders = Orders { config: ZONES, arguments: &arguments, through: &through, ..Orders::default() };
        let Some((site, mut oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
        let held = held(&oopsd)?;
        ensure!(held.iter().all(|(_, held)| held & !kept == 0), "{rung}: {held:x?}");
        exchange(&site, &oopsd)?;
        // Links need nothing but the programs, which are there.
        site.host.ip("link del eth0")?;
        oopsd.shows("oopsd_blind", 1)?;
        site.cable()?;
        until("it counts again", SOON, || (oopsd.metrics().ok()?.sum("oopsd_capture_active") == 1).then_some(()))
            .with_context(|| oopsd.stderr())?;
        oopsd.ready()?;
        let before = oopsd.metrics()?.sum("oopsd_prefix_queries_total");
        let load = site.queries(1_000)?;
        load.more(300)?;
        oopsd.sums(&["oopsd_prefix_queries_total"], before + load.stop()?)?;
    }
    Ok(())
}

#[test]
fn a_capability_that_is_missing_is_named_and_sockets_count() -> Result<()> {
    if !lab::ready(&["setpriv"]) {
        return Ok(());
    }
    let through = as_nobody("+net_raw,+net_admin");
    let through: Vec<&str> = through.iter().map(String::as_str).collect();
    let Some((_site, oopsd)) = Site::watched_by(&Orders { config: ZONES, through: &through, ..Orders::default() })?
    else {
        return Ok(());
    };
    stands_on(&oopsd, "socket")?;
    let said = oopsd.stderr();
    ensure!(said.contains("CAP_BPF, CAP_PERFMON") && said.contains("setcap"), "{said}");
    Ok(())
}

/// The effective and permitted capabilities of each thread, by its name.
fn held(oopsd: &Oopsd) -> Result<Vec<(String, u64)>> {
    let mut all = Vec::new();
    for task in fs::read_dir(format!("/proc/{}/task", oopsd.process()))? {
        let status = fs::read_to_string(task?.path().join("status"))?;
        let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim();
        for set in ["CapEff:", "CapPrm:", "CapInh:"] {
            all.push((value("Name:").to_owned(), u64::from_str_radix(value(set), 16)?));
        }
    }
    Ok(all)
}
