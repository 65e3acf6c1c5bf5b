//! The disk that what waits is kept on is full, read-only, too small by decree, or holds what is not ours.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tests::channels::{Channels, Home};
use tests::lab::{self, SOON, program, run, until};
use tests::receiver::SECRET;
use tests::receivers::{Account, Arrival, Http, Mood};

const IN_MEMORY: &str = "cannot write what waits: it is in memory only, and a crash would lose it";
const AGAIN: &str = "what waits is on the disk again";

#[test]
fn on_a_full_disk_signals_go_on_in_memory_and_are_on_it_again_once_there_is_room() -> Result<()> {
    let fill = |disk: &Disk| {
        // What of it there is room for.
        let _ = fs::write(disk.0.join("filler"), vec![0; 1 << 20]);
        Ok(())
    };
    trouble("size=256k", false, fill, |disk| Ok(fs::remove_file(disk.0.join("filler"))?))
}

#[test]
fn on_a_read_only_disk_signals_go_on_in_memory_and_are_on_it_again_once_it_is_not() -> Result<()> {
    trouble("size=4m", true, |disk| disk.remount("ro"), |disk| disk.remount("rw"))
}

/// What a disk goes through that `falls` ill, while oopsd runs or is down, and is `well` again.
#[expect(clippy::print_stdout, reason = "what came of it is for people")]
fn trouble(
    options: &str,
    is_down: bool,
    falls: impl Fn(&Disk) -> Result<()>,
    well: impl Fn(&Disk) -> Result<()>,
) -> Result<()> {
    if !lab::ready(&["mount"]) {
        return Ok(());
    }
    let receiver = Http::start()?;
    receiver.mood(Mood::BlackHole);
    let home = Home::new(&config(&receiver, 150), &[("webhook.secret", SECRET)])?;
    let disk = Disk::mount(home.path("state"), options)?;
    let mut channels = home.start()?;
    channels.send(1, 50)?;
    channels.kept().context("it ended")?;
    if is_down {
        // Nothing may be open for that; a disk that fails does not ask.
        channels.running.kill();
    }
    falls(&disk)?;
    if is_down {
        channels = home.start()?;
    }
    channels.post(51, 100)?;
    until("it is said", SOON, || home.stderr().contains(IN_MEMORY).then_some(())).with_context(|| home.stderr())?;
    until("the other channel has them", SOON, || (lines(&home) >= 100).then_some(()))?;
    let others = channels.status("log")?;
    // In memory, too, there is so much room and no more.
    channels.post(101, 400)?;
    until("the log has them", SOON, || (lines(&home) >= 400).then_some(()))?;
    let status = channels.status("siem")?;
    println!("{}", home.stderr().lines().find(|line| line.contains(IN_MEMORY)).unwrap_or_default());
    println!("while it was so: log p99 {} ms; siem {status}", others["p99_ms"]);
    ensure!(status["waiting"] == 151 && status["dropped"] == 249, "{status}");
    well(&disk)?;
    until("it is on the disk", SOON, || home.stderr().contains(AGAIN).then_some(())).with_context(|| home.stderr())?;
    println!("{}", home.stderr().lines().find(|line| line.contains(AGAIN)).unwrap_or_default());
    channels.running.kill();
    receiver.mood(Mood::Well);
    let mut channels = home.start()?;
    settled(&mut channels)?;
    // The first was being sent when the others were given up.
    let expected: Vec<u64> = [1].into_iter().chain(251..=400).collect();
    let account = Account::of(&expected, &receiver.got());
    ensure!(account.is_clean(), "{account:?}\n{}", home.stderr());
    ensure!(home.stderr().matches(IN_MEMORY).count() == 1, "{}", home.stderr());
    let log = fs::read_to_string(home.path("signals.jsonl"))?;
    let logged: Vec<Arrival> = log.lines().filter_map(Arrival::of).collect();
    let account = Account::of(&(1..=400).collect::<Vec<_>>(), &logged);
    ensure!(account.is_clean(), "log: {account:?}");
    Ok(())
}

#[test]
fn a_limit_on_the_size_of_files_is_a_disk_that_is_full() -> Result<()> {
    let receiver = Http::start()?;
    receiver.mood(Mood::BlackHole);
    let home = Home::new(&webhook(&receiver, 100_000), &[("webhook.secret", SECRET)])?;
    let mut shell = Command::new("sh");
    // 32 KiB; the signal about it ignored, as a service does.
    shell.args(["-c", "trap \"\" XFSZ; ulimit -f 64; exec \"$@\"", "sh"]).arg(program("channels")?);
    let mut channels = home.start_by(&mut shell)?;
    channels.post(1, 1_000)?;
    until("it is said", SOON, || home.stderr().contains(IN_MEMORY).then_some(())).with_context(|| home.stderr())?;
    println!("{}", home.stderr().lines().find(|line| line.contains(IN_MEMORY)).unwrap_or_default());
    ensure!(channels.status("siem")?["waiting"] == 1_000);
    receiver.mood(Mood::Well);
    settled(&mut channels)?;
    until("there is room", SOON, || home.stderr().contains(AGAIN).then_some(())).with_context(|| home.stderr())?;
    let account = Account::of(&(1..=1_000).collect::<Vec<_>>(), &receiver.got());
    ensure!(account.is_clean(), "{account:?}");
    Ok(())
}

#[test]
fn what_another_version_wrote_is_set_aside_and_said() -> Result<()> {
    let receiver = Http::start()?;
    let home = Home::new(&webhook(&receiver, 100), &[("webhook.secret", SECRET)])?;
    fs::create_dir(home.path("state/outbox"))?;
    fs::write(home.outbox(), "oopsd outbox 9\nwho knows\n")?;
    let mut channels = home.start()?;
    channels.send(1, 1)?;
    channels.kept().context("it ended")?;
    settled(&mut channels)?;
    ensure!(receiver.got().len() == 1);
    let aside = home.outbox().with_extension("other-version");
    ensure!(fs::read_to_string(aside)? == "oopsd outbox 9\nwho knows\n");
    let said = home.stderr();
    println!("{}", said.lines().find(|line| line.contains("another version")).unwrap_or_default());
    ensure!(said.contains("signals.other-version") && said.contains("version=\"9\""), "{said}");
    ensure!(fs::read_to_string(home.outbox())?.starts_with("oopsd outbox 1\n"));
    Ok(())
}

fn lines(home: &Home) -> usize {
    fs::read_to_string(home.path("signals.jsonl")).unwrap_or_default().lines().count()
}

fn settled(channels: &mut Channels) -> Result<()> {
    until("nothing waits", SOON, || (channels.status("siem").ok()?["waiting"] == 0).then_some(()))
}

fn webhook(receiver: &Http, queue: u32) -> String {
    format!(
        "[[channel]]\nname = \"siem\"\ntype = \"webhook\"\nurl = \"http://{}/\"\nsecret-file = \"webhook.secret\"\n\
         timeout = \"60s\"\nqueue = {queue}\n",
        receiver.address
    )
}

fn config(receiver: &Http, queue: u32) -> String {
    webhook(receiver, queue) + "[[channel]]\ntype = \"log\"\nfile = \"signals.jsonl\"\nqueue = 100000\n"
}

/// A file system of its own; gone when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf, options: &str) -> Result<Self> {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&at))?;
        Ok(Self(at))
    }

    fn remount(&self, how: &str) -> Result<()> {
        run(Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0)).map(|_| ())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
