//! `oopsd run` as a process between real interfaces, with real traffic. One idea a file.

mod blindness;
mod clock;
mod counting;
mod disk;
mod exposition;
mod fights;
mod flood;
mod frames;
mod judging;
mod ladder;
mod leases;
mod memory;
mod observing;
mod refusals;
mod release;
mod reload;
mod stalls;
mod stopping;
mod webhook;
