//! A hundred reloads at full speed.

use crate::scene::{CONFIG, Scene, load_until, start};
use anyhow::{Context, Result, bail};
use core::sync::atomic::{AtomicBool, Ordering};
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
        let done = AtomicBool::new(false);
        let (sent, reloads) = thread::scope(|scope| {
            let loading = scope.spawn(|| load_until(&scene, &done));
            let reloads = reload(&oopsd);
            done.store(true, Ordering::Relaxed);
            (loading.join().expect("no panic"), reloads)
        });
        reloads?;
        let Some(sent) = sent? else { continue };
        scene.agree(&mut oopsd, sent, &before)?;
        return Ok(());
    }
    bail!("some were lost in each run");
}

/// Reloads again and again, with the zones in another order each time.
fn reload(oopsd: &Oopsd) -> Result<()> {
    let other = CONFIG.replace("\"nl.\", ", "").replace("\"]", "\", \"nl.\"]");
    for turn in 1..=RELOADS {
        oopsd.configure(if turn % 2 == 0 { CONFIG } else { &other })?;
        oopsd.kill(libc::SIGHUP);
        until("a reload", SOON, || (oopsd.stderr().matches("configuration reloaded").count() >= turn).then_some(()))
            .with_context(|| format!("reload {turn}: {}", oopsd.stderr()))?;
    }
    Ok(())
}
