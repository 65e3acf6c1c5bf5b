//! A hundred reloads at full speed.

use crate::scene::{CONFIG, Scene, start};
use anyhow::{Result, bail, ensure};
use std::thread;
use tests::daemon::{Oopsd, SOON};
use tests::lab::until;

const RELOADS: usize = 100;

#[test]
fn a_hundred_reloads_lose_no_count_on_xdp() -> Result<()> {
    nothing_is_lost("xdp", "xdp")
}

#[test]
fn a_hundred_reloads_lose_no_count_on_tcx() -> Result<()> {
    nothing_is_lost("tc", "tcx")
}

fn nothing_is_lost(capture: &str, rung: &str) -> Result<()> {
    let Some(scene) = Scene::new()? else { return Ok(()) };
    for _ in 0..4 {
        let before = scene.before()?;
        let Some(mut oopsd) = start(&scene, capture, rung)? else { return Ok(()) };
        let (sent, reloads) = thread::scope(|scope| {
            let loading = scope.spawn(|| scene.load(12, 1_000_000));
            let reloads = reload(&oopsd, || loading.is_finished());
            (loading.join().expect("no panic"), reloads)
        });
        let Some(sent) = sent? else { continue };
        ensure!(reloads? >= RELOADS, "not as many reloads while it was asked");
        scene.agree(&mut oopsd, sent, &before)?;
        return Ok(());
    }
    bail!("some were lost in each run");
}

/// Reloads again and again, with the zones in another order each time; how often.
fn reload(oopsd: &Oopsd<'_>, ended: impl Fn() -> bool) -> Result<usize> {
    let other = CONFIG.replace("\"nl.\", ", "").replace("\"]", "\", \"nl.\"]");
    for turn in 1..=RELOADS {
        if ended() {
            return Ok(turn - 1);
        }
        oopsd.configure(if turn % 2 == 0 { CONFIG } else { &other })?;
        oopsd.kill(libc::SIGHUP);
        until("a reload", SOON, || (oopsd.stderr().matches("configuration reloaded").count() >= turn).then_some(()))?;
    }
    Ok(RELOADS)
}
