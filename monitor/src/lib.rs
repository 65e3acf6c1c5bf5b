//! Everything of oopsd that does I/O; `main.rs` is its command line.

pub mod capture;
pub mod channel;
pub mod config;
pub mod http;
pub mod json;
pub mod metrics;
pub mod name;
pub mod router;
