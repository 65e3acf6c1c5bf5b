//! How `oopsd outbox` prints what there is: a line for people, or an object with stable keys.

use crate::channel::{Dropped, Line, Row};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write};

/// A channel for people.
pub(super) fn channel(row: &Row) -> String {
    let Row { channel, waiting, bytes, .. } = row;
    let mut text = match &row.oldest {
        Some(oldest) => format!("{channel}: {waiting} wait, {bytes} bytes, the oldest since {oldest}"),
        None => format!("{channel}: nothing waits"),
    };
    if !row.configured {
        text.push_str("; not configured: kept until it is");
    }
    if row.disabled {
        text.push_str("; its receiver is gone (410): nothing is sent until a reload or `outbox retry`");
    } else if let Some(answer) = &row.answer {
        let _ = write!(text, "; not accepted: {answer}");
        if let Some(seconds) = row.next_attempt_seconds {
            let _ = write!(text, "; tried again in {seconds:.1} s");
        }
    }
    text
}

/// A signal for people.
pub(super) fn signal(line: &Line) -> String {
    let Line { number, id, at, condition, state, scope, .. } = line;
    let value = (line.value * 10.0).round() / 10.0;
    let mut text = format!("  {number}  {at}  {condition} {state}, {scope}: {value}  id {id}");
    for (count, what) in [(line.superseded, "older ones of it superseded"), (line.lost, "lost before it")] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    if line.trying {
        text.push_str(", being sent");
    }
    // What is on the disk may have been written by anybody who could.
    text.replace(char::is_control, "?")
}

/// One object on a line, its type first.
pub(super) fn object(out: &mut impl Write, r#type: &'static str, of: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Object { r#type, of })?;
    writeln!(out)
}

#[derive(Serialize)]
struct Object<'a, T> {
    r#type: &'static str,
    #[serde(flatten)]
    of: &'a T,
}

#[derive(Serialize)]
pub(super) struct Shown<'a> {
    pub(super) running: bool,
    #[serde(flatten)]
    pub(super) of: &'a Row,
}

#[derive(Serialize)]
pub(super) struct Waiting<'a> {
    pub(super) channel: &'a str,
    #[serde(flatten)]
    pub(super) line: &'a Line,
}

#[derive(Serialize)]
pub(super) struct Named<'a> {
    pub(super) channel: &'a str,
}

#[derive(Serialize)]
pub(super) struct Fate<'a> {
    pub(super) channel: &'a str,
    #[serde(flatten)]
    pub(super) of: Dropped,
}
