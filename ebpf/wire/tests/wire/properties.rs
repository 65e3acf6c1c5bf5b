//! What holds for every input: nothing panics, a cut is only ever a cut, the table finds what a list would.

use proptest::collection::vec;
use proptest::prelude::*;
use wire::{Link, Packet, Plain, Ports, Skip, Slice};

use crate::build::*;
use crate::corpus;
use crate::zones::Table;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read(bytes in vec(any::<u8>(), 0..200)) {
        corpus::frame::check(&bytes);
    }

    #[test]
    fn any_payload_is_read(bytes in vec(any::<u8>(), 0..120), tcp in any::<bool>(), response in any::<bool>()) {
        let flags = if response { 0x84 } else { 0 };
        let message = [&[0, 1, flags, 0, 0, 1, 0, 1, 0, 0, 0, 1], &bytes[..]].concat();
        let packet = if tcp { v6(6, &crate::build::tcp(&[&message, &message])) } else { v4(17, &udp(&message)) };
        corpus::frame::check(&[&[3], &packet[..]].concat());
    }

    #[test]
    fn a_flipped_byte_is_read(at in any::<prop::sample::Index>(), byte in any::<u8>(), which in 0..4_usize) {
        let query = query("www.example.com.");
        let response = response("www.example.com.", 3, &[22, 6]);
        let mut frame = [
            plain(&query),
            plain(&response),
            tagged(&[0x8100], &v6(6, &tcp(&[&response, &response]))),
            ethernet(&v4_with(17, 0x2000, &[1; 8], &udp(&response))),
        ][which].clone();
        let at = at.index(frame.len());
        frame[at] = byte;
        corpus::frame::check(&[&[0], &frame[..]].concat());
    }

    #[test]
    fn the_commonest_frames_are_read_at_once_as_all_others_are(which in 0..3_usize, changes in vec((0..42_usize, any::<u8>()), 0..3), padding in 0..3_usize) {
        let mut frame = [plain(&query("www.example.com.")), plain(&response("example.com.", 3, &[22])), ethernet(&v6(17, &udp(&query("."))))][which].clone();
        for (at, byte) in changes {
            frame[at] = byte;
        }
        frame.resize(frame.len() + padding, 0);
        for ports in [Ports::DNS, Ports::new(&[853, 0xC000]).unwrap()] {
            let read = Packet::read(&Slice(&frame), Link::Ethernet, ports);
            match Packet::plain(&Slice(&frame), ports) {
                Plain::Dns(packet) => prop_assert_eq!(read, Ok(packet)),
                Plain::NotDns => prop_assert_eq!(read, Err(Skip::NotDns)),
                Plain::Other => prop_assert!(read.is_err() || frame[12..] != plain(&query("www.example.com."))[12..]),
            }
        }
    }

    #[test]
    fn a_cut_frame_is_the_same_message_or_says_so(text in a_name(), codes in vec(any::<u16>(), 0..4), cut in any::<prop::sample::Index>()) {
        let frame = plain(&response(&text, 2, &codes));
        let whole = one(&frame).unwrap();
        match read(Link::Ethernet, &frame[..cut.index(frame.len())])[..] {
            [Ok((_, message))] => {
                prop_assert_eq!(message.qname, whole.qname);
                prop_assert!(message.unwalked || message == whole);
            }
            [Err(skip)] => prop_assert_eq!(skip, Skip::Truncated),
            _ => prop_assert!(false),
        }
    }

    #[test]
    fn the_table_finds_what_a_list_does(names in vec(a_name(), 0..60), queries in vec(a_name(), 1..60)) {
        let table = Table::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for query in queries {
            prop_assert_eq!(table.find(&query), longest(&names, &query), "{:?} {}", names, query);
        }
    }

    #[test]
    fn the_table_finds_names_of_any_bytes(bytes in vec(any::<u8>(), 0..300)) {
        corpus::zones::check(&bytes);
    }
}

/// Names of few labels, so that some are suffixes of others.
fn a_name() -> impl Strategy<Value = String> {
    vec("[abAB]|example|a-long-label-of-its-own", 0..20)
        .prop_map(|labels| match labels.join(".") {
            empty if empty.is_empty() => ".".to_owned(),
            labels => labels + ".",
        })
        .prop_filter("a name has at most 255 bytes", |text| name(text).len() <= 255)
}

fn longest(names: &[String], query: &str) -> u32 {
    let same = |suffix: &str| {
        names.iter().position(|name| name.eq_ignore_ascii_case(suffix) && name.matches('.').count() <= 16)
    };
    let mut suffix = query;
    loop {
        if let Some(nth) = same(suffix) {
            return u32::try_from(nth).unwrap() + 1;
        }
        match suffix.split_once('.') {
            Some((_, "")) if suffix == "." => return 0,
            Some((_, "")) => suffix = ".",
            Some((_, rest)) => suffix = rest,
            None => return 0,
        }
    }
}

#[test]
fn frames_of_every_shape_are_read() {
    for (_, frame) in crate::shapes::frames() {
        for length in 0..=frame.len() {
            corpus::frame::check(&[&[0], &frame[..length]].concat());
        }
    }
}
