//! What a broker keeps of a node: whether its monitor is there, and how each condition is.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use tempfile::TempDir;
use tests::daemon::{BUSY, Oopsd, Orders, SOON};
use tests::lab::{ready, until};
use tests::mosquitto::Place;
use tests::site::Site;

#[test]
fn both_edges_are_heard_and_how_things_are_can_be_read() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let _broker = lab.place.start()?;
    let listener = lab.place.listen("counter", &["oopsd/v1/+/signal"])?;
    let mut oopsd = lab.oopsd("1s")?;
    let here = lab.place.becomes(&lab.status(), "status", "here")?;
    ensure!(here["node"] == lab.node && here["version"] != Value::Null, "{here}");
    let calm = lab.place.becomes(&lab.state("busy"), "state", "cleared")?;
    ensure!(calm["type"] == "state" && calm["condition"] == "busy" && calm["scope"]["node"] == true, "{calm}");
    lab.place.becomes(&lab.state("blind"), "state", "cleared")?;
    let load = lab.site.queries(2_000)?;
    let met = lab.place.becomes(&lab.state("busy"), "state", "met").with_context(|| oopsd.stderr())?;
    drop(load);
    let cleared = lab.place.becomes(&lab.state("busy"), "state", "cleared")?;
    let heard = listener.hears("two signals", |heard| (heard.len() == 2).then(|| heard.to_vec()))?;
    for ((heard, kept), logged) in heard.iter().zip([met, cleared]).zip(oopsd.signals()) {
        println!("{} {}", heard.topic, heard.payload);
        ensure!(heard.topic == format!("oopsd/v1/{}/signal", lab.node) && !heard.retained, "{heard:?}");
        ensure!(heard.payload == kept && kept["id"] == logged["id"] && kept["at"] == logged["at"], "{kept} {logged}");
    }
    oopsd.shows("oopsd_signals_total{channel=\"mqtt\",outcome=\"sent\"}", 2)?;
    let (status, took) = oopsd.stop()?;
    ensure!(status.success(), "{status}: {}", oopsd.stderr());
    println!("stopped in {took:?}");
    lab.place.becomes(&lab.status(), "status", "stopped")?;
    Ok(())
}

#[test]
fn a_monitor_that_was_killed_is_said_to_be_gone_and_one_that_comes_back_in_time_is_not() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let _broker = lab.place.start()?;
    let listener = lab.place.listen("counter", &["oopsd/v1/+/status"])?;
    let mut oopsd = lab.oopsd("1s")?;
    lab.place.becomes(&lab.status(), "status", "here")?;
    oopsd.end_by_kill();
    lab.place.becomes(&lab.status(), "status", "gone")?;
    oopsd.restart()?;
    lab.place.becomes(&lab.status(), "status", "here")?;
    // It changes its mind about how long that takes at the next connection.
    oopsd.configure(&Lab::config("1m"))?;
    oopsd.restart()?;
    oopsd.restart()?;
    let said = |heard: &[tests::mosquitto::Heard]| -> Vec<String> {
        heard.iter().map(|heard| heard.payload["status"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let boots = |heard: &[tests::mosquitto::Heard]| {
        let here = heard.iter().filter(|heard| heard.payload["status"] == "here");
        here.map(|heard| heard.payload["boot"].to_string()).collect::<std::collections::BTreeSet<_>>().len()
    };
    let heard = listener.hears("four starts", |heard| (boots(heard) == 4).then(|| said(heard)))?;
    println!("{heard:?}");
    ensure!(heard[..3] == ["here", "gone", "here"] && heard.last().is_some_and(|last| last == "here"), "{heard:?}");
    ensure!(heard.iter().rev().take(2).all(|last| last == "here"), "nobody was gone for a minute: {heard:?}");
    Ok(())
}

#[test]
fn a_broker_that_has_forgotten_everything_is_told_again() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut broker = lab.place.start()?;
    let oopsd = lab.oopsd("1s")?;
    let load = lab.site.queries(2_000)?;
    lab.place.becomes(&lab.state("busy"), "state", "met").with_context(|| oopsd.stderr())?;
    broker.end(libc::SIGKILL)?;
    drop(load);
    oopsd.signal(2)?;
    let _broker = lab.place.start()?;
    let listener = lab.place.listen("counter", &["oopsd/v1/+/signal"])?;
    lab.place.becomes(&lab.status(), "status", "here").with_context(|| oopsd.stderr())?;
    lab.place.becomes(&lab.state("busy"), "state", "cleared")?;
    lab.place.becomes(&lab.state("blind"), "state", "cleared")?;
    oopsd.shows("oopsd_signals_total{channel=\"mqtt\",outcome=\"sent\"}", 2)?;
    // It goes on as before.
    let _load = lab.site.queries(2_000)?;
    let met = |heard: &[tests::mosquitto::Heard]| heard.iter().any(|heard| heard.payload["seq"] == 3).then_some(());
    listener.hears("a signal", met).with_context(|| oopsd.stderr())?;
    lab.place.becomes(&lab.state("busy"), "state", "met")?;
    Ok(())
}

#[test]
fn a_reload_stays_connected_and_takes_away_what_is_no_longer_judged() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let broker = lab.place.start()?;
    let oopsd = lab.oopsd("1s")?;
    lab.place.becomes(&lab.state("busy"), "state", "cleared")?;
    let connected = || broker.said().matches("as oopsd-").count();
    let before = connected();
    oopsd.configure(&Lab::config("1s").replace("\"busy\"", "\"rush\""))?;
    oopsd.kill(libc::SIGHUP);
    lab.place.becomes(&lab.state("rush"), "state", "cleared").with_context(|| oopsd.stderr())?;
    until("nothing is kept", SOON, || lab.place.kept(&lab.state("busy")).ok()?.is_none().then_some(()))?;
    ensure!(connected() == before, "{}", broker.said());
    // With another will it has to connect again, and is not said to be stopped in the end.
    oopsd.configure(&Lab::config("2s"))?;
    oopsd.kill(libc::SIGHUP);
    until("another connection", SOON, || (connected() > before).then_some(())).with_context(|| oopsd.stderr())?;
    lab.place.becomes(&lab.status(), "status", "here")?;
    lab.place.becomes(&lab.state("busy"), "state", "cleared")?;
    Ok(())
}

