//! What is wanted is what the upstream hears, whatever it is and however often it changes.

use crate::lab::{ACTIONS, Dice, Lab, SOON, with_routes};
use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::time::Instant;
use tests::lab::bird::Version;
use tests::lab::peering::{V4, V6};
use tests::lab::{run, until};

#[test]
fn every_action_reaches_the_upstream_and_goes_back() -> Result<()> {
    every_action(Version::Two)
}

pub(crate) fn every_action(version: Version) -> Result<()> {
    let Some(lab) = Lab::of(version)? else { return Ok(()) };
    let mut oopsd = lab.oopsd()?;
    let mut took = Vec::new();
    for prefix in [V4, V6] {
        for action in ACTIONS.into_iter().chain(["plain"]).flat_map(|action| [action, "plain"]) {
            let start = Instant::now();
            oopsd.want(prefix, action)?;
            lab.reaches(prefix, action)?;
            took.push(start.elapsed());
            oopsd.sees(prefix, action)?;
        }
    }
    print_times("want() to the listener", took);
    // Half of the plain ones change nothing, and what is not changed is not said again.
    ensure!(announcements(&lab) == 32, "{} announcements", announcements(&lab));
    lab.tidy()?;
    lab.undisturbed()
}

#[test]
fn three_hundred_random_intents_end_right() -> Result<()> {
    random_intents(Version::Two, 300)
}

pub(crate) fn random_intents(version: Version, count: usize) -> Result<()> {
    let Some(lab) = Lab::of(version)? else { return Ok(()) };
    let (mut oopsd, mut dice, mut took) = (lab.oopsd()?, Dice::new(), Vec::new());
    for round in 0..count {
        let (prefix, action) = (dice.prefix(), dice.action());
        let start = Instant::now();
        oopsd.want(prefix, action)?;
        // Half of them are overtaken by the next.
        if dice.below(2) == 0 {
            lab.reaches(prefix, action).with_context(|| format!("intent {round}"))?;
            took.push(start.elapsed());
        }
    }
    for (prefix, action) in [(V4, "prepend 2"), (V6, "med 200")] {
        oopsd.want(prefix, action)?;
        lab.reaches(prefix, action)?;
        oopsd.sees(prefix, action)?;
    }
    print_times(&format!("of {count} intents, those waited for"), took);
    ensure!(announcements(&lab) <= count + 2, "{} announcements", announcements(&lab));
    let row = oopsd.status(V4)?;
    ensure!(row["errors"] == 0, "{row}");
    lab.boots()?;
    lab.undisturbed()
}

#[test]
fn what_is_wanted_at_once_is_one_configure() -> Result<()> {
    let Some(mut lab) = Lab::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd()?;
    oopsd.sees(V4, "plain")?;
    let count = |lab: &Lab| lab.bird.log().matches("Reconfigured").count();
    let before = count(&lab);
    // While BIRD is stopped, nothing can be told to it, and both are waiting when it goes on.
    lab.bird.running().signal(libc::SIGSTOP);
    oopsd.fails(V4)?;
    oopsd.want(V4, "prepend 3")?;
    oopsd.want(V6, "prepend 5")?;
    // Once it answers, it has heard of both.
    oopsd.status(V4)?;
    lab.bird.running().signal(libc::SIGCONT);
    lab.reaches(V4, "prepend 3")?;
    lab.reaches(V6, "prepend 5")?;
    oopsd.sees(V6, "prepend 5")?;
    ensure!(count(&lab) == before + 1, "{}", lab.bird.log());
    lab.undisturbed()
}

#[test]
fn two_hundred_prefixes_are_one_configure_and_one_that_has_no_route_is_kept() -> Result<()> {
    let Some(mut lab) = Lab::new()? else { return Ok(()) };
    let prefixes: Vec<String> =
        (1..=100).flat_map(|n| [format!("10.99.{n}.0/24"), format!("2001:db8:{n:x}00::/40")]).collect();
    let own = |v6: bool| {
        let of_family = prefixes.iter().filter(|prefix| prefix.contains(':') == v6);
        of_family.map(|prefix| format!(" route {prefix} blackhole;")).collect::<String>()
    };
    let more =
        format!("protocol static more4 {{ ipv4;{} }}\nprotocol static more6 {{ ipv6;{} }}\n", own(false), own(true));
    lab.bird.configure(&(lab.conf()? + &more))?;
    let toml = with_routes(&lab.toml(), &prefixes);
    let mut oopsd = lab.oopsd_with(&toml, "wet")?;
    oopsd.want(V4, "prepend 2")?;
    oopsd.sees(V4, "prepend 2")?;
    let configured = |lab: &Lab| lab.bird.log().matches("Reconfigured").count();
    let before = configured(&lab);
    lab.bird.running().signal(libc::SIGSTOP);
    oopsd.fails(V4)?;
    for prefix in &prefixes {
        oopsd.want(prefix, "prepend 3")?;
    }
    // Once it answers, it has heard of all of them.
    oopsd.status(V4)?;
    let start = Instant::now();
    lab.bird.running().signal(libc::SIGCONT);
    for prefix in &prefixes {
        lab.reaches(prefix, "prepend 3")?;
        oopsd.sees(prefix, "prepend 3")?;
    }
    print_times("200 prefixes at the listener and read back", vec![start.elapsed()]);
    ensure!(configured(&lab) == before + 1, "{} times", configured(&lab) - before);
    lab.reaches(V4, "prepend 2")?;
    // Those that lose their route stay as they are, whatever else changes.
    oopsd.reload(&lab.toml())?;
    oopsd.want(V6, "med 200")?;
    lab.reaches(V6, "med 200")?;
    lab.reaches("10.99.7.0/24", "prepend 3")?;
    // So they do if BIRD was given another file meanwhile, and each prefix has to be asked for.
    let text = lab.text()?;
    let sets = text.split("define OOPSD_SUM").next().context("no sets")?;
    std::fs::write(lab.include(), format!("{sets}define OOPSD_SUM = 7;\n"))?;
    lab.bird.ask("configure")?;
    drop(oopsd);
    let mut oopsd = lab.oopsd_with(&toml, "wet")?;
    oopsd.sees("2001:db8:700::/40", "prepend 3")?;
    oopsd.sees(V6, "med 200")?;
    lab.undisturbed()
}

