//! From the link to the transport: where the payload is, who sent it to whom.
//!
//! Whatever follows the length that IP declares is padding. Where that length is 0, because a network card or Linux
//! ("BIG TCP") made one frame of many, the packet goes as far as the capture. Later fragments are not read: nothing in
//! them says what they belong to.

use crate::dns::HEADER;
use crate::{Frame, Skip};

/// As many IPv6 extension headers as are passed over.
const EXTENSIONS: usize = 8;

/// Ethertypes.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86DD;

/// The length of a packet that does not declare one: more than any frame, and far from overflow.
const UNKNOWN: usize = 1 << 30;

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

impl Link {
    /// The link layer with this number, a `DLT_` of libpcap or a `LINKTYPE_` of its files; `None` if it cannot be read.
    #[must_use]
    pub const fn from_dlt(dlt: i32) -> Option<Self> {
        match dlt {
            1 => Some(Self::Ethernet),
            113 => Some(Self::Cooked),
            276 => Some(Self::Cooked2),
            12 | 14 | 101 | 228 | 229 => Some(Self::Raw),
            0 | 108 => Some(Self::Loopback),
            _ => None,
        }
    }

    /// The IP version below this link and where its header begins.
    #[inline(always)]
    fn network<F: Frame>(self, frame: &F) -> Result<(Family, usize), Skip> {
        match self {
            Self::Ethernet => {
                let [.., a, b] = frame.read::<14>(0).ok_or(Skip::Truncated)?;
                untagged(frame, [a, b], 14)
            }
            Self::Cooked => untagged(frame, frame.read(14).ok_or(Skip::Truncated)?, 16),
            Self::Cooked2 => untagged(frame, frame.read(0).ok_or(Skip::Truncated)?, 20),
            Self::Raw => match frame.read(0).ok_or(Skip::Truncated)? {
                [0x40..=0x4F] => Ok((Family::V4, 0)),
                [0x60..=0x6F] => Ok((Family::V6, 0)),
                _ => Err(Skip::NotDns),
            },
            Self::Loopback => match frame.read(0).ok_or(Skip::Truncated)? {
                [2, 0, 0, 0] | [0, 0, 0, 2] => Ok((Family::V4, 4)),
                [10 | 24 | 28 | 30, 0, 0, 0] | [0, 0, 0, 10 | 24 | 28 | 30] => Ok((Family::V6, 4)),
                _ => Err(Skip::NotDns),
            },
        }
    }
}

