//! Signals against real receivers: none is lost, whoever is killed.

mod cost;
mod kills;
mod mqtt;
mod programs;
mod receivers;
mod signatures;
mod syslog;
mod trial;
