//! A signal on its way to one channel, and the text that it is kept as while it waits.
//!
//! The text holds all that a channel may need, who sends it included: what is sent after a restart, or under another node
//! name, is to the letter what would have been sent before. Unlike `json`, nothing outside reads it.

use super::Sender;
use super::moment::Moment;
use crate::json::{self, Delivery};
use engine::signal::Named;
use engine::{Arguments, Signal, State, Time, Wall};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A signal, as one channel is to send it.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) signal: Arc<Signal>,
    pub(super) sender: Arc<Sender>,
    /// When the tick that made it was taken.
    pub(super) crossed: Instant,
    /// From when on it may be given up.
    pub(super) expires: Instant,
    /// Older signals of the same condition that it stands for too.
    pub(super) superseded: u64,
    /// Signals before it that this channel gave up.
    pub(super) lost: u64,
}

impl Letter {
    /// Its id at every attempt, in every run: receivers know repeats by it.
    pub(super) fn id(&self) -> String {
        self.sender.id(self.signal.seq)
    }

    /// What is said of it besides the signal.
    pub(super) fn delivery(&self) -> Delivery {
        let Self { sender, superseded, lost, .. } = self;
        Delivery { node: sender.node.clone(), id: self.id(), superseded: *superseded, lost: *lost }
    }

    /// The object that every receiver of JSON gets.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(&json::letter(&self.signal, self.delivery())).expect("a signal has only text for keys")
    }
}

impl Sender {
    /// The id of the signal with this number.
    pub(super) fn id(&self, seq: u64) -> String {
        format!("{}-{seq}", self.boot)
    }
}

/// The text of a signal: one line without tabs.
pub(super) fn encode(signal: &Signal, sender: &Sender, made: &Moment) -> Arc<[u8]> {
    let Arguments { codes, zones, reasons } = &signal.arguments;
    let scope = match &signal.scope {
        Named::Node => Place::Node,
        Named::Prefix(name) => Place::Prefix(name.clone()),
        Named::Zone(name) => Place::Zone(name.clone()),
        Named::Group(name) => Place::Group(name.clone()),
        Named::Channel(name) => Place::Channel(name.clone()),
    };
    let kept = Kept {
        node: sender.node.clone(),
        boot: sender.boot.clone(),
        seq: signal.seq,
        wall: signal.wall.0,
        made: made.clone(),
        condition: signal.condition.clone(),
        kind: signal.kind.to_owned(),
        met: signal.state == State::Met,
        scope,
        // As bits: the same number comes back, whatever it is.
        value: signal.value.to_bits(),
        threshold: signal.threshold.to_bits(),
        window: u64::try_from(signal.window.as_nanos()).unwrap_or(u64::MAX),
        codes: codes.iter().map(|(&code, &count)| (code, count)).collect(),
        zones: zones.clone(),
        reasons: reasons.clone(),
    };
    serde_json::to_vec(&kept).expect("text and numbers").into()
}

/// What a text says; `None` if it is not one.
pub(super) fn decode(text: &[u8]) -> Option<(Signal, Sender)> {
    let kept: Kept = serde_json::from_slice(text).ok()?;
    let signal = Signal {
        seq: kept.seq,
        at: Time::default(),
        wall: Wall(kept.wall),
        condition: kept.condition,
        kind: known(&kept.kind),
        state: if kept.met { State::Met } else { State::Cleared },
        scope: match kept.scope {
            Place::Node => Named::Node,
            Place::Prefix(name) => Named::Prefix(name),
            Place::Zone(name) => Named::Zone(name),
            Place::Group(name) => Named::Group(name),
            Place::Channel(name) => Named::Channel(name),
        },
        value: f64::from_bits(kept.value),
        threshold: f64::from_bits(kept.threshold),
        window: Duration::from_nanos(kept.window),
        arguments: Arguments { codes: kept.codes.into_iter().collect(), zones: kept.zones, reasons: kept.reasons },
    };
    Some((signal, Sender { node: kept.node, boot: kept.boot }))
}

/// When it was made, by the clock that nobody sets.
pub(super) fn made(text: &[u8]) -> Moment {
    serde_json::from_slice(text).unwrap_or_default()
}

#[derive(Serialize, Deserialize)]
struct Kept {
    node: String,
    boot: String,
    seq: u64,
    wall: i64,
    #[serde(flatten)]
    made: Moment,
    condition: String,
    kind: String,
    met: bool,
    scope: Place,
    value: u64,
    threshold: u64,
    window: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    codes: Vec<(u8, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    zones: Vec<(String, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Place {
    Node,
    Prefix(String),
    Zone(String),
    Group(String),
    Channel(String),
}

/// Kinds live as long as the program. A file of another version may have others: so many of them, and no more, do too.
fn known(kind: &str) -> &'static str {
    const MOST: usize = 64;
    static KINDS: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut kinds = KINDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kinds.iter().find(|&&known| known == kind) {
        return known;
    }
    if kinds.len() >= MOST {
        return "unknown";
    }
    let kind: &'static str = Box::leak(kind.to_owned().into_boxed_str());
    kinds.push(kind);
    kind
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::channel::moment::tests::moment;
    use crate::json::tests::overload;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_comes_back(
            texts in proptest::array::uniform4(".{0,20}"),
            numbers in any::<[u64; 3]>(),
            met in any::<bool>(),
            place in 0..5_u8,
            codes in proptest::collection::btree_map(any::<u8>(), any::<u64>(), 0..4),
        ) {
            let [name, zone, node, reason] = texts;
            let signal = Signal {
                seq: numbers[0],
                condition: name,
                state: if met { State::Met } else { State::Cleared },
                scope: [Named::Node, Named::Zone(zone.clone()), Named::Prefix(zone.clone()), Named::Group(zone.clone()), Named::Channel(zone.clone())]
                    [usize::from(place)].clone(),
                value: f64::from_bits(numbers[1]),
                window: Duration::from_nanos(numbers[2]),
                arguments: Arguments { codes, zones: vec![(zone, numbers[2])], reasons: vec![reason] },
                ..overload(1)
            };
            let text = encode(&signal, &Sender { node: node.clone(), boot: "b".into() }, &moment("this", 7));
            prop_assert_eq!(made(&text), moment("this", 7));
            prop_assert!(!text.contains(&b'\n') && !text.contains(&b'\t'));
            let (again, sender) = decode(&text).unwrap();
            prop_assert_eq!(again.value.to_bits(), signal.value.to_bits());
            prop_assert_eq!(Signal { value: 0.0, ..again }, Signal { value: 0.0, at: Time::default(), ..signal });
            prop_assert_eq!(sender.node, node);
        }

        #[test]
        fn noise_is_no_panic(noise in any::<Vec<u8>>()) {
            let _ = decode(&noise);
        }
    }

    #[test]
    fn kinds_of_another_version_are_kept_up_to_a_limit() {
        assert_eq!(known("query-rate"), "query-rate");
        let kinds: Vec<&str> = (0..100).map(|number| known(&format!("of-another-version-{number}"))).collect();
        assert_eq!((kinds[0], kinds[99]), ("of-another-version-0", "unknown"));
    }

    /// A letter with the signal of this number.
    pub(in super::super) fn letter(seq: u64) -> Letter {
        let now = tokio::time::Instant::now().into_std();
        Letter {
            signal: Arc::new(overload(seq)),
            sender: Arc::new(Sender { node: "ns1 ams".into(), boot: "b00t".into() }),
            crossed: now,
            expires: now + Duration::from_mins(2),
            superseded: 0,
            lost: 0,
        }
    }
}
