//! The decoder against the encoder, against tshark, and against what is no message at all.

use super::message::{Attributes, Message, Open, Update};
use super::{cut, say};
use crate::lab;
use etherparse::PacketBuilder;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;

proptest! {
    #[test]
    fn an_update_is_read_as_it_was_written(update in update(), wide: bool, split in 1..100_usize) {
        let mut update = update;
        if !wide {
            update.attributes.path.iter_mut().for_each(|asn| *asn &= 0xFFFF);
        }
        let wire = say::message(2, &say::test::update(&update, wide));
        let mut unread = Vec::new();
        let mut read = Vec::new();
        for chunk in wire.chunks(split) {
            unread.extend_from_slice(chunk);
            while let Some((kind, body)) = cut(&mut unread).unwrap() {
                read.push(Message::read(kind, &body, wide).unwrap());
            }
        }
        update.withdrawn.sort_by_key(|prefix| prefix.addr().is_ipv6());
        update.announced.sort_by_key(|prefix| prefix.addr().is_ipv4());
        prop_assert_eq!(read, [Message::Update(update)]);
    }

    #[test]
    fn an_open_is_read_as_it_was_written(asn: u32, hold: u16, wide: bool, families in vec(any::<u16>(), 0..9)) {
        let asn = if wide { asn } else { asn & 0xFFFF };
        let open = Open { asn, hold, wide, families };
        let wire = say::open(&open, [192, 0, 2, 1]);
        prop_assert_eq!(Message::read(1, &wire[19..], true).unwrap(), Message::Open(open));
    }

    #[test]
    fn noise_is_an_error_or_a_message_and_never_the_end(kind in 0..7_u8, noise in vec(any::<u8>(), 0..200), wide: bool) {
        let _ = Message::read(kind, &noise, wide);
    }
}

#[test]
fn an_empty_update_is_the_end_of_the_rib() {
    for body in [&[0, 0, 0, 0][..], &[0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1]] {
        let end = Update { end_of_rib: true, ..Update::default() };
        assert_eq!(Message::read(2, body, true).unwrap(), Message::Update(end));
    }
}

#[test]
fn tshark_reads_the_same() {
    if !lab::ready(&["tshark"]) {
        return;
    }
    let update = Update {
        withdrawn: vec!["198.51.100.0/24".parse().unwrap()],
        announced: vec!["192.0.2.0/24".parse().unwrap()],
        attributes: Attributes {
            path: vec![64999, 4_200_000_000, 64999],
            next_hop: Some("10.53.0.1".parse().unwrap()),
            med: Some(77),
            communities: vec![(64998, 0), (64999, 666)],
        },
        end_of_rib: false,
    };
    let said = tshark(&say::message(2, &say::test::update(&update, true)));
    assert_eq!(said, "64999,4200000000,64999|77|64998:0,64999:666|192.0.2.0,198.51.100.0");
}

/// What tshark reads of an UPDATE: path, discriminator, communities, and all prefixes, sorted.
fn tshark(message: &[u8]) -> String {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2([2; 6], [3; 6]).ipv4([10, 53, 0, 1], [10, 53, 0, 2], 64);
    builder.tcp(179, 40_000, 1, 65_000).ack(1).write(&mut frame, message).unwrap();
    let length = u32::try_from(frame.len()).unwrap().to_ne_bytes();
    // A header of the file and one of the frame, both in this machine's order.
    let head: Vec<u8> =
        [0xA1B2_C3D4, 0x0004_0002, 0, 0, 65_535, 1, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("update.pcap");
    std::fs::write(&file, [&head[..], &length, &length, &frame].concat()).unwrap();
    let path = "bgp.update.path_attribute";
    let fields = [
        format!("{path}.as_path_segment.as4"),
        format!("{path}.multi_exit_disc"),
        format!("{path}.community_as"),
        format!("{path}.community_value"),
        "bgp.nlri_prefix".to_owned(),
        "bgp.withdrawn_prefix".to_owned(),
    ];
    let mut command = Command::new("tshark");
    command.args(["-n", "-T", "fields", "-E", "separator=|", "-r"]).arg(&file);
    fields.iter().for_each(|field| _ = command.args(["-e", field]));
    let printed = lab::run(&mut command).unwrap();
    let [path, med, of, value, announced, withdrawn] = printed.trim().split('|').collect::<Vec<_>>()[..] else {
        panic!("tshark printed {printed}")
    };
    let communities: Vec<_> = of.split(',').zip(value.split(',')).map(|(of, value)| format!("{of}:{value}")).collect();
    format!("{path}|{med}|{}|{announced},{withdrawn}", communities.join(","))
}

fn update() -> impl Strategy<Value = Update> {
    let announcement = (
        vec(v4(), 1..20),
        vec(v6(), 0..20),
        vec(any::<u32>(), 0..300),
        any::<bool>(),
        option::of(any::<u32>()),
        vec(any::<(u16, u16)>(), 0..90),
    );
    let withdrawn = (vec(v4(), 0..20), vec(v6(), 0..20)).prop_map(|(v4, v6)| [v4, v6].concat());
    (withdrawn, option::of(announcement)).prop_map(|(withdrawn, announcement)| {
        let Some((v4, v6, path, with_v6, med, mut communities)) = announcement else {
            let end_of_rib = withdrawn.is_empty();
            return Update { withdrawn, end_of_rib, ..Update::default() };
        };
        communities.sort_unstable();
        let next_hop = if with_v6 { IpAddr::V6(Ipv6Addr::LOCALHOST) } else { IpAddr::V4(Ipv4Addr::LOCALHOST) };
        let announced = if with_v6 { [v4, v6].concat() } else { v4 };
        let attributes = Attributes { path, next_hop: Some(next_hop), med, communities };
        Update { withdrawn, announced, attributes, end_of_rib: false }
    })
}

fn v4() -> impl Strategy<Value = IpNet> {
    (any::<u32>(), 0..=32_u8).prop_map(|(bits, length)| {
        let net = Ipv4Net::new(Ipv4Addr::from_bits(bits), length).unwrap();
        IpNet::V4(net.trunc())
    })
}

fn v6() -> impl Strategy<Value = IpNet> {
    (any::<u128>(), 0..=128_u8).prop_map(|(bits, length)| {
        let net = Ipv6Net::new(Ipv6Addr::from_bits(bits), length).unwrap();
        IpNet::V6(net.trunc())
    })
}
