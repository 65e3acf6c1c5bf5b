//! Frames, packets and messages for tests, put together from the inside out.

use wire::{Frame, Key, Link, Message, Packet, Ports, Skip, Slice};

pub(crate) const KEY: Key = Key([0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3211]);

pub(crate) const QUERY: u8 = 0;
pub(crate) const RESPONSE: u8 = 0x80;

/// What was made of a frame.
pub(crate) type Read = Result<(Packet, Message), Skip>;

pub(crate) fn read(link: Link, frame: &[u8]) -> Vec<Read> {
    let mut all = Vec::new();
    let end = wire::read(&Slice(frame), link, Ports::DNS, &mut |packet: &Packet, message: &Message| {
        all.push(Ok((*packet, *message)))
    });
    all.extend(end.err().map(Err));
    all
}

/// What was made of an Ethernet frame that gives exactly one thing.
pub(crate) fn one(frame: &[u8]) -> Result<Message, Skip> {
    let all = read(Link::Ethernet, frame);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].map(|(_, message)| message)
}

/// A name in wire format; `text` ends with a dot and has no escapes.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

/// A message with one question; the counts are those of `sections`.
pub(crate) fn message(flags: u8, rcode: u8, qname: &[u8], sections: [&[Vec<u8>]; 3]) -> Vec<u8> {
    let mut wire = vec![0x12, 0x34, flags, rcode, 0, 1];
    for section in sections {
        wire.extend(u16::try_from(section.len()).unwrap().to_be_bytes());
    }
    wire.extend(qname);
    wire.extend([0, 1, 0, 1]);
    wire.extend(sections.into_iter().flatten().flatten());
    wire
}

/// A query with an empty OPT record, as most resolvers send it.
pub(crate) fn query(text: &str) -> Vec<u8> {
    message(QUERY, 0, &name(text), [&[], &[], &[opt(0, &[])]])
}

/// A response with an OPT record that holds these info-codes.
pub(crate) fn response(text: &str, rcode: u8, codes: &[u16]) -> Vec<u8> {
    let options: Vec<_> = codes.iter().map(|&code| ede(code, b"")).collect();
    message(RESPONSE, rcode, &name(text), [&[], &[], &[opt(0, &options)]])
}

/// An OPT record.
pub(crate) fn opt(extended_rcode: u8, options: &[Vec<u8>]) -> Vec<u8> {
    let data = options.concat();
    let mut wire = vec![0, 0, 41, 4, 208, extended_rcode, 0, 0, 0];
    wire.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    wire.extend(data);
    wire
}

/// An Extended DNS Error option.
pub(crate) fn ede(code: u16, text: &[u8]) -> Vec<u8> {
    option(15, &[&code.to_be_bytes(), text].concat())
}

/// An EDNS option.
pub(crate) fn option(code: u16, value: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

/// A record of any type; `owner` in wire format.
pub(crate) fn record(owner: &[u8], rtype: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    [owner, &rtype.to_be_bytes(), &[0, 1, 0, 0, 0, 60], &length.to_be_bytes(), data].concat()
}

/// A datagram to port 53, or from it if `message` is a response.
pub(crate) fn udp(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len() + 8).unwrap();
    [&ends(message)[..], &length.to_be_bytes(), &[0, 0], message].concat()
}

/// A segment to port 53, or from it if the first message is a response.
pub(crate) fn tcp(messages: &[&[u8]]) -> Vec<u8> {
    let mut payload = Vec::new();
    for message in messages {
        payload.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
        payload.extend(*message);
    }
    segment(&ends(messages.first().copied().unwrap_or_default()), &payload)
}

pub(crate) fn segment(ports: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x18, 1, 0, 0, 0, 0, 0], &[1; 12], payload].concat()
}

fn ends(message: &[u8]) -> [u8; 4] {
    if message.get(2).is_some_and(|flags| flags & 0x80 != 0) { [0, 53, 0xC0, 0] } else { [0xC0, 0, 0, 53] }
}

/// An IPv4 packet from 192.0.2.1 to 198.51.100.2.
pub(crate) fn v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    v4_with(protocol, 0, &[], payload)
}

pub(crate) fn v4_with(protocol: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = 20 + options.len();
    let length = u16::try_from(header + payload.len()).unwrap().to_be_bytes();
    let mut wire = vec![0x40 | u8::try_from(header / 4).unwrap(), 0];
    wire.extend(length);
    wire.extend([0, 1]);
    wire.extend(fragment.to_be_bytes());
    wire.extend([64, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2]);
    wire.extend(options);
    wire.extend(payload);
    wire
}

/// An IPv6 packet from 2001:db8::1 to 2001:db8::2.
pub(crate) fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = vec![0x60, 0, 0, 0];
    wire.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    wire.extend([next, 64]);
    for host in [1, 2] {
        wire.extend([0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
    }
    wire.extend(payload);
    wire
}

/// An Ethernet frame without tags.
pub(crate) fn ethernet(packet: &[u8]) -> Vec<u8> {
    tagged(&[], packet)
}

/// An Ethernet frame with these tag protocols.
pub(crate) fn tagged(tags: &[u16], packet: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &tags_and_type(tags, packet), packet].concat()
}

/// The tags and the ethertype in front of a packet.
pub(crate) fn tags_and_type(tags: &[u16], packet: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for tag in tags {
        wire.extend(tag.to_be_bytes());
        wire.extend([0, 7]);
    }
    wire.extend(if packet[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xDD] });
    wire
}

/// A query or response over UDP and IPv4 in an Ethernet frame.
pub(crate) fn plain(message: &[u8]) -> Vec<u8> {
    ethernet(&v4(17, &udp(message)))
}

/// The QNAME that a message says it has.
pub(crate) fn qname(frame: &[u8], message: &Message) -> Vec<u8> {
    (0..message.qname.length).map(|at| Slice(frame).read::<1>(message.qname.at + at).unwrap()[0]).collect()
}
