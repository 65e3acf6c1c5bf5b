//! Frames from the link to the transport, as a strategy chooses them and as bytes. What they carry is in `dns`.
//!
//! Written by hand and not with etherparse, which reads them afterwards.

use proptest::collection::vec;
use proptest::prelude::*;
use wire::{Link, Transport};

/// Everything around the payload.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    pub(crate) link: Link,
    tags: Vec<(u16, u16)>,
    network: Network,
    pub(crate) transport: Transport,
    client_port: u16,
    pub(crate) to_server: bool,
    tcp_options: usize,
    padding: usize,
}

#[derive(Clone, Debug)]
enum Network {
    V4 { client: u32, server: u32, options: usize },
    V6 { client: u128, server: u128, extensions: Vec<Extension> },
}

#[derive(Clone, Copy, Debug)]
enum Extension {
    /// Hop-by-hop or destination options, or a routing header: its number, and its length in eight bytes less one.
    Sized(u8, u8),
    /// A fragment header of a packet that is whole (RFC 6946).
    Atomic,
}

/// Any stack that `wire` reads.
pub(crate) fn stack() -> impl Strategy<Value = Stack> {
    let link = prop::sample::select(vec![Link::Ethernet, Link::Cooked, Link::Cooked2, Link::Raw, Link::Loopback]);
    let tag = (prop::sample::select(vec![0x8100, 0x88A8, 0x9100]), any::<u16>());
    let transport = prop::sample::select(vec![Transport::Udp, Transport::Tcp]);
    // Not 53: then both directions would be possible.
    let port = 1024_u16..;
    (link, vec(tag, 0..=2), network(), transport, port, any::<bool>(), 0_usize..=10, 0_usize..20).prop_map(
        |(link, tags, network, transport, client_port, to_server, tcp_options, padding)| {
            let tags = if matches!(link, Link::Raw | Link::Loopback) { Vec::new() } else { tags };
            Stack { link, tags, network, transport, client_port, to_server, tcp_options, padding }
        },
    )
}

fn network() -> impl Strategy<Value = Network> {
    let v4 = (any::<(u32, u32)>(), 0_usize..=10).prop_map(|((client, server), options)| Network::V4 {
        client,
        server,
        options,
    });
    let any_place = prop_oneof![
        (prop::sample::select(vec![43, 60]), 0_u8..4).prop_map(|(number, length)| { Extension::Sized(number, length) }),
        Just(Extension::Atomic)
    ];
    let v6 = (any::<(u128, u128)>(), prop::option::of(0_u8..4), vec(any_place, 0..4)).prop_map(
        |((client, server), hop_by_hop, mut extensions)| {
            // Hop-by-hop options come first if at all (RFC 8200 section 4.1); one fragment header at most.
            let atomic = extensions.iter().position(|it| matches!(it, Extension::Atomic));
            let mut nth = 0..;
            extensions.retain(|it| nth.next() == atomic || !matches!(it, Extension::Atomic));
            extensions.splice(0..0, hop_by_hop.map(|length| Extension::Sized(0, length)));
            Network::V6 { client, server, extensions }
        },
    );
    prop_oneof![v4, v6]
}

impl Stack {
    /// The same over this transport.
    pub(crate) fn over(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }

    /// Source and destination address, IPv4 as `::ffff:a.b.c.d`.
    pub(crate) fn addresses(&self) -> (u128, u128) {
        let (client, server) = match self.network {
            Network::V4 { client, server, .. } => (mapped(client), mapped(server)),
            Network::V6 { client, server, .. } => (client, server),
        };
        if self.to_server { (client, server) } else { (server, client) }
    }

    /// Source and destination port.
    pub(crate) fn ports(&self) -> (u16, u16) {
        if self.to_server { (self.client_port, 53) } else { (53, self.client_port) }
    }

