//! The interface `org.oopsd.signals1`: what other programs see and hear of this node.
//!
//! Its words and types are stable: programs are written against them.

use super::super::letter::Letter;
use crate::json;
use engine::State;
use engine::signal::Named;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use zbus::Variant;
use zbus::object_server::{InterfaceRef, SignalEmitter};

/// Where it is.
pub(super) const PATH: &str = "/org/oopsd";

/// A condition, what kind of thing it watches, and the name of that.
type Watched = (String, String, String);

/// The node, as the signals of this run have it.
#[derive(Clone, Debug)]
pub(super) struct Object {
    node: String,
    /// Outlives the connection.
    met: Arc<Mutex<BTreeSet<Watched>>>,
}

impl Object {
    pub(super) fn new(node: &str) -> Self {
        Self { node: text(node), met: Arc::default() }
    }

    /// Sends the signal that `letter` is, and says that what is met has changed if so.
    pub(super) async fn emit(on: &InterfaceRef<Self>, letter: &Letter) -> zbus::Result<()> {
        let signal = &letter.signal;
        let (scope, name) = match &signal.scope {
            Named::Node => ("node", text(&letter.sender.node)),
            Named::Prefix(name) => ("prefix", text(name)),
            Named::Zone(name) => ("zone", text(name)),
            Named::Group(name) => ("group", text(name)),
            Named::Channel(name) => ("channel", text(name)),
        };
        let condition = text(&signal.condition);
        let object = on.get().await;
        let changed = {
            let watched = (condition.clone(), scope.to_owned(), name.clone());
            let mut met = object.met.lock().unwrap_or_else(PoisonError::into_inner);
            match signal.state {
                State::Met => met.insert(watched),
                State::Cleared => met.remove(&watched),
            }
        };
        let emitter = on.signal_emitter();
        let (kind, value, threshold) = (signal.kind, signal.value, signal.threshold);
        let (at, id, arguments) = (&json::at(signal.wall), &text(&letter.id()), arguments(letter));
        match signal.state {
            State::Met => {
                Self::condition_met(emitter, &condition, kind, scope, &name, value, threshold, at, id, arguments)
                    .await?;
            }
            State::Cleared => {
                Self::condition_cleared(emitter, &condition, kind, scope, &name, value, threshold, at, id, arguments)
                    .await?;
            }
        }
        if changed { object.conditions_met_changed(emitter).await } else { Ok(()) }
    }
}

#[zbus::interface(name = "org.oopsd.signals1")]
impl Object {
    /// What the node calls itself.
    #[zbus(property(emits_changed_signal = "const"), name = "node")]
    fn node(&self) -> String {
        self.node.clone()
    }

    /// The version of oopsd.
    #[zbus(property(emits_changed_signal = "const"), name = "version")]
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The conditions that are met, as the signals so far have it.
    #[zbus(property, name = "conditions_met")]
    fn conditions_met(&self) -> Vec<Watched> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// A condition is met.
    #[zbus(signal, name = "condition_met")]
    async fn condition_met(
        emitter: &SignalEmitter<'_>,
        condition: &str,
        kind: &str,
        scope: &str,
        name: &str,
        value: f64,
        threshold: f64,
        at: &str,
        id: &str,
        arguments: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<()>;

    /// A condition is no longer met.
    #[zbus(signal, name = "condition_cleared")]
    async fn condition_cleared(
        emitter: &SignalEmitter<'_>,
        condition: &str,
        kind: &str,
        scope: &str,
        name: &str,
        value: f64,
        threshold: f64,
        at: &str,
        id: &str,
        arguments: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<()>;
}

/// Only what there is: `window_seconds` as d, `codes` and `zones` as a(st), `reasons` as as; `superseded` and `lost` as t
/// where older signals were left out.
fn arguments(letter: &Letter) -> HashMap<&'static str, Variant<'static>> {
    let of = &letter.signal.arguments;
    let mut all = HashMap::from([("window_seconds", Variant::from(letter.signal.window.as_secs_f64()))]);
    if !of.codes.is_empty() {
        let codes: Vec<(String, u64)> = of.codes.iter().map(|(&code, &count)| (json::info_code(code), count)).collect();
        all.insert("codes", Variant::from(codes));
    }
    if !of.zones.is_empty() {
        let zones: Vec<(String, u64)> = of.zones.iter().map(|(zone, count)| (text(zone), *count)).collect();
        all.insert("zones", Variant::from(zones));
    }
    if !of.reasons.is_empty() {
        all.insert("reasons", Variant::from(of.reasons.iter().map(|reason| text(reason)).collect::<Vec<_>>()));
    }
    for (name, count) in [("superseded", letter.superseded), ("lost", letter.lost)] {
        if count > 0 {
            all.insert(name, Variant::from(count));
        }
    }
    all
}

/// A text as D-Bus can have it: any but U+0000, over which a bus hangs up.
fn text(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}

#[cfg(test)]
mod tests {
    use super::super::super::escaping::{hostile, hostile_letter};
    use super::*;
    use proptest::prelude::*;
    use zbus::message::Message;

    proptest! {
        #[test]
        fn a_text_loses_nothing_but_what_d_bus_cannot_have(hostile in hostile()) {
            let safe = text(&hostile);
            prop_assert!(!safe.contains('\0'));
            prop_assert_eq!(safe.replace('\u{2400}', "\0"), hostile.replace('\u{2400}', "\0"));
        }

        #[test]
        fn arguments_are_whole_after_a_message(letter in hostile_letter()) {
            let sent = arguments(&letter);
            let signal = Message::signal(PATH, "org.oopsd.signals1", "condition_met");
            let message = signal.build(&(text(&letter.signal.condition), &sent)).unwrap();
            let body = message.body();
            let (condition, came): (String, HashMap<String, Variant<'_>>) = body.deserialize().unwrap();
            prop_assert_eq!(condition, text(&letter.signal.condition));
            prop_assert_eq!(came.len(), sent.len());
            for (name, value) in &sent {
                prop_assert_eq!(came.get(*name), Some(value));
            }
        }
    }
}
