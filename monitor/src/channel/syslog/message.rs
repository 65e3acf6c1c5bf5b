//! What a syslog gets: RFC 5424 with structured data, or CEF inside of it.
//!
//! No text can end its field or its line, and a message has a limit that every receiver of today takes.

use super::{Config, Format};
use crate::channel::letter::Letter;
use crate::json;
use engine::State;
use engine::signal::Named;
use std::fmt::Write as _;

/// Until there is one of our own: the number for documentation (RFC 5612).
const ENTERPRISE: u32 = 32473;
/// Bytes of one text. A whole message stays under 4 KiB, which receivers take unless told otherwise.
const MOST: usize = 255;

/// A message for another host (RFC 5424).
pub(super) fn remote(letter: &Letter, config: &Config) -> String {
    let at = json::at(letter.signal.wall);
    let (node, process, kind) = (word(&letter.sender.node, MOST), std::process::id(), word(letter.signal.kind, 32));
    let head = format!("<{}>1 {at} {node} oopsd {process} {kind}", priority(letter, config));
    match config.format {
        Format::Rfc5424 => {
            let text = text(letter);
            // What is not ASCII has to say that it is UTF-8; where it is, the mark would only be in the way.
            let mark = if text.is_ascii() { "" } else { "\u{feff}" };
            format!("{head} {} {mark}{text}", data(letter))
        }
        Format::Cef => format!("{head} - {}", cef(letter, config)),
    }
}

/// A message for the socket of this host, in the form of syslog(3); its reader adds host and time.
pub(super) fn local(letter: &Letter, config: &Config) -> String {
    let head = format!("<{}>oopsd[{}]:", priority(letter, config), std::process::id());
    match config.format {
        Format::Rfc5424 => format!("{head} {} {}", text(letter), data(letter)),
        Format::Cef => format!("{head} {}", cef(letter, config)),
    }
}

fn severity(letter: &Letter, config: &Config) -> u8 {
    match letter.signal.state {
        State::Met => config.severity,
        State::Cleared => config.severity_cleared,
    }
}

fn priority(letter: &Letter, config: &Config) -> u8 {
    config.facility * 8 + severity(letter, config)
}

/// What is watched: the kind of it, and its name, if it has one.
fn scope(letter: &Letter) -> (&'static str, Option<&str>) {
    match &letter.signal.scope {
        Named::Node => ("node", None),
        Named::Prefix(name) => ("prefix", Some(name)),
        Named::Zone(name) => ("zone", Some(name)),
        Named::Group(name) => ("group", Some(name)),
        Named::Channel(name) => ("channel", Some(name)),
    }
}

/// What there is only sometimes, by name.
fn besides(letter: &Letter) -> Vec<(&'static str, String)> {
    let arguments = &letter.signal.arguments;
    let mut fields = Vec::new();
    let codes: Vec<String> = arguments.codes.iter().map(|(code, count)| format!("{code}={count}")).collect();
    let zones: Vec<String> = arguments.zones.iter().map(|(zone, count)| format!("{zone}={count}")).collect();
    for (name, texts) in [("codes", codes), ("zones", zones), ("reasons", arguments.reasons.clone())] {
        if !texts.is_empty() {
            fields.push((name, texts.join("; ")));
        }
    }
    for (name, count) in [("superseded", letter.superseded), ("lost", letter.lost)] {
        if count > 0 {
            fields.push((name, count.to_string()));
        }
    }
    fields
}

fn data(letter: &Letter) -> String {
    let signal = &letter.signal;
    let (scope, name) = scope(letter);
    let mut fields = vec![
        ("id", letter.id()),
        ("seq", signal.seq.to_string()),
        ("condition", signal.condition.clone()),
        ("state", signal.state.as_str().to_owned()),
        ("scope", scope.to_owned()),
    ];
    fields.extend(name.map(|name| ("name", name.to_owned())));
    fields.extend([
        ("value", json::rounded(signal.value).to_string()),
        ("threshold", json::rounded(signal.threshold).to_string()),
        ("window", signal.window.as_secs_f64().to_string()),
    ]);
    let mut data = format!("[oopsd@{ENTERPRISE}");
    for (name, value) in fields.into_iter().chain(besides(letter)) {
        // RFC 5424 section 6.3.3.
        let _ = write!(data, " {name}=\"{}\"", escaped(&value, &['"', '\\', ']']));
    }
    data + "]"
}