    /// The frame around `payload`.
    pub(crate) fn frame(&self, payload: &[u8]) -> Vec<u8> {
        let transport = self.segment(payload);
        let (ethertype, packet) = match &self.network {
            Network::V4 { options, .. } => (0x0800, self.v4(*options, &transport)),
            Network::V6 { extensions, .. } => (0x86DD, self.v6(extensions, &transport)),
        };
        let mut frame = self.header(ethertype);
        frame.extend(packet);
        if self.link == Link::Ethernet {
            frame.extend(vec![0xEE; self.padding]);
        }
        frame
    }

    fn header(&self, network: u16) -> Vec<u8> {
        let first = self.tags.first().map_or(network, |tag| tag.0);
        let mut header = match self.link {
            Link::Ethernet => [&[2; 12], &first.to_be_bytes()[..]].concat(),
            Link::Cooked => [&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0], &first.to_be_bytes()[..]].concat(),
            Link::Cooked2 => {
                [&first.to_be_bytes()[..], &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0]].concat()
            }
            Link::Raw => Vec::new(),
            Link::Loopback => vec![if network == 0x0800 { 2 } else { 30 }, 0, 0, 0],
        };
        for (nth, (_, id)) in self.tags.iter().enumerate() {
            let next = self.tags.get(nth + 1).map_or(network, |tag| tag.0);
            header.extend(id.to_be_bytes());
            header.extend(next.to_be_bytes());
        }
        header
    }

    fn v4(&self, options: usize, transport: &[u8]) -> Vec<u8> {
        let length = 20 + 4 * options + transport.len();
        let mut packet = vec![0x45 + u8::try_from(options).unwrap(), 0];
        packet.extend(u16::try_from(length).unwrap().to_be_bytes());
        packet.extend([0, 7, 0x40, 0, 64, self.protocol(), 0, 0]);
        let (source, destination) = self.addresses();
        packet.extend(&source.to_be_bytes()[12..]);
        packet.extend(&destination.to_be_bytes()[12..]);
        packet.extend(vec![1; 4 * options]);
        packet.extend(transport);
        packet
    }

    fn v6(&self, extensions: &[Extension], transport: &[u8]) -> Vec<u8> {
        let number = |nth: usize| match extensions.get(nth) {
            Some(Extension::Sized(number, _)) => *number,
            Some(Extension::Atomic) => 44,
            None => self.protocol(),
        };
        let mut after = Vec::new();
        for (nth, extension) in extensions.iter().enumerate() {
            match extension {
                Extension::Sized(_, length) => {
                    after.extend([number(nth + 1), *length]);
                    after.extend(vec![0; 6 + 8 * usize::from(*length)]);
                }
                Extension::Atomic => after.extend([number(nth + 1), 0, 0, 0, 1, 2, 3, 4]),
            }
        }
        after.extend(transport);
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(u16::try_from(after.len()).unwrap().to_be_bytes());
        packet.extend([number(0), 64]);
        let (source, destination) = self.addresses();
        packet.extend(source.to_be_bytes());
        packet.extend(destination.to_be_bytes());
        packet.extend(after);
        packet
    }

    fn segment(&self, payload: &[u8]) -> Vec<u8> {
        let (source, destination) = self.ports();
        let mut segment = [source.to_be_bytes(), destination.to_be_bytes()].concat();
        match self.transport {
            Transport::Udp => {
                segment.extend(u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
                segment.extend([0, 0]);
            }
            Transport::Tcp => {
                segment.extend([0, 0, 0, 1, 0, 0, 0, 2]);
                segment.extend([u8::try_from(5 + self.tcp_options).unwrap() << 4, 0x18, 1, 0, 0, 0, 0, 0]);
                segment.extend(vec![1; 4 * self.tcp_options]);
            }
        }
        segment.extend(payload);
        segment
    }

    fn protocol(&self) -> u8 {
        match self.transport {
            Transport::Udp => 17,
            Transport::Tcp => 6,
        }
    }
}

fn mapped(address: u32) -> u128 {
    0xFFFF_0000_0000 | u128::from(address)
}
