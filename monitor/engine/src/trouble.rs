//! What keeps a route from being as it is wanted, or a channel from sending all it should, said by those who see to it. It comes in
//! as a level; its edges are signals.

use crate::{Arguments, Engine, Named, Signal, State, Time, Wall};
use core::time::Duration;
use std::collections::BTreeMap;

/// Name and kind of the signal that a route is not what was wanted of it, for longer than it takes to make it so.
pub const NOT_APPLIED: &str = "route-not-applied";
/// Name and kind of the signal that somebody else keeps changing a route, so that it was left to them.
pub const CONTESTED: &str = "route-contested";
/// Name and kind of the signal that a channel gave signals up that it should have sent.
pub const GIVEN_UP: &str = "signals-given-up";

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// It is not as wanted, for too long. The value is for how many seconds.
    NotApplied,
    /// Somebody else keeps changing it. The value is how often it was put back.
    Contested,
    /// Signals were given up. The value is how many.
    GivenUp,
}

impl Trouble {
    /// The name and the kind of its signal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotApplied => NOT_APPLIED,
            Self::Contested => CONTESTED,
            Self::GivenUp => GIVEN_UP,
        }
    }
}

/// What may be in trouble.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// A route.
    Route {
        /// The router, by name.
        router: String,
        /// The prefix.
        prefix: String,
    },
    /// A channel, by name.
    Channel(String),
}

/// A route or a channel in trouble.
#[derive(Clone, Debug, PartialEq)]
pub struct Troubled {
    /// Which route, or which channel.
    pub of: Of,
    /// What kind.
    pub trouble: Trouble,
    /// How much of it there is, in the unit of its kind.
    pub value: f64,
    /// From where on it is one.
    pub threshold: f64,
    /// Over how long that was measured.
    pub window: Duration,
    /// Why, in words.
    pub reasons: Vec<String>,
}

/// The troubles that were signalled, by what is in it and kind, as they were last.
pub(crate) type Troubles = BTreeMap<(Of, Trouble), Troubled>;

impl Engine {
    /// Takes all the trouble there is now. What came and what went is signalled by the next step.
    pub fn troubled(&mut self, now: Vec<Troubled>) {
        let key = |it: &Troubled| (it.of.clone(), it.trouble);
        let now: Troubles = now.into_iter().map(|troubled| (key(&troubled), troubled)).collect();
        for (key, troubled) in &now {
            if !self.troubles.contains_key(key) {
                self.gone.push(signal(troubled, State::Met));
            }
        }
        for (key, troubled) in &self.troubles {
            if !now.contains_key(key) {
                let over = Troubled { value: 0.0, ..troubled.clone() };
                self.gone.push(signal(&over, State::Cleared));
            }
        }
        self.troubles = now;
    }
}

/// Yet to be numbered and dated.
fn signal(troubled: &Troubled, state: State) -> Signal {
    let reasons = match state {
        State::Met => troubled.reasons.clone(),
        State::Cleared => Vec::new(),
    };
    Signal {
        seq: 0,
        at: Time::default(),
        wall: Wall::default(),
        condition: troubled.trouble.as_str().to_owned(),
        kind: troubled.trouble.as_str(),
        state,
        scope: match &troubled.of {
            Of::Route { prefix, .. } => Named::Prefix(prefix.clone()),
            Of::Channel(name) => Named::Channel(name.clone()),
        },
        value: troubled.value,
        threshold: troubled.threshold,
        window: troubled.window,
        arguments: Arguments { reasons, ..Arguments::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Names, Plan, Sample, Sight};
    use std::sync::Arc;

    #[test]
    fn what_comes_and_what_goes_is_signalled_once_and_numbered() {
        let mut engine = engine();
        let mut seen = Vec::new();
        let rounds: [&[Trouble]; 6] = [
            &[],
            &[Trouble::NotApplied],
            &[Trouble::NotApplied],
            &[Trouble::Contested],
            &[Trouble::Contested, Trouble::NotApplied],
            &[],
        ];
        for (tick, round) in (1..).zip(rounds) {
            engine.troubled(round.iter().map(|trouble| troubled(*trouble)).collect());
            let step = engine.step(&sample(tick));
            seen.extend(step.signals.into_iter().map(|it| (it.seq, it.at.0 / TICK, it.kind, it.state)));
        }
        assert_eq!(
            seen,
            [
                (1, 2, NOT_APPLIED, State::Met),
                (2, 4, CONTESTED, State::Met),
                (3, 4, NOT_APPLIED, State::Cleared),
                (4, 5, NOT_APPLIED, State::Met),
                (5, 6, NOT_APPLIED, State::Cleared),
                (6, 6, CONTESTED, State::Cleared),
            ]
        );
    }

    #[test]
    fn a_signal_says_which_prefix_and_why_and_its_end_does_not() {
        let mut engine = engine();
        engine.troubled(vec![troubled(Trouble::Contested)]);
        let met = engine.step(&sample(1)).signals.remove(0);
        assert_eq!(met.scope, Named::Prefix("192.0.2.0/24".into()));
        assert_eq!((met.value, met.arguments.reasons), (5.0, vec!["it reads back as plain".to_owned()]));
        engine.troubled(Vec::new());
        let cleared = engine.step(&sample(2)).signals.remove(0);
        assert_eq!((cleared.value, cleared.arguments), (0.0, Arguments::default()));
    }

    #[test]
    fn each_channel_has_its_own() {
        let mut engine = engine();
        let of = |name: &str| Troubled { of: Of::Channel(name.to_owned()), ..troubled(Trouble::GivenUp) };
        engine.troubled(vec![of("log"), of("siem")]);
        let met = engine.step(&sample(1)).signals;
        engine.troubled(vec![of("siem")]);
        let cleared = engine.step(&sample(2)).signals;
        let scopes = |signals: &[Signal]| signals.iter().map(|it| it.scope.to_string()).collect::<Vec<_>>();
        assert_eq!(
            (scopes(&met), scopes(&cleared)),
            (vec!["channel log".into(), "channel siem".into()], vec!["channel log".into()])
        );
        assert_eq!((met[0].kind, cleared[0].state), (GIVEN_UP, State::Cleared));
    }

    const TICK: u64 = 100_000_000;

    fn sample(tick: u64) -> Sample {
        Sample {
            at: Time(tick * TICK),
            wall: Wall::default(),
            generation: 1,
            node: [0; wire::count::NODE],
            moved: Vec::new(),
            codes: Vec::new(),
            sight: Sight::default(),
        }
    }

    fn troubled(trouble: Trouble) -> Troubled {
        Troubled {
            of: Of::Route { router: "bird".to_owned(), prefix: "192.0.2.0/24".to_owned() },
            trouble,
            value: 5.0,
            threshold: 5.0,
            window: Duration::from_secs(3600),
            reasons: vec!["it reads back as plain".to_owned()],
        }
    }

    fn engine() -> Engine {
        Engine::new(Plan {
            names: Arc::new(Names::default()),
            groups: Vec::new(),
            tick: Duration::from_nanos(TICK),
            window: Duration::from_secs(1),
            slope_window: Duration::from_secs(5),
            lost_share: 0.01,
            conditions: Vec::new(),
            routes: Vec::new(),
        })
    }
}
