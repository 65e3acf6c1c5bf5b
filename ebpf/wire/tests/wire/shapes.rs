//! Ethernet frames of every shape: links, headers, fragments, transports, messages. What reads frames must read all of these,
//! whole and cut off anywhere; the tests of the kernel programs read them too.

use std::slice::from_ref;

use crate::build::*;

/// Names for the table that the frames are attributed by.
pub(crate) const ZONES: [&str; 7] = [
    "example.com.",
    "www.example.com.",
    "com.",
    "a.very-long-label-that-needs-more-than-eight-bytes.example.org.",
    "l.l.l.l.l.l.l.l.l.l.l.l.l.l.l.l.",
    "b.",
    "xn--11b4c3d.",
];

/// All of them, with a word on each.
pub(crate) fn frames() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut add = |what: String, frame: Vec<u8>| all.push((what, frame));
    for (what, message) in messages() {
        add(format!("{what}, udp, v4"), plain(&message));
        add(format!("{what}, udp, v6"), ethernet(&v6(17, &udp(&message))));
        add(format!("{what}, tcp, v4"), ethernet(&v4(6, &tcp(&[&message]))));
        add(format!("{what}, tcp, v6"), tagged(&[0x8100], &v6(6, &tcp(&[&message, &message, &message]))));
    }
    let query = query("wWw.Example.com.");
    let bare = message(QUERY, 0, &name("mail.example.com."), [&[], &[], &[]]);
    let response = response("www.example.com.", 2, &[22, 6]);
    for (what, message) in [("query", &query), ("bare query", &bare), ("response", &response)] {
        for (what, packet) in packets(what, message) {
            for tags in [&[][..], &[0x8100], &[0x88A8, 0x8100], &[0x9100, 0x9100], &[0x8100, 0x8100, 0x8100]] {
                add(format!("{what}, tags {tags:x?}"), tagged(tags, &packet));
            }
        }
    }
    for (what, payload) in segments(&query, &response) {
        add(format!("{what}, v4"), ethernet(&v4(6, &payload)));
        add(format!("{what}, v6"), ethernet(&v6(6, &payload)));
    }
    add("arp".to_owned(), [&[2; 12][..], &[8, 6], &[0; 46]].concat());
    add("nothing".to_owned(), vec![0; 14]);
    all
}

/// Messages of every shape.
pub(crate) fn messages() -> Vec<(String, Vec<u8>)> {
    let answer = record(&[0xC0, 12], 1, &[192, 0, 2, 1]);
    let named = record(&name("ns1.example.com."), 1, &[192, 0, 2, 1]);
    let authority = record(&[0xC0, 12], 6, &[1; 40]);
    let tsig = record(&name("key."), 250, &[7; 20]);
    let empty = opt(0, &[]);
    let errors = opt(1, &[option(10, &[1; 8]), ede(22, b"no server"), ede(6, b""), ede(62, b"x"), ede(300, b"y")]);
    let mut all = Vec::new();
    let longest = "a.".repeat(127);
    let labels = format!("{}.{}.{}.{}.", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61));
    let under = ZONES.map(|zone| format!("mail.{zone}"));
    let names = [".", "a.", "b.", "COM.", "ExAmPlE.cOm.", "notexample.com.", "xn--11B4C3D.", &longest, &labels];
    for text in names.into_iter().chain(ZONES).chain(under.iter().map(String::as_str)) {
        let what = &text[..text.len().min(20)];
        all.push((format!("query {what}"), query(text)));
        all.push((format!("bare query {what}"), message(QUERY, 0, &name(text), [&[], &[], &[]])));
        all.push((format!("response {what}"), message(RESPONSE, 0, &name(text), [&[], &[], &[]])));
        all.push((
            format!("error {what}"),
            message(RESPONSE, 2, &name(text), [from_ref(&answer), &[], from_ref(&errors)]),
        ));
    }
    let text = "www.example.com.";
    let mut respond = |what: &str, flags: u8, rcode: u8, sections: [&[Vec<u8>]; 3]| {
        all.push((what.to_owned(), message(RESPONSE | flags, rcode, &name(text), sections)));
    };
    for rcode in 0..16 {
        respond("rcode", 0, rcode, [&[], &[], from_ref(&empty)]);
        respond("rcode with upper bits", 0, rcode, [&[], &[], &[opt(1, &[])]]);
    }
    respond("truncated", 2, 0, [&[], &[], from_ref(&empty)]);
    respond("opcode 4", 0x20, 0, [&[], &[], &[]]);
    respond("no records", 0, 3, [&[], &[], &[]]);
    respond("no opt", 0, 0, [from_ref(&answer), from_ref(&authority), from_ref(&named)]);
    respond("two answers", 0, 0, [&[answer.clone(), answer.clone()], &[], from_ref(&errors)]);
    respond("named answers", 0, 0, [&[named.clone(), named.clone()], from_ref(&authority), from_ref(&errors)]);
    respond("opt first", 0, 0, [&[], &[], &[errors.clone(), answer.clone()]]);
    respond("opt before tsig", 0, 0, [&[], &[], &[errors.clone(), tsig.clone()]]);
    respond("tsig before opt", 0, 0, [&[], &[], &[tsig, errors.clone()]]);
    respond("opt among answers", 0, 0, [from_ref(&errors), from_ref(&errors), &[]]);
    respond("two opts", 0, 0, [&[], &[], &[errors.clone(), errors.clone()]]);
    respond("two empty opts", 0, 0, [&[], &[], &[empty.clone(), empty.clone()]]);
    respond("empty opt that ends as one", 0, 0, [&[record(&[0xC0, 12], 16, &empty)], &[], &[]]);
    respond("short error", 0, 0, [&[], &[], &[opt(0, &[option(15, &[0])])]]);
    respond("option beyond opt", 0, 0, [&[], &[], &[opt(0, &[vec![0, 15, 0, 9, 0, 1]])]]);
    respond("owner of a bad type", 0, 0, [&[], &[], &[[&[0x80][..], &empty].concat()]]);
    respond("owner of many labels", 0, 0, [&[record(&name(&longest), 1, &[1; 4])], &[], from_ref(&errors)]);
    for answers in [7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100] {
        let many = vec![answer.clone(); answers];
        respond("many answers", 0, 0, [&many, &[], from_ref(&errors)]);
    }
    for (what, at, byte) in [
        ("no question", 5, 0),
        ("two questions", 5, 2),
        ("pointer", 12, 0xC0),
        ("long label", 12, 64),
        ("more records", 11, 9),
    ] {
        for mut bad in [query(text), response(text, 0, &[22])] {
            bad[at] = byte;
            all.push((what.to_owned(), bad));
        }
    }
    all.push((
        "over 255 bytes".to_owned(),
        message(QUERY, 0, &[&[1, b'a'].repeat(128)[..], &[0]].concat(), [&[], &[], &[]]),
    ));
    all.push(("notify".to_owned(), message(0x20, 0, &name("a."), [&[], &[], &[]])));
    all.push(("short".to_owned(), query(text)[..16].to_vec()));
    all.push(("no header".to_owned(), query(text)[..7].to_vec()));
    all
}

