//! A site of an anycast service: a client's namespace, the host's, and the cable between them, which both call `eth0`.

use crate::daemon::{Oopsd, Orders};
use crate::lab::{self, Namespace};
use crate::message::query;
use crate::traffic::{Load, Server};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

/// The service's addresses.
pub const SERVICE: [&str; 2] = ["192.0.2.1:53", "[2001:db8::1]:53"];

/// The two ends of the cable, the client first: link-layer, IPv4 and IPv6 address.
const ENDS: [[&str; 3]; 2] =
    [["02:00:00:00:00:02", "203.0.113.2", "fd53::2"], ["02:00:00:00:00:01", "203.0.113.1", "fd53::1"]];

/// Both namespaces; gone when dropped.
#[derive(Debug)]
pub struct Site {
    /// Where oopsd and the name server run.
    pub host: Arc<Namespace>,
    /// Where queries come from.
    pub client: Namespace,
}

impl Site {
    /// Makes it, cable and all; `None` if this cannot be done here.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn new() -> Result<Option<Self>> {
        if !lab::ready(&["ip"]) {
            return Ok(None);
        }
        let site = Self { host: Arc::new(Namespace::new("daemon-host")?), client: Namespace::new("daemon-client")? };
        site.host.ip("addr add 192.0.2.1/32 dev lo")?;
        site.host.ip("addr add 2001:db8::1/128 dev lo nodad")?;
        site.cable()?;
        Ok(Some(site))
    }

    /// Makes it with oopsd on the host, ready, with this configuration; `None` if this cannot be done here.
    ///
    /// # Errors
    /// What `ip` says, or what oopsd wrote to standard error.
    pub fn watched(config: &str) -> Result<Option<(Self, Oopsd)>> {
        Self::watched_by(&Orders { config, ..Orders::default() })
    }

    /// As [`Site::watched`], with oopsd started by `orders`.
    ///
    /// # Errors
    /// As [`Site::watched`].
    pub fn watched_by(orders: &Orders<'_>) -> Result<Option<(Self, Oopsd)>> {
        let Some(site) = Self::new()? else { return Ok(None) };
        let mut oopsd = Oopsd::start(&site.host, orders)?;
        oopsd.ready()?;
        Ok(Some((site, oopsd)))
    }

    /// Lays the cable; again, after its removal.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn cable(&self) -> Result<()> {
        self.host.cable("eth0", &self.client, "eth0")?;
        for (namespace, [own, other]) in [(&self.client, [0, 1]), (&self.host, [1, 0])] {
            let ([own, own4, own6], [other, other4, other6]) = (ENDS[own], ENDS[other]);
            namespace.ip(&format!("link set dev eth0 address {own}"))?;
            namespace.ip(&format!("addr add {own4}/30 dev eth0"))?;
            namespace.ip(&format!("addr add {own6}/64 dev eth0 nodad"))?;
            // No message waits for an address to be resolved, or is lost waiting.
            namespace.ip(&format!("neigh replace {other4} lladdr {other} dev eth0 nud permanent"))?;
            namespace.ip(&format!("neigh replace {other6} lladdr {other} dev eth0 nud permanent"))?;
        }
        self.client.ip("route replace 192.0.2.0/24 via 203.0.113.1")?;
        self.client.ip("route replace 2001:db8::/48 via fd53::1")?;
        Ok(())
    }

    /// Lays another cable in place of this one, which has lost nothing yet.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn cable_anew(&self) -> Result<()> {
        self.host.ip("link del eth0")?;
        self.cable()
    }

    /// Sends what `next` gives to one of the [`SERVICE`] addresses, `rate` a second.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub fn load(&self, to: &str, rate: u32, next: impl FnMut() -> Vec<u8> + Send + 'static) -> Result<Load> {
        let to: SocketAddr = to.parse()?;
        Ok(Load::start(self.socket(to)?, to, rate, next))
    }

    /// Asks the first of the [`SERVICE`] addresses for www.nl., `rate` times a second.
    ///
    /// # Errors
    /// As [`Site::load`].
    pub fn queries(&self, rate: u32) -> Result<Load> {
        self.load(SERVICE[0], rate, || query("www.nl."))
    }

    /// A socket of the client's from which `to` can be reached.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn socket(&self, to: SocketAddr) -> Result<UdpSocket> {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        self.client.inside(|| Ok(UdpSocket::bind(any)?))
    }

    /// Answers at one of the [`SERVICE`] addresses, for `zones`.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn server(&self, at: &str, zones: &[&str]) -> Result<Server> {
        Server::start(self.host.inside(|| Ok(UdpSocket::bind(at)?))?, zones)
    }

    /// Sees that the cable lost nothing.
    ///
    /// # Errors
    /// When it lost something, or what `ip` says.
    pub fn is_lossless(&self) -> Result<()> {
        let lost = self.lost()?;
        ensure!(lost == [0, 0], "the cable lost some: {lost:?}");
        Ok(())
    }

    /// How many frames the cable lost, in both directions: the kernel gave them to nobody.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn lost(&self) -> Result<[u64; 2]> {
        let lost = |namespace: &Namespace| {
            let shown: Value = serde_json::from_str(&namespace.ip("-s -j link show dev eth0")?)?;
            shown[0]["stats64"]["tx"]["dropped"].as_u64().context("no counters")
        };
        Ok([lost(&self.client)?, lost(&self.host)?])
    }
}
