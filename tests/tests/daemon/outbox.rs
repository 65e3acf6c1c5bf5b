//! `oopsd outbox`: what waits is shown, tried again and dropped, with the daemon alive, dead and deaf; and what is given up is signalled.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::process::Command;
use tests::daemon::{BUSY, Oopsd, Orders, SOON, STATE};
use tests::lab::{self, until};
use tests::receiver::{Answer, Receiver, SECRET};
use tests::site::Site;

const SIEM: &str = "[[channel]]\ntype = \"webhook\"\nname = \"siem\"\nurl = \"http://127.0.0.1:8053/\"\nsecret-file = \"webhook.secret\"\n";

#[test]
fn what_waits_is_listed_retried_and_dropped_by_a_live_oopsd_and_by_none() -> Result<()> {
    let config = &[BUSY, SIEM].concat();
    let orders = Orders { config, files: &[("webhook.secret", SECRET)], ..Orders::default() };
    let Some((site, mut oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    let receiver = Receiver::start(&site.host, Answer::Status(500))?;
    let load = site.queries(2_000)?;
    oopsd.signal(1)?;
    drop(load);
    oopsd.signal(2)?;
    until("a no", SOON, || said(&oopsd, &["list", "siem"]).ok().filter(|it| it.contains("500 Internal Server Error")))?;
    let listed = said(&oopsd, &["list"])?;
    println!("{listed}");
    let lines: Vec<&str> = listed.lines().collect();
    ensure!(lines.len() == 4 && lines[0] == "log: nothing waits" && lines[1].starts_with("siem: 2 wait, "), "{listed}");
    ensure!(lines[1].contains("; not accepted: 500 Internal Server Error; tried again in "), "{listed}");
    ensure!(lines[2].contains("busy met, node: ") && lines[2].ends_with(", being sent"), "{listed}");
    ensure!(lines[3].contains("busy cleared, node: "), "{listed}");
    let json = objects(&said(&oopsd, &["list", "--json"])?)?;
    let kinds: Vec<&str> = json.iter().filter_map(|it| it["type"].as_str()).collect();
    ensure!(kinds == ["channel", "channel", "waiting", "waiting"] && json[1]["running"] == true, "{json:?}");
    let numbers: Vec<u64> = json.iter().filter_map(|it| it["number"].as_u64()).collect();
    let [first, second] = numbers[..] else { anyhow::bail!("{json:?}") };

    // Each is an attempt, though half a second and more should pass between two of them.
    let wrong = text(&oopsd, &["retry", "nobody"])?;
    ensure!(wrong == (false, "no channel is called nobody; there are: log, siem\n".to_owned()), "{wrong:?}");
    let before = receiver.received()?.len();
    let began = std::time::Instant::now();
    for more in 1..=5 {
        ensure!(said(&oopsd, &["retry", "siem"])? == "channel siem: tries again now\n");
        until("an attempt", SOON, || (receiver.received().ok()?.len() >= before + more).then_some(()))?;
    }
    println!("five attempts more in {:?}", began.elapsed());

    let none = text(&oopsd, &["drop", "siem", "77"])?;
    ensure!(!none.0 && none.1.contains("channel siem: nothing was dropped; 2 signals wait"), "{none:?}");
    let dropped = said(&oopsd, &["drop", "siem", &first.to_string()])?;
    ensure!(dropped == "channel siem: 1 dropped, 1 wait; what was being sent may arrive\n", "{dropped}");
    until("the second is tried", SOON, || {
        receiver.received().ok()?.last().filter(|it| it.body["data"]["state"] == "cleared").cloned()
    })?;
    oopsd.shows("oopsd_signals_total{channel=\"siem\",outcome=\"dropped\"}", 1)?;

    until("the disk has it", SOON, || {
        let text = fs::read_to_string(oopsd.path(STATE).join("outbox/signals")).ok()?;
        text.contains("{\"gone\":[\"siem\",[").then_some(())
    })?;
    // Whoever has the lock is not there to be asked; then nobody has it.
    oopsd.kill(libc::SIGSTOP);
    let refused = text(&oopsd, &["drop", "siem", "--all"])?;
    println!("{}", refused.1);
    ensure!(!refused.0 && refused.1.contains("and does not answer: nothing was changed"), "{refused:?}");
    oopsd.end_by_kill();
    let refused = text(&oopsd, &["retry"])?;
    ensure!(!refused.0 && refused.1.contains("what waits is sent at its next start"), "{refused:?}");
    let left = said(&oopsd, &["list"])?;
    println!("{left}");
    ensure!(
        left.starts_with(
            "no oopsd runs: this is on the disk, and its next start sends it\nlog: nothing waits\nsiem: 1 wait"
        ),
        "{left}"
    );
    ensure!(left.lines().nth(3).is_some_and(|line| line.contains("busy cleared")), "{left}");
    let held = File::options().write(true).open(oopsd.path(STATE).join("outbox/lock"))?;
    held.lock()?;
    let refused = text(&oopsd, &["drop", "siem", &second.to_string()])?;
    println!("{}", refused.1);
    ensure!(
        !refused.0 && refused.1.contains("has the outbox") && refused.1.contains("nothing was changed"),
        "{refused:?}"
    );
    drop(held);
    ensure!(said(&oopsd, &["drop", "siem", &second.to_string()])? == "channel siem: 1 dropped, 0 wait\n");
    ensure!(said(&oopsd, &["list", "siem"])?.ends_with("\nsiem: nothing waits\n"));

    receiver.answer(Answer::Status(204));
    let before = receiver.received()?.len();
    oopsd.restart()?;
    let _load = site.queries(2_000)?;
    until("the next", SOON, || (receiver.received().ok()?.get(before)?.body["data"]["state"] == "met").then_some(()))
        .with_context(|| format!("{:?}", receiver.received()))
}

#[test]
fn a_channel_that_gives_signals_up_is_told_of_to_all_others() -> Result<()> {
    let siem = format!("{SIEM}queue = 1\n");
    let config = &[BUSY, &siem].concat();
    let orders = Orders { config, files: &[("webhook.secret", SECRET)], ..Orders::default() };
    let Some((site, oopsd)) = Site::watched_by(&orders)? else { return Ok(()) };
    let receiver = Receiver::start(&site.host, Answer::Status(500))?;
    for _ in 0..2 {
        let load = site.queries(2_000)?;
        until("it is met", SOON, || (oopsd.judged().last()? == "busy met").then_some(()))?;
        drop(load);
        until("it is cleared", SOON, || (oopsd.judged().last()? == "busy cleared").then_some(()))?;
    }
    let told = until("a signal", SOON, || oopsd.signals().into_iter().find(|it| it["condition"] == "signals-given-up"))
        .with_context(|| oopsd.stderr())?;
    println!("{told}");
    ensure!(told["state"] == "met" && told["scope"]["channel"] == "siem", "{told}");
    let reasons = told["arguments"]["reasons"].to_string();
    ensure!(reasons.contains("channel siem has no room for more than 1 signals") && reasons.contains("500"), "{told}");
    ensure!(oopsd.stderr().matches("gives signals up").count() == 1, "{}", oopsd.stderr());
    // It is not told itself: what waits for it is what comes last of the condition.
    let listed = said(&oopsd, &["list", "siem"])?;
    ensure!(!listed.contains("signals-given-up"), "{listed}");
    let got = receiver.received()?;
    ensure!(got.iter().all(|it| it.body["data"]["condition"] == "busy"), "{got:?}");
    Ok(())
}

fn text(daemon: &Oopsd, arguments: &[&str]) -> Result<(bool, String)> {
    let mut command = Command::new(lab::oopsd()?);
    command.arg("outbox").args(arguments).arg("-c").arg(daemon.path("oopsd.toml"));
    let output = command.env("STATE_DIRECTORY", daemon.path(STATE)).output()?;
    Ok((output.status.success(), String::from_utf8([output.stdout, output.stderr].concat())?))
}

fn said(daemon: &Oopsd, arguments: &[&str]) -> Result<String> {
    let (success, said) = text(daemon, arguments)?;
    ensure!(success, "{arguments:?}: {said}");
    Ok(said)
}

fn objects(text: &str) -> Result<Vec<Value>> {
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}
