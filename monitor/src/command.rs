//! One file for each subcommand.

mod replay;

pub use replay::replay;
