//! The operator works on the same BIRD: reconfigures it, breaks it, mends it, forgets half of it.

use crate::lab::{Dice, Lab, SOON};
use anyhow::{Context, Result, ensure};
use core::sync::atomic::{AtomicBool, Ordering};
use ipnet::IpNet;
use std::process::Command;
use std::thread;
use tests::lab::bird::Version;
use tests::lab::peering::{V4, V6};
use tests::lab::{run, until};

#[test]
fn a_broken_bird_conf_is_named_and_nothing_is_touched() -> Result<()> {
    broken_conf(Version::Two)
}

pub(crate) fn broken_conf(version: Version) -> Result<()> {
    let Some(lab) = Lab::of(version)? else { return Ok(()) };
    let mut oopsd = lab.oopsd()?;
    oopsd.want(V4, "prepend 2")?;
    lab.reaches(V4, "prepend 2")?;
    oopsd.sees(V4, "prepend 2")?;
    let (conf, text) = (lab.conf()?, lab.text()?);
    std::fs::write(lab.bird.file(), conf.replace("protocol device {}", "protocol device {"))?;
    oopsd.want(V4, "prepend 3")?;
    let error = oopsd.fails(V4)?;
    let place = format!("{}:", lab.bird.file().display());
    ensure!(error.contains(&place) && error.contains("syntax error"), "{error}");
    ensure!(lab.text()? == text, "the file was touched");
    lab.tidy()?;
    lab.reaches(V4, "prepend 2")?;
    std::fs::write(lab.bird.file(), conf)?;
    lab.reaches(V4, "prepend 3")?;
    oopsd.sees(V4, "prepend 3")?;
    lab.undisturbed()
}

#[test]
fn constants_that_bird_refuses_are_taken_back() -> Result<()> {
    refused_constants(Version::Two)
}

pub(crate) fn refused_constants(version: Version) -> Result<()> {
    let Some(lab) = Lab::of(version)? else { return Ok(()) };
    let conf = lab.conf()?;
    // A name of oopsd's that the operator has used: sound until oopsd defines it.
    lab.bird.configure(&format!("define OOPSD_MED300_4 = 7;\n{conf}"))?;
    let mut oopsd = lab.oopsd()?;
    oopsd.sees(V4, "plain")?;
    let text = lab.text()?;
    oopsd.want(V4, "med 300")?;
    let error = oopsd.fails(V4)?;
    ensure!(error.contains("oopsd.conf:") && error.contains("OOPSD_MED300_4"), "{error}");
    // It is tried again and again, and in between the file is as it was.
    let is_as_before = || (lab.text().ok()? == text && lab.tidy().is_ok() && lab.boots().is_ok()).then_some(());
    until("the former file", SOON, is_as_before).with_context(|| format!("{:?}", lab.text()))?;
    // The same by a reload that brings such a step.
    oopsd.want(V4, "plain")?;
    let at_ease = || oopsd.status(V4).ok().filter(|row| row["error"].is_null());
    until("what failed is no longer wanted", SOON, at_ease)?;
    oopsd.reload(&lab.toml().replace("{ med = 200 }", "{ med = 300 }"))?;
    let error = oopsd.fails(V4)?;
    ensure!(error.contains("OOPSD_MED300_4"), "{error}");
    until("the former file", SOON, is_as_before).with_context(|| format!("{:?}", lab.text()))?;
    lab.bird.configure(&conf)?;
    oopsd.sees(V4, "plain")?;
    oopsd.want(V4, "prepend 1")?;
    lab.reaches(V4, "prepend 1")?;
    lab.undisturbed()
}

#[test]
fn others_may_configure_at_the_same_time() -> Result<()> {
    others_configure(Version::Two)
}

#[expect(clippy::print_stdout, reason = "a figure for whoever runs the tests")]
pub(crate) fn others_configure(version: Version) -> Result<()> {
    let Some(lab) = Lab::of(version)? else { return Ok(()) };
    let mut oopsd = lab.oopsd()?;
    let (done, mut dice) = (AtomicBool::new(false), Dice::new());
    let configures = thread::scope(|scope| -> Result<u32> {
        let others = scope.spawn(|| {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                for command in ["configure", "configure check", "configure", "configure timeout 1", "configure confirm"]
                {
                    count += u32::from(lab.bird.ask(command).is_ok());
                }
                thread::yield_now();
            }
            count
        });
        let result = (0..60).try_for_each(|round| {
            let (prefix, action) = (dice.prefix(), dice.action());
            oopsd.want(prefix, action)?;
            lab.reaches(prefix, action).with_context(|| format!("intent {round}"))
        });
        done.store(true, Ordering::Relaxed);
        let count = others.join().map_err(|_| anyhow::anyhow!("the others panicked"))?;
        result.map(|()| count)
    })?;
    println!("60 intents beside {configures} commands of others");
    oopsd.want(V4, "prepend 2")?;
    lab.reaches(V4, "prepend 2")?;
    oopsd.sees(V4, "prepend 2")?;
    lab.undisturbed()
}

#[test]
fn an_undo_and_a_soft_configure_are_survived() -> Result<()> {
    undone(Version::Two)
}

pub(crate) fn undone(version: Version) -> Result<()> {
    let Some(lab) = Lab::of(version)? else { return Ok(()) };
    let mut oopsd = lab.oopsd()?;
    oopsd.want(V4, "prepend 2")?;
    lab.reaches(V4, "prepend 2")?;
    oopsd.sees(V4, "prepend 2")?;
    for command in ["configure soft", "configure undo", "configure", "configure soft"] {
        lab.bird.ask(command).with_context(|| command.to_owned())?;
        oopsd.sees(V4, "prepend 2")?;
        lab.reaches(V4, "prepend 2")?;
    }
    oopsd.want(V4, "prepend 1")?;
    lab.reaches(V4, "prepend 1")?;
    lab.reaches(V4, "prepend 1")?;
    oopsd.sees(V4, "prepend 1")?;
    lab.undisturbed()
}

