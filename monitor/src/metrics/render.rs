//! The families of the node, its conditions and captures; those of zones, prefixes, channels and routes have files of their own.
//!
//! Nothing is counted in two series of one family: zones, prefixes and the node have families of their own.

mod channels;
mod routes;
mod slots;

use super::Snapshot;
use super::text::{Text, Type};
use engine::State;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{Encoder, TextEncoder};
use std::sync::LazyLock;
use wire::count::{Direction, Node, Skip};
use wire::{Family, Transport};

/// The snapshot in the Prometheus text format 0.0.4.
#[must_use]
pub fn render(snapshot: &Snapshot) -> String {
    let mut text = Text::default();
    slots::put(&mut text, snapshot);
    node(&mut text, snapshot);
    conditions(&mut text, snapshot);
    captures(&mut text, snapshot);
    channels::put(&mut text, &snapshot.daemon.channels);
    if let Some(standing) = &snapshot.daemon.outbox {
        channels::put_outbox(&mut text, standing);
    }
    routes::put(&mut text, snapshot);
    daemon(&mut text, snapshot);
    text.into_string()
}

fn node(text: &mut Text, snapshot: &Snapshot) {
    let total = |node: Node| snapshot.node[node.index()];
    let mut family = text.family(
        "oopsd_messages_total",
        Type::Counter,
        "DNS messages with opcode QUERY; queries sent and responses received are a resolver's upstream side.",
    );
    for (direction, direction_label) in [(Direction::Received, "received"), (Direction::Sent, "sent")] {
        for (response, qr) in [(false, "query"), (true, "response")] {
            for (transport, transport_label) in [(Transport::Udp, "udp"), (Transport::Tcp, "tcp")] {
                for (version, version_label) in [(Family::V4, "ipv4"), (Family::V6, "ipv6")] {
                    let labels = [
                        ("direction", direction_label),
                        ("qr", qr),
                        ("transport", transport_label),
                        ("family", version_label),
                    ];
                    family.put(&labels, total(Node::Message { direction, response, transport, family: version }));
                }
            }
        }
    }
    text.family(
        "oopsd_other_opcode_messages_total",
        Type::Counter,
        "DNS messages with another opcode, which count nowhere else.",
    )
    .put(&[], total(Node::OtherOpcode));
    text.family("oopsd_truncated_responses_total", Type::Counter, "Responses sent with TC.")
        .put(&[], total(Node::Truncated));
    text.family(
        "oopsd_unwalked_responses_total",
        Type::Counter,
        "Responses sent whose records could not be read to the end, so that their Extended DNS Errors are not known.",
    )
    .put(&[], total(Node::Unwalked));
    let mut family =
        text.family("oopsd_skipped_total", Type::Counter, "Frames, or messages in them, not read, and why.");
    for skip in Skip::ALL {
        family.put(&[("reason", skip.as_str())], total(Node::Skipped(skip)));
    }
    if let Some(rate) = snapshot.node_rates.queries {
        text.family(
            "oopsd_node_query_rate",
            Type::Gauge,
            "Queries received by the node a second, over the rate window.",
        )
        .put(&[], rate);
    }
    if let Some(slope) = snapshot.node_rates.slope {
        text.family(
            "oopsd_node_query_rate_slope",
            Type::Gauge,
            "Change of the query rate of the node, in queries a second per second.",
        )
        .put(&[], slope);
    }
}

