//! Signals over HTTP: signed, delivered when the receiver comes back, in nobody's way.

use anyhow::{Result, ensure};
use std::fs;
use tests::daemon::{BUSY, Oopsd, Orders, SOON};
use tests::lab::until;
use tests::receiver::{Answer, Receiver, SECRET};
use tests::site::Site;

const CHANNEL: &str = r#"
[[channel]]
type = "webhook"
url = "http://127.0.0.1:8053/signals"
secret-file = "webhook.secret"
"#;

#[test]
fn both_edges_are_posted_with_a_signature_and_ids_that_differ() -> Result<()> {
    let Some((site, oopsd)) = watched("", &[])? else { return Ok(()) };
    let receiver = Receiver::start(&site.host, Answer::Status(204))?;
    crossed(&site, &oopsd)?;
    oopsd.shows("oopsd_signals_total{channel=\"webhook\",outcome=\"sent\"}", 2)?;
    let received = receiver.received()?;
    ensure!(received.len() == 2 && received[0].id != received[1].id, "{received:?}");
    for (received, logged) in received.iter().zip(oopsd.signals()) {
        ensure!(received.body["specversion"] == "1.0" && received.body["id"] == *received.id, "{received:?}");
        ensure!(received.body["data"] == logged, "{received:?} is not {logged}");
    }
    Ok(())
}

#[test]
fn a_signal_waits_for_a_receiver_that_is_down_and_keeps_its_id() -> Result<()> {
    let Some((site, oopsd)) = watched("", &[])? else { return Ok(()) };
    crossed(&site, &oopsd)?;
    // Nobody listens at first; then somebody who fails; then one who takes it.
    let receiver = Receiver::start(&site.host, Answer::Status(500))?;
    let first = until("an attempt", SOON, || receiver.received().ok()?.first().cloned())?;
    receiver.answer(Answer::Status(200));
    oopsd.shows("oopsd_signals_total{channel=\"webhook\",outcome=\"sent\"}", 2)?;
    let received = receiver.received()?;
    let [.., accepted, last] = &received[..] else { anyhow::bail!("{received:?}") };
    ensure!(accepted.id == first.id && accepted.body == first.body, "{first:?}, then {accepted:?}");
    ensure!(last.body["data"]["seq"] == 2 && first.body["data"]["seq"] == 1, "{received:?}");
    Ok(())
}

#[test]
fn a_receiver_that_never_answers_delays_neither_the_log_nor_the_end() -> Result<()> {
    let Some((site, mut oopsd)) = watched("timeout = \"60s\"", &[])? else { return Ok(()) };
    let receiver = Receiver::start(&site.host, Answer::Silence)?;
    crossed(&site, &oopsd)?;
    ensure!(receiver.received()?.len() == 1, "the second goes after the first");
    oopsd.shows("oopsd_signals_waiting{channel=\"webhook\"}", 2)?;
    oopsd.stops_in_time()
}

#[test]
fn a_redirect_is_not_followed_and_the_secret_is_said_nowhere() -> Result<()> {
    let Some((site, mut oopsd)) = watched("", &["-vv"])? else { return Ok(()) };
    let receiver = Receiver::start(&site.host, Answer::Status(307))?;
    let elsewhere = site.host.inside(|| Ok(std::net::TcpListener::bind("127.0.0.1:8054")?))?;
    elsewhere.set_nonblocking(true)?;
    crossed(&site, &oopsd)?;
    until("two attempts", SOON, || (receiver.received().ok()?.len() >= 2).then_some(()))?;
    ensure!(elsewhere.accept().is_err(), "the redirect was followed");
    let metrics = oopsd.metrics()?.0;
    oopsd.stop()?;
    let secret = SECRET.trim_start_matches("whsec_");
    let said = [metrics, oopsd.stderr(), oopsd.stdout(), fs::read_to_string(oopsd.path("signals.jsonl"))?];
    ensure!(said.iter().all(|text| !text.contains(secret)), "the secret is in {said:?}");
    Ok(())
}

/// The condition is met and cleared again.
fn crossed(site: &Site, oopsd: &Oopsd) -> Result<()> {
    let load = site.queries(2_000)?;
    oopsd.signal(1)?;
    drop(load);
    oopsd.signal(2).map(|_| ())
}

/// With a webhook of which `more` is said.
fn watched(more: &str, arguments: &[&str]) -> Result<Option<(Site, Oopsd)>> {
    let config = &format!("{BUSY}{CHANNEL}{more}");
    Site::watched_by(&Orders { config, arguments, files: &[("webhook.secret", SECRET)], ..Orders::default() })
}
