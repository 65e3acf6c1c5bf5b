//! One file for each subcommand.

mod channel;
mod check;
mod release;
mod replay;
mod run;

pub use channel::test as channel;
pub use check::check;
pub use release::release;
pub use replay::replay;
pub use run::run;