fn conditions(text: &mut Text, snapshot: &Snapshot) {
    text.family("oopsd_blind", Type::Gauge, "Whether conditions are frozen because the capture cannot be trusted.")
        .put(&[], u8::from(snapshot.blind));
    if snapshot.conditions.is_empty() {
        return;
    }
    let mut family = text.family("oopsd_condition_met", Type::Gauge, "Whether a condition is met.");
    for (name, standing) in &snapshot.conditions {
        family.put(&[("condition", name)], u8::from(standing.state == State::Met));
    }
    let mut family = text.family(
        "oopsd_condition_value",
        Type::Gauge,
        "The value that a condition judges, in the unit of its kind.",
    );
    for (name, standing) in &snapshot.conditions {
        if let Some(value) = standing.value {
            family.put(&[("condition", name)], value);
        }
    }
    let mut family =
        text.family("oopsd_transitions_total", Type::Counter, "How often a condition changed into a state.");
    for (name, standing) in &snapshot.conditions {
        for state in [State::Cleared, State::Met] {
            let labels = [("condition", name.as_str()), ("state", state.as_str())];
            family.put(&labels, standing.transitions[state as usize]);
        }
    }
    let mut family =
        text.family("oopsd_condition_seconds_total", Type::Counter, "How long a condition has been in a state.");
    for (name, standing) in &snapshot.conditions {
        for state in [State::Cleared, State::Met] {
            let labels = [("condition", name.as_str()), ("state", state.as_str())];
            family.put(&labels, standing.spent[state as usize].as_secs_f64());
        }
    }
}

fn captures(text: &mut Text, snapshot: &Snapshot) {
    let captures = &snapshot.daemon.captures;
    if captures.is_empty() {
        return;
    }
    let mut family = text.family("oopsd_capture_active", Type::Gauge, "Whether frames of an interface can be seen.");
    for capture in captures {
        let labels = [("interface", capture.interface.as_str()), ("kind", capture.kind)];
        family.put(&labels, u8::from(capture.blind.is_none()));
    }
    let mut family = text.family("oopsd_capture_frames_total", Type::Counter, "Frames that reached the capture.");
    for capture in captures {
        family.put(&[("interface", &capture.interface)], capture.frames);
    }
    let mut family = text.family(
        "oopsd_capture_dropped_total",
        Type::Counter,
        "Frames that were lost before the capture could read them.",
    );
    for capture in captures {
        family.put(&[("interface", &capture.interface)], capture.dropped);
    }
}

