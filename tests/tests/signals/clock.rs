//! The wall clock is set, by a year and either way, while signals wait and oopsd is killed: none is given up for that.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::process::Command;
use std::time::Duration;
use tests::channels::Home;
use tests::lab::{self, program, run, until};
use tests::receiver::SECRET;
use tests::receivers::{Account, Http, Mood};

const YEAR: i64 = 365 * 86_400;

#[test]
fn no_signal_is_given_up_because_somebody_set_the_clock() -> Result<()> {
    if !lab::ready(&["faketime"]) {
        return Ok(());
    }
    let receiver = Http::start()?;
    receiver.mood(Mood::Fails);
    let config = format!(
        "[[channel]]\nname = \"siem\"\ntype = \"webhook\"\nurl = \"http://{}/\"\nsecret-file = \"webhook.secret\"\n\
         give-up = \"1h\"\n",
        receiver.address
    );
    let home = Home::new(&config, &[("webhook.secret", SECRET)])?;
    let preload = run(Command::new("faketime").args(["-f", "+0s", "printenv", "LD_PRELOAD"]))?;
    let offset = home.path("offset");
    let start = || {
        let mut command = Command::new(program("channels")?);
        command.env("LD_PRELOAD", preload.trim()).env("FAKETIME_TIMESTAMP_FILE", &offset);
        home.start_by(command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1"))
    };
    for (number, set) in (0..).zip([0, YEAR, -YEAR, 0]) {
        fs::write(&offset, format!("{set:+}s"))?;
        let mut channels = start()?;
        channels.send(number * 10 + 1, number * 10 + 5)?;
        channels.kept().context("it ended")?;
        // And while it runs.
        fs::write(&offset, format!("{:+}s", -set))?;
        channels.send(number * 10 + 6, number * 10 + 10)?;
        channels.kept().context("it ended")?;
        let status = channels.status("siem")?;
        ensure!(status["waiting"] == (number + 1) * 10 && status["failed"] == 0 && status["dropped"] == 0, "{status}");
    }
    receiver.mood(Mood::Well);
    let mut channels = start()?;
    until("nothing waits", Duration::from_secs(20), || (channels.status("siem").ok()?["waiting"] == 0).then_some(()))?;
    let account = Account::of(&(1..=40).collect::<Vec<_>>(), &receiver.got());
    println!(
        "clock set by a year eight times, killed four times: received {}, lost {}",
        account.received,
        account.lost.len()
    );
    ensure!(account.is_clean(), "{account:?}\n{}", home.stderr());
    Ok(())
}
