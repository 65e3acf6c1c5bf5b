//! From the first packet of a load over the threshold to the UPDATE at the upstream, through the whole of it: capture, window, tick,
//! condition, ladder, kernel table, BIRD, wire. Beside it FastNetMon, with a script that does to the same table what oopsd does.
//!
//! By the clock, not on a processor. Each run begins at another moment of oopsd's tick and of FastNetMon's second. The load is steady and
//! twice what the threshold asks for, or a quarter more; it comes over the same cable, and BIRD is the same.

use crate::figure::Figure;
use crate::process::{is_here, oopsd};
use crate::{Outcome, table};
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tests::daemon::DEMOTED;
use tests::lab::learner::Learner;
use tests::lab::peering::V4;
use tests::lab::{self, Running};
use tests::message::query;
use tests::traffic::Load;

const RUNS: usize = 50;
const THRESHOLD: u32 = 1_000;
/// For one reaction, and for one return to the plain path.
const PATIENCE: Duration = Duration::from_secs(30);
const MILLISECOND: f64 = 1e3;

/// Measures it, where it can be.
pub(crate) fn measure() -> Outcome<()> {
    let Some(lab) = Lab::new()? else {
        table::skipped("first packet over the threshold to the UPDATE at the upstream", "needs root, ip and bird");
        return Ok(());
    };
    let mut ours = None;
    for (window, load, most) in
        [(1_000, 2_000, 1_050.0), (1_000, 1_250, 1_050.0), (200, 2_000, 300.0), (200, 1_250, 300.0)]
    {
        let runs = lab.oopsd(window, load)?;
        let what = format!("first packet to UPDATE: window {window} ms, tick 100 ms, load {load}/{THRESHOLD}");
        let figure = print(&what, runs, Some(most));
        ours.get_or_insert(figure);
    }
    let ours = ours.expect("four figures");
    if !is_here("fastnetmon") {
        table::skipped("    FastNetMon", "needs fastnetmon");
        return Ok(());
    }
    for average in [5, 1] {
        let runs = lab.fastnetmon(average, 2_000)?;
        let [median, worst] = quantiles(runs);
        let what = format!("FastNetMon, average of {average} s, load 2000/{THRESHOLD}");
        table::peer(&format!("{what}, p50"), "ms", &median, &ours[0], None);
        table::peer(&format!("{what}, p99"), "ms", &worst, &ours[1], None);
    }
    Ok(())
}

/// Prints the median and the 99th percentile, which of so few runs is the longest.
fn print(what: &str, runs: Vec<f64>, most: Option<f64>) -> [Figure; 2] {
    let [median, worst] = quantiles(runs);
    table::ours(&format!("{what}, p50"), "ms", &median, None);
    table::ours(&format!("{what}, p99"), "ms", &worst, most);
    [median, worst]
}

fn quantiles(mut runs: Vec<f64>) -> [Figure; 2] {
    runs.sort_by(f64::total_cmp);
    [50, 99].map(|percent| Figure::once(runs[(percent * runs.len()).div_ceil(100) - 1]))
}

struct Lab {
    learner: Learner,
    /// Takes the queries, so that nothing is sent back.
    _service: UdpSocket,
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Outcome<Option<Self>> {
        let Some(learner) = Learner::new()? else { return Ok(None) };
        learner.peering.upstream.ip("route add 192.0.2.0/24 via 10.53.0.1")?;
        let service = learner.peering.host.inside(|| Ok(UdpSocket::bind("192.0.2.1:53")?))?;
        Ok(Some(Self { learner, _service: service, folder: tempfile::tempdir()? }))
    }

    /// Runs of one oopsd: the milliseconds that each took.
    fn oopsd(&self, window: u32, load: u32) -> Outcome<Vec<f64>> {
        let file = self.folder.path().join("oopsd.toml");
        let own = OOPSD.replace("{window}", &window.to_string()).replace("{threshold}", &THRESHOLD.to_string());
        fs::write(&file, [&own, DEMOTED, LADDER].concat())?;
        let state = tempfile::tempdir_in(self.folder.path())?;
        let program = oopsd()?.get_program().to_owned();
        let mut command = self.learner.command(program.to_str().ok_or("an odd path")?);
        command.env("STATE_DIRECTORY", state.path()).arg("run").arg("-c").arg(file).stderr(Stdio::null());
        let _running = Running::start(command.stdout(Stdio::null()))?;
        // The first run waits until it counts.
        self.run(load, 0)?;
        self.is_plain()?;
        let mut runs = Vec::new();
        for number in 0..RUNS {
            runs.push(self.run(load, number)?);
            self.is_plain()?;
        }
        Ok(runs)
    }