fn daemon(text: &mut Text, snapshot: &Snapshot) {
    text.family(
        "oopsd_config_last_reload_success",
        Type::Gauge,
        "Whether the configuration was taken when it was last read.",
    )
    .put(&[], u8::from(snapshot.daemon.reload_success));
    text.family(
        "oopsd_config_last_reload_success_timestamp_seconds",
        Type::Gauge,
        "When the configuration in force was read.",
    )
    .put(&[], snapshot.daemon.reloaded.0 as f64 / 1e9);
    if let Some(failures) = snapshot.daemon.state_failures {
        text.family(
            "oopsd_state_writes_failed_total",
            Type::Counter,
            "How often what routes have been through could not be written to the state directory.",
        )
        .put(&[], failures);
    }
    text.family("oopsd_build_info", Type::Gauge, "The version that runs.")
        .put(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.append(&process());
}

/// CPU time, memory, files and threads of this process.
fn process() -> String {
    static PROCESS: LazyLock<ProcessCollector> = LazyLock::new(ProcessCollector::for_self);
    let mut text = Vec::new();
    // Figures that cannot be read are left out.
    let _ = TextEncoder::new().encode(&PROCESS.collect(), &mut text);
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::snapshot;
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn the_families_that_others_build_on_are_there() {
        let text = render(&snapshot());
        for line in [
            r#"oopsd_queries_total{zone="nl."} 100"#,
            r#"oopsd_queries_total{zone="other"} 0"#,
            r#"oopsd_responses_total{zone="nl.",rcode="SERVFAIL"} 103"#,
            r#"oopsd_responses_with_ede_total{zone="nl."} 106"#,
            r#"oopsd_ede_responses_total{zone="nl.",info_code="22"} 7"#,
            r#"oopsd_ede_responses_total{zone="nl.",info_code="other"} 1"#,
            r#"oopsd_query_rate{zone="nl."} 10.5"#,
            r#"oopsd_query_rate_slope{zone="nl."} -5.25"#,
            r#"oopsd_prefix_queries_total{prefix="192.0.2.0/24"} 300"#,
            r#"oopsd_prefix_ede_responses_total{prefix="192.0.2.0/24",info_code="22"} 7"#,
            r#"oopsd_messages_total{direction="received",qr="query",transport="udp",family="ipv4"} 1000"#,
            r#"oopsd_messages_total{direction="sent",qr="response",transport="tcp",family="ipv6"} 1015"#,
            r#"oopsd_skipped_total{reason="not-dns"} 1019"#,
            "oopsd_node_query_rate 12.5",
            "oopsd_blind 0",
            r#"oopsd_condition_met{condition="nl-overload"} 1"#,
            r#"oopsd_condition_value{condition="nl-overload"} 10.5"#,
            r#"oopsd_transitions_total{condition="nl-overload",state="met"} 2"#,
            r#"oopsd_condition_seconds_total{condition="nl-overload",state="cleared"} 2.5"#,
            r#"oopsd_capture_active{interface="eth0",kind="socket"} 1"#,
            r#"oopsd_capture_active{interface="eth1",kind="socket"} 0"#,
            r#"oopsd_capture_dropped_total{interface="eth0"} 5"#,
            r#"oopsd_signals_total{channel="siem",outcome="sent"} 4"#,
            r#"oopsd_signals_waiting{channel="siem"} 3"#,
            r#"oopsd_route_wanted{prefix="192.0.2.0/24",router="bird",action="prepend 3"} 1"#,
            r#"oopsd_route_seen{prefix="192.0.2.0/24",router="bird",action="plain"} 1"#,
            r#"oopsd_route_last_change_timestamp_seconds{prefix="192.0.2.0/24",router="bird"} 1.5"#,
            r#"oopsd_route_contested{prefix="192.0.2.0/24",router="bird"} 1"#,
            "oopsd_config_last_reload_success 1",
        ] {
            assert!(text.lines().any(|printed| printed == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("\nprocess_resident_memory_bytes "));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let text = render(&snapshot());
        assert!(!text.contains("oopsd_query_rate{zone=\"a"), "no rate before its window is full");
        assert!(!text.contains(r#"oopsd_condition_value{condition="dnssec-trouble"}"#));
        assert!(!text.contains("oopsd_node_query_rate_slope"));
    }

    #[test]
    fn zones_with_odd_letters_are_escaped() {
        assert!(render(&snapshot()).contains(r#"oopsd_queries_total{zone="a\\\"b.nl."} 200"#));
    }

    #[test]
    fn no_series_is_printed_twice_and_no_family_in_two_places() {
        let text = render(&snapshot());
        let mut seen = BTreeMap::new();
        for line in text.lines().map(|line| if line.starts_with('#') { line } else { line.rsplit_once(' ').unwrap().0 })
        {
            assert_eq!(seen.insert(line, ()), None, "{line}");
        }
    }

    #[test]
    fn the_delays_are_a_histogram() {
        let text = render(&snapshot());
        for line in [
            r#"oopsd_signal_delay_seconds_bucket{channel="siem",le="0.001"} 0"#,
            r#"oopsd_signal_delay_seconds_bucket{channel="siem",le="0.0025"} 1"#,
            r#"oopsd_signal_delay_seconds_bucket{channel="siem",le="0.05"} 3"#,
            r#"oopsd_signal_delay_seconds_bucket{channel="siem",le="2.5"} 3"#,
            r#"oopsd_signal_delay_seconds_bucket{channel="siem",le="+Inf"} 4"#,
            r#"oopsd_signal_delay_seconds_count{channel="siem"} 4"#,
        ] {
            assert!(text.lines().any(|printed| printed == line), "{line} is not in\n{text}");
        }
        let sum = text.lines().find_map(|line| line.strip_prefix(r#"oopsd_signal_delay_seconds_sum{channel="siem"} "#));
        let sum: f64 = sum.unwrap().parse().unwrap();
        assert!((4.0..4.1).contains(&sum), "{sum}");
    }

    #[test]
    fn promtool_has_nothing_to_say() {
        let promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut promtool) = promtool else {
            assert!(std::env::var_os("CI").is_none(), "CI has promtool");
            println!("skipped: promtool is not installed");
            return;
        };
        promtool.stdin.take().unwrap().write_all(render(&snapshot()).as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
}
