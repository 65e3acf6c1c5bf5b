//! ExaBGP, by its named pipes.

use super::suite::{LATER, SOON, Suite, fails_with};
use anyhow::{Result, ensure};
use engine::Action;
use std::fs::File;
use std::io::Write as _;
use std::process::Command;
use tests::lab::exabgp::{Exabgp, Version};
use tests::lab::peering::{Peering, V4, V6};
use tests::lab::run;

#[test]
fn every_action_is_announced_and_taken_back() -> Result<()> {
    let Some((lab, exabgp)) = start()? else { return Ok(()) };
    suite(&lab, &exabgp).every_action_and_back()
}

#[test]
fn three_hundred_random_intents_end_right() -> Result<()> {
    let Some((lab, exabgp)) = start()? else { return Ok(()) };
    println!("300 intents, {} announcements", suite(&lab, &exabgp).random_intents(300)?);
    Ok(())
}

#[test]
fn killed_two_hundred_times_it_withdraws_nothing() -> Result<()> {
    let Some((lab, exabgp)) = start()? else { return Ok(()) };
    suite(&lab, &exabgp).killed_at_any_moment(200)
}

#[test]
fn nothing_is_sent_for_nothing() -> Result<()> {
    let Some((lab, exabgp)) = start()? else { return Ok(()) };
    suite(&lab, &exabgp).nothing_is_sent_for_nothing()
}

#[test]
fn while_it_is_stopped_nothing_hangs() -> Result<()> {
    let Some((lab, exabgp)) = start()? else { return Ok(()) };
    let error = suite(&lab, &exabgp).stopped(|signal| exabgp.running.signal(signal))?;
    ensure!(error.contains("did not answer"), "{error}");
    Ok(())
}

#[test]
fn what_a_health_check_withdrew_stays_withdrawn() -> Result<()> {
    let Some((lab, exabgp)) = start()? else { return Ok(()) };
    let withdraw = || say(&exabgp, &format!("withdraw route {V4} next-hop self"));
    let announce = || say(&exabgp, &format!("neighbor 10.53.0.2 announce route {V4} next-hop self {ATTRIBUTES}"));
    suite(&lab, &exabgp).absent(withdraw, announce)
}

#[test]
fn an_announcement_of_somebody_else_is_left_alone() -> Result<()> {
    let Some((lab, exabgp)) = start()? else { return Ok(()) };
    let announce =
        || say(&exabgp, &format!("neighbor 10.53.0.2 announce route {V4} next-hop self community [ 64999:9 ]"));
    suite(&lab, &exabgp).foreign(announce)
}

#[test]
fn the_switches_that_need_no_oopsd_work() -> Result<()> {
    let Some((lab, exabgp)) = start()? else { return Ok(()) };
    let suite = suite(&lab, &exabgp);
    suite.switched_off(|| {
        exabgp.running.signal(libc::SIGUSR1);
        Ok(())
    })?;
    suite.switched_off(|| {
        let pipe = exabgp.pipes().with_added_extension("in");
        for (neighbor, prefix) in [("10.53.0.2", V4), ("fd53::2", V6)] {
            let said = format!("neighbor {neighbor} announce route {prefix} next-hop self {ATTRIBUTES}");
            run(Command::new("sh").args(["-c", &format!("echo '{said}' > {}", pipe.display())]))?;
        }
        Ok(())
    })
}

#[test]
fn reloaded_and_restarted_it_is_told_again() -> Result<()> {
    is_told_again(Version::Four)
}

fn is_told_again(version: Version) -> Result<()> {
    let Some((lab, mut exabgp)) = start_version(version)? else { return Ok(()) };
    let suite = suite(&lab, &exabgp);
    suite.begins()?;
    let mut oopsd = suite.oopsd()?;
    for prefix in [V4, V6] {
        oopsd.want(prefix, "prepend 3")?;
    }
    suite.settled(&mut oopsd, [Action::Prepend(3); 2])?;

    let mark = lab.listener.mark();
    exabgp.running.signal(libc::SIGUSR1);
    suite.reaches(V4, Action::Plain, SOON)?;
    suite.settled(&mut oopsd, [Action::Prepend(3); 2])?;
    lab.listener.undisturbed(mark)?;

    exabgp.running.kill();
    let error = fails_with(&mut oopsd, V4, "nobody reads it")?;
    ensure!(error.contains(".in: cannot open it"), "{error}");
    exabgp.restart()?;
    lab.listener.up(2, LATER)?;
    suite.settled(&mut oopsd, [Action::Prepend(3); 2])
}

#[test]
fn a_pipe_that_is_not_there_or_none_is_an_error_that_says_so() -> Result<()> {
    let Some(lab) = Peering::new(&["exabgp"])? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let stem = folder.path().join("pipe");
    let router = format!("type = \"exabgp\"\npipes = \"{}\"", stem.display());
    let suite = Suite { lab: &lab, router, communities: vec![] };
    let mut oopsd = suite.oopsd()?;
    fails_with(&mut oopsd, V4, "mkfifo")?;
    for end in ["in", "out"] {
        File::create(stem.with_extension(end))?;
    }
    fails_with(&mut oopsd, V4, "not a pipe")?;
    ensure!(stem.with_extension("in").metadata()?.len() == 0, "it wrote to a file");
    Ok(())
}

#[test]
fn every_action_is_announced_by_version_5_too() -> Result<()> {
    let Some((lab, exabgp)) = start_version(Version::Five)? else { return Ok(()) };
    suite(&lab, &exabgp).every_action_and_back()
}

#[test]
fn eighty_random_intents_end_right_with_version_5_too() -> Result<()> {
    let Some((lab, exabgp)) = start_version(Version::Five)? else { return Ok(()) };
    println!("80 intents, {} announcements", suite(&lab, &exabgp).random_intents(80)?);
    Ok(())
}

#[test]
fn version_5_reloaded_and_restarted_is_told_again_too() -> Result<()> {
    is_told_again(Version::Five)
}

#[test]
fn what_version_5_is_told_by_others_is_left_alone_too() -> Result<()> {
    let Some((lab, exabgp)) = start_version(Version::Five)? else { return Ok(()) };
    let announce =
        || say(&exabgp, &format!("neighbor 10.53.0.2 announce route {V4} next-hop self community [ 64999:9 ]"));
    suite(&lab, &exabgp).foreign(announce)
}

/// Announces both prefixes with these.
const ATTRIBUTES: &str = "origin incomplete community [ 64999:1 no-export ] large-community [ 64999:1:2 ] extended-community [ target:64999:7 ]";

fn start() -> Result<Option<(Peering, Exabgp)>> {
    start_version(Version::Four)
}

fn start_version(version: Version) -> Result<Option<(Peering, Exabgp)>> {
    let Some(lab) = Peering::new(&[version.program()])? else { return Ok(None) };
    let exabgp = Exabgp::start(version, &lab.host, ATTRIBUTES)?;
    Ok(Some((lab, exabgp)))
}

fn suite<'a>(lab: &'a Peering, exabgp: &Exabgp) -> Suite<'a> {
    let router = format!("type = \"exabgp\"\npipes = \"{}\"", exabgp.pipes().display());
    Suite { lab, router, communities: vec![(64999, 1), (65535, 65281)] }
}

/// Says something to ExaBGP as another program would, which reads no answer.
fn say(exabgp: &Exabgp, command: &str) -> Result<()> {
    let mut pipe = exabgp.pipes().into_os_string();
    pipe.push(".in");
    // At once, so that no other program's command comes between it and the end of its line.
    Ok(File::options().write(true).open(pipe)?.write_all(format!("{command}\n").as_bytes())?)
}
