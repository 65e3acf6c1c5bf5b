//! Totals equal what was sent and answered, exactly.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::daemon::{Oopsd, Orders, SOON};
use tests::lab::until;
use tests::message::query;
use tests::site::{SERVICE, Site};
use tests::traffic::Load;

const ZONES: &str = r#"
[zones]
names = ["nl.", "example.org."]
"#;

#[test]
fn totals_are_exactly_what_was_sent_and_answered() -> Result<()> {
    let Some((site, mut oopsd)) = watched(&["--json"])? else { return Ok(()) };
    let servers = [site.server(SERVICE[0], &["nl."])?, site.server(SERVICE[1], &["nl."])?];
    let mut sent = [[0; 3]; 2];
    {
        let load = |to: &str, name: &'static str| site.load(to, 300, move || query(name));
        let names = ["www.eXample.NL.", "example.org.", "x.test."];
        let loads = SERVICE.map(|to| names.map(|name| load(to, name)));
        until("a thousand queries", SOON, || {
            let sum: u64 = loads.as_flattened().iter().flatten().map(Load::sent).sum();
            (sum > 1_000).then_some(())
        })?;
        for (sent, loads) in sent.iter_mut().zip(loads) {
            for (sent, load) in sent.iter_mut().zip(loads) {
                *sent = load?.stop()?;
            }
        }
    }
    let mut answered = [[0; 2]; 2];
    for (answered, server) in answered.iter_mut().zip(servers) {
        *answered = server.stop()?;
    }
    site.is_lossless()?;

    let of_name = |name: usize| sent[0][name] + sent[1][name];
    let own = answered[0][0] + answered[1][0];
    let refused = answered[0][1] + answered[1][1];
    for (prefix, family) in [("192.0.2.0/24", 0), ("2001:db8::/48", 1)] {
        let (sent, answered): (u64, [u64; 2]) = (sent[family].iter().sum(), answered[family]);
        oopsd.shows(&format!("oopsd_prefix_queries_total{{prefix=\"{prefix}\"}}"), sent)?;
        let code = format!("oopsd_prefix_ede_responses_total{{prefix=\"{prefix}\",info_code=\"20\"}}");
        oopsd.shows(&code, answered[1])?;
        let version = ["ipv4", "ipv6"][family];
        let message = |direction, qr| {
            format!(
                "oopsd_messages_total{{direction=\"{direction}\",qr=\"{qr}\",transport=\"udp\",family=\"{version}\"}}"
            )
        };
        oopsd.shows(&message("received", "query"), sent)?;
        oopsd.shows(&message("sent", "response"), answered.iter().sum())?;
    }
    for (zone, name) in [("nl.", 0), ("example.org.", 1), ("other", 2)] {
        oopsd.shows(&format!("oopsd_queries_total{{zone=\"{zone}\"}}"), of_name(name))?;
    }
    oopsd.shows("oopsd_responses_total{zone=\"nl.\",rcode=\"NOERROR\"}", own)?;
    let metrics = oopsd.metrics()?;
    ensure!(metrics.sum("oopsd_queries_total") == of_name(0) + of_name(1) + of_name(2), "{}", metrics.0);
    ensure!(metrics.sum("oopsd_responses_total") == own + refused, "{}", metrics.0);
    ensure!(metrics.sum("oopsd_ede_responses_total") == refused, "{}", metrics.0);
    ensure!(metrics.sum("oopsd_capture_dropped_total") == 0, "{}", metrics.0);

    let (status, _) = oopsd.stop()?;
    ensure!(status.success(), "{status}: {}", oopsd.stderr());
    let rows = oopsd.rows();
    let summary = rows.last().expect("a summary");
    ensure!(summary["type"] == "summary", "{summary}");
    ensure!(summary["total"]["queries"] == of_name(0) + of_name(1) + of_name(2), "{summary}");
    ensure!(summary["total"]["ede"]["20"] == refused, "{summary}");
    ensure!(summary["zones"]["nl."]["queries"] == of_name(0), "{summary}");
    ensure!(
        summary["zones"]["example.org."]["responses"] == summary["zones"]["example.org."]["ede"]["20"],
        "{summary}"
    );
    Ok(())
}

