//! `oopsd run` as a process between real interfaces, with real traffic. One idea a file.

mod blindness;
mod counting;
mod exposition;
mod flood;
mod judging;
mod observing;
mod refusals;
mod reload;
mod stalls;
mod stopping;
mod webhook;
