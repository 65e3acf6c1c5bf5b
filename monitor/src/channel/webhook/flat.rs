//! A signal for stores that make a field of every key: no name of a zone is a key, and nothing is now here and now there.

use crate::channel::letter::Letter;
use crate::json;
use engine::signal::Named;
use engine::{Signal, State};
use serde_json::{Value, json};

/// All that there is to say of a signal, its zones and codes in lists.
pub(super) fn flat(letter: &Letter) -> Value {
    let signal = &*letter.signal;
    let mut whole = object(letter);
    let codes: Vec<Value> = (signal.arguments.codes.iter())
        .map(|(&code, &count)| json!({ "code": json::info_code(code), "responses": count }))
        .collect();
    let zones: Vec<Value> =
        signal.arguments.zones.iter().map(|(zone, count)| json!({ "name": zone, "messages": count })).collect();
    let (kind, name) = scope(&signal.scope);
    whole["scope"] = json!({ "type": kind, "name": name });
    whole["arguments"] = json!({ "codes": codes, "zones": zones, "reasons": signal.arguments.reasons });
    whole
}

/// The object that receivers of plain JSON get.
pub(super) fn object(letter: &Letter) -> Value {
    serde_json::to_value(json::letter(&letter.signal, letter.delivery())).expect("a signal has only text for keys")
}

/// What a scope is, and its name.
pub(super) fn scope(scope: &Named) -> (&'static str, &str) {
    match scope {
        Named::Node => ("node", ""),
        Named::Prefix(name) => ("prefix", name),
        Named::Zone(name) => ("zone", name),
        Named::Group(name) => ("group", name),
        Named::Channel(name) => ("channel", name),
    }
}

/// The same at both edges of a condition: which one, of what, where.
pub(super) fn subject(letter: &Letter) -> String {
    format!("{}/{}/{}", letter.sender.node, letter.signal.condition, letter.signal.scope)
}

/// One sentence for people.
pub(super) fn sentence(signal: &Signal) -> String {
    let Signal { condition, kind, scope, value, threshold, .. } = signal;
    let state = signal.state.as_str();
    let mut sentence = format!("{condition} {state}: {kind} of {scope} is {value:.1} (threshold {threshold:.1})");
    if !signal.arguments.reasons.is_empty() {
        sentence.push_str("; ");
        sentence.push_str(&signal.arguments.reasons.join(", "));
    }
    sentence
}

pub(super) fn is_met(letter: &Letter) -> bool {
    letter.signal.state == State::Met
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(letter: &Letter) -> i64 {
    letter.signal.wall.0.div_euclid(1_000_000)
}
