//! The fuzz targets' corpus, replayed without libFuzzer so that it never rots; and how it was made.

use std::path::{Path, PathBuf};
use std::slice::from_ref;

use crate::build::*;

#[path = "../../fuzz/src/frame.rs"]
pub(crate) mod frame;
#[path = "../../fuzz/src/zones.rs"]
pub(crate) mod zones;

#[test]
fn the_corpus_of_frames_passes() {
    replay("frame", frame::check);
}

#[test]
fn the_corpus_of_zones_passes() {
    replay("zones", zones::check);
}

/// `cargo test -p wire -- --ignored` writes the seeds anew.
#[test]
#[ignore = "writes to the source tree"]
fn seeds_are_written() {
    let query = query("wWw.example.com.");
    let response = response("example.com.", 2, &[22, 6, 4096]);
    let answer = record(&[0xC0, 12], 1, &[192, 0, 2, 1]);
    let long = message(
        RESPONSE | 2,
        3,
        &name("a.example."),
        [from_ref(&answer), from_ref(&answer), &[opt(1, &[ede(9, b"x")])]],
    );
    let extensions = [&[44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 7][..], &udp(&response)].concat();
    let seeds: [(&str, u8, Vec<u8>); 9] = [
        ("query", 0, plain(&query)),
        ("query-tagged", 0, tagged(&[0x88A8, 0x8100], &v6(17, &udp(&query)))),
        ("response", 0, plain(&response)),
        ("response-records", 3, v6(17, &udp(&long))),
        ("response-fragment", 3, v4_with(17, 0x2000, &[1; 4], &udp(&response)[..40])),
        ("response-extensions", 4, [&[30, 0, 0, 0][..], &v6(0, &extensions)].concat()),
        ("queries-tcp", 0, ethernet(&v4(6, &tcp(&[&query, &query])))),
        ("responses-tcp", 1, [&[0; 14][..], &[0x86, 0xDD], &v6(6, &tcp(&[&response, &long]))].concat()),
        ("notify", 2, [&[8, 0][..], &[0; 18], &v4(17, &udp(&message(0x20, 0, &name("a."), [&[], &[], &[]])))].concat()),
    ];
    for (name, link, frame) in seeds {
        std::fs::write(folder("frame").join(name), [&[link], &frame[..]].concat()).unwrap();
    }
    let zones: [(&str, &[u8]); 4] = [
        ("nested", b"\x01a\x01b\0\x01b\0\x01x\x01A\x01B\0"),
        ("root", b"\0\x01a\0\x01b\0"),
        ("twice", b"\x01a\0\x01A\0\x01a\0"),
        ("deep", b"\x01a\x01a\x01a\x01a\x01a\x01a\x01a\x01a\x01a\x01a\x01a\x01a\x01a\x01a\x01a\x01a\0\x01a\x01a\0\x01b\x01a\x01a\x01a\0"),
    ];
    for (name, bytes) in zones {
        std::fs::write(folder("zones").join(name), bytes).unwrap();
    }
}

fn replay(target: &str, check: fn(&[u8])) {
    let mut files: Vec<_> = std::fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        for length in 0..=bytes.len() {
            check(&bytes[..length]);
        }
    }
}

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}
