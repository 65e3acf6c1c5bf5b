//! `oopsd run` as a process between real interfaces, with real traffic. One idea a file.

mod counting;
mod judging;
mod webhook;
