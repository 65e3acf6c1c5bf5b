//! The configuration: the file as written becomes the configuration as meant.

use crate::{channel, router};
use engine::Plan;
use ipnet::IpNet;
use std::net::SocketAddr;

/// What to run, as meant.
#[derive(Clone, Debug)]
pub struct Config {
    /// What this node calls itself in signals; the host name by default.
    pub node: String,
    /// Where to count.
    pub capture: Capture,
    /// The service prefixes, longest first, in the order of their slots.
    pub prefixes: Vec<IpNet>,
    /// What to judge.
    pub plan: Plan,
    /// Where to serve `/metrics`; `None` serves nothing.
    pub metrics: Option<SocketAddr>,
    /// Where signals go.
    pub channels: Vec<channel::Config>,
    /// Who announces the routes.
    pub routers: Vec<router::Config>,
}

/// Where to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The interfaces, each once.
    pub interfaces: Vec<String>,
    /// The ports that carry DNS.
    pub ports: wire::Ports,
    /// Bytes of ring buffer for each packet socket.
    pub buffer: usize,
    /// Threads for each interface, joined by PACKET_FANOUT when more than one.
    pub threads: usize,
}