    /// Runs of as many FastNetMons, because one that has banned an address is in no hurry to lift that.
    fn fastnetmon(&self, average: u32, load: u32) -> Outcome<Vec<f64>> {
        let folder = self.folder.path();
        let script = folder.join("notify");
        fs::write(&script, NOTIFY)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        fs::write(folder.join("networks"), "192.0.2.0/24\n")?;
        fs::write(folder.join("none"), "")?;
        let written =
            FASTNETMON.replace("{average}", &average.to_string()).replace("{folder}", &folder.display().to_string());
        fs::write(folder.join("fastnetmon.conf"), written.replace("{threshold}", &THRESHOLD.to_string()))?;
        let mut runs = Vec::new();
        for number in 0..RUNS {
            let mut running = self.start_fastnetmon(folder)?;
            // It looks once a second.
            sleep(Duration::from_secs(3));
            runs.push(self.run(load, number)?);
            running.kill();
            self.learner.flush()?;
            self.is_plain()?;
        }
        Ok(runs)
    }

    fn start_fastnetmon(&self, folder: &Path) -> Outcome<Running> {
        let mut command = self.learner.command("fastnetmon");
        command.arg("--disable_pid_logic").arg("--configuration_file").arg(folder.join("fastnetmon.conf"));
        command.arg("--log_file").arg(folder.join("fastnetmon.log"));
        Ok(Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?)
    }

    /// Loads the service until the upstream is told of it: the milliseconds from the first packet to that.
    fn run(&self, load: u32, number: usize) -> Outcome<f64> {
        let listener = &self.learner.peering.listener;
        let mark = listener.mark();
        // Another moment of the second each time: 37 is prime to 100.
        sleep(Duration::from_millis((number * 37 % 100 * 10) as u64 / 3));
        let first = Arc::new(OnceLock::new());
        let begun = Arc::clone(&first);
        let socket = self.learner.peering.upstream.inside(|| Ok(UdpSocket::bind("10.53.0.2:0")?))?;
        let message = query("www.example.org.");
        let load = Load::start(socket, "192.0.2.1:53".parse()?, load, move || {
            begun.get_or_init(Instant::now);
            message.clone()
        });
        let told = lab::until("the upstream is told", PATIENCE, || Some(listener.updates(mark).first()?.0))?;
        load.stop()?;
        let first = first.get().ok_or("nothing was sent")?;
        Ok(told.duration_since(*first).as_secs_f64() * MILLISECOND)
    }

    fn is_plain(&self) -> Outcome<()> {
        Ok(self
            .learner
            .peering
            .listener
            .reaches(V4, PATIENCE, |route| route.is_some_and(|route| route.path.len() == 1))?)
    }
}

const OOPSD: &str = r#"
[capture]
interfaces = ["up"]
[rate]
tick = "100ms"
window = "{window}ms"
[[condition]]
name = "busy"
kind = "query-rate"
scope = { prefix = "192.0.2.0/24" }
rising = {threshold}
for = "0s"
keep-for = "100ms"
"#;

const LADDER: &str = r#"
ladder = [{ prepend = 3 }]
step-every = "0s"
hold = "0s"
changes-per-hour = 3600
"#;

/// The arguments are an address, a direction, packets a second, and what happened.
const NOTIFY: &str = "#!/bin/sh
[ \"$4\" = ban ] && exec ip route add blackhole 192.0.2.0/24 table 5353 proto 253 metric 101
exit 0
";

/// As it comes, but for the interface, the network, the threshold and the average; and it tells nobody that it is used.
const FASTNETMON: &str = "
disable_usage_report = on
enable_ban = on
process_incoming_traffic = on
process_outgoing_traffic = on
ban_time = 1900
networks_list_path = {folder}/networks
white_list_path = {folder}/none
check_period = 1
ban_for_pps = on
threshold_pps = {threshold}
mirror_afpacket = on
interfaces = up
average_calculation_time = {average}
speed_calculation_delay = 1
monitor_local_ip_addresses = off
enable_api = off
prometheus = off
notify_script_path = {folder}/notify
cli_stats_file_path = {folder}/stats
cli_stats_ipv6_file_path = {folder}/stats6
";