#[test]
fn withdraw_is_refused_and_the_rest_still_done() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd()?;
    oopsd.want(V4, "withdraw")?;
    oopsd.want(V6, "prepend 1")?;
    lab.reaches(V6, "prepend 1")?;
    let error = oopsd.fails(V4)?;
    ensure!(error.contains("withdraw") && error.contains("kernel table"), "{error}");
    lab.reaches(V4, "plain")?;
    lab.undisturbed()
}

#[test]
fn a_dry_run_writes_nothing() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    std::fs::remove_file(lab.include())?;
    let mut oopsd = lab.oopsd_with(&lab.toml(), "dry")?;
    oopsd.want(V4, "prepend 3")?;
    oopsd.sees(V4, "plain")?;
    ensure!(oopsd.status(V4)?["wanted"] == "prepend 3");
    ensure!(!lab.include().exists());
    Ok(())
}

#[test]
fn the_first_file_is_made_by_check_and_bird_starts_with_it() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let before = lab.text()?;
    std::fs::remove_file(lab.include())?;
    ensure!(lab.boots().is_err());
    let file = lab.folder.path().join("oopsd.toml");
    std::fs::write(&file, lab.toml())?;
    let check = |words: &[&str]| {
        run(std::process::Command::new(tests::lab::oopsd()?).arg("check").arg("-c").arg(&file).args(words))
    };
    ensure!(check(&[])?.contains("oopsd check --write-include"));
    let said = check(&["--write-include"])?;
    ensure!(said.contains("oopsd.conf: written"), "{said}");
    ensure!(lab.text()? == before);
    lab.boots()?;
    ensure!(check(&["--write-include"])?.contains("there already"));
    // The text that bird.conf needs is printed, too: each line is there as the lab has it.
    let conf = lab.conf()?;
    let text = said.split("bird.conf needs:\n").nth(1).context("no text")?;
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    ensure!(lines.len() > 20 && lines.iter().all(|line| conf.contains(line)), "{said}");
    Ok(())
}

#[test]
fn starting_stopping_and_reloading_change_no_route() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd()?;
    oopsd.want(V4, "prepend 2")?;
    oopsd.want(V6, "med 200")?;
    for (prefix, action) in [(V4, "prepend 2"), (V6, "med 200")] {
        lab.reaches(prefix, action)?;
        oopsd.sees(prefix, action)?;
    }
    let (text, mark) = (lab.text()?, lab.peering.listener.mark());
    let quiet = |lab: &Lab| -> Result<()> {
        let said = lab.peering.listener.updates(mark);
        ensure!(said.is_empty() && lab.text()? == text, "{said:?}");
        Ok(())
    };
    oopsd.stop()?;
    let mut oopsd = lab.oopsd()?;
    oopsd.sees(V4, "prepend 2")?;
    oopsd.sees(V6, "med 200")?;
    ensure!(oopsd.status(V4)?["wanted"].is_null());
    quiet(&lab)?;
    oopsd.running.kill();
    let mut oopsd = lab.oopsd()?;
    oopsd.sees(V6, "med 200")?;
    oopsd.reload(&lab.toml())?;
    oopsd.sees(V4, "prepend 2")?;
    quiet(&lab)?;
    // Another ladder defines another constant, and nothing more.
    oopsd.reload(&lab.toml().replace("{ med = 200 }", "{ med = 200 }, { med = 300 }"))?;
    until("the new constant is defined", SOON, || {
        lab.text().ok().filter(|text| text.contains("OOPSD_MED300_4 = [];"))
    })?;
    oopsd.sees(V4, "prepend 2")?;
    ensure!(lab.peering.listener.updates(mark).is_empty());
    lab.boots()?;
    oopsd.want(V4, "plain")?;
    lab.reaches(V4, "plain")?;
    lab.reaches(V6, "med 200")?;
    lab.undisturbed()
}

/// How many UPDATEs announced something.
fn announcements(lab: &Lab) -> usize {
    let updates = lab.peering.listener.updates(lab.start);
    updates.iter().filter(|(_, update)| !update.announced.is_empty()).count()
}

#[expect(clippy::print_stdout, reason = "a figure for whoever runs the tests")]
fn print_times(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    println!("{what}: median {:?}, longest {:?} of {}", took[took.len() / 2], took[took.len() - 1], took.len());
}
