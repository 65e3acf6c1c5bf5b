//! A predicate with memory: over rising for a while, met; under falling for a while, cleared.

use crate::Scope;
use crate::errors::Errors;
use crate::machine::Limits;
use core::time::Duration;

/// The draft's condition, as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Its name, which signals and routes refer to.
    pub name: String,
    /// What is measured.
    pub kind: Kind,
    /// Of what.
    pub scope: Scope,
    /// Where it rises and falls.
    pub thresholds: Thresholds,
    /// How long the value stays at or over rising before the condition is met.
    pub hold_rising: Duration,
    /// How long it stays under falling before the condition is cleared.
    pub hold_falling: Duration,
}

impl Condition {
    pub(crate) const fn limits(&self) -> Limits {
        let Self { thresholds, hold_rising, hold_falling, .. } = *self;
        Limits { thresholds, hold_rising, hold_falling }
    }

    /// What it keeps of extended errors from tick `since` on, if it judges them.
    pub(crate) const fn errors(&self, since: u64) -> Option<Errors> {
        match self.kind {
            Kind::ExtendedError { codes, .. } => Some(Errors::new(codes, since)),
            Kind::QueryRate | Kind::QueryRateIncrease { .. } => None,
        }
    }
}

/// What a condition measures (draft-grubto-dnsop-dns-out-of-protocol-signalling).
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Section 3.9: queries received a second.
    QueryRate,
    /// Section 3.10: the increase of the query rate, in queries a second per second.
    QueryRateIncrease {
        /// Under this query rate the value counts as 0.
        at_least: f64,
    },
    /// Section 3.11: responses sent with one of these info-codes.
    ExtendedError {
        /// The info-codes: bit n is info-code n.
        codes: u64,
        /// As responses a second, or as a share of all responses.
        judged: Judged,
    },
}

/// How extended errors are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Judged {
    /// Responses with one of the codes, a second.
    Rate,
    /// Their share of all responses sent, 0 to 1.
    Share {
        /// With fewer such responses in the window than this, the value counts as 0.
        at_least: u64,
    },
}

impl Kind {
    /// Its name in the configuration and in signals.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::QueryRate => "query-rate",
            Self::QueryRateIncrease { .. } => "query-rate-increase",
            Self::ExtendedError { .. } => "extended-error",
        }
    }
}

/// Two thresholds of which falling is the lower one.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Thresholds {
    rising: f64,
    falling: f64,
}

impl Thresholds {
    /// Both finite, rising over 0, falling at least 0 and under rising; else `None`.
    #[must_use]
    pub fn new(rising: f64, falling: f64) -> Option<Self> {
        let sound = rising.is_finite() && falling.is_finite() && rising > 0.0 && falling >= 0.0 && falling < rising;
        sound.then_some(Self { rising, falling })
    }

    /// At or over this a condition rises.
    #[must_use]
    pub const fn rising(&self) -> f64 {
        self.rising
    }

    /// Under this it falls.
    #[must_use]
    pub const fn falling(&self) -> f64 {
        self.falling
    }
}
