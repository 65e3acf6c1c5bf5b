//! Alertmanager's API, version 2: `POST /api/v2/alerts`. It forgets what it is not told again, so it is told again what is
//! met until that is cleared.
//!
//! Each time says until when it holds, four repeats from then: if oopsd is gone, what it said ends by itself.

use super::flat::{is_met, scope, sentence};
use super::payload::Severity;
use crate::channel::letter::Letter;
use crate::json;
use engine::{Arguments, Signal, State};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What is sent in one request when it is told again.
const AT_ONCE: usize = 200;

#[derive(Debug)]
pub(in super::super) struct Alertmanager {
    repeat: Duration,
    generator: Option<String>,
    severity: Severity,
    /// Signals of another run are sent, but nobody will say when what they say is over.
    boot: String,
    /// Shared with the one that a reload puts in its place.
    standing: Arc<Mutex<Standing>>,
}

/// What it was told and holds.
#[derive(Debug, Default)]
struct Standing {
    /// By labels; which condition it is, and what is sent.
    met: BTreeMap<String, (String, Value)>,
    /// The conditions that are cleared, also where that was not delivered: signals may be given up, or dropped by hand.
    cleared: BTreeSet<String>,
    /// When it is to be told again.
    again: Option<Instant>,
    /// How often it was.
    told: u64,
}

impl Alertmanager {
    pub(in super::super) fn new(repeat: Duration, generator: Option<String>, severity: Severity) -> Self {
        Self { repeat, generator, severity, boot: String::new(), standing: Arc::default() }
    }

    /// Goes on as `before` was; that may have been another Alertmanager, so it is told at once.
    pub(in super::super) fn begin(&mut self, before: Option<&Self>, boot: &str) {
        boot.clone_into(&mut self.boot);
        if let Some(before) = before {
            self.standing = Arc::clone(&before.standing);
            let mut standing = self.standing();
            standing.again = standing.again.map(|_| Instant::now());
        }
    }

    pub(in super::super) fn body(&self, letter: &Letter) -> String {
        let mut alert = self.alert(letter);
        if is_met(letter) {
            alert["endsAt"] = self.horizon();
        } else {
            alert["endsAt"] = json::at(letter.signal.wall).into();
            if let Some((_, before)) = self.standing().met.get(&key(&alert)) {
                alert["startsAt"] = before["startsAt"].clone();
            }
        }
        json!([alert]).to_string()
    }

    /// It has it.
    pub(in super::super) fn accepted(&self, letter: &Letter) {
        let alert = self.alert(letter);
        let mut standing = self.standing();
        if !is_met(letter) {
            standing.met.remove(&key(&alert));
        } else if letter.sender.boot == self.boot {
            standing.met.insert(key(&alert), (condition(&letter.signal), alert));
        }
        if standing.met.is_empty() {
            standing.again = None;
        } else if standing.again.is_none() {
            standing.again = Some(Instant::now() + self.repeat);
        }
    }

    /// It is so now, whether or not it will be delivered.
    pub(in super::super) fn note(&self, signal: &Signal) {
        let mut standing = self.standing();
        match signal.state {
            State::Met => standing.cleared.remove(&condition(signal)),
            State::Cleared => standing.cleared.insert(condition(signal)),
        };
    }

    pub(in super::super) fn again(&self) -> Option<Instant> {
        self.standing().again
    }

    /// The bodies that say all that is met, each with an id.
    pub(in super::super) fn all(&self) -> Vec<(String, String)> {
        let ends = self.horizon();
        let mut standing = self.standing();
        standing.again = Some(Instant::now() + self.repeat);
        let met = standing.met.values().filter(|(condition, _)| !standing.cleared.contains(condition));
        let mut alerts: Vec<Value> = met.map(|(_, alert)| alert.clone()).collect();
        for alert in &mut alerts {
            alert["endsAt"] = ends.clone();
        }
        let bodies: Vec<String> = alerts.chunks(AT_ONCE).map(|chunk| json!(chunk).to_string()).collect();
        let numbered = bodies.into_iter().map(|body| {
            standing.told += 1;
            (format!("{}-again-{}", self.boot, standing.told), body)
        });
        numbered.collect()
    }

    /// Without its end.
    fn alert(&self, letter: &Letter) -> Value {
        let signal = &*letter.signal;
        let mut labels = Map::new();
        let mut label = |name: &str, value: &str| labels.insert(name.to_owned(), value.into());
        label("alertname", &signal.condition);
        label("condition", &signal.condition);
        label("kind", signal.kind);
        label("node", &letter.sender.node);
        label("severity", self.severity.as_str());
        let (kind, name) = scope(&signal.scope);
        if !name.is_empty() {
            label(kind, name);
        }
        let mut alert = json!({ "labels": labels, "annotations": annotations(letter) });
        if is_met(letter) {
            alert["startsAt"] = json::at(signal.wall).into();
        }
        if let Some(generator) = &self.generator {
            alert["generatorURL"] = generator.as_str().into();
        }
        alert
    }

    fn horizon(&self) -> Value {
        let ends = Timestamp::now().checked_add(self.repeat * 4).unwrap_or(Timestamp::MAX);
        format!("{ends:.3}").into()
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Its words: a string, or an object where the request is not of its API.
pub(super) fn complaint(body: &str) -> Option<String> {
    let said: Value = serde_json::from_str(body).ok()?;
    Some(said.as_str().or_else(|| said["message"].as_str())?.to_owned())
}

fn condition(signal: &Signal) -> String {
    format!("{}/{}", signal.condition, signal.scope)
}

/// What it knows an alert by.
fn key(alert: &Value) -> String {
    alert["labels"].to_string()
}

fn annotations(letter: &Letter) -> Map<String, Value> {
    let signal = &*letter.signal;
    let Arguments { codes, zones, reasons } = &signal.arguments;
    let codes: Vec<String> = codes.iter().map(|(&code, count)| format!("{}: {count}", json::info_code(code))).collect();
    let zones: Vec<String> = zones.iter().map(|(zone, count)| format!("{zone}: {count}")).collect();
    [
        ("summary", sentence(signal)),
        ("value", signal.value.to_string()),
        ("threshold", signal.threshold.to_string()),
        ("codes", codes.join(", ")),
        ("zones", zones.join(", ")),
        ("reasons", reasons.join(", ")),
        ("id", letter.id()),
    ]
    .into_iter()
    .filter(|(_, text)| !text.is_empty())
    .map(|(name, text)| (name.to_owned(), text.into()))
    .collect()
}
