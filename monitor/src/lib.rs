//! Everything of oopsd that does I/O; `main.rs` is its command line.

pub mod capture;
pub mod channel;
pub mod cli;
pub mod command;
pub mod config;
pub mod control;
pub mod http;
pub mod interval;
pub mod json;
pub mod metrics;
pub mod name;
pub mod print;
pub mod privileges;
pub mod router;
pub mod state;
pub mod summary;
