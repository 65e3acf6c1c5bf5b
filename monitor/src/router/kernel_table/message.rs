//! The few route messages that are spoken with the kernel. What they are for is `kernel_table.rs`'s.

use super::lease;
use core::fmt;
use ipnet::IpNet;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Who put a route there: a number that rtnetlink(7) leaves to users. A route with another one is never touched.
pub(super) const PROTOCOL: u8 = 253;

/// A route that the table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) prefix: IpNet,
    pub(super) metric: u32,
    /// The interface of one that leads somewhere.
    pub(super) through: Option<u32>,
    protocol: u8,
    kind: RouteType,
    table: u32,
}

impl Held {
    /// Whether oopsd put it there.
    pub(super) fn is_ours(&self) -> bool {
        self.protocol == PROTOCOL && matches!(self.kind, RouteType::BlackHole | RouteType::Unicast)
    }
}

/// As `ip route add` takes it.
impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefix, metric, protocol, kind, table, through: _ } = self;
        let kind = format!("{kind:?}").to_lowercase();
        write!(f, "{kind} {prefix} table {table} proto {protocol} metric {metric}")
    }
}

/// The route that stands for one level of one prefix: through an interface, or a blackhole.
pub(super) fn route(table: u32, prefix: IpNet, metric: u32, through: Option<u32>) -> RouteMessage {
    let mut message = query(table, &prefix);
    message.header.destination_prefix_length = prefix.prefix_len();
    message.header.protocol = RouteProtocol::Other(PROTOCOL);
    message.header.kind = RouteType::BlackHole;
    if let Some(interface) = through {
        message.header.kind = RouteType::Unicast;
        message.header.scope = RouteScope::Link;
        message.attributes.push(RouteAttribute::Oif(interface));
    }
    message.attributes.push(RouteAttribute::Destination(prefix.network().into()));
    message.attributes.push(RouteAttribute::Priority(metric));
    message
}

/// One question for each address family among `prefixes`: all routes of the table. The kernel filters by table from 4.20 on, when asked strictly.
pub(super) fn queries(table: u32, prefixes: &BTreeSet<IpNet>) -> Vec<RouteMessage> {
    let v4 = prefixes.iter().find(|prefix| prefix.addr().is_ipv4());
    let v6 = prefixes.iter().find(|prefix| prefix.addr().is_ipv6());
    [v4, v6].into_iter().flatten().map(|prefix| query(table, prefix)).collect()
}

fn query(table: u32, of_family: &IpNet) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = match of_family {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.attributes.push(RouteAttribute::Table(table));
    message
}

/// Reads one route of `table`; `None` for those of other tables, and for the default route.
pub(super) fn held(table: u32, message: &RouteMessage) -> Option<Held> {
    let (mut destination, mut metric, mut through) = (None, 0, None);
    if table_of(message) != table {
        return None;
    }
    for attribute in &message.attributes {
        if let RouteAttribute::Destination(RouteAddress::Inet(address)) = attribute {
            destination = Some(IpAddr::V4(*address));
        } else if let RouteAttribute::Destination(RouteAddress::Inet6(address)) = attribute {
            destination = Some(IpAddr::V6(*address));
        } else if let RouteAttribute::Priority(priority) = attribute {
            metric = *priority;
        } else if let RouteAttribute::Oif(interface) = attribute {
            // The kernel names lo for an IPv6 blackhole.
            through = (message.header.kind == RouteType::Unicast).then_some(*interface);
        }
    }
    let prefix = IpNet::new(destination?, message.header.destination_prefix_length).ok()?;
    let (protocol, kind) = (u8::from(message.header.protocol), message.header.kind);
    Some(Held { prefix, metric, through, protocol, kind, table })
}

fn table_of(message: &RouteMessage) -> u32 {
    let long = message
        .attributes
        .iter()
        .find_map(|attribute| if let RouteAttribute::Table(table) = attribute { Some(*table) } else { None });
    long.unwrap_or_else(|| u32::from(message.header.table))
}

/// Whether a notice is of a route of `table` that came or went, of the interface that it leases by, or of notices that were missed.
pub(super) fn concerns(table: u32, notice: &NetlinkPayload<RouteNetlinkMessage>) -> bool {
    if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route)) =
        notice
    {
        table_of(route) == table
    } else if let NetlinkPayload::InnerMessage(
        RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link),
    ) = notice
    {
        link.attributes.contains(&LinkAttribute::IfName(lease::name(table)))
    } else {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_read_as_it_was_written() {
        for prefix in ["192.0.2.0/24", "2001:db8::/48"] {
            let prefix: IpNet = prefix.parse().unwrap();
            let read = held(5353, &route(5353, prefix, 102, None)).unwrap();
            assert!(read.is_ours());
            assert_eq!(read.to_string(), format!("blackhole {prefix} table 5353 proto 253 metric 102"));
            let read = held(5353, &route(5353, prefix, 80, Some(7))).unwrap();
            assert!(read.is_ours());
            assert_eq!((read.metric, read.through), (80, Some(7)));
        }
    }

    #[test]
    fn routes_of_other_tables_are_passed_over() {
        assert_eq!(held(254, &route(5353, "192.0.2.0/24".parse().unwrap(), 102, None)), None);
    }

    #[test]
    fn only_the_families_in_use_are_asked_for() {
        let prefixes = BTreeSet::from(["2001:db8::/48".parse().unwrap()]);
        let queries = queries(5353, &prefixes);
        assert_eq!(queries.len(), 1);
        assert_eq!(queries[0].header.address_family, AddressFamily::Inet6);
    }
}
