//! A Detection Finding of the Open Cybersecurity Schema Framework: created when a condition is met, closed when it is cleared.
//!
//! Both have the same `finding_info.uid`. What the class has no attribute for is in `unmapped`.

use super::flat::{flat, is_met, milliseconds, scope, sentence, subject};
use super::payload::Severity;
use crate::channel::letter::Letter;
use serde_json::json;

/// Of the schema.
const VERSION: &str = "1.3.0";
/// Category Findings, class Detection Finding.
const FINDINGS: u32 = 2;
const DETECTION_FINDING: u32 = 2004;

pub(super) fn body(letter: &Letter, severity: Severity) -> String {
    let signal = &*letter.signal;
    let (activity, activity_name, status, status_name) =
        if is_met(letter) { (1, "Create", 1, "New") } else { (3, "Close", 4, "Resolved") };
    let (severity_id, severity) = match severity {
        Severity::Info => (1, "Informational"),
        Severity::Warning => (3, "Medium"),
        Severity::Critical => (5, "Critical"),
    };
    let (kind, name) = scope(&signal.scope);
    json!({
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": FINDINGS,
        "category_name": "Findings",
        "class_uid": DETECTION_FINDING,
        "class_name": "Detection Finding",
        "type_uid": DETECTION_FINDING * 100 + activity,
        "type_name": format!("Detection Finding: {activity_name}"),
        "time": milliseconds(letter),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status,
        "status": status_name,
        "message": sentence(signal),
        "metadata": {
            "version": VERSION,
            "profiles": ["host"],
            "product": { "name": "oopsd", "vendor_name": "oopsd", "version": env!("CARGO_PKG_VERSION"), "lang": "en" },
            "log_name": "signals",
            "uid": letter.id(),
            "sequence": signal.seq,
            "event_code": signal.kind,
        },
        "device": { "hostname": letter.sender.node, "type_id": 1, "type": "Server" },
        "finding_info": {
            "uid": subject(letter),
            "title": signal.condition,
            "desc": sentence(signal),
            "types": [signal.kind],
            // A rule with thresholds.
            "analytic": { "uid": signal.condition, "name": signal.condition, "type_id": 1, "type": "Rule" },
        },
        "resources": [{ "type": kind, "name": if name.is_empty() { &letter.sender.node } else { name } }],
        "unmapped": { "signal": flat(letter) },
    })
    .to_string()
}
