//! What the broker is to keep of this node: the state of each condition, as it is now. Level-triggered: only the newest of each
//! matters, and all of them are told again to a broker that has forgotten.
//!
//! Bounded by the configuration: signals are of conditions and routes that are in it.

use super::super::Sender;
use super::topic::Topics;
use crate::json::{self, Delivery};
use engine::Signal;
use engine::signal::Named;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A condition that has a state though no signal of it came, and what it watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// Its name.
    pub condition: String,
    /// What tells it from others of its name.
    pub scope: Named,
}

/// What is to be kept under one topic; nothing of it any more if `payload` is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retained {
    pub(super) topic: String,
    pub(super) payload: String,
}

#[derive(Debug)]
pub(super) struct Board {
    topics: Topics,
    sender: Sender,
    entries: Mutex<BTreeMap<String, Entry>>,
    changed: Notify,
}

#[derive(Debug)]
struct Entry {
    payload: String,
    told: bool,
}

impl Board {
    pub(super) fn new(topics: Topics, sender: Sender) -> Self {
        Self { topics, sender, entries: Mutex::default(), changed: Notify::new() }
    }

    /// Says which conditions there are: those without a signal in this run are not met, and what is no longer one is taken
    /// away.
    pub(super) fn expect(&self, stated: &[Stated]) {
        let mut entries = self.entries();
        let mut wanted = BTreeSet::new();
        for Stated { condition, scope } in stated {
            let topic = self.topics.state(condition, scope);
            if entries.get(&topic).is_none_or(|entry| entry.payload.is_empty()) {
                let payload = self.quiet(condition, scope);
                entries.insert(topic.clone(), Entry { payload, told: false });
            }
            wanted.insert(topic);
        }
        for (_, entry) in entries.iter_mut().filter(|(topic, _)| !wanted.contains(*topic)) {
            *entry = Entry { payload: String::new(), told: false };
        }
        drop(entries);
        self.changed.notify_one();
    }

    /// A condition changed.
    pub(super) fn note(&self, signal: &Signal) {
        let topic = self.topics.state(&signal.condition, &signal.scope);
        let delivery =
            Delivery { node: self.sender.node.clone(), id: self.sender.id(signal.seq), superseded: 0, lost: 0 };
        let payload = printed(&json::letter(signal, delivery));
        self.entries().insert(topic, Entry { payload, told: false });
        self.changed.notify_one();
    }

    /// The broker knows none of it.
    pub(super) fn forgotten(&self) {
        self.entries().values_mut().for_each(|entry| entry.told = false);
    }

    /// What the broker is yet to be told.
    pub(super) fn untold(&self) -> Vec<Retained> {
        let entries = self.entries();
        let untold = entries.iter().filter(|(_, entry)| !entry.told);
        untold.map(|(topic, entry)| Retained { topic: topic.clone(), payload: entry.payload.clone() }).collect()
    }

    /// The broker has this.
    pub(super) fn told(&self, retained: &Retained) {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(&retained.topic).filter(|entry| entry.payload == retained.payload) else {
            return;
        };
        entry.told = true;
        if retained.payload.is_empty() {
            entries.remove(&retained.topic);
        }
    }

    /// Returns once something may have changed since the last time.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What is kept of a condition before its first signal.
    fn quiet(&self, condition: &str, scope: &Named) -> String {
        let Sender { node, boot } = &self.sender;
        printed(&Quiet { r#type: "state", condition, state: "cleared", scope: json::scope(scope), node, boot })
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // Each entry is whole after every line above, whoever panicked.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Serialize)]
struct Quiet<'a, S> {
    r#type: &'static str,
    condition: &'a str,
    state: &'static str,
    scope: S,
    node: &'a str,
    boot: &'a str,
}

fn printed(object: &impl Serialize) -> String {
    serde_json::to_string(object).expect("it has only text for keys")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::tests::overload;
    use engine::State;

    #[test]
    fn only_the_newest_state_of_a_condition_is_told_and_once() {
        let board = board();
        board.expect(&[stated("nl-overload"), stated("calm")]);
        assert_eq!(states(&board), [("calm".into(), "cleared".into()), ("nl-overload".into(), "cleared".into())]);
        board.note(&overload(1));
        board.note(&Signal { state: State::Cleared, ..overload(2) });
        board.note(&overload(3));
        let untold = board.untold();
        assert_eq!(states(&board)[1], ("nl-overload".into(), "met".into()));
        for retained in &untold {
            board.told(retained);
        }
        assert_eq!(board.untold(), []);
        board.forgotten();
        assert_eq!(board.untold(), untold, "a broker that has forgotten is told all of it");
    }

    #[test]
    fn what_changed_while_it_was_told_is_told_again() {
        let board = board();
        board.note(&overload(1));
        let before = board.untold();
        board.note(&Signal { state: State::Cleared, ..overload(2) });
        board.told(&before[0]);
        assert_eq!(states(&board), [("nl-overload".into(), "cleared".into())]);
    }

    #[test]
    fn a_condition_that_is_no_more_is_taken_away_and_one_that_stays_keeps_its_state() {
        let board = board();
        board.expect(&[stated("nl-overload"), stated("calm")]);
        board.note(&overload(1));
        board.untold().iter().for_each(|retained| board.told(retained));
        board.expect(&[stated("nl-overload")]);
        let gone = Retained { topic: "oopsd/v1/ams1/condition/calm/state".into(), payload: String::new() };
        assert_eq!(board.untold(), std::slice::from_ref(&gone));
        board.told(&gone);
        board.forgotten();
        assert_eq!(states(&board), [("nl-overload".into(), "met".into())]);
    }

    fn board() -> Board {
        Board::new(Topics::new("oopsd/v1", "ams1"), Sender { node: "ams1".into(), boot: "b00t".into() })
    }

    fn stated(condition: &str) -> Stated {
        Stated { condition: condition.to_owned(), scope: Named::Node }
    }

    fn states(board: &Board) -> Vec<(String, String)> {
        let parsed =
            board.untold().into_iter().map(|it| serde_json::from_str::<serde_json::Value>(&it.payload).unwrap());
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        parsed.map(|it| (text(&it["condition"]), text(&it["state"]))).collect()
    }
}
