//! Killed and started again at full speed, with its programs pinned: what comes meanwhile is counted too.

use crate::scene::{Scene, load_until, start_with};
use anyhow::{Context as _, Result, bail};
use core::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tests::bpffs::Bpffs;
use tests::daemon::{Oopsd, SOON};
use tests::lab::until;

const KILLS: usize = 5;

#[test]
fn kills_lose_no_count_on_xdp() -> Result<()> {
    nothing_is_lost("xdp", "xdp")
}

#[test]
fn kills_lose_no_count_on_tcx() -> Result<()> {
    nothing_is_lost("tc", "tcx")
}

fn nothing_is_lost(capture: &str, rung: &str) -> Result<()> {
    let Some(scene) = Scene::new()? else { return Ok(()) };
    for _ in 0..4 {
        let bpffs = Bpffs::new()?;
        let before = scene.before()?;
        let Some(mut oopsd) = start_with(&scene, capture, rung, &bpffs.capture(true))? else { return Ok(()) };
        let done = AtomicBool::new(false);
        let (sent, kills) = thread::scope(|scope| {
            let loading = scope.spawn(|| load_until(&scene, &done));
            let kills = kill(&scene, &mut oopsd);
            done.store(true, Ordering::Relaxed);
            (loading.join().expect("no panic"), kills)
        });
        kills?;
        let Some(sent) = sent? else { continue };
        scene.agree(&mut oopsd, sent, &before)?;
        return Ok(());
    }
    bail!("some were lost in each run");
}

fn kill(scene: &Scene, oopsd: &mut Oopsd) -> Result<()> {
    let asked = || Some(scene.knot.statistics().ok()?.sum("request-protocol"));
    for _ in 0..KILLS {
        oopsd.end_by_kill();
        let before = asked().context("knotd's counts")?;
        // Nobody looks at these.
        until("queries", SOON, || (asked()? >= before + 2_000).then_some(()))?;
        oopsd.restart()?;
    }
    Ok(())
}
