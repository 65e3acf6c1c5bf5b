//! Responses of many kilobytes over TCP. The kernel sends each as one frame longer than a page, or as a few such; most of it
//! lies where a program must ask for it.

use crate::scene::{SERVED, Scene, start};
use anyhow::{Result, ensure};
use tests::daemon::Oopsd;
use tests::lab::run;

const ASKED: u64 = 20;

/// Of about 4.8 kB, in one frame.
const WHOLE: usize = 18;

/// Of about 10.7 kB, which goes on in a second frame.
const SPLIT: usize = 40;

#[test]
fn large_responses_are_walked_to_their_end_on_xdp() -> Result<()> {
    large("xdp", "xdp", WHOLE)
}

#[test]
fn large_responses_are_walked_to_their_end_on_clsact() -> Result<()> {
    large("clsact", "clsact", WHOLE)
}

#[test]
fn responses_that_go_on_in_another_frame_count_once_and_what_is_not_read_of_them_is_said() -> Result<()> {
    large("tc", "tcx", SPLIT)
}

fn large(capture: &str, rung: &str, records: usize) -> Result<()> {
    let Some(scene) = Scene::new()? else { return Ok(()) };
    let zone = SERVED[0];
    scene.knot.add_texts(zone, "large", records)?;
    let Some(mut oopsd) = start(&scene, capture, rung)? else { return Ok(()) };
    let before = scene.knot.statistics()?;
    for (address, family) in [("192.0.2.1", "ipv4"), ("2001:db8::1", "ipv6")] {
        for _ in 0..ASKED {
            let said =
                run(scene.site.client.command("kdig").args(["+tcp", &format!("@{address}"), "large.nl", "TXT"]))?;
            ensure!(said.matches("\tTXT\t").count() >= records, "{said}");
        }
        let sent = format!("{{direction=\"sent\",qr=\"response\",transport=\"tcp\",family=\"{family}\"}}");
        oopsd.shows(&format!("oopsd_messages_total{sent}"), ASKED)?;
    }
    let answered = scene.knot.statistics()?.since(&before);
    ensure!(answered.get("response-code", "NOERROR") == 2 * ASKED, "{answered:?}");
    oopsd.shows(&format!("oopsd_responses_total{{zone=\"{zone}\",rcode=\"NOERROR\"}}"), 2 * ASKED)?;
    for reason in ["truncated", "malformed"] {
        oopsd.shows(&format!("oopsd_skipped_total{{reason=\"{reason}\"}}"), 0)?;
    }
    let [unwalked, rest] = unread(&oopsd)?;
    if records == WHOLE {
        ensure!([unwalked, rest] == [0, 0], "{unwalked} not walked, {rest} middles");
    } else {
        ensure!(unwalked <= 2 * ASKED && unwalked <= rest, "{unwalked} not walked, {rest} middles");
    }
    oopsd.stop().map(drop)
}

/// Responses that were not walked to their end, and frames that begin in the middle of one.
fn unread(oopsd: &Oopsd) -> Result<[u64; 2]> {
    let metrics = oopsd.metrics()?;
    let series = metrics.series();
    let number = |name: &str| series.get(name).and_then(|value| value.parse().ok()).unwrap_or(u64::MAX);
    Ok([number("oopsd_unwalked_responses_total"), number("oopsd_skipped_total{reason=\"segment\"}")])
}
