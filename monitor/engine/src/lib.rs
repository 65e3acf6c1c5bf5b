//! Samples in; signals, intents and a view out.
//!
//! Pure: no clock, thread, I/O, log or randomness. The same plan and the same samples give the same output, bit for bit.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod action;
pub mod condition;
pub mod judge;
pub mod ladder;
pub mod machine;
pub mod names;
pub mod plan;
pub mod record;
pub mod sample;
pub mod signal;
pub mod time;
pub mod trouble;
pub mod view;
pub mod when;

mod blind;
mod budget;
mod climb;
mod clock;
mod effect;
mod errors;
mod harm;
mod measure;
#[cfg(test)]
mod properties;
mod replan;
mod routes;
#[cfg(test)]
mod scenario;
mod series;
#[cfg(test)]
mod test;
mod total;
mod tumble;
mod watch;

pub use action::{Action, MOST_PREPENDS, NotAnAction};
pub use condition::{Condition, Judged, Kind, Thresholds};
pub use judge::{Engine, Step};
pub use ladder::{Evidence, HeldBack, Intent, Ladder, Policy, Route, Rung};
pub use names::Names;
pub use plan::{Group, Plan, Scope};
pub use record::{Change, Record};
pub use sample::{Moved, MovedCodes, Sample, Sight};
pub use signal::{Arguments, Named, Signal, State};
pub use time::{Time, Wall};
pub use trouble::{Of, Trouble, Troubled};
pub use view::{Rates, Standing, View};
pub use watch::LIMIT as MOST_WATCHED_ZONES;
pub use when::When;
