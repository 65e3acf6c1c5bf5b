//! A site with a knotd that counts, dnsperf at full speed on both CPUs, and what all three must agree on.

use anyhow::{Context, Result, ensure};
use core::sync::atomic::{AtomicBool, Ordering};
use serde_json::Value;
use std::process::Command;
use tests::daemon::{Oopsd, Orders};
use tests::knot::{Knot, Statistics};
use tests::lab::{ready, run};
use tests::replay::counts;
use tests::site::Site;
use tests::tshark::Counts;

/// Zones with content, and one without, which is answered with EDE 24.
pub(crate) const SERVED: [&str; 2] = ["nl.", "example.org."];
pub(crate) const BROKEN: &str = "broken.test.";

/// What oopsd is to count apart. What is elsewhere is refused with EDE 20.
pub(crate) const CONFIG: &str = "[zones]\nnames = [\"nl.\", \"example.org.\", \"broken.test.\"]\n";

/// What is asked with: the server's address, dnsperf's arguments, on which of two CPUs, and what knotd and oopsd call it. Over
/// TCP no more is under way than one segment holds, as oopsd does not put messages together that go on in another one.
const LOADS: [(&str, &str, usize, &str, [&str; 2]); 4] = [
    ("192.0.2.1", "-q 60 -c 8 -T 2", 0, "udp4", ["udp", "ipv4"]),
    ("2001:db8::1", "-q 60 -c 8 -T 2", 1, "udp6", ["udp", "ipv6"]),
    ("192.0.2.1", "-m tcp -q 8 -c 4", 1, "tcp4", ["tcp", "ipv4"]),
    ("2001:db8::1", "-m tcp -q 8 -c 4", 0, "tcp6", ["tcp", "ipv6"]),
];

/// Site, server and questions.
pub(crate) struct Scene {
    pub(crate) site: Site,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) knot: Knot,
}

impl Scene {
    /// `None` if it cannot be here.
    pub(crate) fn new() -> Result<Option<Self>> {
        if !ready(&["ip", "knotd", "knotc", "dnsperf", "kxdpgun", "tcpdump", "taskset"]) {
            return Ok(None);
        }
        let Some(site) = Site::new()? else { return Ok(None) };
        let folder = tempfile::tempdir()?;
        let knot = Knot::start(&site.host, folder.path(), &["192.0.2.1", "2001:db8::1"], &SERVED, &[BROKEN])?;
        std::fs::write(folder.path().join("questions"), questions(20_000).join("\n") + "\n")?;
        Ok(Some(Self { site, folder, knot }))
    }

    /// Asks in all four ways at once for so many seconds, each at most `rate` times a second. How often each way was asked;
    /// `None` if one question was not answered.
    pub(crate) fn load(&self, seconds: u32, rate: u32) -> Result<Option<[u64; 4]>> {
        let questions = self.folder.path().join("questions");
        let questions = questions.to_str().context("UTF-8")?;
        let cpus = cpus()?;
        let ask = |(address, arguments, cpu, _, _): (&str, &str, usize, &str, [&str; 2])| -> Result<[u64; 2]> {
            let mut command: Command = self.site.client.command("taskset");
            command.args(["-c", &cpus[cpu].to_string(), "dnsperf", "-e", "-t", "3", "-s", address, "-d", questions]);
            command.args(["-l", &seconds.to_string(), "-Q", &rate.to_string()]);
            let said = run(command.args(arguments.split(' ')))?;
            let number = |what| {
                let line = said.lines().find_map(|line| line.trim().strip_prefix(what));
                line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).with_context(|| said.clone())
            };
            Ok([number("Queries sent:")?, number("Queries completed:")?])
        };
        let all = std::thread::scope(|scope| {
            let asking = LOADS.map(|load| scope.spawn(move || ask(load)));
            asking.map(|asking| asking.join().expect("no panic"))
        });
        let mut sent = [0; 4];
        for (sent, said) in sent.iter_mut().zip(all) {
            let [asked, answered] = said?;
            if asked != answered {
                return Ok(None);
            }
            *sent = asked;
        }
        Ok(Some(sent))
    }

    /// Fails unless oopsd has counted exactly what was sent and what knotd counted since `before`; ends it, and gives its
    /// summary. `sent` is by way, as [`Self::load`] gives it.
    pub(crate) fn agree(&self, oopsd: &mut Oopsd, sent: [u64; 4], before: &Before) -> Result<Value> {
        let all = self.knot.statistics()?.since(&before.all);
        for ((_, _, _, protocol, [transport, family]), sent) in LOADS.into_iter().zip(sent) {
            let counted = all.get("request-protocol", protocol);
            ensure!(counted == sent, "{protocol}: {sent} sent, {counted} came to knotd");
            for (direction, qr) in [("received", "query"), ("sent", "response")] {
                oopsd.shows(
                    &format!(
                        "oopsd_messages_total{{direction=\"{direction}\",qr=\"{qr}\",transport=\"{transport}\",family=\"{family}\"}}"
                    ),
                    sent,
                )?;
            }
        }
        let mut zones = Vec::new();
        for (zone, before) in SERVED.iter().zip(&before.zones) {
            zones.push(self.knot.zone(zone)?.since(before));
        }
        let [served, own] = [zones[0].sum("request-protocol"), zones[1].sum("request-protocol")];
        let [refused, failed] = ["REFUSED", "SERVFAIL"].map(|code| all.get("response-code", code));
        let sum: u64 = sent.iter().sum();
        ensure!(served + own + refused + failed == sum, "knotd: {all:?} {zones:?}");

        oopsd.stop()?;
        let rows = oopsd.rows();
        let summary = rows.last().context("no summary")?;
        let said = |queries, code: &str, errors| Counts {
            queries,
            responses: queries,
            ede: if errors > 0 { [(code.to_owned(), errors)].into() } else { [].into() },
        };
        let parts = [
            ("nl.", said(served, "", 0)),
            ("example.org.", said(own, "", 0)),
            (BROKEN, said(failed, "24", failed)),
            ("other", said(refused, "20", refused)),
        ];
        for (zone, want) in parts {
            let counted = counts(&summary["zones"][zone])?;
            ensure!(counted == want, "{zone}: {counted:?}, by knotd {want:?}");
        }
        let total = counts(&summary["total"])?;
        let ede = [("20".to_owned(), refused), ("24".to_owned(), failed)];
        let want = Counts { queries: sum, responses: sum, ede: ede.into() };
        ensure!(total == want, "{total:?}, by knotd {want:?}");
        for reason in ["malformed", "fragment", "truncated", "segment"] {
            ensure!(summary["skipped"][reason].as_u64().unwrap_or(0) == 0, "{reason}: {summary}");
        }
        Ok(summary.clone())
    }

    /// What knotd has counted so far.
    pub(crate) fn before(&self) -> Result<Before> {
        Ok(Before { all: self.knot.statistics()?, zones: [self.knot.zone(SERVED[0])?, self.knot.zone(SERVED[1])?] })
    }
}

