//! The sender is killed again and again while its receivers misbehave.

use super::kinds::{self, Kind, servers};
use anyhow::{Context, Result, ensure};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tests::channels::{Channels, Home};
use tests::lab::{self, Namespace, program, until};
use tests::receiver::SECRET;
use tests::receivers::{Account, Flag};

const KILLS: u64 = 200;
/// In each so many'th life each receiver that is a program is killed, too, in the middle of many signals.
const TOO: u64 = 20;
const FEW: u64 = 30;
/// So many are given to it at once.
const TEN: u64 = 10;
const MANY: u64 = 400;
const SIGNALS: u64 = KILLS * FEW + KILLS / TOO * MANY;

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
fn survive(kinds: Vec<Box<dyn Kind>>, longest: Duration, start: impl Fn(&Home) -> Result<Channels>) -> Result<()> {
    let config: String = kinds.iter().map(|kind| kind.config()).collect();
    let home = Home::new(&config, &[("webhook.secret", SECRET)])?;
    let mut sender = Sender { home, start, next: 1, sent: Vec::new() };
    let kinds = Mutex::new(kinds);
    let done = Flag::default();
    thread::scope(|scope| {
        let moods = scope.spawn(|| misbehave(&kinds, &done));
        let lived = sender.live(&kinds, longest);
        done.raise();
        moods.join().ok().context("the receivers fell ill")??;
        lived
    })?;
    let kinds = kinds.into_inner().unwrap_or_else(PoisonError::into_inner);
    sender.send_the_rest(&kinds)?;
    account(&kinds, &sender)
}

/// Whoever sends, life after life.
struct Sender<F> {
    home: Home,
    start: F,
    next: u64,
    /// What was on the disk, and so is to arrive.
    sent: Vec<u64>,
}

impl<F: Fn(&Home) -> Result<Channels>> Sender<F> {
    fn live(&mut self, kinds: &Mutex<Vec<Box<dyn Kind>>>, longest: Duration) -> Result<()> {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for life in 1..=KILLS {
            let mut channels = (self.start)(&self.home)?;
            let due = life * FEW + life / TOO * MANY;
            let batches = due.saturating_sub(self.sent.len() as u64).div_ceil(TEN);
            let began = Instant::now();
            let lives_for = Duration::from_micros(random.below(u64::try_from(longest.as_micros())?));
            for _ in 0..batches {
                channels.send(self.next, self.next + TEN - 1)?;
                self.next += TEN;
            }
            if life.is_multiple_of(TOO) {
                let mut kinds = kinds.lock().unwrap_or_else(PoisonError::into_inner);
                kinds.iter_mut().try_for_each(|kind| kind.well())?;
                thread::sleep(Duration::from_micros(random.below(100_000)));
                kinds.iter_mut().try_for_each(|kind| kind.kill())?;
                for _ in 0..batches {
                    let kept = channels.kept().with_context(|| self.home.stderr())?;
                    self.sent.extend(kept - TEN + 1..=kept);
                }
                // What a receiver had taken and not passed on only its sender knows, and that is to be killed next.
                for kind in kinds.iter().filter(|kind| !kind.may_lose()) {
                    let has_all = || Account::of(&self.sent, &kind.got().ok()?).lost.is_empty().then_some(());
                    until("it has all", Duration::from_secs(60), has_all)
                        .with_context(|| format!("{} {}", kind.name(), self.home.stderr()))?;
                }
            }
            // The killer's clock does not wait for answers.
            let process = channels.running.0.id();
            let killer = thread::spawn(move || {
                thread::sleep(lives_for.saturating_sub(began.elapsed()));
                // SAFETY: the process is waited for only after this thread has ended, so that its number is its own.
                unsafe { libc::kill(libc::pid_t::try_from(process).expect("a process number"), libc::SIGKILL) }
            });
            while let Some(kept) = channels.kept() {
                self.sent.extend(kept - TEN + 1..=kept);
            }
            killer.join().ok().context("the killer was killed")?;
            channels.running.kill();
        }
        Ok(())
    }

    /// One life more, in peace, until nothing waits.
    fn send_the_rest(&mut self, kinds: &[Box<dyn Kind>]) -> Result<()> {
        let mut channels = (self.start)(&self.home)?;
        let rest = SIGNALS.saturating_sub(self.sent.len() as u64);
        if rest > 0 {
            let last = self.next + rest - 1;
            channels.send(self.next, last)?;
            ensure!(channels.kept() == Some(last), "{}", self.home.stderr());
            self.sent.extend(self.next..=last);
        }
        for kind in kinds {
            let name = kind.name();
            let rest = || (channels.status(name).ok()?["waiting"] == 0).then_some(());
            until("nothing waits", Duration::from_secs(180), rest)
                .with_context(|| format!("{name}: {}", self.home.stderr()))?;
        }
        channels.stop()
    }
}

/// Holds what came against what was sent.
#[expect(clippy::print_stdout, reason = "what came of it is for people")]
fn account<F>(kinds: &[Box<dyn Kind>], sender: &Sender<F>) -> Result<()> {
    let mut accounts = Vec::new();
    for kind in kinds {
        let name = kind.name();
        let account = until("what was heard is written", Duration::from_secs(60), || {
            let account = Account::of(&sender.sent, &kind.got().ok()?);
            (account.lost.is_empty() || kind.may_lose()).then_some(account)
        });
        let mut account = account.or_else(|_| anyhow::Ok(Account::of(&sender.sent, &kind.got()?)))?;
        println!(
            "{name}: {KILLS} kills, {} of the receiver, sent {}, received {}, repeated {}, lost {}{}, overtaken {}, turned back {} times, differing {}",
            if kind.is_program() { KILLS / TOO } else { 0 },
            sender.sent.len(),
            account.received,
            account.repeated,
            account.lost.len(),
            if kind.may_lose() { " (as it may)" } else { "" },
            account.overtaken.len(),
            account.turns,
            account.differing.len()
        );
        if kind.may_lose() {
            // What was lost may come late, when the next life sends again what the last one had not noted as sent.
            ensure!(account.turns <= KILLS, "{name}: {account:?}\n{}", sender.home.stderr());
            account.lost.clear();
            account.overtaken.clear();
        }
        accounts.push((name, account));
    }
    for (name, account) in accounts {
        ensure!(account.is_clean(), "{name}: {account:?}\n{}", sender.home.stderr());
    }
    Ok(())
}

/// Changes what they do every now and then until it is done; then they are well.
fn misbehave(kinds: &Mutex<Vec<Box<dyn Kind>>>, done: &Flag) -> Result<()> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    while !done.is_up() {
        for kind in &mut *kinds.lock().unwrap_or_else(PoisonError::into_inner) {
            kind.mood(random.below(12))?;
        }
        thread::sleep(Duration::from_micros(random.below(200_000)));
    }
    for kind in &mut *kinds.lock().unwrap_or_else(PoisonError::into_inner) {
        kind.well()?;
    }
    Ok(())
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
