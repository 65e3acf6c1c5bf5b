//! What a condition's value is now. What becomes of it is in `machine`.

use crate::clock::{Base, Clock};
use crate::errors::Errors;
use crate::series::Series;
use crate::{Judged, Kind, Plan};
use core::time::Duration;
use wire::Field;
use wire::count::FIELDS;

/// What is kept of a scope: queries received, responses sent, and those of them with an extended error.
pub(crate) type Track = Series<3>;

/// Of a slot's fields, what a [`Track`] keeps.
pub(crate) fn kept(fields: &[u64; FIELDS]) -> [u64; 3] {
    let mut kept = [0_u64; 3];
    let [queries, responses, extended] = &mut kept;
    for (field, &count) in Field::ALL.into_iter().zip(fields) {
        let sum = match field {
            Field::Queries => &mut *queries,
            Field::WithExtendedError => &mut *extended,
            Field::NoError | Field::NxDomain | Field::ServFail | Field::Refused | Field::OtherRcode => &mut *responses,
        };
        *sum = sum.wrapping_add(count);
    }
    kept
}

/// The windows that end now; `None` while they are not full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows<'a> {
    pub(crate) clock: &'a Clock,
    pub(crate) rate: Option<Base>,
    pub(crate) slope: Option<Base>,
}

impl<'a> Windows<'a> {
    pub(crate) fn new(clock: &'a Clock, plan: &Plan) -> Self {
        Self { clock, rate: clock.base(plan.window), slope: clock.base(plan.slope_window) }
    }

    /// The value of a condition of this kind; `None` while its windows are not full.
    pub(crate) fn value(&self, kind: &Kind, track: &Track, errors: Option<&Errors>) -> Option<f64> {
        let base = self.rate?;
        match *kind {
            Kind::QueryRate => track.rates(base).map(|[queries, ..]| queries),
            Kind::QueryRateIncrease { at_least } => {
                let [queries, ..] = track.rates(base)?;
                let slope = track.slope(self.clock, self.slope?)?;
                Some(if queries < at_least { 0.0 } else { slope })
            }
            Kind::ExtendedError { judged, .. } => {
                let [_, responses, extended] = track.increase(base)?;
                // A response with two codes of the set is in both columns, but only once among those with any.
                let errors = errors?.increase(base)?.min(extended);
                Some(match judged {
                    Judged::Rate => errors as f64 / base.seconds,
                    Judged::Share { at_least } if errors < at_least || responses == 0 => 0.0,
                    Judged::Share { .. } => errors as f64 / responses as f64,
                })
            }
        }
    }
}

/// Over how long values of this kind are measured.
pub(crate) const fn window(kind: &Kind, plan: &Plan) -> Duration {
    match kind {
        Kind::QueryRate | Kind::ExtendedError { .. } => plan.window,
        Kind::QueryRateIncrease { .. } => plan.slope_window,
    }
}

/// A value over or under a threshold, in words.
pub(crate) fn compared(kind: &Kind, value: f64, sign: &str, threshold: f64) -> String {
    let unit = match kind {
        Kind::QueryRate => "q/s",
        Kind::QueryRateIncrease { .. } => "q/s per second",
        Kind::ExtendedError { judged: Judged::Rate, .. } => "responses/s",
        Kind::ExtendedError { judged: Judged::Share { .. }, .. } => "of responses",
    };
    format!("{} {sign} {threshold} {unit}", rounded(value))
}

/// Four digits that matter, or all before the point.
fn rounded(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.4}"),
    }
}
