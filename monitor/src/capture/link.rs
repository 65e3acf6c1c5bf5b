//! What libpcap calls a link type, as `wire` reads it.

use pcap::Linktype;
use wire::Link;

/// How frames of this link type begin; `None` if `wire` does not read them.
#[must_use]
pub(super) const fn of(datalink: Linktype) -> Option<Link> {
    match datalink.0 {
        1 => Some(Link::Ethernet),
        113 => Some(Link::Cooked),
        276 => Some(Link::Cooked2),
        12 | 14 | 101 | 228 | 229 => Some(Link::Raw),
        0 | 108 => Some(Link::Loopback),
        _ => None,
    }
}

/// The name and number of a link type, to print.
#[must_use]
pub(super) fn print(datalink: Linktype) -> String {
    let name = datalink.get_name().unwrap_or_else(|_| String::from("unknown"));
    format!("{name} ({})", datalink.0)
}

/// The link types [`of`] knows, to print behind "oopsd reads".
pub(super) const KNOWN: &str = "Ethernet, Linux cooked v1 and v2, raw IP and BSD loopback";
