//! Routes against real routing daemons, judged at the upstream by what came over the wire.

mod bird3;
mod disasters;
mod intents;
mod leases;
mod listening;
mod table;
