//! Syslog to rsyslog, which says what it took apart of each message.

use super::receivers::{Account, Arrival};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::time::Duration;
use tests::channels::Home;
use tests::lab::{Namespace, oopsd, program, ready, run, until};
use tests::servers::Program;

const SOON: Duration = Duration::from_secs(30);

#[test]
fn rsyslog_takes_every_field_apart_whichever_way_it_came() -> Result<()> {
    let Some(lab) = Lab::new("gtls", &[UDP, TCP, TLS, LOCAL].concat())? else { return Ok(()) };
    let _server = lab.start()?;
    let mut channels = lab.channels()?;
    channels.send(1, 3)?;
    let got = lab.got(4 * 3)?;
    for (procid, from) in [("remote", 0), ("local", 9)] {
        println!("{procid}: {}", got[from]);
    }
    for (name, format) in [("udp", "rfc5424"), ("tcp", "cef"), ("tls", "rfc5424"), ("local", "rfc5424")] {
        let of_this: Vec<&Value> = got.iter().filter(|message| message["from"] == name).collect();
        ensure!(of_this.len() == 3, "{name}: {got:?}");
        for (number, message) in (1..).zip(of_this) {
            check(message, name, format, number).with_context(|| format!("{name}: {message}"))?;
        }
    }
    Ok(())
}

/// Fields of one message against what was sent.
fn check(message: &Value, name: &str, format: &str, number: u64) -> Result<()> {
    let text = |key: &str| message[key].as_str().unwrap_or_default();
    // local3 (19) and what is configured, or daemon and warning.
    let priority = if name == "tcp" { "153" } else { "28" };
    ensure!(text("pri") == priority && text("app-name") == "oopsd", "priority");
    ensure!(text("procid").parse::<u32>().is_ok(), "process");
    let said = format!("{number} met: query-rate 120345 against 100000 of zone nl.");
    let fields = format!(
        " seq=\"{number}\" condition=\"{number}\" state=\"met\" scope=\"zone\" name=\"nl.\" value=\"120345\" \
         threshold=\"100000\" window=\"1\"]"
    );
    if name == "local" {
        let rest = text("msg").trim_start().strip_prefix(&said).context("text")?;
        ensure!(rest.starts_with(" [oopsd@32473 id=\"") && rest.ends_with(&fields), "data");
        return Ok(());
    }
    ensure!(text("hostname") == "killed" && text("msgid") == "query-rate", "head");
    ensure!(text("timestamp").len() == "2026-01-01T00:00:03.200000+00:00".len().min(text("timestamp").len()), "time");
    ensure!(jiff_of(text("timestamp")), "time");
    if format == "cef" {
        ensure!(text("structured-data") == "-", "data");
        let cef = text("msg").trim_start();
        ensure!(cef.starts_with("CEF:0|oopsd|oopsd|") && cef.contains(&format!("|query-rate|{number} met|9|externalId=")), "{cef}");
        ensure!(cef.ends_with(" cs3Label=zone cs3=nl. cfp1Label=value cfp1=120345 cfp2Label=threshold cfp2=100000 cfp3Label=window cfp3=1"), "{cef}");
    } else {
        ensure!(text("structured-data").ends_with(&fields) && text("msg").trim_start() == said, "data");
    }
    Ok(())
}
