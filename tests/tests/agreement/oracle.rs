//! What etherparse, `domain` and hickory-proto say of a frame.

use domain::base::iana::Rtype;
use domain::base::name::ToName;
use domain::base::opt::{ExtendedError, Opt};
use domain::base::{Message, ParsedRecord};
use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice, UdpSlice};
use hickory_proto::op::{Message as HickoryMessage, MessageType};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use wire::count::OTHER_CODES;
use wire::{Link, Transport};

/// The headers of a datagram or segment and what it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carried<'a> {
    pub(crate) transport: Transport,
    pub(crate) addresses: (u128, u128),
    pub(crate) ports: (u16, u16),
    pub(crate) payload: &'a [u8],
}

/// The header and the question of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) response: bool,
    pub(crate) opcode: u8,
    pub(crate) truncated: bool,
    pub(crate) rcode: u8,
    /// Lower case, wire format. `None` unless there is exactly one question.
    pub(crate) qname: Option<Vec<u8>>,
}

/// What the records of a whole response say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) rcode: u16,
    pub(crate) extended_errors: u64,
}

/// The datagram or segment in a frame, as etherparse reads it.
pub(crate) fn carried(link: Link, frame: &[u8]) -> Option<Carried<'_>> {
    let read = match link {
        Link::Ethernet => LaxSlicedPacket::from_ethernet(frame).ok()?,
        Link::Cooked => typed(frame, 14, 16)?,
        Link::Cooked2 => typed(frame, 0, 20)?,
        Link::Raw => LaxSlicedPacket::from_ip(frame).ok()?,
        Link::Loopback => LaxSlicedPacket::from_ip(frame.get(4..)?).ok()?,
    };
    let net = read.net?;
    let addresses = match &net {
        LaxNetSlice::Ipv4(ip) => (mapped(ip.header().source()), mapped(ip.header().destination())),
        LaxNetSlice::Ipv6(ip) => {
            (u128::from_be_bytes(ip.header().source()), u128::from_be_bytes(ip.header().destination()))
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let below = net.ip_payload_ref()?;
    // Of a fragment etherparse reads no transport; the first one has it, and `wire` accepts no other.
    let transport = match read.transport {
        Some(transport) => transport,
        None if below.fragmented => match below.ip_number.0 {
            17 => TransportSlice::Udp(UdpSlice::from_slice_lax(below.payload).ok()?),
            6 => TransportSlice::Tcp(TcpSlice::from_slice(below.payload).ok()?),
            _ => return None,
        },
        None => return None,
    };
    match transport {
        TransportSlice::Udp(udp) => Some(Carried {
            transport: Transport::Udp,
            addresses,
            ports: (udp.source_port(), udp.destination_port()),
            payload: udp.payload(),
        }),
        TransportSlice::Tcp(tcp) => Some(Carried {
            transport: Transport::Tcp,
            addresses,
            ports: (tcp.source_port(), tcp.destination_port()),
            payload: tcp.payload(),
        }),
        TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => None,
    }
}

fn typed(frame: &[u8], at: usize, header: usize) -> Option<LaxSlicedPacket<'_>> {
    let ethertype = u16::from_be_bytes(*frame.get(at..)?.first_chunk()?);
    Some(LaxSlicedPacket::from_ether_type(EtherType(ethertype), frame.get(header..)?))
}

fn mapped(address: [u8; 4]) -> u128 {
    0xFFFF_0000_0000 | u128::from(u32::from_be_bytes(address))
}

/// A message's head, as `domain` reads it.
pub(crate) fn head(bytes: &[u8]) -> Option<Head> {
    let message = Message::from_octets(bytes).ok()?;
    let header = message.header();
    let qname = message.sole_question().ok().and_then(|question| {
        let mut name = Vec::new();
        question.qname().compose_canonical(&mut name).ok()?;
        Some(name)
    });
    Some(Head {
        response: header.qr(),
        opcode: header.opcode().to_int(),
        truncated: header.tc(),
        rcode: header.rcode().to_int(),
        qname,
    })
}

/// What the records of a message say, as `domain` reads them; `None` unless all of them are well-formed.
pub(crate) fn records(bytes: &[u8]) -> Option<Records> {
    let message = Message::from_octets(bytes).ok()?;
    let (_, answers, authorities, additionals) = message.sections().ok()?;
    for record in answers.chain(authorities) {
        record.ok()?;
    }
    let additionals: Vec<ParsedRecord<'_, &[u8]>> = additionals.collect::<Result<_, _>>().ok()?;
    let mut opts = additionals.iter().filter(|record| record.rtype() == Rtype::OPT);
    let opt = opts.next();
    if opts.next().is_some() {
        return None;
    }
    let mut extended_errors = 0;
    if let Some(opt) = opt {
        let opt = opt.to_record::<Opt<_>>().ok()??;
        for error in opt.data().iter::<ExtendedError<_>>() {
            extended_errors |= column(error.ok()?.code().to_int());
        }
    }
    Some(Records { rcode: message.opt_rcode().to_int(), extended_errors })
}

/// Both, as hickory-proto reads them; `None` unless it accepts everything in the message.
pub(crate) fn hickory(bytes: &[u8]) -> Option<(Head, Records)> {
    let message = HickoryMessage::from_vec(bytes).ok()?;
    let header = &message.metadata;
    let qname = match message.queries.as_slice() {
        [query] => {
            let labels = query.name().iter().flat_map(|label| {
                [&[u8::try_from(label.len()).expect("a label has at most 63 bytes")], label].concat()
            });
            Some(labels.chain([0]).collect::<Vec<u8>>().to_ascii_lowercase())
        }
        _ => None,
    };
    let rcode = u16::from(header.response_code);
    let options = message.edns.iter().flat_map(|edns| &edns.options().options);
    let extended_errors = options.fold(0, |codes, option| match option {
        (EdnsCode::Unknown(15), EdnsOption::Unknown(_, content)) => match content.first_chunk() {
            Some(code) => codes | column(u16::from_be_bytes(*code)),
            None => codes,
        },
        _ => codes,
    });
    let head = Head {
        response: header.message_type == MessageType::Response,
        opcode: header.op_code.into(),
        truncated: header.truncation,
        rcode: u8::try_from(rcode & 15).expect("four bits"),
        qname,
    };
    Some((head, Records { rcode, extended_errors }))
}

fn column(code: u16) -> u64 {
    1 << usize::from(code).min(OTHER_CODES)
}
