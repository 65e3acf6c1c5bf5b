//! The sender is killed again and again while its receivers misbehave.

use super::kinds::{self, Kind, servers};
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tests::channels::{Channels, Home};
use tests::lab::{self, Namespace, program, until};
use tests::receiver::SECRET;
use tests::receivers::{Account, Flag};

const SIGNALS: u64 = 10_000;
const KILLS: u64 = 200;

#[test]
fn nothing_is_lost_or_overtaken_while_sender_and_receivers_are_killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    survive(kinds::all(folder.path())?, Duration::from_millis(300), Home::start)
}

#[test]
fn nothing_is_lost_or_overtaken_while_sender_and_servers_are_killed_and_stopped() -> Result<()> {
    if !lab::ready(&["ip"]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let host = Arc::new(Namespace::new("kills")?);
    let path = program("channels")?;
    let start = |home: &Home| home.start_by(&mut host.command(path.to_str().context("UTF-8")?));
    // A connection of TLS is used when it has been there for 0.3 s: a client may be refused as late as that.
    survive(servers::all(&host, folder.path())?, Duration::from_millis(700), start)
}

/// Sends to all of them from processes that are killed, none of which lives longer than that.
#[expect(clippy::print_stdout, reason = "what came of it is for people")]
fn survive(kinds: Vec<Box<dyn Kind>>, longest: Duration, start: impl Fn(&Home) -> Result<Channels>) -> Result<()> {
    let config: String = kinds.iter().map(|kind| kind.config()).collect();
    let home = Home::new(&config, &[("webhook.secret", SECRET)])?;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let done = Flag::default();
    let moods = thread::spawn({
        let done = done.clone();
        move || misbehave(kinds, &done)
    });

    let (mut next, mut sent) = (1, Vec::new());
    for life in 1..=KILLS {
        let mut channels = start(&home)?;
        let share = (SIGNALS * life / KILLS).saturating_sub(sent.len() as u64);
        let began = Instant::now();
        let lives_for = Duration::from_micros(random.below(u64::try_from(longest.as_micros())?));
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
    let kinds = moods.join().ok().context("the receivers fell ill")??;

    // One life more, in peace, for what is left.
    let mut channels = start(&home)?;
    let rest = SIGNALS.saturating_sub(sent.len() as u64);
    if rest > 0 {
        channels.send(next, next + rest - 1)?;
        ensure!(channels.kept() == Some(next + rest - 1), "{}", home.stderr());
        sent.extend(next..next + rest);
    }
    for kind in &kinds {
        let name = kind.name();
        let rest = || (channels.status(name).ok()?["waiting"] == 0).then_some(());
        until("nothing waits", Duration::from_secs(180), rest).with_context(|| format!("{name}: {}", home.stderr()))?;
    }
    channels.stop()?;
    let mut accounts = Vec::new();
    for kind in kinds {
        let name = kind.name();
        let account = until("what was heard is written", Duration::from_secs(60), || {
            let account = Account::of(&sent, &kind.got().ok()?);
            account.lost.is_empty().then_some(account)
        });
        let account = account.or_else(|_| anyhow::Ok(Account::of(&sent, &kind.got()?)))?;
        println!(
            "{name}: {KILLS} kills, sent {}, received {}, repeated {}, lost {}, overtaken {}, differing {}",
            sent.len(),
            account.received,
            account.repeated,
            account.lost.len(),
            account.overtaken.len(),
            account.differing.len()
        );
        accounts.push((name, account));
    }
    for (name, account) in accounts {
        ensure!(account.is_clean(), "{name}: {account:?}\n{}", home.stderr());
    }
    Ok(())
}

/// Changes what they do every now and then until it is done; then they are well.
fn misbehave(mut kinds: Vec<Box<dyn Kind>>, done: &Flag) -> Result<Vec<Box<dyn Kind>>> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    while !done.is_up() {
        for kind in &mut kinds {
            kind.mood(random.below(12))?;
        }
        thread::sleep(Duration::from_micros(random.below(200_000)));
    }
    for kind in &mut kinds {
        kind.well()?;
    }
    Ok(kinds)
}

/// The same numbers in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