/// The IP version behind an ethertype and at most two VLAN tags.
#[inline(always)]
fn untagged<F: Frame>(frame: &F, ethertype: [u8; 2], at: usize) -> Result<(Family, usize), Skip> {
    let mut ethertype = u16::from_be_bytes(ethertype);
    let mut at = at;
    for _ in 0..2 {
        if !matches!(ethertype, 0x8100 | 0x88A8 | 0x9100) {
            break;
        }
        let [_, _, a, b] = frame.read(at).ok_or(Skip::Truncated)?;
        ethertype = u16::from_be_bytes([a, b]);
        at = at.wrapping_add(4);
    }
    match ethertype {
        IPV4 => Ok((Family::V4, at)),
        IPV6 => Ok((Family::V6, at)),
        _ => Err(Skip::NotDns),
    }
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

/// The ports that carry DNS; a message has one of them at either end. They are kept as they are read from a packet, four in a
/// word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports(u64);

impl Ports {
    /// As many ports as can be named.
    pub const MAX: usize = 4;

    /// A one in each place of the word.
    const ONES: u64 = 0x0001_0001_0001_0001;

    /// Port 53.
    pub const DNS: Self = Self(Self::ONES.wrapping_mul(53_u16.to_be() as u64));

    /// The given ports, 1 to [`Ports::MAX`] of them, none 0; else `None`.
    #[must_use]
    pub fn new(ports: &[u16]) -> Option<Self> {
        let first = *ports.first()?;
        if ports.len() > Self::MAX || ports.contains(&0) {
            return None;
        }
        let all = (0..Self::MAX).map(|place| ports.get(place).copied().unwrap_or(first));
        Some(Self(all.rev().fold(0, |word, port| word << 16 | u64::from(port.to_be()))))
    }

    /// Ports as [`Ports::word`] gave them.
    #[must_use]
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The ports in a word, for [`Ports::from_word`].
    #[must_use]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// The ports; the first stands for those that were not given.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "sixteen bits each")]
    pub fn all(self) -> [u16; Self::MAX] {
        [0, 16, 32, 48].map(|shift| u16::from_be((self.0 >> shift) as u16))
    }

    /// Whether `port` is one of them.
    #[must_use]
    #[inline(always)]
    pub const fn contains(self, port: u16) -> bool {
        self.found(port.to_be() as u64) != 0
    }

    /// Whether one of two ports is, as they are in a packet.
    ///
    /// Both without a branch between them: which it is that matches depends on the direction. The first two ports are compared
    /// with one each, which is enough where there is but one port, as mostly.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "two of four")]
    const fn either(self, pair: [u8; 4]) -> bool {
        let pair = u32::from_ne_bytes(pair);
        let (lower, upper) = (pair & 0xFFFF, pair >> 16);
        let differ = pair ^ self.0 as u32;
        if (differ & 0xFFFF).wrapping_mul(differ >> 16) == 0 {
            return true;
        }
        self.0 != Self::ONES.wrapping_mul(self.0 & 0xFFFF) && self.found(lower as u64) | self.found(upper as u64) != 0
    }

    /// Not 0 if `port`, as it is in a packet, is one of them: all four are compared at once.
    #[inline(always)]
    const fn found(self, port: u64) -> u64 {
        let differ = self.0 ^ port.wrapping_mul(Self::ONES);
        differ.wrapping_sub(Self::ONES) & !differ & Self::ONES << 15
    }
}

/// A datagram or segment that may carry DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// IPv4 or IPv6.
    pub family: Family,
    /// UDP or TCP.
    pub transport: Transport,
    /// Offset of the source address in the frame; the destination address follows it.
    pub addresses: usize,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Offset of the transport's payload in the frame.
    pub payload: usize,
    /// Length of the payload in bytes, by the headers; the capture may hold less. Of a first fragment, as much as it has.
    pub length: usize,
    /// This is a first fragment: the payload goes on in another frame.
    pub fragment: bool,
}

/// What a quick look at a frame finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// A datagram that may carry DNS.
    Dns(Packet),
    /// What [`Skip::NotDns`] is said of.
    NotDns,
    /// Anything else: [`Packet::read`] tells.
    Other,
}

/// What an IP header says.
struct Network {
    family: Family,
    transport: Transport,
    addresses: usize,
    /// Where the transport header begins.
    at: usize,
    /// Where the packet ends.
    end: usize,
    fragment: bool,
}

