//! The sender and the broker are killed and stopped again and again; who listens counts.
//!
//! The listener has a session that the broker keeps, and the broker is killed only while the listener is connected: what it
//! said yes to it has passed on.

use super::kills::Random;
use super::receivers::{Account, Arrival};
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tests::channels::Home;
use tests::lab::{Namespace, program, ready, until};
use tests::mosquitto::{Listener, Place};

const SIGNALS: u64 = 10_000;
const KILLS: u64 = 200;
/// Of so many lives of the sender, the broker is killed, and stopped for a while, in one each.
const EVERY: u64 = 10;

const CONFIG: &str =
    "[[channel]]\ntype = \"mqtt\"\nbroker = \"mqtt://127.0.0.1\"\ntimeout = \"300ms\"\nqueue = 100000\n";

#[test]
fn nothing_is_lost_or_overtaken_while_sender_and_broker_are_killed_and_stopped() -> Result<()> {
    if !ready(&["ip", "mosquitto", "mosquitto_sub"]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let host = Arc::new(Namespace::new("mqtt-kills")?);
    let lines = "allow_anonymous true\npersistence true\nmax_inflight_messages 0\nmax_queued_messages 0\n";
    let place = Place::new(&host, folder.path(), lines)?;
    let mut broker = place.start()?;
    let listener = place.listen("counter", &["oopsd/v1/+/signal"])?;
    // Its session is on the disk from here on.
    broker.signal(libc::SIGUSR1);
    let is_saved = || folder.path().join("mosquitto.db").is_file().then_some(());
    until("a session on the disk", Duration::from_secs(20), is_saved)?;
    let home = Home::new(CONFIG, &[])?;
    let path = program("channels")?;
    let start = || home.start_by(&mut host.command(path.to_str().context("UTF-8")?));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut next, mut sent) = (1, Vec::new());
    for life in 1..=KILLS {
        let mut channels = start()?;
        let share = (SIGNALS * life / KILLS).saturating_sub(sent.len() as u64);
        let batches: Vec<(u64, u64)> =
            (0..share.div_ceil(10)).map(|batch| (next + batch * 10, next + batch * 10 + 9)).collect();
        for &(from, to) in &batches {
            channels.send(from, to)?;
            next = to + 1;
        }
        let began = Instant::now();
        let lives_for = Duration::from_micros(random.below(300_000));
        match life % EVERY {
            3 => {
                thread::sleep(Duration::from_micros(random.below(100_000)));
                broker.end(libc::SIGKILL)?;
                broker = place.start()?;
                let is_back = || broker.said().contains("as counter").then_some(());
                until("the listener is back", Duration::from_secs(20), is_back).with_context(|| broker.said())?;
            }
            6 => {
                broker.signal(libc::SIGSTOP);
                thread::sleep(Duration::from_micros(random.below(900_000)));
                broker.signal(libc::SIGCONT);
            }
            _ => {}
        }
        // The killer's clock does not wait for answers.
        let process = channels.running.0.id();
        let killer = thread::spawn(move || {
            thread::sleep(lives_for.saturating_sub(began.elapsed()));
            // SAFETY: the process is waited for only after this thread has ended, so that its number is its own.
            unsafe { libc::kill(libc::pid_t::try_from(process).expect("a process number"), libc::SIGKILL) }
        });
        while let Some(kept) = channels.kept() {
            sent.extend(kept - 9..=kept);
        }
        killer.join().ok().context("the killer was killed")?;
        channels.running.kill();
    }
    // One life more, in peace, for what is left.
    let mut channels = start()?;
    let rest = SIGNALS.saturating_sub(sent.len() as u64);
    if rest > 0 {
        channels.send(next, next + rest - 1)?;
        ensure!(channels.kept() == Some(next + rest - 1), "{}", home.stderr());
        sent.extend(next..next + rest);
    }
    until("nothing waits", Duration::from_secs(60), || (channels.status("mqtt").ok()?["waiting"] == 0).then_some(()))
        .with_context(|| home.stderr())?;
    channels.stop()?;
    let last = sent.last().copied().unwrap_or_default();
    let has_last = || Some(arrived(&listener)).filter(|got| got.iter().any(|arrival| arrival.number == last));
    let got = until("the last one", Duration::from_secs(20), has_last)?;
    let account = Account::of(&sent, &got);
    println!(
        "mqtt: {KILLS} kills of the sender, {0} of the broker, {0} stops of it: sent {1}, received {2}, repeated {3}, lost {4}, \
         overtaken {5}",
        KILLS / EVERY,
        sent.len(),
        account.received,
        account.repeated,
        account.lost.len(),
        account.overtaken.len()
    );
    ensure!(account.is_clean(), "{account:?}\n{}", home.stderr());
    Ok(())
}

fn arrived(listener: &Listener) -> Vec<Arrival> {
    listener.heard().iter().filter_map(|heard| Arrival::of(&heard.payload.to_string())).collect()
}