/// What knotd had counted when oopsd began.
pub(crate) struct Before {
    all: Statistics,
    zones: [Statistics; 2],
}

/// The first and the last CPU that this process may run on, which need not be 0 and 1 in a container.
fn cpus() -> Result<[u32; 2]> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).context("no CPUs")?.trim();
    let end = |cpu: Option<&str>| Ok::<_, anyhow::Error>(cpu.context("no CPU")?.parse()?);
    Ok([end(list.split([',', '-']).next())?, end(list.rsplit([',', '-']).next())?])
}

/// Asks again and again until `done`; how often in each way, and `None` if one question was not answered.
pub(crate) fn load_until(scene: &Scene, done: &AtomicBool) -> Result<Option<[u64; 4]>> {
    let mut sum = [0; 4];
    while !done.load(Ordering::Relaxed) {
        let Some(sent) = scene.load(2, 1_000_000)? else { return Ok(None) };
        sum.iter_mut().zip(sent).for_each(|(sum, sent)| *sum += sent);
    }
    Ok(Some(sum))
}

/// Starts oopsd on a rung, and makes sure that it stands there; `None` if it was built without.
pub(crate) fn start(scene: &Scene, capture: &str, rung: &str) -> Result<Option<Oopsd>> {
    start_with(scene, capture, rung, "")
}

/// As [`start`], where `[capture]` says more.
pub(crate) fn start_with(scene: &Scene, capture: &str, rung: &str, said: &str) -> Result<Option<Oopsd>> {
    let arguments = ["--json", "--capture", capture];
    let orders = Orders { config: CONFIG, capture: said, arguments: &arguments, ..Orders::default() };
    let mut oopsd = match Oopsd::start(&scene.site.host, &orders) {
        Err(error) if format!("{error:#}").contains("has no kernel capture") => {
            ensure!(std::env::var("CI").as_deref() != Ok("true"), "{error:#}");
            skipped();
            return Ok(None);
        }
        started => started?,
    };
    oopsd.ready()?;
    oopsd.shows(&format!("oopsd_capture_active{{interface=\"eth0\",kind=\"{rung}\"}}"), 1)?;
    Ok(Some(oopsd))
}

#[expect(clippy::print_stdout, reason = "a skipped test says so where a passing one says so")]
fn skipped() {
    println!("skipped: oopsd was built without kernel capture");
}

/// Four tenths in one zone, two in each of the others, and two elsewhere.
fn questions(count: usize) -> Vec<String> {
    let question = |nth: usize| match nth % 10 {
        0..3 => format!("w{nth}.nl A"),
        3 => format!("W{nth}.a.B.Nl AAAA"),
        4 => format!("w{nth}.example.org A"),
        5 => format!("W{nth}.EXAMPLE.org TXT"),
        6 | 7 => format!("w{nth}.broken.test A"),
        8 => format!("w{nth}.example.com A"),
        _ => format!("w{nth}.notexample.org A"),
    };
    (0..count).map(question).collect()
}
