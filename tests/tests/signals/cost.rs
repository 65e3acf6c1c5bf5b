//! What it costs that no signal is lost: figures, and limits that are far off.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};
use tests::channels::{Channels, Home};
use tests::lab::until;
use tests::receiver::SECRET;
use tests::receivers::{Http, Mood};

#[test]
fn a_signal_is_on_the_disk_and_out_within_milliseconds_while_another_channel_is_stuck() -> Result<()> {
    let mut delays = Vec::new();
    // A signal each two seconds for six hours is more than may wait: each new one pushes out another.
    for (mood, before) in [(Mood::Well, 0), (Mood::BlackHole, 0), (Mood::BlackHole, 10_800)] {
        let receiver = Http::start()?;
        receiver.mood(mood);
        let home = Home::new(&config(&receiver, 10_000), &[("webhook.secret", SECRET)])?;
        let mut channels = home.start()?;
        if before > 0 {
            channels.send(1, before)?;
            channels.kept().context("it ended")?;
            until("all are written", Duration::from_secs(60), || {
                (channels.status("log").ok()?["waiting"] == 0).then_some(())
            })?;
            // Counts begin anew.
            channels.stop()?;
            channels = home.start()?;
        }
        for number in before + 1..=before + 500 {
            channels.send(number, number)?;
            channels.kept().context("it ended")?;
            thread::sleep(Duration::from_millis(2));
        }
        until("all are written", Duration::from_secs(60), || {
            (channels.status("log").ok()?["waiting"] == 0).then_some(())
        })?;
        let status = channels.status("log")?;
        let [p50, p99] = ["p50_ms", "p99_ms"].map(|key| status[key].as_f64().unwrap_or(f64::NAN));
        let waiting = channels.status("siem")?["waiting"].clone();
        println!(
            "one at a time, the other receiver {mood:?}, for which {waiting} wait: log p50 {p50:.2} ms, p99 {p99:.2} ms"
        );
        delays.push(p99);
    }
    ensure!(delays.iter().all(|&p99| p99 < 1_000.0), "{delays:?}");
    Ok(())
}

#[test]
fn a_thousand_a_second_are_kept_up_with() -> Result<()> {
    let receiver = Http::start()?;
    let home = Home::new(&config(&receiver, 100_000), &[("webhook.secret", SECRET)])?;
    let mut channels = home.start()?;
    let began = Instant::now();
    for tick in 0..100 {
        channels.send(tick * 100 + 1, (tick + 1) * 100)?;
        channels.kept().context("it ended")?;
        thread::sleep((Duration::from_millis(100) * (u32::try_from(tick)? + 1)).saturating_sub(began.elapsed()));
    }
    let offered = began.elapsed();
    for channel in ["log", "siem"] {
        until("all are sent", Duration::from_secs(60), || {
            (channels.status(channel).ok()?["waiting"] == 0).then_some(())
        })?;
        let status = channels.status(channel)?;
        println!(
            "1000 a second for {:.1} s: {channel} sent {}, p50 {:.2} ms, p99 {:.2} ms; done {:.1} s after the first",
            offered.as_secs_f64(),
            status["sent"],
            status["p50_ms"].as_f64().unwrap_or(f64::NAN),
            status["p99_ms"].as_f64().unwrap_or(f64::NAN),
            began.elapsed().as_secs_f64()
        );
        ensure!(status["sent"] == 10_000, "{status}");
    }
    Ok(())
}

#[test]
fn a_hundred_thousand_may_wait_in_little_memory_and_all_of_them_are_found_again() -> Result<()> {
    let receiver = Http::start()?;
    receiver.mood(Mood::BlackHole);
    let home = Home::new(&config(&receiver, 100_000), &[("webhook.secret", SECRET)])?;
    let mut channels = home.start()?;
    channels.send(1, 1)?;
    channels.kept().context("it ended")?;
    let before = resident(&channels)?;
    let began = Instant::now();
    for thousand in 0..100 {
        channels.send(thousand * 1_000 + 2, (thousand + 1) * 1_000 + 1)?;
    }
    for _ in 0..100 {
        channels.kept().context("it ended")?;
    }
    let took = began.elapsed();
    until("the log has them", Duration::from_secs(60), || {
        (channels.status("log").ok()?["waiting"] == 0).then_some(())
    })?;
    let grown = resident(&channels)?.saturating_sub(before);
    println!(
        "100000 waiting: {:.1} MiB more, {:.1} MiB on the disk, written in {:.1} s",
        mebibytes(grown),
        mebibytes(fs::metadata(home.outbox())?.len()),
        took.as_secs_f64()
    );
    ensure!(grown < 128 << 20, "{grown} bytes");
    channels.running.kill();
    let began = Instant::now();
    let mut channels = home.start()?;
    let status = channels.status("siem")?;
    println!("found again after a kill: {} in {:.2} s", status["waiting"], began.elapsed().as_secs_f64());
    ensure!(status["waiting"].as_u64() >= Some(100_000), "{status}");
    Ok(())
}

fn resident(channels: &Channels) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", channels.running.0.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn config(receiver: &Http, queue: u32) -> String {
    format!(
        "[[channel]]\ntype = \"log\"\nfile = \"signals.jsonl\"\nqueue = {queue}\nqueue-size = \"256MiB\"\n\
         [[channel]]\nname = \"siem\"\ntype = \"webhook\"\nurl = \"http://{}/\"\nsecret-file = \"webhook.secret\"\n\
         timeout = \"60s\"\nqueue = {queue}\nqueue-size = \"256MiB\"\n",
        receiver.address
    )
}
