//! Syslog to rsyslog, which says what it took apart of each message.

use super::receivers::{Account, Arrival};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tests::channels::{Channels, Home};
use tests::lab::{Namespace, SOON, oopsd, program, ready, until};
use tests::syslog_server::{Place, tls};

#[test]
fn rsyslog_takes_every_field_apart_by_whichever_way_it_comes() -> Result<()> {
    for driver in ["gtls", "ossl"] {
        let Some(lab) = Lab::new()? else { return Ok(()) };
        let place = lab.place()?;
        let _server = place.start(driver)?;
        let home = Home::new(&lab.config(&["udp", "tcp", "tls", "local"]), &[])?;
        let mut channels = lab.start(&home)?;
        channels.send(1, 3)?;
        let got = until("all messages", SOON, || Some(place.got()).filter(|got| got.len() >= 12))
            .with_context(|| format!("{:?}\n{}", place.got(), home.stderr()))?;
        for name in ["udp", "tcp", "tls", "local"] {
            let came: Vec<&Value> = got.iter().filter(|message| way(message) == name).collect();
            ensure!(came.len() == 3, "{name}: {got:?}");
            println!("{driver}, {name}: {}", came[0]);
            for (number, message) in (1..).zip(came) {
                check(message, name, number).with_context(|| format!("{name}: {message}"))?;
            }
        }
        drop(channels);
    }
    Ok(())
}

#[test]
fn nothing_is_lost_while_rsyslog_is_killed_over_tcp_and_tls() -> Result<()> {
    const SIGNALS: u64 = 2_000;
    const KILLS: u64 = 6;
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let place = lab.place()?;
    let mut server = place.start("gtls")?;
    let home = Home::new(&lab.config(&["tcp", "tls"]), &[])?;
    let mut channels = lab.start(&home)?;
    for life in 0..KILLS {
        channels.send(life * SIGNALS / KILLS + 1, (life + 1) * SIGNALS / KILLS)?;
        // In the middle of them.
        let before = place.got().len();
        until("some of them", SOON, || (place.got().len() > before + 50).then_some(()))
            .with_context(|| home.stderr())?;
        server.end(libc::SIGKILL)?;
        server = place.start("gtls")?;
    }
    for channel in ["tcp", "tls"] {
        until("nothing waits", Duration::from_secs(60), || {
            (channels.status(channel).ok()?["waiting"] == 0).then_some(())
        })
        .with_context(|| home.stderr())?;
        let arrivals = || -> Vec<Arrival> {
            place.got().iter().filter(|message| way(message) == channel).filter_map(arrival).collect()
        };
        let sent: Vec<u64> = (1..=SIGNALS).collect();
        // What rsyslog took before it was killed comes again when its connection is seen to be gone.
        let _ = until("all of them", SOON, || Account::of(&sent, &arrivals()).lost.is_empty().then_some(()));
        let account = Account::of(&sent, &arrivals());
        println!(
            "{channel}: {KILLS} kills of rsyslog, sent {SIGNALS}, received {}, repeated {}, lost {}, overtaken {}",
            account.received,
            account.repeated,
            account.lost.len(),
            account.overtaken.len()
        );
        ensure!(account.is_clean(), "{channel}: {account:?}\n{}", home.stderr());
    }
    Ok(())
}

#[test]
fn each_way_is_tried_by_hand_and_says_what_is_wrong() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let place = lab.place()?;
    let home = Home::new(&lab.config(&["udp", "tcp", "tls", "local"]), &[])?;
    let test = |home: &Home, name: &str| -> Result<(bool, String)> {
        let mut command = lab.host.command(oopsd()?.to_str().context("a path")?);
        let output = command.args(["channel", "test", name, "-c"]).arg(home.path("oopsd.toml")).output()?;
        Ok((output.status.success(), String::from_utf8([output.stdout, output.stderr].concat())?))
    };
    for (name, why) in [("udp", "refused"), ("tcp", "refused"), ("tls", "refused"), ("local", "No such file")] {
        let (well, said) = test(&home, name)?;
        println!("{}", said.trim());
        ensure!(!well && said.contains(why), "{name}: {said}");
    }
    let _server = place.start("gtls")?;
    for name in ["udp", "tcp", "tls", "local"] {
        let said = until("a yes", SOON, || test(&home, name).ok().filter(|(well, _)| *well))?.1;
        println!("{}", said.trim());
    }
    let got = until("all of them", SOON, || Some(place.got()).filter(|got| got.len() >= 4))?;
    ensure!(got.iter().all(|message| message.to_string().contains("test met")), "{got:?}");
    // Without the certificate that it asks for, and with one that is not of a trusted authority.
    let bare = lab.config(&["tls"]).lines().filter(|line| !line.contains("client.")).collect::<Vec<_>>().join("\n");
    let bare = Home::new(&bare, &[])?;
    let other = TempDir::new()?;
    let _other = Place::new(&lab.host, other.path())?;
    let ca = |folder: &Path| folder.join("ca.pem").display().to_string();
    let stranger = lab.config(&["tls"]).replace(&ca(lab.folder.path()), &ca(other.path()));
    let stranger = Home::new(&stranger, &[])?;
    for (home, why) in [
        (&stranger, "its certificate is not taken"),
        (&bare, "hung up after the handshake: it may not take our certificate"),
    ] {
        let (well, said) = test(home, "tls")?;
        println!("{}", said.trim());
        ensure!(!well && said.contains(why), "{said}");
    }
    Ok(())
}

