//! What `wire` reads of a frame is what etherparse, `domain` and hickory-proto read of it.
//!
//! Over frames as they should be, and over the same with bits turned and ends cut off: there, on what both accept.
//! That `wire` never panics and keeps within the frame is its own crate's to show.

#![expect(clippy::unwrap_used, reason = "what is generated fits the fields that say how long it is")]

mod dns;
mod oracle;
mod stack;

use dns::Dns;
use oracle::{Carried, Head, Records};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use stack::Stack;
use wire::zones::{self, Bucket};
use wire::{Key, Link, Message, Packet, Ports, Skip, Slice, Transport};

const KEY: Key = Key([0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344]);

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_datagram_is_read_as_it_was_made_and_as_the_others_read_it(
        stack in stack::stack().prop_map(|stack| stack.over(Transport::Udp)),
        dns in dns::message(),
    ) {
        let bytes = dns.bytes();
        let frame = stack.frame(&bytes);
        let read = read(&frame, stack.link);
        prop_assert_eq!(read.len(), 1);
        let (packet, message) = read[0].map_err(|skip| TestCaseError::fail(skip.as_str()))?;
        as_made(&frame, &stack, &dns, &packet, &message)?;

        let carried = oracle::carried(stack.link, &frame).expect("etherparse reads it");
        same_way(&frame, &packet, &carried)?;
        prop_assert_eq!(carried.payload, &bytes);
        same_message(&frame, &message, &bytes)?;
        prop_assert!(oracle::records(&bytes).is_some(), "domain reads it");
        if dns.opcode == 0 {
            let (head, records) = oracle::hickory(&bytes).expect("hickory reads it");
            same_head(&frame, &message, &head)?;
            same_records(&message, &records)?;
        }
    }

    #[test]
    fn every_message_of_a_segment_is_read_and_the_question_of_one_that_goes_on(
        stack in stack::stack().prop_map(|stack| stack.over(Transport::Tcp)),
        messages in vec(dns::query_or_response(), 1..6),
        kept in prop::option::of(any::<Index>()),
    ) {
        let messages: Vec<Dns> = messages.into_iter().map(|dns| dns.turned(!stack.to_server)).collect();
        let mut payload = Vec::new();
        let mut last = 0;
        for dns in &messages {
            let bytes = dns.bytes();
            last = payload.len();
            payload.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
            payload.extend(bytes);
        }
        // The last one may go on in the next segment, but its question is here.
        let (after_question, whole) = (last + 18 + messages[messages.len() - 1].qname().len(), payload.len());
        payload.truncate(kept.map_or(whole, |kept| after_question + kept.index(whole + 1 - after_question)));
        let frame = stack.frame(&payload);
        let read = read(&frame, stack.link);
        prop_assert_eq!(read.len(), messages.len());

        let carried = oracle::carried(stack.link, &frame).expect("etherparse reads it");
        prop_assert_eq!(carried.payload, &payload);
        let found = framed(carried.payload);
        prop_assert_eq!(found.len(), messages.len());
        for ((read, dns), bytes) in read.into_iter().zip(&messages).zip(found) {
            let (packet, message) = read.map_err(|skip| TestCaseError::fail(skip.as_str()))?;
            if !message.unwalked {
                as_made(&frame, &stack, dns, &packet, &message)?;
            }
            same_way(&frame, &packet, &carried)?;
            same_message(&frame, &message, bytes)?;
        }
    }

    #[test]
    fn of_a_broken_frame_what_both_accept_is_read_alike(
        stack in stack::stack(),
        messages in vec(dns::message(), 1..4),
        changes in vec(change(), 32),
    ) {
        let payload = match stack.transport {
            Transport::Udp => messages[0].bytes(),
            Transport::Tcp => {
                let framed = |dns: &Dns| {
                    let bytes = dns.clone().turned(!stack.to_server).bytes();
                    [u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec(), bytes].concat()
                };
                messages.iter().flat_map(framed).collect()
            }
        };
        let whole = stack.frame(&payload);
        for change in changes {
            agree_on(&change.of(&whole), stack.link)?;
        }
    }

    #[test]
    fn a_message_belongs_to_the_longest_zone_that_its_name_ends_with(
        stack in stack::stack(),
        dns in dns::query_or_response(),
        others in vec(dns::name(), 0..20),
        depths in vec(any::<Index>(), 0..5),
    ) {
        let dns = dns.turned(!stack.to_server);
        // Names above its own, and others of which some share its last labels.
        let mut names: Vec<Vec<Vec<u8>>> = depths.iter().map(|depth| {
            dns.labels[depth.index(dns.labels.len() + 1)..].to_vec()
        }).collect();
        for (nth, other) in others.into_iter().enumerate() {
            let shared = dns.labels.len().saturating_sub(nth % 4);
            names.push(other.into_iter().take(2).chain(dns.labels[shared..].iter().cloned()).collect());
        }
        let wire_names: Vec<Vec<u8>> = names.iter().map(|labels| {
            labels.iter().flat_map(|label| [&[u8::try_from(label.len()).unwrap()], &label[..]].concat()).chain([0]).collect()
        }).collect();
        let mut payload = dns.bytes();
        if stack.transport == Transport::Tcp {
            payload.splice(0..0, u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
        let frame = stack.frame(&payload);
        let (_, message) = read(&frame, stack.link)[0].map_err(|skip| TestCaseError::fail(skip.as_str()))?;
        prop_assert_eq!(slot(&frame, &message, &wire_names), longest(&dns.labels, &names));
    }
}

/// What happens to a frame on its way.
#[derive(Clone, Debug)]
struct Change {
    bits: Vec<(Index, u8)>,
    bytes: Vec<(Index, u8)>,
    kept: Option<Index>,
}

fn change() -> impl Strategy<Value = Change> {
    // Every other bit is among the headers.
    let bits = vec((any::<Index>(), 0_u8..8), 0..4);
    (bits, vec((any::<Index>(), any::<u8>()), 0..2), prop::option::weighted(0.3, any::<Index>()))
        .prop_map(|(bits, bytes, kept)| Change { bits, bytes, kept })
}

impl Change {
    fn of(&self, frame: &[u8]) -> Vec<u8> {
        let mut frame = frame.to_vec();
        for (nth, (at, bit)) in self.bits.iter().enumerate() {
            let length = frame.len().min(if nth % 2 == 0 { 120 } else { usize::MAX });
            frame[at.index(length)] ^= 1 << bit;
        }
        for (at, byte) in &self.bytes {
            let at = at.index(frame.len());
            frame[at] = *byte;
        }
        if let Some(kept) = self.kept {
            frame.truncate(kept.index(frame.len() + 1));
        }
        frame
    }
}

type Read = Result<(Packet, Message), Skip>;

fn read(frame: &[u8], link: Link) -> Vec<Read> {
    let mut all = Vec::new();
    let end = wire::read(&Slice(frame), link, Ports::DNS, &mut |packet: &Packet, message: &Message| {
        all.push(Ok((*packet, *message)))
    });
    all.extend(end.err().map(Err));
    all
}

/// The messages at the front of a segment; the last may be cut off.
fn framed(mut payload: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let Some((length, rest)) = payload.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (message, after) = rest.split_at(length);
        all.push(message);
        payload = after;
    }
    all
}

