//! Signals on D-Bus: heard and read by busctl, whenever the bus comes and goes.

use anyhow::{Context, Result, ensure};
use tests::daemon::{BUSY, Oopsd, Orders, SOON};
use tests::lab::{program, ready, run, until};
use tests::message_bus::{Listener, Place};
use tests::site::Site;

const SIGNALS: &str = "org.oopsd.signals1";

#[test]
fn both_edges_are_heard_and_what_is_met_can_be_read() -> Result<()> {
    let Some(lab) = Lab::new(true)? else { return Ok(()) };
    let bus = lab.place.start()?;
    let (site, oopsd) = lab.watched()?;
    lab.place.becomes("node", &format!("s \"{}\"", node()?))?;
    lab.place.becomes("conditions_met", "a(sss) 0")?;
    let listener = lab.place.listen()?;
    let load = site.queries(2_000)?;
    lab.place.becomes("conditions_met", &busy()?).with_context(|| oopsd.stderr())?;
    drop(load);
    lab.place.becomes("conditions_met", "a(sss) 0")?;
    let heard = until("two signals", SOON, || Some(listener.heard(SIGNALS)).filter(|heard| heard.len() == 2))?;
    let logged = oopsd.signals();
    for ((name, payload), (logged, expected)) in
        heard.iter().zip(logged.iter().zip(["condition_met", "condition_cleared"]))
    {
        ensure!(name == expected && payload["type"] == "ssssddssa{sv}", "{heard:?}");
        let said = &payload["data"];
        ensure!(
            said[0] == logged["condition"] && said[1] == logged["kind"] && said[2] == "node",
            "{said} is not {logged}"
        );
        ensure!(said[5] == logged["threshold"] && said[6] == logged["at"], "{said} is not {logged}");
    }
    ensure!(heard[0].1["data"][7] != heard[1].1["data"][7], "ids differ: {heard:?}");
    let changed = changes(&listener);
    ensure!(changed == 2, "{changed} changes of a property");
    let shown = lab.place.ask(&["introspect", "org.oopsd", "/org/oopsd", SIGNALS])?;
    println!("{shown}");
    ensure!(shown.contains(".condition_met") && shown.contains("ssssddssa{sv}"), "{shown}");
    drop(bus);
    Ok(())
}

#[test]
fn a_bus_that_comes_late_and_one_that_comes_back_are_told_what_they_missed() -> Result<()> {
    let Some(lab) = Lab::new(true)? else { return Ok(()) };
    let (site, oopsd) = lab.watched()?;
    let load = site.queries(2_000)?;
    oopsd.signal(1)?;
    let mut bus = lab.place.start()?;
    lab.place.becomes("conditions_met", &busy()?).with_context(|| oopsd.stderr())?;
    oopsd.shows("oopsd_signals_total{channel=\"dbus\",outcome=\"sent\"}", 1)?;
    bus.end(libc::SIGKILL)?;
    drop(load);
    oopsd.signal(2)?;
    let _bus = lab.place.start()?;
    let listener = lab.place.listen()?;
    oopsd.shows("oopsd_signals_total{channel=\"dbus\",outcome=\"sent\"}", 2)?;
    lab.place.becomes("conditions_met", "a(sss) 0")?;
    // It goes on as before.
    let load = site.queries(2_000)?;
    let heard =
        until("a signal", SOON, || listener.heard(SIGNALS).into_iter().find(|(name, _)| name == "condition_met"));
    ensure!(heard.with_context(|| oopsd.stderr())?.1["data"][0] == "busy", "{}", oopsd.stderr());
    drop(load);
    Ok(())
}

#[test]
fn a_reload_stays_on_the_bus() -> Result<()> {
    let Some(lab) = Lab::new(true)? else { return Ok(()) };
    let _bus = lab.place.start()?;
    let (site, oopsd) = lab.watched()?;
    let _load = site.queries(2_000)?;
    lab.place.becomes("conditions_met", &busy()?)?;
    let owner = || {
        lab.place.ask(&["call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetNameOwner", "s", "org.oopsd"])
    };
    let before = owner()?;
    oopsd.kill(libc::SIGHUP);
    until("a reload", SOON, || oopsd.stderr().contains("reloaded").then_some(())).with_context(|| oopsd.stderr())?;
    ensure!(owner()? == before, "another connection: {}", oopsd.stderr());
    lab.place.becomes("conditions_met", &busy()?)
}

#[test]
fn a_channel_is_tried_on_the_bus_while_the_daemon_has_its_name_and_without_it() -> Result<()> {
    let Some(lab) = Lab::new(true)? else { return Ok(()) };
    let _bus = lab.place.start()?;
    let (site, mut oopsd) = lab.watched()?;
    lab.place.becomes("conditions_met", "a(sss) 0")?;
    let listener = lab.place.listen()?;
    let file = oopsd.path("oopsd.toml");
    let test = || -> Result<String> {
        let mut command = site.host.command(program("oopsd")?.to_str().context("UTF-8")?);
        run(command.args(["channel", "test", "dbus", "-c"]).arg(&file))
    };
    let said = test()?;
    ensure!(said.starts_with("dbus: accepted after "), "{said}");
    lab.place.becomes("conditions_met", "a(sss) 0")?;
    oopsd.end_by_kill();
    let said = test()?;
    ensure!(said.starts_with("dbus: accepted after "), "{said}");
    let heard = until("two signals", SOON, || Some(listener.heard(SIGNALS)).filter(|heard| heard.len() == 2))?;
    ensure!(heard.iter().all(|(name, said)| name == "condition_met" && said["data"][0] == "test"), "{heard:?}");
    Ok(())
}

#[test]
fn a_bus_that_does_not_let_it_have_its_name_is_said_with_the_file_that_is_missing() -> Result<()> {
    let Some(lab) = Lab::new(false)? else { return Ok(()) };
    let _bus = lab.place.start()?;
    let (_site, oopsd) = lab.watched()?;
    let said = until("a refusal", SOON, || Some(oopsd.stderr()).filter(|said| said.contains("not on the bus")))?;
    println!("{said}");
    ensure!(said.contains("put org.oopsd.conf into /usr/share/dbus-1/system.d"), "{said}");
    Ok(())
}

struct Lab {
    _folder: tempfile::TempDir,
    place: Place,
}

impl Lab {
    fn new(with_policy: bool) -> Result<Option<Self>> {
        if !ready(&["ip", "dbus-daemon", "busctl"]) {
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let place = Place::new(folder.path(), with_policy);
        Ok(Some(Self { _folder: folder, place }))
    }

    /// oopsd with a channel to the bus, whether or not that is there.
    fn watched(&self) -> Result<(Site, Oopsd)> {
        let address = self.place.address();
        let config = &format!("{BUSY}[[channel]]\ntype = \"dbus\"\naddress = \"{address}\"\n");
        let site = Site::watched_by(&Orders { config, ..Orders::default() })?;
        site.context("root was there before")
    }
}

/// How often it was said that a property changed.
fn changes(listener: &Listener) -> usize {
    let all = listener.heard("org.freedesktop.DBus.Properties");
    all.iter().filter(|(name, payload)| name == "PropertiesChanged" && payload["data"][0] == SIGNALS).count()
}

/// What is met, as busctl prints it.
fn busy() -> Result<String> {
    Ok(format!("a(sss) 1 \"busy\" \"node\" \"{}\"", node()?))
}

fn node() -> Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned())
}
