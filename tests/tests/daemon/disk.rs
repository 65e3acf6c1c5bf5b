//! A disk that is full keeps nobody waiting but the log that is on it, and that only until there is room; nor does that of the state.

use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tests::daemon::{BUSY, Orders, SOON, STATE, routes};
use tests::lab::{self, run, until};
use tests::receiver::{Answer, Receiver, SECRET};
use tests::site::Site;

#[test]
fn a_log_on_a_full_disk_waits_for_room_and_everything_else_goes_on() -> Result<()> {
    if !lab::ready(&["ip", "mount"]) {
        return Ok(());
    }
    let disk = Disk::mount()?;
    let log = disk.path().join("small.jsonl");
    // 96 bytes are left of its page: less than a signal.
    let earlier = format!("{}\n", "x".repeat(3_999));
    fs::write(&log, &earlier)?;
    let channels = format!(
        "[[channel]]\ntype = \"log\"\nname = \"small\"\nfile = \"{}\"\n\
         [[channel]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:8053/\"\nsecret-file = \"webhook.secret\"\n",
        log.display()
    );
    let config = &[BUSY, &channels, &routes()].concat();
    let orders = Orders { config, files: &[("webhook.secret", SECRET)], ..Orders::default() };
    let Some((site, oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    let receiver = Receiver::start(&site.host, Answer::Status(204))?;
    disk.fill()?;

    let load = site.queries(2_000)?;
    oopsd.signal(1)?;
    oopsd.shows_route("seen", "192.0.2.0/24", "prepend 3")?;
    oopsd.comes_to(load.stop()?)?;
    oopsd.signal(2)?;
    oopsd.shows_route("seen", "192.0.2.0/24", "plain")?;
    oopsd.shows("oopsd_signals_total{channel=\"webhook\",outcome=\"sent\"}", 2)?;
    ensure!(receiver.received()?.len() == 2, "{:?}", receiver.received()?);
    let failed = || oopsd.metrics().ok()?.sum("oopsd_signal_failed_attempts_total").checked_sub(3);
    until("three attempts", SOON, || failed().map(|_| ())).with_context(|| oopsd.stderr())?;
    oopsd.shows("oopsd_signals_waiting{channel=\"small\"}", 2)?;
    ensure!(fs::read_to_string(&log)?.starts_with(&earlier), "the file was cut");

    disk.empty()?;
    oopsd.shows("oopsd_signals_total{channel=\"small\",outcome=\"sent\"}", 2)?;
    oopsd.shows("oopsd_signals_waiting{channel=\"small\"}", 0)?;
    let text = fs::read_to_string(&log)?;
    let (torn, whole) = text.strip_prefix(&earlier).context("the file was cut")?.split_once('\n').context("a line")?;
    let elsewhere = fs::read_to_string(oopsd.path("signals.jsonl"))?;
    ensure!(
        whole == elsewhere && torn.len() == 96 && elsewhere.starts_with(torn),
        "{torn}\n{whole}\nis not\n{elsewhere}"
    );
    for said in ["cannot write", "writes again"] {
        ensure!(oopsd.stderr().matches(said).count() == 1, "`{said}` is not there once: {}", oopsd.stderr());
    }
    Ok(())
}

#[test]
fn on_a_full_state_directory_signals_and_routes_go_on() -> Result<()> {
    if !lab::ready(&["ip", "mount"]) {
        return Ok(());
    }
    // In the mounts of the process alone, and full before it begins.
    let full = "mkdir -p \"$STATE_DIRECTORY\" && mount -t tmpfs -o size=64k tmpfs \"$STATE_DIRECTORY\" && \
                { head -c 1M /dev/zero > \"$STATE_DIRECTORY/filler\"; exec \"$@\"; }";
    let channel =
        "[[channel]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:8053/\"\nsecret-file = \"webhook.secret\"\n";
    let config = &[BUSY, channel, &routes()].concat();
    let through = &["sh", "-c", full, "sh"];
    let orders = Orders { config, files: &[("webhook.secret", SECRET)], through, ..Orders::default() };
    let Some((site, oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    let receiver = Receiver::start(&site.host, Answer::Status(204))?;
    let load = site.queries(2_000)?;
    oopsd.signal(1)?;
    oopsd.shows_route("seen", "192.0.2.0/24", "prepend 3")?;
    oopsd.comes_to(load.stop()?)?;
    oopsd.signal(2)?;
    oopsd.shows_route("seen", "192.0.2.0/24", "plain")?;
    oopsd.shows("oopsd_signals_total{channel=\"webhook\",outcome=\"sent\"}", 2)?;
    ensure!(receiver.received()?.len() == 2, "{:?}", receiver.received()?);
    let said =
        |what: &str| until(what, SOON, || oopsd.stderr().contains(what).then_some(())).with_context(|| oopsd.stderr());
    for what in ["cannot write what waits: it is in memory only", "cannot write the state"] {
        said(what)?;
        println!("{}", oopsd.stderr().lines().find(|line| line.contains(what)).unwrap_or_default());
    }
    let inside = Path::new("/proc").join(oopsd.process().to_string()).join("root");
    let state = oopsd.path(STATE);
    fs::remove_file(inside.join(state.strip_prefix("/")?).join("filler"))?;
    let _load = site.queries(2_000)?;
    oopsd.shows_route("seen", "192.0.2.0/24", "prepend 3")?;
    said("what waits is on the disk again")?;
    said("the state is written again")
}

/// A file system of two pages; gone when dropped.
struct Disk(TempDir);

impl Disk {
    fn mount() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"]).arg(folder.path()))?;
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes what room there is.
    fn fill(&self) -> Result<()> {
        let mut file = File::create(self.path().join("filler"))?;
        while file.write_all(&[0; 512]).is_ok() {}
        Ok(())
    }

    fn empty(&self) -> Result<()> {
        Ok(fs::remove_file(self.path().join("filler"))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