impl Packet {
    /// Reads the headers of a frame down to a transport with one of `ports` at either end.
    ///
    /// # Errors
    /// Why it is none, or cannot be read.
    #[inline(always)]
    pub fn read<F: Frame>(frame: &F, link: Link, ports: Ports) -> Result<Self, Skip> {
        let network = match link.network(frame)? {
            (Family::V4, at) => v4(frame, frame.opaque_at(at))?,
            (Family::V6, at) => v6(frame, frame.opaque_at(at))?,
        };
        let Network { family, transport, addresses, at, end, fragment } = network;
        // What a whole packet lacks is its own fault; what a fragment lacks is elsewhere.
        let short = if fragment { Skip::Truncated } else { Skip::Malformed };
        let (source_port, destination_port, payload, end) = match transport {
            Transport::Udp => {
                let payload = at.wrapping_add(8);
                if payload > end {
                    return Err(short);
                }
                let [s0, s1, d0, d1, l0, l1, _, _] = frame.read(at).ok_or(Skip::Truncated)?;
                let (source, destination) = ported([s0, s1, d0, d1], ports)?;
                let length = usize::from(u16::from_be_bytes([l0, l1]));
                let declared = at.wrapping_add(length);
                if length < 8 || (declared > end && !fragment) {
                    return Err(Skip::Malformed);
                }
                (source, destination, payload, declared.min(end))
            }
            Transport::Tcp => {
                if at.wrapping_add(20) > end {
                    return Err(short);
                }
                let [s0, s1, d0, d1, _, _, _, _, _, _, _, _, offset, ..] =
                    frame.read::<20>(at).ok_or(Skip::Truncated)?;
                let (source, destination) = ported([s0, s1, d0, d1], ports)?;
                let header = usize::from(offset >> 4) << 2;
                let payload = at.wrapping_add(header);
                if header < 20 {
                    return Err(Skip::Malformed);
                }
                if payload > end {
                    return Err(short);
                }
                (source, destination, payload, end)
            }
        };
        let length = frame.opaque_at(end.wrapping_sub(payload));
        let payload = frame.opaque_at(payload);
        let addresses = frame.opaque_at(addresses);
        let fragment = frame.opaque_flag(fragment);
        let family = if frame.opaque_flag(family == Family::V6) { Family::V6 } else { Family::V4 };
        let transport = if frame.opaque_flag(transport == Transport::Tcp) { Transport::Tcp } else { Transport::Udp };
        Ok(Self { family, transport, addresses, source_port, destination_port, payload, length, fragment })
    }

    /// Reads the headers of the commonest frames: Ethernet without tags, IPv4 without options or fragments, UDP that fills
    /// it, a whole DNS header; or TCP or UDP of other ports. It finds what [`Packet::read`] does, in less time.
    #[inline(always)]
    pub fn plain<F: Frame>(frame: &F, ports: Ports) -> Plain {
        Self::plainly(frame, ports).unwrap_or(Plain::Other)
    }

    #[inline(always)]
    fn plainly<F: Frame>(frame: &F, ports: Ports) -> Option<Plain> {
        const IP: usize = 14;
        const UDP: usize = IP + 20;
        const PAYLOAD: usize = UDP + 8;
        // One look at the frame's length, which the compiler remembers: as many bytes as the headers of TCP have.
        frame.read::<{ PAYLOAD + HEADER }>(0)?;
        if !same(frame.read(IP - 2)?, [0xFF, 0xFF, 0xFF, 0], [8, 0, 0x45, 0]) {
            return None;
        }
        // No fragment, and the protocol.
        let whole = |protocol| Some(same(frame.read(IP + 6)?, [0x3F, 0xFF, 0, 0xFF], [0, 0, 0, protocol]));
        let total = usize::from(u16::from_be_bytes(frame.read(IP + 2)?));
        if !ports.either(frame.read(UDP)?) {
            let is_other = (whole(6)? || whole(17)?) && total >= PAYLOAD + HEADER - IP;
            return is_other.then_some(Plain::NotDns);
        }
        let length = usize::from(u16::from_be_bytes(frame.read(UDP + 4)?));
        if !whole(17)? || total != length.wrapping_add(UDP - IP) || length < PAYLOAD + HEADER - UDP {
            return None;
        }
        Some(Plain::Dns(Self {
            family: Family::V4,
            transport: Transport::Udp,
            addresses: IP + 12,
            source_port: u16::from_be_bytes(frame.read(UDP)?),
            destination_port: u16::from_be_bytes(frame.read(UDP + 2)?),
            payload: PAYLOAD,
            length: length.wrapping_sub(PAYLOAD - UDP),
            fragment: false,
        }))
    }

    /// The source address, from the frame that this was read from; IPv4 as `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2).
    #[must_use]
    #[inline(always)]
    pub fn source<F: Frame>(&self, frame: &F) -> Option<u128> {
        self.address(frame, 0)
    }

    /// The destination address, likewise.
    #[must_use]
    #[inline(always)]
    pub fn destination<F: Frame>(&self, frame: &F) -> Option<u128> {
        self.address(frame, 1)
    }

