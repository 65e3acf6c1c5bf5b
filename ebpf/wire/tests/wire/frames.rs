//! Links, IP headers, transports: what carries a message, and what does not.

use wire::{Family, Link, Message, Packet, Plain, Ports, Skip, Slice, Transport};

use crate::build::*;

#[test]
fn every_link_carries_both_families_over_both_transports() {
    let query = query("www.example.com.");
    for (transport, segment) in [(Transport::Udp, udp(&query)), (Transport::Tcp, tcp(&[&query]))] {
        let protocol = if transport == Transport::Udp { 17 } else { 6 };
        for (family, packet) in [(Family::V4, v4(protocol, &segment)), (Family::V6, v6(protocol, &segment))] {
            for (link, frame) in links(&packet) {
                let all = read(link, &frame);
                let [Ok((packet, message))] = all[..] else { panic!("{link:?} {all:?}") };
                assert_eq!((packet.family, packet.transport), (family, transport));
                assert_eq!((packet.source_port, packet.destination_port), (0xC000, 53));
                assert_eq!(qname(&frame, &message), name("www.example.com."));
            }
        }
    }
}

#[test]
fn addresses_are_those_of_the_packet() {
    let query = udp(&query("a."));
    for (frame, source, destination) in [
        (v4(17, &query), 0xFFFF_C000_0201, 0xFFFF_C633_6402),
        (v6(17, &query), 0x2001_0DB8_0000_0000_0000_0000_0000_0001, 0x2001_0DB8_0000_0000_0000_0000_0000_0002),
    ] {
        let [Ok((packet, _))] = read(Link::Raw, &frame)[..] else { panic!() };
        let frame = Slice(&frame);
        assert_eq!((packet.source(&frame), packet.destination(&frame)), (Some(source), Some(destination)));
    }
}

#[test]
fn links_have_their_numbers() {
    let of = |dlts: &[i32]| dlts.iter().map(|&dlt| Link::from_dlt(dlt)).collect::<Vec<_>>();
    assert_eq!(of(&[1, 113, 276]), [Some(Link::Ethernet), Some(Link::Cooked), Some(Link::Cooked2)]);
    assert_eq!(of(&[12, 14, 101, 228, 229]), [Some(Link::Raw); 5]);
    assert_eq!(of(&[0, 108]), [Some(Link::Loopback); 2]);
    assert_eq!(of(&[105, -1, 2]), [None; 3]);
}

#[test]
fn a_frame_cut_anywhere_is_truncated_or_whole() {
    for (link, frame) in frames() {
        for length in 0..frame.len() {
            assert_eq!(read(link, &frame[..length]), [Err(Skip::Truncated)], "{link:?} {length}");
        }
        assert!(matches!(read(link, &frame)[..], [Ok(_)]));
    }

    fn frames() -> Vec<(Link, Vec<u8>)> {
        // Without EDNS the question is the last thing in the frame.
        let query = message(QUERY, 0, &name("example.com."), [&[], &[], &[]]);
        let mut all = links(&v4_with(17, 0, &[1; 40], &udp(&query)));
        all.extend(links(&v6(6, &tcp(&[&query]))));
        all.push((
            Link::Ethernet,
            tagged(&[0x88A8, 0x8100], &v6(0, &[&[17, 0, 0, 0, 0, 0, 0, 0][..], &udp(&query)].concat())),
        ));
        all
    }
}

#[test]
fn three_tags_are_too_many() {
    assert_eq!(one(&tagged(&[0x88A8, 0x8100, 0x8100], &v4(17, &udp(&query("a."))))), Err(Skip::NotDns));
}

#[test]
fn padding_behind_the_packet_is_not_read() {
    let query = message(QUERY, 0, &name("a."), [&[], &[], &[]]);
    let mut frame = plain(&query);
    let whole = one(&frame);
    frame.resize(frame.len() + 20, 0xFF);
    assert_eq!(one(&frame), whole);

    // A name that would only end in the padding is the message's own fault.
    let mut short = v4(17, &udp(&[&query[..12], &[5, b'a']].concat()));
    short.extend([b'a', b'a', b'a', b'a', 0, 0, 1, 0, 1]);
    assert_eq!(one(&ethernet(&short)), Err(Skip::Malformed));

    // An acknowledgement, padded.
    let mut frame = ethernet(&v4(6, &segment(&[0, 53, 1, 1], &[])));
    frame.resize(80, 0);
    assert_eq!(one(&frame), Err(Skip::NotDns));
}

