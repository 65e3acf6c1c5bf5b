//! BIRD killed, started again, stopped, gone; its socket in the hands of something else.

use crate::lab::{Lab, SOON};
use anyhow::{Result, ensure};
use core::time::Duration;
use std::time::Instant;
use tests::lab::bird::Version;
use tests::lab::peering::{V4, V6};
use tests::lab::until;

/// An error must be there by then: 2 s until the regular look, 1.5 s until what hangs is given up, and a busy machine.

#[test]
fn bird_killed_and_started_again_announces_the_same() -> Result<()> {
    killed_and_started(Version::Two)
}

pub(crate) fn killed_and_started(version: Version) -> Result<()> {
    let Some(mut lab) = Lab::of(version)? else { return Ok(()) };
    let mut oopsd = lab.oopsd()?;
    oopsd.want(V4, "prepend 2")?;
    lab.reaches(V4, "prepend 2")?;
    oopsd.sees(V4, "prepend 2")?;
    lab.bird.running().kill();
    // It may have hung up on a question first.
    let noticed = || oopsd.fails(V4).ok().filter(|error| error.contains("no connection to BIRD"));
    until("that BIRD is gone", SOON, noticed)?;
    ensure!(oopsd.status(V4)?["seen"].is_null());
    // What is wanted meanwhile is done when BIRD is back, and what was wanted before is there at once.
    oopsd.want(V6, "prepend 5")?;
    let mark = lab.peering.listener.mark();
    lab.bird.restart()?;
    lab.peering.listener.up(2, Duration::from_secs(20))?;
    lab.reaches(V4, "prepend 2")?;
    lab.reaches(V6, "prepend 5")?;
    oopsd.sees(V4, "prepend 2")?;
    let first = lab
        .peering
        .listener
        .updates(mark)
        .into_iter()
        .find(|(_, update)| update.announced.iter().any(|prefix| prefix.to_string() == V4));
    ensure!(first.is_some_and(|(_, update)| update.attributes.path.len() == 3), "a plain path was announced first");
    ensure!(lab.peering.listener.withdrawals(mark).is_empty());
    Ok(())
}

#[test]
fn bird_starts_after_oopsd_and_without_a_file() -> Result<()> {
    let Some(mut lab) = Lab::new()? else { return Ok(()) };
    lab.bird.running().kill();
    std::fs::remove_file(lab.include())?;
    std::fs::remove_file(lab.bird.socket())?;
    ensure!(lab.boots().is_err());
    let mut oopsd = lab.oopsd()?;
    oopsd.want(V4, "prepend 1")?;
    until("the first file is written", SOON, || lab.boots().ok())?;
    lab.bird.restart()?;
    lab.reaches(V4, "prepend 1")?;
    oopsd.sees(V4, "prepend 1")
}

#[test]
fn a_stopped_bird_is_an_error_soon_and_its_return_a_repair() -> Result<()> {
    let Some(mut lab) = Lab::new()? else { return Ok(()) };
    let mut oopsd = lab.oopsd()?;
    oopsd.want(V4, "prepend 2")?;
    lab.reaches(V4, "prepend 2")?;
    oopsd.sees(V4, "prepend 2")?;
    lab.bird.running().signal(libc::SIGSTOP);
    let start = Instant::now();
    oopsd.want(V4, "prepend 3")?;
    let error = oopsd.fails(V4)?;
    let took = start.elapsed();
    lab.bird.running().signal(libc::SIGCONT);
    println!("a stopped BIRD is an error after {took:?}: {error}");
    ensure!(error.contains("BIRD gave no answer") && took < Duration::from_secs(10), "{error} after {took:?}");
    lab.reaches(V4, "prepend 3")?;
    oopsd.sees(V4, "prepend 3")?;
    lab.undisturbed()
}

#[test]
fn a_socket_of_something_else_is_named() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let other = lab.folder.path().join("other.ctl");
    let door = std::os::unix::net::UnixListener::bind(&other)?;
    let speaker = std::thread::spawn(move || -> Result<()> {
        use std::io::Write;
        let (mut stream, _) = door.accept()?;
        Ok(stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n")?)
    });
    let toml = lab.toml().replace(&lab.bird.socket().display().to_string(), &other.display().to_string());
    let mut oopsd = lab.oopsd_with(&toml, "wet")?;
    let error = oopsd.fails(V4)?;
    ensure!(error.contains("not BIRD"), "{error}");
    speaker.join().map_err(|_| anyhow::anyhow!("the speaker panicked"))?
}