#[test]
fn what_the_host_asks_itself_is_apart_from_what_it_is_asked() -> Result<()> {
    let Some((site, oopsd)) = Site::watched(ZONES)? else { return Ok(()) };
    let upstream = site.client.inside(|| Ok(std::net::UdpSocket::bind("203.0.113.2:53")?))?;
    upstream.set_read_timeout(Some(SOON))?;
    let own = site.host.inside(|| Ok(std::net::UdpSocket::bind("203.0.113.1:0")?))?;
    own.set_read_timeout(Some(SOON))?;
    let mut buffer = [0; 512];
    for _ in 0..10 {
        own.send_to(&query("www.nl."), "203.0.113.2:53")?;
        let (length, from) = upstream.recv_from(&mut buffer)?;
        upstream.send_to(&tests::message::response(&buffer[..length], 0, None), from)?;
        own.recv_from(&mut buffer)?;
    }
    let message = |direction, qr| {
        format!("oopsd_messages_total{{direction=\"{direction}\",qr=\"{qr}\",transport=\"udp\",family=\"ipv4\"}}")
    };
    oopsd.shows(&message("sent", "query"), 10)?;
    oopsd.shows(&message("received", "response"), 10)?;
    oopsd.shows(&message("received", "query"), 0)?;
    let metrics = oopsd.metrics()?;
    ensure!(metrics.sum("oopsd_queries_total") == 0 && metrics.sum("oopsd_responses_total") == 0, "{}", metrics.0);
    Ok(())
}

#[test]
fn on_the_loopback_interface_a_message_counts_once() -> Result<()> {
    let Some((site, oopsd)) = watched(&["-i", "lo", "-i", "eth0"])? else { return Ok(()) };
    let server = site.server(SERVICE[0], &["nl."])?;
    let local = site.host.inside(|| Ok(std::net::UdpSocket::bind("0.0.0.0:0")?))?;
    let local = Load::start(local, SERVICE[0].parse()?, 500, || query("www.nl."));
    let remote = site.queries(500)?;
    local.more(200)?;
    remote.more(200)?;
    let sent = local.stop()? + remote.stop()?;
    site.is_lossless()?;
    oopsd.shows("oopsd_queries_total{zone=\"nl.\"}", sent)?;
    oopsd.shows("oopsd_responses_total{zone=\"nl.\",rcode=\"NOERROR\"}", server.stop()?[0])
}

#[test]
fn an_interval_is_as_long_as_it_was_asked_for() -> Result<()> {
    let Some((site, mut oopsd)) = watched(&["--json", "--interval", "100ms"])? else { return Ok(()) };
    let load = site.queries(500)?;
    let rows = until("twenty rows", SOON, || Some(oopsd.rows()).filter(|rows| rows.len() >= 20))?;
    let seconds: Vec<f64> = rows.iter().filter_map(|row| row["seconds"].as_f64()).collect();
    ensure!(seconds.len() == rows.len() && rows.iter().all(|row| row["type"] == "interval"), "{rows:?}");
    let mut sorted = seconds.clone();
    sorted.sort_by(f64::total_cmp);
    ensure!((0.08..0.15).contains(&sorted[sorted.len() / 2]), "{seconds:?}");
    let sent = load.stop()?;
    let in_rows = || {
        let product = |row: &Value| Some(row["zones"]["nl."]["query_rate"].as_f64()? * row["seconds"].as_f64()?);
        oopsd.rows().iter().filter_map(product).sum::<f64>()
    };
    until("rows that sum to what was sent", SOON, || ((in_rows() - sent as f64).abs() < 1.0).then_some(()))
        .with_context(|| format!("{} in rows, {sent} sent", in_rows()))?;
    oopsd.stop()?;
    let rows = oopsd.rows();
    ensure!(rows.last().expect("a summary")["zones"]["nl."]["queries"] == sent, "{rows:?}");
    Ok(())
}

fn watched(arguments: &[&str]) -> Result<Option<(Site, Oopsd)>> {
    Site::watched_by(&Orders { config: ZONES, arguments, ..Orders::default() })
}