fn as_made(frame: &[u8], stack: &Stack, dns: &Dns, packet: &Packet, message: &Message) -> Result<(), TestCaseError> {
    prop_assert_eq!(addresses(frame, packet), Some(stack.addresses()));
    prop_assert_eq!((packet.source_port, packet.destination_port), stack.ports());
    prop_assert_eq!((message.response, message.opcode), (dns.response, dns.opcode));
    if message.is_query_opcode() {
        prop_assert_eq!(message.truncated, dns.truncated);
        prop_assert_eq!(qname(frame, message), dns.qname());
        prop_assert_eq!(message.rcode, dns.rcode());
        prop_assert_eq!(message.extended_errors, dns.extended_errors());
        prop_assert!(!message.unwalked);
    }
    Ok(())
}

/// Of each frame that both accept: the way, and every message.
fn agree_on(frame: &[u8], link: Link) -> Result<(), TestCaseError> {
    let Some(carried) = oracle::carried(link, frame) else { return Ok(()) };
    let messages = match carried.transport {
        Transport::Udp => vec![carried.payload],
        Transport::Tcp => framed(carried.payload),
    };
    for (read, bytes) in read(frame, link).into_iter().zip(messages) {
        let Ok((packet, message)) = read else { continue };
        same_way(frame, &packet, &carried)?;
        same_message(frame, &message, bytes)?;
    }
    Ok(())
}