#[test]
fn other_traffic_is_not_dns() {
    let query = query("a.");
    let mut other_port = udp(&query);
    other_port[..4].copy_from_slice(&[0, 80, 0, 81]);
    let mut not_ip = ethernet(&v4(17, &udp(&query)));
    not_ip[12..14].copy_from_slice(&[8, 6]);
    for frame in [ethernet(&v4(17, &other_port)), not_ip, ethernet(&v4(1, &query)), ethernet(&v6(58, &query))] {
        assert_eq!(one(&frame), Err(Skip::NotDns));
    }
    assert_eq!(read(Link::Raw, &[0x10; 60]), [Err(Skip::NotDns)]);
    assert_eq!(read(Link::Loopback, &[7; 60]), [Err(Skip::NotDns)]);
}

#[test]
fn ports_can_be_others() {
    let mut frame = plain(&query("a."));
    frame[36..38].copy_from_slice(&5353_u16.to_be_bytes());
    let ports = Ports::new(&[8053, 5353]).unwrap();
    let mut messages = 0;
    let read = wire::read(&Slice(&frame), Link::Ethernet, ports, &mut |_: &Packet, _: &Message| messages += 1);
    assert_eq!((read, messages), (Ok(()), 1));
    assert_eq!(one(&frame), Err(Skip::NotDns));
}

#[test]
fn a_message_has_one_of_up_to_four_ports_at_either_end() {
    // Of which some differ by a byte, or are others turned round.
    let all = [53, 0x3500, 853, 5353, 0x3535, 0x0100, 1];
    for many in 1..=Ports::MAX {
        let chosen = &all[..many];
        let ports = Ports::new(chosen).unwrap();
        assert_eq!(&ports.all()[..many], chosen);
        assert_eq!(Ports::from_word(ports.word()), ports);
        for (source, destination) in all.iter().flat_map(|source| all.map(|destination| (*source, destination))) {
            let mut frame = plain(&query("a."));
            frame[34..36].copy_from_slice(&u16::to_be_bytes(source));
            frame[36..38].copy_from_slice(&u16::to_be_bytes(destination));
            let wanted = chosen.contains(&source) || chosen.contains(&destination);
            let read = Packet::read(&Slice(&frame), Link::Ethernet, ports);
            let found = read.map(|packet| (packet.source_port, packet.destination_port));
            assert_eq!(found, if wanted { Ok((source, destination)) } else { Err(Skip::NotDns) });
            let plainly = Packet::plain(&Slice(&frame), ports);
            assert_eq!(plainly, read.map_or(Plain::NotDns, Plain::Dns));
            assert_eq!(ports.contains(source), chosen.contains(&source));
        }
    }
}

#[test]
fn headers_that_contradict_themselves_are_malformed() {
    let good = ethernet(&v4(17, &udp(&query("a."))));
    // IP version, header length below 20, total length below the header, UDP length below 8 and over IP's.
    for (at, bytes) in [(14, &[0x55][..]), (14, &[0x44]), (16, &[0, 19]), (38, &[0, 7]), (38, &[1, 0])] {
        let mut bad = good.clone();
        bad[at..][..bytes.len()].copy_from_slice(bytes);
        assert_eq!(one(&bad), Err(Skip::Malformed), "{at}");
    }
    let good = ethernet(&v4(6, &tcp(&[&query("a.")])));
    for offset in [0x40, 0xF0] {
        let mut bad = ethernet(&v4(6, &segment(&[0, 53, 1, 1], b"")));
        bad[46] = offset;
        assert_eq!(one(&bad), Err(Skip::Malformed));
    }
    assert!(one(&good).is_ok());
    let mut bad = ethernet(&v6(17, &udp(&query("a."))));
    bad[14] = 0x50;
    assert_eq!(one(&bad), Err(Skip::Malformed));
}