    #[inline(always)]
    fn address<F: Frame>(&self, frame: &F, nth: usize) -> Option<u128> {
        Some(match self.family {
            Family::V4 => mapped(frame.read(self.addresses.wrapping_add(nth << 2))?),
            Family::V6 => u128::from_be_bytes(frame.read(self.addresses.wrapping_add(nth << 4))?),
        })
    }
}

#[inline(always)]
const fn ported(pair: [u8; 4], ports: Ports) -> Result<(u16, u16), Skip> {
    let [s0, s1, d0, d1] = pair;
    if ports.either(pair) {
        return Ok((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])));
    }
    Err(Skip::NotDns)
}

/// Whether four bytes are those of `want` wherever `mask` has bits.
#[inline(always)]
const fn same(bytes: [u8; 4], mask: [u8; 4], want: [u8; 4]) -> bool {
    u32::from_ne_bytes(bytes) & u32::from_ne_bytes(mask) == u32::from_ne_bytes(want)
}

#[inline(always)]
const fn transport(protocol: u8) -> Result<Transport, Skip> {
    match protocol {
        17 => Ok(Transport::Udp),
        6 => Ok(Transport::Tcp),
        _ => Err(Skip::NotDns),
    }
}

/// IPv4 (RFC 791).
#[inline(always)]
fn v4<F: Frame>(frame: &F, at: usize) -> Result<Network, Skip> {
    let [version, _, t0, t1, _, _, f0, f1, _, protocol, ..] = frame.read::<20>(at).ok_or(Skip::Truncated)?;
    let header = usize::from(version & 15) << 2;
    let length = match u16::from_be_bytes([t0, t1]) {
        0 => UNKNOWN,
        length => usize::from(length),
    };
    if version >> 4 != 4 || header < 20 || length < header {
        return Err(Skip::Malformed);
    }
    let transport = transport(protocol)?;
    let fragment = u16::from_be_bytes([f0, f1]);
    if fragment & 0x1FFF != 0 {
        return Err(Skip::Fragment);
    }
    Ok(Network {
        family: Family::V4,
        transport,
        addresses: at.wrapping_add(12),
        at: at.wrapping_add(header),
        end: at.wrapping_add(length),
        fragment: fragment & 0x2000 != 0,
    })
}

#[inline(always)]
fn mapped(address: [u8; 4]) -> u128 {
    0xFFFF_0000_0000 | u128::from(u32::from_be_bytes(address))
}

/// IPv6 (RFC 8200) and its extension headers.
#[inline(always)]
fn v6<F: Frame>(frame: &F, at: usize) -> Result<Network, Skip> {
    let [version, _, _, _, l0, l1, next, ..] = frame.read::<40>(at).ok_or(Skip::Truncated)?;
    let addresses = at.wrapping_add(8);
    if version >> 4 != 6 {
        return Err(Skip::Malformed);
    }
    let mut at = at.wrapping_add(40);
    let end = at.wrapping_add(match u16::from_be_bytes([l0, l1]) {
        0 => UNKNOWN,
        length => usize::from(length),
    });
    let mut next = next;
    let mut fragment = false;
    for _ in 0..EXTENSIONS + 1 {
        match next {
            0 | 43 | 60 => {
                let [after, length] = frame.read(at).ok_or(Skip::Truncated)?;
                next = after;
                at = at.wrapping_add(usize::from(length).wrapping_add(1) << 3);
            }
            44 => {
                let [after, _, o0, o1] = frame.read(at).ok_or(Skip::Truncated)?;
                next = after;
                at = at.wrapping_add(8);
                let offset = u16::from_be_bytes([o0, o1]);
                if offset >> 3 != 0 {
                    return Err(if matches!(next, 0 | 43 | 60 | 17 | 6) { Skip::Fragment } else { Skip::NotDns });
                }
                fragment |= offset & 1 != 0;
            }
            _ => {
                let transport = transport(next)?;
                return Ok(Network { family: Family::V6, transport, addresses, at, end, fragment });
            }
        }
        at = frame.opaque_at(at);
        fragment = frame.opaque_flag(fragment);
        if at > end {
            return Err(if fragment { Skip::Truncated } else { Skip::Malformed });
        }
    }
    Err(Skip::Malformed)
}
