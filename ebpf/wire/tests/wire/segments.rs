//! DNS over TCP: messages that begin a segment, and bytes that only look like it.

use wire::{Link, Skip};

use crate::build::*;

#[test]
fn all_messages_of_a_segment_count() {
    let queries: Vec<_> = ["a.example.", "b.", "c.example.org."].map(query).to_vec();
    let frame = ethernet(&v4(6, &tcp(&queries.iter().map(Vec::as_slice).collect::<Vec<_>>())));
    let names: Vec<_> = read(Link::Ethernet, &frame).into_iter().map(|it| qname(&frame, &it.unwrap().1)).collect();
    assert_eq!(names, [name("a.example."), name("b."), name("c.example.org.")]);
}

#[test]
fn no_more_than_so_many_messages_of_a_segment_count() {
    let query = query("a.");
    let frame = ethernet(&v4(6, &tcp(&vec![&query[..]; wire::read::SEGMENT + 9])));
    assert_eq!(read(Link::Ethernet, &frame).len(), wire::read::SEGMENT);
}

#[test]
fn the_last_message_may_go_on_in_the_next_segment() {
    let first = response("a.", 0, &[]);
    let second = response("example.com.", 2, &[22]);
    let whole = tcp(&[&first, &second]);
    let question_ends = whole.len() - second.len() + 12 + 13 + 4;
    for length in whole.len() - second.len()..whole.len() {
        let all = read(Link::Ethernet, &ethernet(&v4(6, &whole[..length])));
        if length < question_ends {
            assert!(matches!(all[..], [Ok(_)]), "{length}");
        } else {
            let [Ok(_), Ok((_, message))] = all[..] else { panic!("{length} {all:?}") };
            assert_eq!((message.rcode, message.unwalked), (2, true));
        }
    }
}

#[test]
fn what_the_capture_cuts_off_behind_a_message_is_said() {
    let query = query("example.com.");
    let frame = ethernet(&v4(6, &tcp(&[&query, &query])));
    let first = frame.len() - query.len() - 2;
    for length in first..first + 2 + 12 + 13 + 4 {
        assert!(matches!(read(Link::Ethernet, &frame[..length])[..], [Ok(_), Err(Skip::Truncated)]), "{length}");
    }
}

#[test]
fn segments_without_payload_are_not_dns() {
    assert_eq!(one(&ethernet(&v4(6, &segment(&[0, 53, 1, 1], b"")))), Err(Skip::NotDns));
}

#[test]
fn the_middle_of_a_message_is_not_taken_for_one() {
    let good = query("example.com.");
    let length_too_small = segment(&[1, 1, 0, 53], &[&[0, 11], &good[..]].concat());
    let mut all = vec![length_too_small, segment(&[1, 1, 0, 53], &[0]), segment(&[1, 1, 0, 53], &good)];
    // The opcode, Z, QDCOUNT, a pointer, a class.
    for (at, byte) in [(2, 0x28), (3, 0x40), (5, 2), (12, 0xC0), (28, 2)] {
        let mut bad = good.clone();
        bad[at] = byte;
        all.push(tcp(&[&bad]));
    }
    // A question that its message, or the segment, does not hold.
    all.push(segment(&[1, 1, 0, 53], &[&[0, 20], &good[..]].concat()));
    all.push(segment(&[1, 1, 0, 53], &[&[0, 40], &good[..20]].concat()));
    for (nth, bad) in all.into_iter().enumerate() {
        assert_eq!(one(&ethernet(&v4(6, &bad))), Err(Skip::Segment), "{nth}");
        let good = tcp(&[&good]);
        let behind = [&good[..], &bad[32..]].concat();
        assert!(one(&ethernet(&v4(6, &behind))).is_ok(), "{nth}");
    }
}

#[test]
fn queries_go_to_the_port_and_responses_come_from_it() {
    for message in [query("a."), response("a.", 0, &[])] {
        let mut wrong = tcp(&[&message]);
        wrong[..4].rotate_left(2);
        assert_eq!(one(&ethernet(&v4(6, &wrong))), Err(Skip::Segment));
        let mut both = tcp(&[&message]);
        both[..4].copy_from_slice(&[0, 53, 0, 53]);
        assert!(one(&ethernet(&v4(6, &both))).is_ok());
    }
}
