//! From the link to the transport: where the payload is, who sent it to whom.

/// How a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet, with up to two VLAN tags.
    Ethernet,
    /// Linux cooked capture v1 (DLT 113).
    Cooked,
    /// Linux cooked capture v2 (DLT 276).
    Cooked2,
    /// No link header: IPv4 or IPv6 (DLT 12, 14, 101, 228, 229).
    Raw,
    /// BSD loopback: four bytes of address family in either byte order (DLT 0 and 108).
    Loopback,
}

/// UDP or TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// RFC 768.
    Udp,
    /// RFC 7766: each message behind two bytes of length.
    Tcp,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

/// The ports that carry DNS; a message has one of them at either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports([u16; Ports::MAX]);

impl Ports {
    /// As many ports as can be named.
    pub const MAX: usize = 4;

    /// Port 53.
    pub const DNS: Self = Self([53; Self::MAX]);

    /// The given ports, 1 to [`Ports::MAX`] of them, none 0; else `None`.
    #[must_use]
    pub fn new(ports: &[u16]) -> Option<Self> {
        let first = *ports.first()?;
        if ports.len() > Self::MAX || ports.contains(&0) {
            return None;
        }
        let mut all = [first; Self::MAX];
        for (slot, &port) in all.iter_mut().zip(ports) {
            *slot = port;
        }
        Some(Self(all))
    }

    /// Whether `port` is one of them.
    #[must_use]
    #[inline(always)]
    pub fn contains(self, port: u16) -> bool {
        let [a, b, c, d] = self.0;
        port == a || port == b || port == c || port == d
    }
}

/// A datagram or segment that may carry DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// IPv4 or IPv6.
    pub family: Family,
    /// UDP or TCP.
    pub transport: Transport,
    /// Source address; IPv4 as `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2).
    pub source: u128,
    /// Destination address, likewise.
    pub destination: u128,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Offset of the transport's payload in the frame.
    pub payload: usize,
    /// Length of the payload in bytes, by the headers; the capture may hold less.
    pub length: usize,
}
