//! One file for each subcommand.

mod channel;
mod check;
mod outbox;
mod release;
mod replay;
mod run;
mod socket;

pub use channel::test as channel;
pub use check::check;
pub use outbox::outbox;
pub use release::release;
pub use replay::replay;
pub use run::run;
