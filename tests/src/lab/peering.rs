//! An anycast host and its upstream: two namespaces, a cable, the service's addresses, and a BGP listener that judges the host's
//! routing daemon, whichever that is. The daemon and oopsd are the test's to start.

use super::{Namespace, ready};
use crate::bgp::Listener;
use anyhow::Result;

/// The service's prefixes.
pub const V4: &str = "192.0.2.0/24";
/// The service's prefixes.
pub const V6: &str = "2001:db8::/48";
/// The host's AS number, which a plain path consists of.
pub const HOST_AS: u32 = 64999;
/// The upstream's AS number.
pub const UPSTREAM_AS: u32 = 64998;

/// The host is 10.53.0.1 and fd53::1 on `up`, the upstream 10.53.0.2 and fd53::2 on `down`, where the listener is.
#[derive(Debug)]
pub struct Peering {
    /// The upstream's end of all sessions; it takes them from any address, for both address families.
    pub listener: Listener,
    /// Where the routing daemon and oopsd run; 192.0.2.1 and 2001:db8::1 are on its lo.
    pub host: Namespace,
    /// Where the listener is, and where queries can come from.
    pub upstream: Namespace,
}

impl Peering {
    /// Makes it; `None` if this, or one of `programs`, cannot be run here.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn new(programs: &[&str]) -> Result<Option<Self>> {
        if !ready(&[&["ip"], programs].concat()) {
            return Ok(None);
        }
        let (host, upstream) = (Namespace::new("host")?, Namespace::new("upstream")?);
        host.cable("up", &upstream, "down")?;
        host.ip("addr add 192.0.2.1/32 dev lo")?;
        host.ip("addr add 2001:db8::1/128 dev lo nodad")?;
        for (namespace, interface, last) in [(&host, "up", 1), (&upstream, "down", 2)] {
            namespace.ip(&format!("addr add 10.53.0.{last}/30 dev {interface}"))?;
            namespace.ip(&format!("addr add fd53::{last}/64 dev {interface} nodad"))?;
        }
        let listener = Listener::start(&upstream, UPSTREAM_AS)?;
        Ok(Some(Self { listener, host, upstream }))
    }
}