#[test]
fn later_fragments_are_counted_as_such_and_first_ones_are_read() {
    let response = udp(&response("example.com.", 3, &[22]));
    let question_ends = 8 + 12 + 13 + 4;
    for cut in (8..response.len()).step_by(8).chain([question_ends, response.len()]) {
        let first = &response[..cut];
        let fragment = [&[17, 0, 0, 1, 0, 0, 0, 9][..], first].concat();
        for packet in [v4_with(17, 0x2000, &[], first), v6(44, &fragment)] {
            let mut frame = ethernet(&packet);
            frame.resize(frame.len() + 40, 0);
            let got = one(&frame);
            if cut < question_ends {
                assert_eq!(got, Err(Skip::Truncated), "{cut}");
            } else {
                let message = got.unwrap();
                assert_eq!((message.rcode, message.unwalked), (3, cut < response.len()));
            }
        }
    }
    assert_eq!(one(&ethernet(&v4_with(17, 0x2001, &[], &response))), Err(Skip::Fragment));
    assert_eq!(one(&ethernet(&v4_with(17, 0x0100, &[], &response))), Err(Skip::Fragment));
    assert_eq!(one(&ethernet(&v4_with(1, 0x0100, &[], &response))), Err(Skip::NotDns));
    assert_eq!(one(&ethernet(&v6(44, &[&[17, 0, 0, 8, 0, 0, 0, 9], &response[..]].concat()))), Err(Skip::Fragment));
    assert_eq!(one(&ethernet(&v6(44, &[&[58, 0, 0, 8, 0, 0, 0, 9], &response[..]].concat()))), Err(Skip::NotDns));
}

#[test]
fn extension_headers_are_passed_over() {
    let query = udp(&query("a."));
    let mut payload = query.clone();
    let mut next = 17;
    for (nth, header) in [60, 44, 43, 0, 60, 60, 60, 60].into_iter().enumerate() {
        let length = if header == 44 { 0 } else { u8::try_from(nth % 3).unwrap() };
        let mut extension = vec![0; 8 + 8 * usize::from(length)];
        extension[0] = next;
        extension[1] = length;
        payload.splice(..0, extension);
        next = header;
        assert!(one(&ethernet(&v6(next, &payload))).is_ok(), "{nth}");
    }
    payload.splice(..0, [next, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(one(&ethernet(&v6(60, &payload))), Err(Skip::Malformed));
    let beyond = v6(60, &[17, 9, 0, 0, 0, 0, 0, 0]);
    assert_eq!(one(&ethernet(&[&beyond[..], &[0; 100]].concat())), Err(Skip::Malformed));
}

#[test]
fn a_packet_that_does_not_declare_its_length_goes_as_far_as_the_capture() {
    let query = query("example.com.");
    for (at, packets) in [
        (2, [v4(17, &udp(&query)), v4(6, &tcp(&[&query, &query]))]),
        (4, [v6(17, &udp(&query)), v6(6, &tcp(&[&query, &query]))]),
    ] {
        for (mut packet, messages) in packets.into_iter().zip([1, 2]) {
            packet[at..at + 2].fill(0);
            let all = read(Link::Raw, &packet);
            assert_eq!(all.iter().filter(|it| it.is_ok()).count(), messages, "{all:?}");
        }
    }
}

fn links(packet: &[u8]) -> Vec<(Link, Vec<u8>)> {
    let version_4 = packet[0] >> 4 == 4;
    let mut all = vec![
        (Link::Ethernet, ethernet(packet)),
        (Link::Ethernet, tagged(&[0x8100], packet)),
        (Link::Ethernet, tagged(&[0x88A8, 0x8100], packet)),
        (Link::Ethernet, tagged(&[0x9100, 0x9100], packet)),
        (Link::Cooked, [&[0; 14][..], &tags_and_type(&[], packet), packet].concat()),
        (Link::Cooked, [&[0; 14][..], &tags_and_type(&[0x8100], packet), packet].concat()),
        (Link::Cooked2, [&tags_and_type(&[], packet)[..], &[0; 18], packet].concat()),
        (Link::Cooked2, [&[0x81, 0][..], &[0; 18], &tags_and_type(&[0x8100], packet)[2..], packet].concat()),
        (Link::Raw, packet.to_vec()),
    ];
    let families: &[u8] = if version_4 { &[2] } else { &[10, 24, 28, 30] };
    for &family in families {
        all.push((Link::Loopback, [&[family, 0, 0, 0][..], packet].concat()));
        all.push((Link::Loopback, [&[0, 0, 0, family][..], packet].concat()));
    }
    all
}