struct Lab {
    host: Arc<Namespace>,
    folder: TempDir,
}

impl Lab {
    fn new() -> Result<Option<Self>> {
        if !ready(&["ip", "openssl", "rsyslogd"]) {
            return Ok(None);
        }
        Ok(Some(Self { host: Arc::new(Namespace::new("syslog")?), folder: tempfile::tempdir()? }))
    }

    fn place(&self) -> Result<Place> {
        Place::new(&self.host, self.folder.path())
    }

    fn start(&self, home: &Home) -> Result<Channels> {
        home.start_by(&mut self.host.command(program("channels")?.to_str().context("a path")?))
    }

    /// A channel of the name of each way; what comes by TCP is CEF.
    fn config(&self, ways: &[&str]) -> String {
        let here = self.folder.path().display();
        let keys = |way: &str| match way {
            "udp" => String::from("address = \"udp://127.0.0.1\""),
            "tcp" => String::from(
                "address = \"tcp://127.0.0.1\"\nformat = \"cef\"\nfacility = \"local3\"\nseverity-cleared = \"alert\"",
            ),
            "tls" => tls(self.folder.path()),
            _ => format!("address = \"{here}/log\""),
        };
        ways.iter().map(|way| format!("[[channel]]\ntype = \"syslog\"\nname = \"{way}\"\n{}\n", keys(way))).collect()
    }
}

/// By which way a message came.
pub(super) fn way(message: &Value) -> &str {
    match message["from"].as_str() {
        Some(way @ ("udp" | "tcp" | "tls")) => way,
        _ => "local",
    }
}

/// Fields of one message against what was sent.
fn check(message: &Value, way: &str, number: u64) -> Result<()> {
    let text = |key: &str| message[key].as_str().unwrap_or_default();
    // local3 (19) and alert (1), or what is the default for what is over: daemon (3) and notice (5).
    let priority = if way == "tcp" { "153" } else { "29" };
    ensure!(text("pri") == priority && text("app-name") == "oopsd" && text("procid").parse::<u32>().is_ok(), "head");
    let said = format!("{number} cleared: query-rate 120345 against 100000 of zone {number}.nl.");
    let data = format!(
        " seq=\"{number}\" condition=\"{number}\" state=\"cleared\" scope=\"zone\" name=\"{number}.nl.\" value=\"120345\" \
         threshold=\"100000\" window=\"1\"]"
    );
    let is_data = |text: &str| text.starts_with("[oopsd@32473 id=\"") && text.ends_with(&data);
    let message = text("msg").trim_start();
    if way == "local" {
        ensure!(is_data(message.strip_prefix(&format!("{said} ")).context("text")?), "data");
        return Ok(());
    }
    ensure!(text("hostname") == "killed" && text("msgid") == "query-rate", "head");
    ensure!(text("timestamp").len() == 24 && text("timestamp").ends_with('Z'), "time");
    if way == "tcp" {
        let middle = format!("|query-rate|{number} cleared|9|externalId=");
        let end = format!(
            " cs3Label=zone cs3={number}.nl. cfp1Label=value cfp1=120345 cfp2Label=threshold cfp2=100000 cfp3Label=window cfp3=1"
        );
        ensure!(text("structured-data") == "-" && message.starts_with("CEF:0|oopsd|oopsd|"), "CEF");
        ensure!(message.contains(&middle) && message.ends_with(&end), "CEF");
    } else {
        ensure!(message == said && is_data(text("structured-data")), "text and data");
    }
    Ok(())
}

/// What the kills are counted by.
pub(super) fn arrival(message: &Value) -> Option<Arrival> {
    let text = format!("{} {}", message["structured-data"].as_str()?, message["msg"].as_str()?);
    let between = |from: &str, to: char| Some(text.split_once(from)?.1.split(to).next()?.to_owned());
    let id = between("id=\"", '"').or_else(|| between("externalId=", ' '))?;
    let number = between("condition=\"", '"').or_else(|| between("cs1=", ' '))?.parse().ok()?;
    Some(Arrival { number, id, text })
}
