//! A body of the operator's own: JSON with names in double braces, `{"text": "{{condition}} is {{state}}"}`.
//!
//! In a string a name stands for text, elsewhere for a JSON value; either way it is escaped as it must be there. What is
//! between the names is looked at once, with lists in their places: where a list can be, every value can, so that whatever
//! the signal, the body is JSON.

use super::flat::{object, scope, sentence, subject};
use super::payload::Severity;
use crate::channel::letter::Letter;
use engine::State;
use serde_json::{Value, json};
use std::fmt;

/// One that was looked at. Nothing prints it: there may be a key in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    /// As it is.
    Text(String),
    /// What the name stands for; within a string, or not.
    Name(&'static str, bool),
    /// One text if met, another if cleared; escaped already.
    Either(String, String),
}

/// What is wrong, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) at: usize,
    pub(crate) what: String,
}

const NAMES: [&str; 20] = [
    "condition",
    "kind",
    "state",
    "node",
    "id",
    "seq",
    "at",
    "scope",
    "scope-type",
    "scope-name",
    "subject",
    "value",
    "threshold",
    "window",
    "arguments",
    "superseded",
    "lost",
    "severity",
    "message",
    "signal",
];

impl Template {
    /// Reads one.
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let mut pieces = Vec::new();
        // The text with each name replaced by something of the same length, so that places stay what they are.
        let mut skeleton = String::with_capacity(text.len());
        let (mut in_string, mut escaped) = (false, false);
        let mut rest = text;
        loop {
            let plain = rest.find("{{").map_or(rest, |end| &rest[..end]);
            for byte in plain.bytes() {
                (in_string, escaped) = match byte {
                    _ if escaped => (in_string, false),
                    b'\\' => (in_string, in_string),
                    b'"' => (!in_string, false),
                    _ => (in_string, false),
                };
            }
            skeleton.push_str(plain);
            pieces.push(Piece::Text(plain.to_owned()));
            rest = &rest[plain.len()..];
            if rest.is_empty() {
                break;
            }
            let at = skeleton.len();
            let wrong = |what: String| Wrong { at, what };
            if escaped {
                return Err(wrong(String::from("a name behind a backslash; remove the backslash")));
            }
            let length = rest.find("}}").ok_or_else(|| wrong(String::from("`{{` without `}}`")))? + 2;
            let name = rest.get(2..length - 2).unwrap_or_default().trim();
            pieces.push(Piece::parse(name, in_string).map_err(wrong)?);
            let filler = length - 2;
            skeleton.push_str(&if in_string { "x".repeat(length) } else { format!("[{}]", " ".repeat(filler)) });
            rest = &rest[length..];
        }
        match serde_json::from_str::<serde::de::IgnoredAny>(&skeleton) {
            Ok(_) => Ok(Self(pieces)),
            Err(error) => {
                Err(Wrong { at: offset(text, &skeleton, &error), what: format!("not JSON: {}", bare(&error)) })
            }
        }
    }

    pub(in super::super) fn body(&self, letter: &Letter, severity: Severity) -> String {
        let mut values = object(letter);
        let signal = &*letter.signal;
        let (kind, name) = scope(&signal.scope);
        let whole = values.clone();
        for (key, value) in [
            ("scope", signal.scope.to_string().into()),
            ("scope-type", kind.into()),
            ("scope-name", name.into()),
            ("subject", subject(letter).into()),
            ("window", values["window_seconds"].take()),
            ("severity", severity.as_str().into()),
            ("message", sentence(signal).into()),
            ("superseded", json!(letter.superseded)),
            ("lost", json!(letter.lost)),
            ("node", letter.sender.node.as_str().into()),
            ("signal", whole),
        ] {
            values[key] = value;
        }
        let met = signal.state == State::Met;
        self.0.iter().map(|piece| piece.rendered(&values, met)).collect()
    }
}

impl Piece {
    fn parse(name: &str, in_string: bool) -> Result<Self, String> {
        if let Some(&known) = NAMES.iter().find(|&&known| known == name) {
            return Ok(Self::Name(known, in_string));
        }
        let choice = name.strip_prefix("met").map(str::trim_start).and_then(|rest| rest.strip_prefix('?'));
        let Some((met, cleared)) = choice.and_then(|choice| choice.split_once(':')) else {
            // What is not a word of ours may be anything, a key too.
            return Err(format!("not a name; known: {}, and `met ? a : b`", NAMES.join(", ")));
        };
        let text = |text: &str| {
            let text = text.trim();
            if in_string {
                return Ok(escaped(text));
            }
            serde_json::from_str::<Value>(text)
                .map(|value| value.to_string())
                .map_err(|_| String::from("outside a string, `met ? a : b` chooses between two JSON values"))
        };
        Ok(Self::Either(text(met)?, text(cleared)?))
    }

    fn rendered(&self, values: &Value, met: bool) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Either(yes, no) => if met { yes } else { no }.clone(),
            Self::Name(name, in_string) => match (&values[*name], in_string) {
                (Value::String(text), true) => escaped(text),
                (value, true) => escaped(&value.to_string()),
                (value, false) => value.to_string(),
            },
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Template(..)")
    }
}

/// A text as it is between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The byte that serde_json means.
fn offset(text: &str, skeleton: &str, error: &serde_json::Error) -> usize {
    let before: usize = skeleton.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let mut at = (before + error.column().saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// What it says, without where.
fn bare(error: &serde_json::Error) -> String {
    let said = error.to_string();
    said.split(" at line ").next().unwrap_or_default().to_owned()
}
