//! Any names as zones, and one to look for: the table finds what a search through a list finds.
//!
//! Each label of the input is a byte of length, of which only the lowest bits count, so that names have much in common.

use wire::zones::{Bucket, Shape, Suffixes, buckets_for, build, find, look_up, more};
use wire::{Key, Name, Skip, Slice, count};

pub(crate) fn check(bytes: &[u8]) {
    let mut rest = bytes;
    let mut names = Vec::new();
    while let Some(name) = take(&mut rest) {
        names.push(name);
    }
    let key = Key([0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3211]);
    let Some(query) = names.pop() else { return };
    let mut size = buckets_for(names.len());
    let (buckets, shape) = loop {
        let mut buckets = vec![[0; 8]; size];
        match build(names.iter().map(Vec::as_slice), &key, &mut buckets) {
            Ok(shape) => break (buckets, shape),
            Err(wire::zones::Full) => size = more(size),
        }
        assert!(size <= 1 << 16, "{} names", names.len());
    };
    let frame = [&[0; 8], &query[..]].concat();
    let name = Name::read(&Slice(&frame), 8, frame.len(), Skip::Malformed).expect("it was made so");
    let found = find(&Slice(&frame), &name, &key, shape, &buckets[..]);
    assert_eq!(found, longest(&names, &query), "{names:?} {query:?}");
    assert_eq!(
        found,
        step_by_step(Suffixes::of(&Slice(&frame), &name, &key, shape), shape, &buckets),
        "{names:?} {query:?}"
    );
}

/// What [`find`] does, by those who know all hashes beforehand.
fn step_by_step(hashes: impl Iterator<Item = u64>, shape: Shape, buckets: &[Bucket]) -> u32 {
    let mut slot = count::OTHER;
    for hash in hashes {
        let found = look_up(hash, shape, buckets);
        slot = if found.slot == count::OTHER { slot } else { found.slot };
        if !found.deeper {
            break;
        }
    }
    slot
}

/// The slot of the longest of `names` that is a suffix of `query`, the first if it is there twice.
fn longest(names: &[Vec<u8>], query: &[u8]) -> u32 {
    let mut at = 0;
    loop {
        let suffix = &query[at..];
        let labels = labels(suffix);
        if let Some(nth) = names.iter().position(|name| labels <= 16 && name.eq_ignore_ascii_case(suffix)) {
            return u32::try_from(nth).expect("few names") + 1;
        }
        match suffix[0] {
            0 => return count::OTHER,
            length => at += usize::from(length) + 1,
        }
    }
}

fn labels(name: &[u8]) -> usize {
    let mut at = 0;
    let mut labels = 0;
    while name[at] != 0 {
        at += usize::from(name[at]) + 1;
        labels += 1;
    }
    labels
}

/// A well-formed name from the front of `bytes`.
fn take(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    bytes.first()?;
    while let Some((&first, rest)) = bytes.split_first() {
        *bytes = rest;
        let length = usize::from(first & if first >= 0xF0 { 15 } else { 3 });
        if length == 0 || length > rest.len() || name.len() + length + 2 > 255 {
            break;
        }
        let (label, rest) = rest.split_at(length);
        *bytes = rest;
        name.push(u8::try_from(length).expect("at most 15"));
        name.extend_from_slice(label);
    }
    name.push(0);
    Some(name)
}