/// What may be around a datagram.
fn packets(what: &str, message: &[u8]) -> Vec<(String, Vec<u8>)> {
    let datagram = udp(message);
    let mut all = Vec::new();
    for options in [0, 4, 40] {
        all.push((format!("{what}, {options} bytes of options"), v4_with(17, 0, &vec![1; options], &datagram)));
    }
    for (fragment, part) in [(0x2000, 40), (0x2000, 16), (0x2000, 4), (0x2005, 40), (5, 16), (0x4000, datagram.len())] {
        let part = &datagram[..part.min(datagram.len())];
        all.push((format!("{what}, fragment {fragment:x}"), v4_with(17, fragment, &[], part)));
    }
    let extension = |next: u8, size: u8| [&[next, size][..], &vec![0; 6 + 8 * usize::from(size)]].concat();
    for kinds in [&[0][..], &[43], &[60], &[0, 43, 60], &[0, 60, 43, 60, 60, 60, 60, 60], &[60; 9]] {
        let mut packet = datagram.clone();
        let mut next = 17;
        for (size, &kind) in [0_u8, 1, 2].iter().cycle().zip(kinds).collect::<Vec<_>>().into_iter().rev() {
            packet = [extension(next, *size), packet].concat();
            next = kind;
        }
        all.push((format!("{what}, extensions {kinds:?}"), v6(next, &packet)));
    }
    for offset in [0_u16, 1, 8, 9] {
        let header = [&[17, 0][..], &offset.to_be_bytes(), &[0, 0, 0, 7]].concat();
        all.push((format!("{what}, v6 fragment {offset}"), v6(44, &[&header[..], &datagram].concat())));
    }
    for (what_else, change) in [
        ("other port", (22, 54)),
        ("version", (0, 0x65)),
        ("header too short", (0, 0x44)),
        ("icmp", (9, 1)),
        ("no length", (3, 0)),
        ("longer than it is", (3, 200)),
        ("udp too short", (25, 3)),
        ("udp too long", (24, 1)),
    ] {
        let mut packet = v4(17, &datagram);
        packet[change.0] = change.1;
        if what_else == "other port" {
            packet[20..24].copy_from_slice(&[0, 54, 0, 55]);
        }
        all.push((format!("{what}, {what_else}"), packet));
    }
    all
}

/// What a segment may hold.
fn segments(query: &[u8], response: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![("no payload".to_owned(), segment(&[0, 53, 1, 1], b""))];
    for (what, message) in [("queries", query), ("responses", response)] {
        for many in [2, 3, 7, 16] {
            all.push((format!("{many} {what}"), tcp(&vec![message; many])));
        }
        let whole = tcp(&[message, message]);
        for cut in [1, 5, 20, message.len() - 1, message.len() + 1] {
            all.push((format!("{what}, the last one goes on"), whole[..whole.len() - cut].to_vec()));
        }
        let mut wrong = tcp(&[message]);
        wrong[..4].rotate_left(2);
        all.push((format!("{what} to the wrong port"), wrong));
        all.push((format!("{what}, from the middle"), segment(&[0, 53, 1, 1], &message[7..])));
        for (at, byte) in [(2, 0x28), (3, 0x40), (5, 2), (12, 0xC0), (33, 2)] {
            let mut bad = message.to_vec();
            bad[at] = byte;
            all.push((format!("{what}, byte {at} changed"), tcp(&[message, &bad, message])));
        }
    }
    let mut header = tcp(&[query]);
    header[12] = 0x40;
    all.push(("header too short".to_owned(), header.clone()));
    header[12] = 0xF0;
    all.push(("header too long".to_owned(), header));
    all
}
