//! One file for each subcommand.

mod check;
mod replay;
mod run;

pub use check::check;
pub use replay::replay;
pub use run::run;
