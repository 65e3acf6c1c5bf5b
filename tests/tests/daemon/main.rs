//! `oopsd run` as a process between real interfaces, with real traffic. One idea a file.

mod alertmanager;
mod blindness;
mod clock;
mod counting;
mod dbus;
mod disk;
mod exposition;
mod fights;
mod flood;
mod frames;
mod judging;
mod ladder;
mod leases;
mod memory;
mod notify;
mod observing;
mod outbox;
mod refusals;
mod release;
mod reload;
mod secrets;
mod stalls;
mod stopping;
mod webhook;
