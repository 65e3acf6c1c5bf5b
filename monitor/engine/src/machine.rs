//! A condition's memory: how values, one after another, become edges. Where values come from is in `measure`.

use crate::{State, Thresholds};
use core::fmt;
use core::time::Duration;

/// All that can change a condition. Where no rule applies it stays as it is.
///
/// It begins as `Unknown`, which signals and metrics show as cleared: only once it has been met, or has been under falling
/// for `keep-for`, may a route be touched. So a restart in the middle of an overload changes no route.
pub const TABLE: [Rule; 4] = [
    Rule { from: Known::Unknown, side: Side::Over, hold: Hold::For, to: Known::Met, signal: true },
    Rule { from: Known::Unknown, side: Side::Under, hold: Hold::KeepFor, to: Known::Cleared, signal: false },
    Rule { from: Known::Cleared, side: Side::Over, hold: Hold::For, to: Known::Met, signal: true },
    Rule { from: Known::Met, side: Side::Under, hold: Hold::KeepFor, to: Known::Cleared, signal: true },
];

/// A row of [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What the condition is.
    pub from: Known,
    /// Where its value is.
    pub side: Side,
    /// For how long without a break.
    pub hold: Hold,
    /// What the condition becomes.
    pub to: Known,
    /// Whether that is signalled.
    pub signal: bool,
}

/// What is known of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Neither met nor long enough under falling since it is judged.
    Unknown,
    /// Not met.
    Cleared,
    /// Met.
    Met,
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// At or over rising.
    Over,
    /// Between the thresholds, or at falling.
    Between,
    /// Under falling.
    Under,
}

/// For how long a value must stay on a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// `for`.
    For,
    /// `keep-for`.
    KeepFor,
}

impl From<Known> for State {
    fn from(known: Known) -> Self {
        match known {
            Known::Unknown | Known::Cleared => Self::Cleared,
            Known::Met => Self::Met,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = format!("{:?}", self.from).to_lowercase();
        let side = match self.side {
            Side::Over => "value >= rising",
            Side::Between => "between",
            Side::Under => "value < falling",
        };
        let hold = match self.hold {
            Hold::For => "for",
            Hold::KeepFor => "keep-for",
        };
        let to = format!("{:?}", self.to).to_lowercase();
        write!(f, "| {from} | {side} | {hold} | {to} | {} |", if self.signal { "yes" } else { "no" })
    }
}

/// A condition as it stands.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    known: Known,
    side: Side,
    held: Duration,
    value: Option<f64>,
    last: f64,
    spent: [Duration; 2],
    transitions: [u64; 2],
}

/// What a machine needs to know of its condition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) thresholds: Thresholds,
    pub(crate) hold_rising: Duration,
    pub(crate) hold_falling: Duration,
}

impl Machine {
    pub(crate) const fn new() -> Self {
        Self {
            known: Known::Unknown,
            side: Side::Between,
            held: Duration::ZERO,
            value: None,
            last: 0.0,
            spent: [Duration::ZERO; 2],
            transitions: [0; 2],
        }
    }

    /// Time goes on in the state that it is in.
    pub(crate) fn pass(&mut self, elapsed: Duration) {
        let [cleared, met] = &mut self.spent;
        let spent = match State::from(self.known) {
            State::Cleared => cleared,
            State::Met => met,
        };
        *spent = spent.saturating_add(elapsed);
    }

    /// Nothing can be judged: the hold neither grows nor ends.
    pub(crate) const fn freeze(&mut self) {
        self.value = None;
    }

