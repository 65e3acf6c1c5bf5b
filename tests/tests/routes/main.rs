//! Routes against real routing daemons, judged at the upstream by what came over the wire.

mod disasters;
mod intents;
mod leases;
mod listening;
mod table;
