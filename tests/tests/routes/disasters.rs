//! What operators, other programs and BIRD itself do to a route that oopsd wants.

use anyhow::{Result, ensure};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use engine::Action;
use std::thread;
use tests::lab::bird::Version;
use tests::lab::learner::{Learner, TABLE, bird_conf};
use tests::lab::peering::{V4, V6};
use tests::lab::until;
use tests::routers::Routers;

#[test]
fn what_was_wanted_while_bird_was_dead_is_so_when_it_is_back() -> Result<()> {
    bird_dies(Version::Two)
}

#[expect(clippy::print_stdout, reason = "a figure for whoever runs the tests")]
pub(crate) fn bird_dies(version: Version) -> Result<()> {
    let Some((mut lab, mut oopsd)) = both(version, [Action::Prepend(2), Action::Withdraw])? else { return Ok(()) };
    lab.bird.signal(libc::SIGKILL);
    until("no session is left", tests::lab::SOON, || (lab.peering.listener.established() == 0).then_some(()))?;
    oopsd.want(V4, &Action::Withdraw.to_string())?;
    oopsd.want(V6, &Action::Prepend(7).to_string())?;
    oopsd.sees(V6, &Action::Prepend(7).to_string())?;
    let mark = lab.peering.listener.mark();
    lab.bird.restart()?;
    lab.settled()?;
    lab.reaches(V6, Action::Prepend(7))?;
    lab.reaches(V4, Action::Withdraw)?;
    // BIRD 2 knows its tables before it speaks; BIRD 3 says the plain path first.
    let updates = lab.peering.listener.updates(mark);
    println!("after a restart of BIRD: {updates:?}");
    Ok(())
}

#[test]
fn what_was_wanted_while_bird_was_stopped_is_so_when_it_goes_on() -> Result<()> {
    let Some((lab, mut oopsd)) = both(Version::Two, [Action::Prepend(2), Action::Prepend(3)])? else { return Ok(()) };
    let mark = lab.peering.listener.mark();
    lab.bird.signal(libc::SIGSTOP);
    for (prefix, action) in [(V4, Action::Med(65_535)), (V6, Action::GracefulShutdown), (V4, Action::Prepend(1))] {
        oopsd.want(prefix, &action.to_string())?;
        oopsd.sees(prefix, &action.to_string())?;
    }
    ensure!(lab.peering.listener.updates(mark).is_empty());
    lab.bird.signal(libc::SIGCONT);
    lab.reaches(V4, Action::Prepend(1))?;
    lab.reaches(V6, Action::GracefulShutdown)?;
    lab.peering.listener.undisturbed(mark)
}

#[test]
fn a_new_or_a_broken_configuration_of_bird_changes_nothing() -> Result<()> {
    bird_is_configured(Version::Two)
}

pub(crate) fn bird_is_configured(version: Version) -> Result<()> {
    let wanted = [Action::Prepend(2), Action::GracefulShutdown];
    let Some((lab, mut oopsd)) = both(version, wanted)? else { return Ok(()) };
    let mark = lab.peering.listener.mark();
    for _ in 0..5 {
        lab.bird.configure(&format!("{}\nprotocol static more {{ ipv4; }}\n", bird_conf()?))?;
        lab.bird.configure(&bird_conf()?)?;
    }
    let broken = lab.bird.configure(&bird_conf()?.replace("oopsd_on_export();", "oopsd_on_export(;"));
    ensure!(broken.is_err_and(|error| format!("{error:#}").contains("bird.conf")));
    let changed = lab.peering.listener.updates(mark);
    ensure!(changed.is_empty(), "{changed:?}");
    lab.peering.listener.undisturbed(mark)?;
    oopsd.want(V4, &Action::Prepend(3).to_string())?;
    lab.reaches(V4, Action::Prepend(3))
}

#[test]
fn a_table_flushed_once_is_put_back_and_one_flushed_again_and_again_is_left() -> Result<()> {
    let Some((lab, mut oopsd)) = both(Version::Two, [Action::Prepend(2), Action::GracefulShutdown])? else {
        return Ok(());
    };
    let table = lab.table();
    lab.flush()?;
    lab.holds(&table)?;
    lab.reaches(V4, Action::Prepend(2))?;
    lab.reaches(V6, Action::GracefulShutdown)?;
    ensure!(oopsd.status(V4)?["contested"] == false);

    let (mark, over) = (lab.peering.listener.mark(), AtomicBool::new(false));
    thread::scope(|scope| {
        let flushing = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = lab.peering.host.ip(&format!("-4 route flush table {TABLE}"));
            }
        });
        let contested = until("it is left alone", Duration::from_secs(60), || {
            oopsd.status(V4).ok().filter(|row| row["contested"] == true).map(|_| ())
        });
        over.store(true, Ordering::Relaxed);
        flushing.join().map_err(|_| anyhow::anyhow!("the flushing thread panicked"))?;
        contested
    })?;
    lab.reaches(V4, Action::Plain)?;
    let updates = lab.peering.listener.updates(mark).len();
    println!("a flush in a loop until it is left alone: {updates} UPDATEs at the upstream");
    // There and back each time that it is put back, and back at last.
    ensure!(updates <= 2 * 5 + 1, "{updates}");
    lab.peering.listener.undisturbed(mark)?;
    ensure!(oopsd.status(V6)?["contested"] == false);
    lab.reaches(V6, Action::GracefulShutdown)?;

    // Something new is wanted, and nobody is there to fight it.
    oopsd.want(V4, &Action::Prepend(3).to_string())?;
    lab.reaches(V4, Action::Prepend(3))?;
    let settled = || oopsd.status(V4).ok().filter(|row| row["contested"] == false);
    until("the fight is over", Duration::from_secs(20), settled).map(|_| ())
}

#[test]
fn the_switch_of_the_manual_works_with_oopsd_dead() -> Result<()> {
    switched_off(Version::Two)
}

pub(crate) fn switched_off(version: Version) -> Result<()> {
    let wanted = [Action::Prepend(2), Action::Community(64_999, 666)];
    let Some((lab, mut oopsd)) = both(version, wanted)? else { return Ok(()) };
    oopsd.running.kill();
    lab.reaches(V4, Action::Prepend(2))?;
    lab.flush()?;
    lab.reaches(V4, Action::Plain)?;
    lab.reaches(V6, Action::Plain)
}

/// Both prefixes announced so.
fn both(version: Version, actions: [Action; 2]) -> Result<Option<(Learner, Routers)>> {
    let Some(lab) = Learner::of(version)? else { return Ok(None) };
    let mut oopsd = lab.oopsd(env!("CARGO_BIN_EXE_routers"))?;
    for (prefix, action) in [V4, V6].into_iter().zip(actions) {
        oopsd.want(prefix, &action.to_string())?;
        lab.reaches(prefix, action)?;
        oopsd.sees(prefix, &action.to_string())?;
    }
    Ok(Some((lab, oopsd)))
}
