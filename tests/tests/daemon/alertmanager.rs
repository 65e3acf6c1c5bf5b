//! A real Alertmanager: told what is met, told again, told the end, and told anew when it has forgotten.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tests::daemon::{BUSY, Orders};
use tests::lab::{Namespace, Running, SOON, ready, until};
use tests::site::Site;

const ADDRESS: &str = "127.0.0.1:9093";
/// Where it sends its notices.
const PAGER: &str = "127.0.0.1:8055";
const CHANNEL: &str = r#"
[[channel]]
type = "webhook"
name = "alertmanager"
url = "http://127.0.0.1:9093/api/v2/alerts"
payload = "alertmanager"
severity = "critical"
repeat = "1s"
generator-url = "https://graphs.example.net/d/dns"
"#;

/// What it is not told again is over after a second.
const CONFIG: &str = r#"
global: { resolve_timeout: 1s }
route: { receiver: pager, group_wait: 0s, group_interval: 1s, repeat_interval: 1h }
receivers: [{ name: pager, webhook_configs: [{ url: "http://127.0.0.1:8055/", send_resolved: true }] }]
"#;

#[test]
fn a_condition_fires_while_it_is_met_through_a_restart_and_is_resolved_when_cleared() -> Result<()> {
    if !ready(&["prometheus-alertmanager"]) {
        return Ok(());
    }
    let config = &format!("{BUSY}{CHANNEL}");
    let Some((site, oopsd)) = Site::watched_by(&Orders { config, ..Orders::default() })? else { return Ok(()) };
    let notices = pager(&site.host)?;
    let folder = tempfile::tempdir()?;
    let mut alertmanager = start(&site.host, folder.path(), "first")?;
    let load = site.queries(2_000)?;
    let met = oopsd.signal(1)?;

    let firing = || the_one(&site.host).ok();
    let first = until("an alert", SOON, firing).with_context(|| said(folder.path(), &oopsd.stderr()))?;
    let labels = json!({
        "alertname": "busy", "condition": "busy", "kind": "query-rate", "node": met["node"], "severity": "critical",
    });
    ensure!(first["labels"] == labels && first["startsAt"] == met["at"], "{first}");
    ensure!(first["generatorURL"] == "https://graphs.example.net/d/dns", "{first}");
    ensure!(first["annotations"]["summary"].as_str().is_some_and(|text| text.starts_with("busy met: ")), "{first}");

    // It goes on past what the first word was good for, which was four repeats.
    let first_end = first["endsAt"].as_str().context("no end")?.to_owned();
    let later = until("it firing past its first end", SOON, || {
        firing().filter(|alert| alert["updatedAt"].as_str() > Some(first_end.as_str()))
    })?;
    ensure!(later["status"]["state"] == "active" && later["startsAt"] == met["at"], "{later}");

    // Another one in its place has heard of nothing.
    alertmanager.kill();
    let _alertmanager = start(&site.host, folder.path(), "second")?;
    let again = until("the other one to be told", SOON, firing)?;
    ensure!(again["labels"] == labels && again["startsAt"] == met["at"], "{again}");

    drop(load);
    oopsd.signal(2)?;
    until("it resolved", SOON, || (alerts(&site.host).ok()? == json!([])).then_some(()))?;
    let is_resolved = |notice: &Value| notice["status"] == "resolved" && notice["alerts"][0]["labels"] == labels;
    until("a notice of that", SOON, || {
        notices.lock().unwrap_or_else(PoisonError::into_inner).iter().any(is_resolved).then_some(())
    })
    .with_context(|| format!("{notices:?}"))?;
    oopsd.shows("oopsd_signals_total{channel=\"alertmanager\",outcome=\"sent\"}", 2)
}

fn start(namespace: &Namespace, folder: &Path, name: &str) -> Result<Running> {
    let config = folder.join("alertmanager.yml");
    fs::write(&config, CONFIG)?;
    let log = File::create(folder.join(format!("{name}.log")))?;
    let running = Running::start(
        namespace
            .command("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.join(name).display()))
            .arg(format!("--web.listen-address={ADDRESS}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(log),
    )?;
    until("Alertmanager", SOON, || alerts(namespace).ok())?;
    Ok(running)
}

/// The alerts that it has, as its API says.
fn alerts(namespace: &Namespace) -> Result<Value> {
    namespace.inside(|| {
        let mut stream = TcpStream::connect(ADDRESS)?;
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(b"GET /api/v2/alerts HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
        Ok(serde_json::from_str(answer.split_once("\r\n\r\n").context("no body")?.1)?)
    })
}

fn the_one(namespace: &Namespace) -> Result<Value> {
    let alerts = alerts(namespace)?;
    let [alert] = alerts.as_array().context("no list")?.as_slice() else { anyhow::bail!("{alerts}") };
    Ok(alert.clone())
}

/// Takes what Alertmanager sends to people.
fn pager(namespace: &Namespace) -> Result<Arc<Mutex<Vec<Value>>>> {
    let listener = namespace.inside(|| Ok(TcpListener::bind(PAGER)?))?;
    let notices: Arc<Mutex<Vec<Value>>> = Arc::default();
    let keep = Arc::clone(&notices);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Ok(notice) = notice(stream) {
                keep.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
            }
        }
    });
    Ok(notices)
}

fn notice(mut stream: TcpStream) -> Result<Value> {
    let mut got = Vec::new();
    let mut buffer = [0; 16_384];
    loop {
        let length = stream.read(&mut buffer)?;
        ensure!(length > 0, "it hung up");
        got.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&got);
        if let Some(notice) = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok()) {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
            return Ok(notice);
        }
    }
}

fn said(folder: &Path, oopsd: &str) -> String {
    format!("{}\n{oopsd}", fs::read_to_string(folder.join("first.log")).unwrap_or_default())
}
