//! SIGKILL at any moment, of oopsd and of BIRD: BIRD always finds a file that it takes, nothing passes that was not wanted, and the next run ends right.

use crate::lab::{Dice, Lab};
use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::time::Instant;
use tests::lab::peering::{V4, V6};

/// So many times oopsd is killed.
const TIMES: u32 = 200;

#[test]
fn killed_at_any_moment_the_file_is_whole_and_the_end_is_right() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut dice = Dice::new();
    let mut halfway = 0;
    for round in 0..TIMES {
        let mut oopsd = lab.oopsd()?;
        let wanted = [(V4, dice.action()), (V6, dice.action())];
        for (prefix, action) in wanted {
            oopsd.want(prefix, action)?;
        }
        // From before it is read to after it is on the wire.
        linger(dice.below(25_000));
        oopsd.running.kill();
        lab.boots().with_context(|| format!("kill {round}"))?;
        let left = std::fs::read_dir(lab.folder.path())?.count() > 1;
        halfway += u32::from(left);
        if round % 10 == 0 {
            let mut oopsd = lab.oopsd()?;
            for (prefix, action) in wanted {
                oopsd.want(prefix, action)?;
                lab.reaches(prefix, action).with_context(|| format!("kill {round}"))?;
            }
        }
    }
    println!("killed {TIMES} times, {halfway} of them with a file half changed");
    ensure!(halfway > 0, "no kill came in the middle of a change: nothing was shown");
    let mut oopsd = lab.oopsd()?;
    for (prefix, action) in [(V4, "prepend 3"), (V6, "plain")] {
        oopsd.want(prefix, action)?;
        lab.reaches(prefix, action)?;
        oopsd.sees(prefix, action)?;
    }
    lab.undisturbed()
}

#[test]
fn bird_killed_at_any_moment_of_a_change_ends_right() -> Result<()> {
    let Some(mut lab) = Lab::new()? else { return Ok(()) };
    let (mut oopsd, mut dice) = (lab.oopsd()?, Dice::new());
    for round in 0..6 {
        let wanted = [(V4, dice.action()), (V6, dice.action())];
        for (prefix, action) in wanted {
            oopsd.want(prefix, action)?;
        }
        linger(dice.below(8_000));
        lab.bird.running().kill();
        lab.boots().with_context(|| format!("kill {round}"))?;
        lab.bird.restart()?;
        lab.peering.listener.up(2, Duration::from_secs(20))?;
        for (prefix, action) in wanted {
            lab.reaches(prefix, action).with_context(|| format!("kill {round}"))?;
        }
    }
    // A session's end is no UPDATE that withdraws.
    let withdrawals = lab.peering.listener.withdrawals(lab.start);
    ensure!(withdrawals.is_empty(), "{withdrawals:?}");
    Ok(())
}

fn linger(microseconds: u64) {
    let until = Instant::now() + Duration::from_micros(microseconds);
    while Instant::now() < until {
        core::hint::spin_loop();
    }
}