fn same_way(frame: &[u8], packet: &Packet, carried: &Carried<'_>) -> Result<(), TestCaseError> {
    prop_assert_eq!(packet.transport, carried.transport);
    prop_assert_eq!(addresses(frame, packet), Some(carried.addresses));
    prop_assert_eq!((packet.source_port, packet.destination_port), carried.ports);
    Ok(())
}

fn same_message(frame: &[u8], message: &Message, bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Some(head) = oracle::head(bytes) {
        same_head(frame, message, &head)?;
    }
    let hickory = oracle::hickory(bytes);
    if let Some((head, _)) = &hickory {
        same_head(frame, message, head)?;
    }
    // Options that overrun their record are nothing to hickory, so only what `domain` accepts too is compared with it.
    if let Some(records) = oracle::records(bytes) {
        same_records(message, &records).map_err(|error| because("domain", &error, bytes))?;
        if let Some((_, records)) = hickory {
            same_records(message, &records).map_err(|error| because("hickory-proto", &error, bytes))?;
        }
    }
    Ok(())
}

fn same_head(frame: &[u8], message: &Message, head: &Head) -> Result<(), TestCaseError> {
    prop_assert_eq!((message.response, message.opcode), (head.response, head.opcode));
    if message.is_query_opcode() {
        prop_assert_eq!(message.truncated, head.truncated);
        prop_assert_eq!(message.rcode & 15, u16::from(head.rcode));
        if let Some(name) = &head.qname {
            prop_assert_eq!(&qname(frame, message), name);
        }
    }
    Ok(())
}

fn same_records(message: &Message, records: &Records) -> Result<(), TestCaseError> {
    if message.response && message.is_query_opcode() {
        prop_assert!(!message.unwalked, "it can be walked to its end");
        prop_assert_eq!(message.rcode, records.rcode);
        prop_assert_eq!(message.extended_errors, records.extended_errors);
    }
    Ok(())
}

fn because(other: &str, error: &TestCaseError, bytes: &[u8]) -> TestCaseError {
    TestCaseError::fail(format!("{other} reads otherwise: {error}: {bytes:02x?}"))
}

fn addresses(frame: &[u8], packet: &Packet) -> Option<(u128, u128)> {
    packet.source(&Slice(frame)).zip(packet.destination(&Slice(frame)))
}

fn qname(frame: &[u8], message: &Message) -> Vec<u8> {
    frame[message.qname.at..][..message.qname.length].to_ascii_lowercase()
}

fn slot(frame: &[u8], message: &Message, names: &[Vec<u8>]) -> u32 {
    let mut size = zones::buckets_for(names.len());
    loop {
        let mut buckets = vec![Bucket::default(); size];
        if let Ok(shape) = zones::build(names.iter().map(Vec::as_slice), &KEY, &mut buckets) {
            return zones::find(&Slice(frame), &message.qname, &KEY, shape, &buckets[..]);
        }
        size = zones::more(size);
    }
}

/// The first of the longest names that are a suffix; names too deep to be counted aside.
fn longest(labels: &[Vec<u8>], names: &[Vec<Vec<u8>>]) -> u32 {
    let lower = |labels: &[Vec<u8>]| labels.iter().map(|label| label.to_ascii_lowercase()).collect::<Vec<_>>();
    let labels = lower(labels);
    let mut found: Option<(usize, u32)> = None;
    for (slot, name) in (1..).zip(names) {
        let fits = name.len() <= wire::name::DEPTH && labels.ends_with(&lower(name));
        let length: usize = name.iter().map(|label| label.len() + 1).sum();
        if fits && length < wire::name::LENGTH && found.is_none_or(|(most, _)| name.len() > most) {
            found = Some((name.len(), slot));
        }
    }
    found.map_or(0, |(_, slot)| slot)
}
