//! Routes against real routing daemons, judged at the upstream by what came over the wire.

mod leases;
mod listening;
mod table;
