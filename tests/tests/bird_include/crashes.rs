//! SIGKILL at any moment: BIRD always finds a file that it takes, nothing passes that was not wanted, and the next run ends right.

use crate::lab::{Dice, Lab};
use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::time::Instant;
use tests::lab::peering::{V4, V6};

/// So many times it is killed.
const TIMES: u32 = 150;

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
        let until = Instant::now() + Duration::from_micros(dice.below(25_000));
        while Instant::now() < until {
            core::hint::spin_loop();
        }
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
