//! One file for each subcommand.

mod replay;
mod run;

pub use replay::replay;
pub use run::run;