    /// Takes a value, `elapsed` after the last one; the rule that changed the state, if one did.
    pub(crate) fn judge(&mut self, value: f64, elapsed: Duration, limits: &Limits) -> Option<&'static Rule> {
        let frozen = self.value.replace(value).is_none();
        self.last = value;
        let side = side(value, limits.thresholds);
        if side != self.side {
            self.side = side;
            self.held = Duration::ZERO;
        } else if !frozen {
            self.held = self.held.saturating_add(elapsed);
        }
        let rule = TABLE.iter().find(|rule| {
            let hold = match rule.hold {
                Hold::For => limits.hold_rising,
                Hold::KeepFor => limits.hold_falling,
            };
            rule.from == self.known && rule.side == side && self.held >= hold
        })?;
        self.known = rule.to;
        if rule.signal {
            let [cleared, met] = &mut self.transitions;
            let count = match State::from(rule.to) {
                State::Cleared => cleared,
                State::Met => met,
            };
            *count = count.saturating_add(1);
        }
        Some(rule)
    }

    pub(crate) const fn known(&self) -> Known {
        self.known
    }

    /// The value now; `None` while nothing can be judged.
    pub(crate) const fn value(&self) -> Option<f64> {
        self.value
    }

    /// The last value there was.
    pub(crate) const fn last(&self) -> f64 {
        self.last
    }

    pub(crate) const fn spent(&self) -> [Duration; 2] {
        self.spent
    }

    pub(crate) const fn transitions(&self) -> [u64; 2] {
        self.transitions
    }
}

fn side(value: f64, thresholds: Thresholds) -> Side {
    if value >= thresholds.rising() {
        Side::Over
    } else if value < thresholds.falling() {
        Side::Under
    } else {
        Side::Between
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_table() {
        let table: Vec<String> = TABLE.iter().map(Rule::to_string).collect();
        assert!(include_str!("../../../README.md").contains(&table.join("\n")), "{}", table.join("\n"));
    }

    #[test]
    fn staying_over_rising_for_the_hold_meets_it() {
        let mut machine = Machine::new();
        assert_eq!(edges(&mut machine, &[100.0, 100.0, 99.0, 100.0, 150.0, 120.0]), [(5, State::Met)]);
    }

    #[test]
    fn falling_below_rising_keeps_the_condition_met() {
        let mut machine = met();
        assert_eq!(edges(&mut machine, &[99.0, 70.0, 70.0, 70.0, 70.0, 70.0, 70.0]), []);
        assert_eq!(edges(&mut machine, &[69.0, 69.0, 69.0, 70.0, 69.0, 69.0, 69.0, 69.0]), [(7, State::Cleared)]);
    }

    #[test]
    fn before_the_first_edge_low_values_clear_it_silently() {
        let mut machine = Machine::new();
        assert_eq!(edges(&mut machine, &[0.0, 0.0, 0.0]), []);
        assert_eq!(machine.known(), Known::Unknown);
        assert_eq!(edges(&mut machine, &[0.0]), []);
        assert_eq!((machine.known(), machine.transitions()), (Known::Cleared, [0, 0]));
    }

    #[test]
    fn a_frozen_hold_goes_on_where_it_was() {
        let mut machine = Machine::new();
        edges(&mut machine, &[100.0, 100.0]);
        machine.freeze();
        assert_eq!(edges(&mut machine, &[100.0, 100.0]), [(1, State::Met)]);
    }

    #[test]
    fn time_is_spent_in_the_state_it_passes_in() {
        let mut machine = Machine::new();
        machine.pass(Duration::from_secs(3));
        edges(&mut machine, &[100.0, 100.0, 100.0]);
        machine.pass(Duration::from_secs(4));
        assert_eq!(machine.spent(), [Duration::from_secs(3), Duration::from_secs(4)]);
        assert_eq!(machine.transitions(), [0, 1]);
    }

    fn met() -> Machine {
        let mut machine = Machine::new();
        assert_eq!(edges(&mut machine, &[100.0, 100.0, 100.0]), [(2, State::Met)]);
        machine
    }

    /// A value a second: rising 100 for 2 s, falling 70 for 3 s.
    fn edges(machine: &mut Machine, values: &[f64]) -> Vec<(usize, State)> {
        let limits = Limits {
            thresholds: Thresholds::new(100.0, 70.0).unwrap(),
            hold_rising: Duration::from_secs(2),
            hold_falling: Duration::from_secs(3),
        };
        let mut edges = Vec::new();
        for (index, &value) in values.iter().enumerate() {
            if let Some(rule) = machine.judge(value, Duration::from_secs(1), &limits)
                && rule.signal
            {
                edges.push((index, rule.to.into()));
            }
        }
        edges
    }
}