fn text(letter: &Letter) -> String {
    let signal = &letter.signal;
    let (condition, scope) = (escaped(&signal.condition, &[]), escaped(&signal.scope.to_string(), &[]));
    let state = signal.state.as_str();
    let [value, threshold] = [signal.value, signal.threshold].map(json::rounded);
    format!("{condition} {state}: {} {value} against {threshold} of {scope}", signal.kind)
}

/// `ArcSight`'s common event format, version 0, with keys of its own dictionary.
fn cef(letter: &Letter, config: &Config) -> String {
    let signal = &letter.signal;
    let header = |text: &str| escaped(text, &['\\', '|']);
    // Its numbers grow where those of syslog fall: from 10 to 1.
    let severity = [10, 9, 8, 7, 6, 3, 2, 1].get(usize::from(severity(letter, config))).copied().unwrap_or(5);
    let mut line = format!(
        "CEF:0|oopsd|oopsd|{}|{}|{} {}|{severity}|",
        env!("CARGO_PKG_VERSION"),
        header(signal.kind),
        header(&signal.condition),
        signal.state.as_str(),
    );
    let (scope, name) = scope(letter);
    let mut fields = vec![
        ("externalId", letter.id()),
        ("rt", (signal.wall.0 / 1_000_000).to_string()),
        ("dvchost", letter.sender.node.clone()),
        ("cn1Label", "seq".to_owned()),
        ("cn1", signal.seq.to_string()),
        ("cs1Label", "condition".to_owned()),
        ("cs1", signal.condition.clone()),
        ("cs2Label", "state".to_owned()),
        ("cs2", signal.state.as_str().to_owned()),
        ("cs3Label", scope.to_owned()),
        ("cs3", name.unwrap_or("-").to_owned()),
        ("cfp1Label", "value".to_owned()),
        ("cfp1", json::rounded(signal.value).to_string()),
        ("cfp2Label", "threshold".to_owned()),
        ("cfp2", json::rounded(signal.threshold).to_string()),
        ("cfp3Label", "window".to_owned()),
        ("cfp3", signal.window.as_secs_f64().to_string()),
    ];
    for (name, value) in besides(letter) {
        let (label, key) = match name {
            "codes" => ("cs4Label", "cs4"),
            "zones" => ("cs5Label", "cs5"),
            "superseded" => ("cn2Label", "cn2"),
            "lost" => ("cn3Label", "cn3"),
            _ => ("cs6Label", "cs6"),
        };
        fields.extend([(label, name.to_owned()), (key, value)]);
    }
    for (index, (key, value)) in fields.iter().enumerate() {
        let space = if index == 0 { "" } else { " " };
        let _ = write!(line, "{space}{key}={}", escaped(value, &['\\', '=']));
    }
    line
}

/// With a backslash before each of `special`, nothing that ends a line or steers a terminal, and no more than [`MOST`] bytes.
fn escaped(text: &str, special: &[char]) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        let is_special = special.contains(&letter);
        let shown = if steers(letter) { '\u{fffd}' } else { letter };
        if escaped.len() + usize::from(is_special) + shown.len_utf8() > MOST - '…'.len_utf8() {
            escaped.push('…');
            break;
        }
        if is_special {
            escaped.push('\\');
        }
        escaped.push(shown);
    }
    escaped
}

/// Controls, line and paragraph separators, and what turns the direction of a text.
fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// As one word of printable ASCII, at most so long.
fn word(text: &str, most: usize) -> String {
    let word: String =
        text.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '_' }).take(most).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

#[cfg(test)]
mod tests;
