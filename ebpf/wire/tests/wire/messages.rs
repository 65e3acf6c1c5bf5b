//! DNS over UDP: questions, and what is found behind them.

use std::slice::from_ref;

use wire::{Skip, count};

use crate::build::*;
use crate::zones::Table;

#[test]
fn a_query_is_one_with_edns_and_without() {
    for sections in [[&[][..], &[], &[]], [&[], &[], &[opt(0, &[])]]] {
        let frame = plain(&message(QUERY, 0, &name("www.example.com."), sections));
        let it = one(&frame).unwrap();
        assert!(it.is_query_opcode() && !it.response && !it.truncated && !it.unwalked);
        assert_eq!((it.rcode, it.extended_errors, it.qname.length), (0, 0, 17));
        assert_eq!(qname(&frame, &it), name("www.example.com."));
    }
}

#[test]
fn the_records_of_a_query_are_not_looked_at() {
    let query = message(QUERY, 0, &name("a."), [&[vec![0xFF; 3]], &[], &[opt(1, &[ede(1, b"")])]]);
    let it = one(&plain(&query)).unwrap();
    assert_eq!((it.rcode, it.extended_errors, it.unwalked), (0, 0, false));
}

#[test]
fn names_of_every_shape_are_read() {
    let long = "a".repeat(63);
    let names = [
        ".".to_owned(),
        "a.".to_owned(),
        format!("{long}.{long}."),
        "a.".repeat(127),
        format!("{long}.{long}.{long}.{}.", "b".repeat(61)),
    ];
    for text in names {
        let wire = name(&text);
        let frame = plain(&message(QUERY, 0, &wire, [&[], &[], &[]]));
        let it = one(&frame).unwrap();
        assert_eq!(
            (it.qname.length, it.qname.labels),
            (wire.len(), text.matches('.').count() - usize::from(text == "."))
        );
        assert_eq!(qname(&frame, &it), wire);
    }
}

#[test]
fn names_that_are_too_long_are_counted_as_such() {
    let long = "a".repeat(63);
    for text in [format!("{long}.{long}.{long}.{}.", "b".repeat(62)), "a.".repeat(128), "a.".repeat(200)] {
        assert_eq!(one(&plain(&message(QUERY, 0, &name(&text), [&[], &[], &[]]))), Err(Skip::NameLength), "{text}");
    }
}

#[test]
fn mixed_case_is_the_same_name() {
    let found = |zone, text| Table::of(&[zone]).find(text) != count::OTHER;
    assert!(found("wWw.ExAmPlE-09[]@`{}.cOm.", "WwW.eXaMpLe-09[]@`{}.CoM."));
    assert!(!found("a@.", "a`.") && !found("a[.", "a{."));
}

#[test]
fn pointers_and_reserved_labels_in_the_question_are_counted_as_such() {
    for bad in [&[0xC0, 12][..], &[3, b'w', b'w', b'w', 0xC0, 12], &[0x40, 1, 0], &[0x80, 1, 0]] {
        assert_eq!(one(&plain(&message(QUERY, 0, bad, [&[], &[], &[]]))), Err(Skip::NamePointer));
    }
}

#[test]
fn other_numbers_of_questions_are_counted_as_such() {
    for count in [0, 2, 256] {
        let mut query = query("a.");
        query[4..6].copy_from_slice(&u16::to_be_bytes(count));
        assert_eq!(one(&plain(&query)), Err(Skip::QuestionCount));
    }
}

#[test]
fn of_another_opcode_only_the_opcode_is_read() {
    for opcode in 1..16 {
        for flags in [0, 0x80] {
            let it = one(&plain(&[&[0, 0, flags | opcode << 3, 0][..], &[0xFF; 8]].concat())).unwrap();
            assert_eq!((it.opcode, it.response, it.is_query_opcode()), (opcode, flags != 0, false));
        }
    }
}

#[test]
fn a_message_shorter_than_its_question_is_malformed() {
    let query = message(QUERY, 0, &name("www.example.com."), [&[], &[], &[]]);
    for length in 0..query.len() {
        assert_eq!(one(&plain(&query[..length])), Err(Skip::Malformed), "{length}");
    }
}

