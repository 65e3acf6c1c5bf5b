//! The JSON that people parse: signals, intents, intervals, the summary. The keys are stable, and so is their order.

mod report;

pub use report::{interval, summary};

use engine::signal::Named;
use engine::{Arguments, Intent, Signal, Wall};
use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use wire::count::OTHER_CODES;

/// A signal as an object.
#[must_use]
pub fn signal(signal: &Signal) -> impl Serialize + '_ {
    letter(signal, Delivery::default())
}

/// What a channel says besides; what is empty or none is not there.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Delivery {
    /// Who sends it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// The same at every attempt: receivers know repeats by it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Older signals of its condition that it stands for too.
    #[serde(skip_serializing_if = "is_none")]
    pub superseded: u64,
    /// Signals that the channel gave up before it.
    #[serde(skip_serializing_if = "is_none")]
    pub lost: u64,
}

/// A signal as a channel sends it.
#[must_use]
pub fn letter(signal: &Signal, delivery: Delivery) -> impl Serialize + '_ {
    SignalObject {
        r#type: "signal",
        seq: signal.seq,
        at: at(signal.wall),
        condition: &signal.condition,
        kind: signal.kind,
        state: signal.state.as_str(),
        scope: ScopeObject(&signal.scope),
        value: rounded(signal.value),
        threshold: signal.threshold,
        window_seconds: signal.window.as_secs_f64(),
        arguments: ArgumentsObject(&signal.arguments),
        delivery,
    }
}

/// What a condition watches, as in a signal.
pub fn scope(scope: &Named) -> impl Serialize + '_ {
    ScopeObject(scope)
}

/// An intent as an object.
#[must_use]
pub fn intent(wall: Wall, intent: &Intent) -> impl Serialize + '_ {
    let Intent { router, prefix, action, because } = intent;
    IntentObject { r#type: "intent", at: at(wall), prefix, router, action: action.to_string(), because }
}

#[derive(Serialize)]
struct IntentObject<'a> {
    r#type: &'static str,
    at: String,
    prefix: &'a str,
    router: &'a str,
    action: String,
    because: &'a str,
}

/// A time as RFC 3339 has it, in UTC and milliseconds.
#[must_use]
pub fn at(wall: Wall) -> String {
    let time = Timestamp::from_nanosecond(i128::from(wall.0)).expect("64 bits of nanoseconds are years 1677 to 2262");
    format!("{time:.3}")
}

/// A figure without the digits that only say that a tick is never exactly on time, and without a minus before a zero.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6 + 0.0
}

/// An info-code as a key or a label; all those above 62 are `other`.
#[must_use]
pub fn info_code(column: u8) -> String {
    if usize::from(column) >= OTHER_CODES { "other".to_owned() } else { column.to_string() }
}

#[derive(Serialize)]
struct SignalObject<'a> {
    r#type: &'static str,
    seq: u64,
    at: String,
    condition: &'a str,
    kind: &'static str,
    state: &'static str,
    scope: ScopeObject<'a>,
    value: f64,
    threshold: f64,
    window_seconds: f64,
    arguments: ArgumentsObject<'a>,
    #[serde(flatten)]
    delivery: Delivery,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

struct ScopeObject<'a>(&'a Named);

impl Serialize for ScopeObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self.0 {
            Named::Node => map.serialize_entry("node", &true)?,
            Named::Prefix(prefix) => map.serialize_entry("prefix", prefix)?,
            Named::Zone(zone) => map.serialize_entry("zone", zone)?,
            Named::Group(group) => map.serialize_entry("group", group)?,
            Named::Channel(channel) => map.serialize_entry("channel", channel)?,
        }
        map.end()
    }
}

/// Only what there is: a query rate has none of it.
struct ArgumentsObject<'a>(&'a Arguments);

impl Serialize for ArgumentsObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Arguments { codes, zones, reasons } = self.0;
        let mut map = serializer.serialize_map(None)?;
        if !codes.is_empty() {
            map.serialize_entry("codes", &Counts(codes.iter().map(|(&code, &count)| (info_code(code), count))))?;
        }
        if !zones.is_empty() {
            map.serialize_entry("zones", &Counts(zones.iter().map(|(zone, count)| (zone, *count))))?;
        }
        if !reasons.is_empty() {
            map.serialize_entry("reasons", reasons)?;
        }
        map.end()
    }
}

/// Pairs as an object, in the order they come.
struct Counts<I>(I);

impl<K: Serialize, I: Iterator<Item = (K, u64)> + Clone> Serialize for Counts<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use engine::{Action, State, Time};
    use std::time::Duration;

    #[test]
    fn a_signal_has_its_keys_in_their_order() {
        assert_eq!(
            serde_json::to_string(&signal(&overload(1))).unwrap(),
            r#"{"type":"signal","seq":1,"at":"2026-01-01T00:00:03.200Z","condition":"nl-overload","kind":"query-rate","#
                .to_owned()
                + r#""state":"met","scope":{"zone":"nl."},"value":120345.0,"threshold":100000.0,"window_seconds":1.0,"arguments":{}}"#
        );
    }

    #[test]
    fn an_intent_has_its_keys_in_their_order() {
        let (router, prefix, because) = ("bird".into(), "192.0.2.0/24".into(), "nl-overload met".into());
        let object = Intent { router, prefix, action: Action::Prepend(3), because };
        assert_eq!(
            serde_json::to_string(&intent(Wall(0), &object)).unwrap(),
            r#"{"type":"intent","at":"1970-01-01T00:00:00.000Z","prefix":"192.0.2.0/24","router":"bird","action":"prepend 3","#
                .to_owned()
                + r#""because":"nl-overload met"}"#
        );
    }

    #[test]
    fn arguments_say_which_codes_and_zones_and_why_blind() {
        let arguments = Arguments {
            codes: [(22, 5), (63, 1)].into(),
            zones: vec![("nl.".into(), 4), ("be.".into(), 2)],
            reasons: vec!["eth0: down".into()],
        };
        assert_eq!(
            serde_json::to_string(&ArgumentsObject(&arguments)).unwrap(),
            r#"{"codes":{"22":5,"other":1},"zones":{"nl.":4,"be.":2},"reasons":["eth0: down"]}"#
        );
    }

    #[test]
    fn a_scope_is_one_key() {
        let print = |scope: Named| serde_json::to_string(&ScopeObject(&scope)).unwrap();
        assert_eq!(print(Named::Node), r#"{"node":true}"#);
        assert_eq!(print(Named::Prefix("192.0.2.0/24".into())), r#"{"prefix":"192.0.2.0/24"}"#);
        assert_eq!(print(Named::Group("customers".into())), r#"{"group":"customers"}"#);
        assert_eq!(print(Named::Channel("siem".into())), r#"{"channel":"siem"}"#);
    }

    #[test]
    fn times_have_three_digits_of_milliseconds() {
        assert_eq!(at(Wall(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(Wall(1_999_999)), "1970-01-01T00:00:00.001Z");
        assert_eq!(at(Wall(i64::MAX)), "2262-04-11T23:47:16.854Z");
    }

    /// A zone over its threshold.
    pub(crate) fn overload(seq: u64) -> Signal {
        Signal {
            seq,
            at: Time(0),
            wall: Wall(1_767_225_603_200_000_000),
            condition: "nl-overload".into(),
            kind: "query-rate",
            state: State::Met,
            scope: Named::Zone("nl.".into()),
            value: 120_345.0,
            threshold: 100_000.0,
            window: Duration::from_secs(1),
            arguments: Arguments::default(),
        }
    }
}
