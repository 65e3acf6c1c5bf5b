//! What the tests that cross a process, a namespace or a kernel stand on.

pub mod bgp;
pub mod bpffs;
pub mod channels;
pub mod daemon;
pub mod frames;
pub mod knot;
pub mod lab;
pub mod message;
pub mod message_bus;
pub mod mosquitto;
pub mod receiver;
pub mod receivers;
pub mod replay;
pub mod routers;
pub mod servers;
pub mod site;
pub mod syslog_server;
pub mod traffic;
pub mod tshark;
