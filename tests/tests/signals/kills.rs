//! The sender is killed again and again while its receivers misbehave.

use super::receivers::{Account, Arrival, Flag, Http, Mood};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};
use tests::channels::Home;
use tests::lab::until;
use tests::receiver::SECRET;

const SIGNALS: u64 = 10_000;
const KILLS: u64 = 200;

#[test]
fn nothing_is_lost_or_overtaken_while_sender_and_receivers_are_killed() -> Result<()> {
    let receiver = Http::start()?;
    let home = Home::new(&config(&receiver), &[("webhook.secret", SECRET)])?;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let done = Flag::default();
    let moods = thread::spawn({
        let (receiver, done) = (receiver.clone(), done.clone());
        move || misbehave(&receiver, &done)
    });

    let (mut next, mut sent) = (1, Vec::new());
    for life in 1..=KILLS {
        let mut channels = home.start()?;
        let share = (SIGNALS * life / KILLS).saturating_sub(sent.len() as u64);
        let began = Instant::now();
        let lives_for = Duration::from_micros(random.below(300_000));
        let batches: Vec<(u64, u64)> =
            (0..share.div_ceil(10)).map(|batch| (next + batch * 10, next + batch * 10 + 9)).collect();
        for &(from, to) in &batches {
            channels.send(from, to)?;
            next = to + 1;
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
    done.raise();
    moods.join().ok().context("the receiver fell ill")?;

    // One life more, in peace, for what is left.
    let mut channels = home.start()?;
    let rest = SIGNALS.saturating_sub(sent.len() as u64);
    if rest > 0 {
        channels.send(next, next + rest - 1)?;
        ensure!(channels.kept() == Some(next + rest - 1), "{}", home.stderr());
        sent.extend(next..next + rest);
    }
    until("nothing waits", Duration::from_secs(60), || (channels.status("siem").ok()?["waiting"] == 0).then_some(()))?;
    until("nothing waits", Duration::from_secs(10), || (channels.status("log").ok()?["waiting"] == 0).then_some(()))?;
    channels.stop()?;
    let log = fs::read_to_string(home.path("signals.jsonl"))?;
    let logged: Vec<Arrival> = log.lines().filter_map(Arrival::of).collect();
    for (name, got) in [("webhook", receiver.got()), ("log", logged)] {
        let account = Account::of(&sent, &got);
        println!(
            "{name}: {KILLS} kills, sent {}, received {}, repeated {}, lost {}, overtaken {}",
            sent.len(),
            account.received,
            account.repeated,
            account.lost.len(),
            account.overtaken.len()
        );
        ensure!(account.is_clean(), "{name}: {account:?}\n{}", home.stderr());
    }
    Ok(())
}

/// Changes its mood every now and then until it is done; then it is well.
fn misbehave(receiver: &Http, done: &Flag) {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    while !done.is_up() {
        let mood = match random.below(8) {
            0 => Mood::Fails,
            1 => Mood::BlackHole,
            2 => Mood::HangsUp,
            3 => Mood::Slow,
            _ => Mood::Well,
        };
        receiver.mood(mood);
        thread::sleep(Duration::from_micros(random.below(200_000)));
    }
    receiver.mood(Mood::Well);
}

fn config(receiver: &Http) -> String {
    format!(
        "[[channel]]\ntype = \"log\"\nfile = \"signals.jsonl\"\nqueue = 100000\n\
         [[channel]]\nname = \"siem\"\ntype = \"webhook\"\nurl = \"http://{}/\"\nsecret-file = \"webhook.secret\"\n\
         timeout = \"200ms\"\nqueue = 100000\n",
        receiver.address
    )
}

/// The same numbers in every run (xorshift).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
