//! A document of the Elastic Common Schema; what it has no field for is under `oopsd`.

use super::flat::{flat, is_met, sentence};
use super::payload::Severity;
use crate::channel::letter::Letter;
use crate::json;
use engine::signal::Named;
use serde_json::json;

/// Of the schema. All fields below are in it since 1.7.
const VERSION: &str = "8.17.0";

pub(super) fn body(letter: &Letter, severity: Severity) -> String {
    let signal = &*letter.signal;
    let mut hosts = vec![letter.sender.node.clone()];
    if let Named::Zone(zone) = &signal.scope {
        hosts.push(zone.clone());
    }
    json!({
        "@timestamp": json::at(signal.wall),
        "ecs": { "version": VERSION },
        "message": sentence(signal),
        "event": {
            "kind": "alert",
            "category": ["network"],
            "type": [if is_met(letter) { "start" } else { "end" }],
            "action": format!("condition-{}", signal.state.as_str()),
            "id": letter.id(),
            "sequence": signal.seq,
            "module": "oopsd",
            "dataset": "oopsd.signal",
            // Numbers are the source's own; higher is worse.
            "severity": match severity {
                Severity::Info => 1,
                Severity::Warning => 2,
                Severity::Critical => 3,
            },
        },
        "log": { "level": severity.as_str() },
        "host": { "name": letter.sender.node },
        "observer": { "product": "oopsd", "type": "sensor", "version": env!("CARGO_PKG_VERSION") },
        "rule": { "name": signal.condition, "category": signal.kind },
        "related": { "hosts": hosts },
        "oopsd": flat(letter),
    })
    .to_string()
}