#[test]
fn every_extended_error_counts_wherever_the_opt_record_is() {
    let pointer = [0xC0, 12];
    let answer = record(&pointer, 1, &[192, 0, 2, 1]);
    let tsig = record(&name("key.example."), 250, &[7; 60]);
    let opt = opt(
        0,
        &[
            option(10, &[1; 8]),
            ede(22, b"no reachable authority"),
            ede(6, b""),
            ede(62, b""),
            ede(63, b""),
            ede(4096, b""),
            option(12, &[]),
        ],
    );
    let want = 1 << 22 | 1 << 6 | 1 << 62 | 1 << 63;
    let many = vec![answer.clone(); 300];
    let authority = record(&name("www.example.com."), 6, &[1; 40]);
    for sections in [
        [&[][..], &[], from_ref(&opt)],
        [from_ref(&answer), from_ref(&authority), &[answer.clone(), opt.clone()]],
        [&[], &[], &[opt.clone(), tsig.clone()]],
        [&[], from_ref(&authority), &[answer.clone(), opt.clone(), tsig]],
        [
            &many,
            &[],
            &many
                .iter()
                .cloned()
                .chain([crate::build::opt(0, &[ede(22, b""), ede(6, b""), ede(62, b""), ede(300, b"")])])
                .collect::<Vec<_>>(),
        ],
    ] {
        let it = one(&plain(&message(RESPONSE, 2, &name("www.example.com."), sections))).unwrap();
        assert_eq!((it.rcode, it.extended_errors, it.unwalked), (2, want, false));
    }
}

#[test]
fn the_rcode_has_its_upper_bits_from_the_opt_record() {
    let it = one(&plain(&message(RESPONSE, 7, &name("a."), [&[], &[], &[opt(1, &[])]]))).unwrap();
    assert_eq!(it.rcode, 23);
    let it = one(&plain(&message(RESPONSE | 2, 3, &name("a."), [&[], &[], &[]]))).unwrap();
    assert_eq!((it.rcode, it.truncated), (3, true));
}

#[test]
fn an_opt_record_before_the_additional_section_is_none() {
    let opt = opt(1, &[ede(1, b"")]);
    let it = one(&plain(&message(RESPONSE, 0, &name("a."), [from_ref(&opt), from_ref(&opt), &[]]))).unwrap();
    assert_eq!((it.rcode, it.extended_errors, it.unwalked), (0, 0, false));
}

#[test]
fn records_that_end_early_or_are_not_well_formed_leave_it_unwalked() {
    let whole = response("a.", 3, &[22, 6]);
    let question_ends = 12 + 3 + 4;
    for length in question_ends..whole.len() {
        // Cut off by the message's own end, and by the capture.
        let frame = plain(&whole);
        let end = frame.len() - whole.len() + length;
        for frame in [&plain(&whole[..length]), &frame[..end]] {
            let it = one(frame).unwrap();
            assert_eq!(it.rcode, 3);
            let missed = it.extended_errors != 1 << 22 | 1 << 6;
            assert!(it.unwalked || !missed, "{length}");
        }
        assert!(one(&plain(&whole[..length])).unwrap().unwalked, "{length}");
    }
    let twice = [opt(0, &[ede(1, b"")]), opt(0, &[ede(2, b"")])];
    let it = one(&plain(&message(RESPONSE, 0, &name("a."), [&[], &[], &twice]))).unwrap();
    assert_eq!((it.extended_errors, it.unwalked), (1 << 1, true));
    for bad in [
        opt(0, &[option(15, &[0])]),
        opt(0, &[vec![0, 15, 0, 9, 0, 1]]),
        opt(0, &[vec![0, 15, 0]]),
        [&[0x80][..], &opt(0, &[])].concat(),
    ] {
        let it = one(&plain(&message(RESPONSE, 0, &name("a."), [&[], &[], &[bad]]))).unwrap();
        assert_eq!((it.extended_errors, it.unwalked), (0, true));
    }
}