#[test]
fn a_monitor_that_starts_before_its_broker_and_hangs_is_said_to_be_gone() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let oopsd = lab.oopsd("0s")?;
    let load = lab.site.queries(2_000)?;
    oopsd.signal(1)?;
    let _broker = lab.place.start()?;
    lab.place.becomes(&lab.state("busy"), "state", "met").with_context(|| oopsd.stderr())?;
    drop(load);
    // Its keep-alive is 1 s: the broker waits for one and a half.
    oopsd.kill(libc::SIGSTOP);
    lab.place.becomes(&lab.status(), "status", "gone")?;
    oopsd.kill(libc::SIGCONT);
    lab.place.becomes(&lab.status(), "status", "here")?;
    lab.place.becomes(&lab.state("busy"), "state", "cleared").with_context(|| oopsd.stderr())?;
    Ok(())
}

struct Lab {
    _folder: TempDir,
    site: Site,
    place: Place,
    node: String,
}

impl Lab {
    fn new() -> Result<Option<Self>> {
        if !ready(&["ip", "mosquitto", "mosquitto_sub"]) {
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let Some(site) = Site::new()? else { return Ok(None) };
        let place = Place::new(&site.host, folder.path(), "allow_anonymous true")?;
        let node = fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned();
        Ok(Some(Self { _folder: folder, site, place, node }))
    }

    /// Judges, and tells the broker, whether or not that is there; the broker waits for so long before it says that it is gone.
    fn oopsd(&self, will_delay: &str) -> Result<Oopsd> {
        let config = &Self::config(will_delay);
        let mut oopsd = Oopsd::start(&self.site.host, &Orders { config, ..Orders::default() })?;
        oopsd.ready()?;
        Ok(oopsd)
    }

    fn config(will_delay: &str) -> String {
        format!(
            "{BUSY}[[channel]]\ntype = \"mqtt\"\nbroker = \"mqtt://127.0.0.1\"\nkeep-alive = \"1s\"\n\
             will-delay = \"{will_delay}\"\ntimeout = \"2s\"\n"
        )
    }

    fn status(&self) -> String {
        format!("oopsd/v1/{}/status", self.node)
    }

    fn state(&self, condition: &str) -> String {
        format!("oopsd/v1/{}/condition/{condition}/state", self.node)
    }
}