#[test]
fn a_configure_that_restarts_a_session_is_waited_for() -> Result<()> {
    session_restarts(Version::Two)
}

pub(crate) fn session_restarts(version: Version) -> Result<()> {
    let Some(lab) = Lab::of(version)? else { return Ok(()) };
    let mut oopsd = lab.oopsd()?;
    oopsd.sees(V4, "plain")?;
    // Not yet in force: the operator has saved it, and oopsd's `configure` takes it along.
    std::fs::write(lab.bird.file(), lab.conf()?.replace("protocol bgp up6 {", "protocol bgp up6 { hold time 60;"))?;
    oopsd.want(V4, "prepend 2")?;
    lab.reaches(V4, "prepend 2")?;
    oopsd.sees(V4, "prepend 2")?;
    let row = oopsd.status(V4)?;
    ensure!(row["errors"] == 0, "{row}");
    let v4 = |prefix: &IpNet| prefix.to_string() == V4;
    ensure!(!lab.peering.listener.withdrawals(lab.start).iter().any(|(_, prefix)| v4(prefix)));
    ensure!(lab.bird.log().contains("Restarting protocol up6"), "{}", lab.bird.log());
    lab.reaches(V6, "plain")
}

#[test]
fn a_filter_that_does_not_act_is_named() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let conf = lab.conf()?;
    lab.bird.configure(&conf.replace("export filter { oopsd_export4(); accept; }", "export all"))?;
    let mut oopsd = lab.oopsd()?;
    oopsd.want(V4, "prepend 2")?;
    let error = oopsd.fails(V4)?;
    ensure!(
        error.contains("up4 exports 192.0.2.0/24 without prepend 2") && error.contains("oopsd_export4()"),
        "{error}"
    );
    ensure!(oopsd.status(V4)?["seen"] == "plain");
    lab.bird.configure(&conf)?;
    lab.reaches(V4, "prepend 2")?;
    oopsd.sees(V4, "prepend 2")?;
    lab.undisturbed()
}

#[test]
fn a_bird_conf_without_the_file_or_the_protocol_is_named() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let conf = lab.conf()?;
    let without: String = conf.lines().filter(|line| !line.contains("OOPSD_") || line.contains("OOPSD_AS")).fold(
        String::new(),
        |text, line| {
            if line.starts_with("include") || line.contains("if net") { text } else { text + line + "\n" }
        },
    );
    lab.bird.configure(&without)?;
    let mut oopsd = lab.oopsd()?;
    oopsd.want(V4, "prepend 2")?;
    let error = oopsd.fails(V4)?;
    ensure!(error.contains("bird.conf has to include"), "{error}");
    lab.bird.configure(&conf)?;
    lab.reaches(V4, "prepend 2")?;
    oopsd.reload(&lab.toml().replace("\"up6\"", "\"up9\""))?;
    let named = || oopsd.status(V4).ok()?["error"].as_str().filter(|error| error.contains("up9")).map(str::to_owned);
    until("the protocol is named", SOON, named)?;
    lab.reaches(V6, "plain")?;
    lab.undisturbed()
}

#[test]
fn without_one_of_the_protocols_only_the_way_back_is_open() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd()?;
    oopsd.want(V4, "prepend 3")?;
    lab.reaches(V4, "prepend 3")?;
    oopsd.sees(V4, "prepend 3")?;
    // The operator takes a session out, or misspells it.
    oopsd.reload(&lab.toml().replace("\"up6\"", "\"up9\""))?;
    oopsd.sees(V4, "prepend 3")?;
    let mut named =
        || oopsd.status(V4).ok()?["error"].as_str().filter(|error| error.contains("up9")).map(str::to_owned);
    until("the protocol is named", SOON, &mut named)?;
    oopsd.want(V6, "prepend 1")?;
    oopsd.want(V4, "prepend 1")?;
    lab.reaches(V4, "prepend 1")?;
    oopsd.want(V4, "plain")?;
    lab.reaches(V4, "plain")?;
    oopsd.sees(V4, "plain")?;
    ensure!(oopsd.status(V6)?["seen"] == "plain", "a step up of what nobody could see");
    let error = oopsd.fails(V6)?;
    ensure!(error.contains("no step up is made: correct `protocols`"), "{error}");

    oopsd.reload(&lab.toml())?;
    lab.reaches(V6, "prepend 1")?;
    oopsd.sees(V6, "prepend 1")?;
    lab.undisturbed()
}

#[test]
fn the_switch_that_needs_no_oopsd_brings_the_plain_paths_back() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd()?;
    for (prefix, action) in [(V4, "prepend 3"), (V6, "graceful-shutdown")] {
        oopsd.want(prefix, action)?;
        lab.reaches(prefix, action)?;
    }
    oopsd.running.kill();
    let (file, socket) = (lab.include(), lab.bird.socket());
    let switch = format!("sed -i 's/= \\[.*/= [];/' {} && birdc -s {} configure", file.display(), socket.display());
    run(Command::new("sh").args(["-c", &switch]))?;
    for prefix in [V4, V6] {
        lab.reaches(prefix, "plain")?;
    }
    lab.boots()?;
    // The next oopsd takes it as it is.
    let mut oopsd = lab.oopsd()?;
    oopsd.sees(V4, "plain")?;
    oopsd.want(V4, "prepend 2")?;
    lab.reaches(V4, "prepend 2")?;
    lab.undisturbed()
}
