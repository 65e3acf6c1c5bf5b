//! The zone table against what it must find.

use wire::zones::{Bucket, NAMES, Shape, buckets_for, build, find, more};
use wire::{Name, Skip, Slice, count};

use crate::build::{KEY, name};

#[test]
fn the_longest_name_wins_and_no_name_is_other() {
    let table = Table::of(&["nl.", "example.org.", "a.b.c.example.org.", "com."]);
    for (query, slot) in [
        ("nl.", 1),
        ("www.nl.", 1),
        ("xnl.", count::OTHER),
        (".", count::OTHER),
        ("org.", count::OTHER),
        ("example.org.", 2),
        ("c.example.org.", 2),
        ("x.b.c.EXAMPLE.org.", 2),
        ("b.c.example.org.", 2),
        ("a.b.c.example.org.", 3),
        ("z.z.z.z.z.z.z.z.z.z.z.z.z.z.z.z.z.z.z.z.a.B.c.example.org.", 3),
        ("example.com.", 4),
    ] {
        assert_eq!(table.find(query), slot, "{query}");
    }
}

#[test]
fn the_root_can_be_a_zone() {
    let table = Table::of(&["a.b.", "."]);
    assert_eq!([".", "b.", "a.b.", "x.a.b.", "a."].map(|query| table.find(query)), [2, 2, 1, 1, 2]);
    assert_eq!(Table::of(&["."]).find("www.example."), 1);
}

#[test]
fn no_names_find_nothing() {
    let table = Table::of(&[]);
    assert_eq!(table.find("a."), count::OTHER);
    let empty = Table { buckets: Vec::new(), shape: Shape::EMPTY };
    assert_eq!(empty.find("a."), count::OTHER);
}

#[test]
fn the_first_of_equal_names_counts() {
    let table = Table::of(&["Example.", "eXAMPLE.", "b."]);
    assert_eq!([table.find("example."), table.find("b.")], [1, 3]);
}

#[test]
fn names_have_up_to_sixteen_labels() {
    let sixteen = "a.".repeat(16);
    let seventeen = "a.".repeat(17);
    let table = Table::of(&[&seventeen, &sixteen, "b."]);
    assert_eq!(table.find(&sixteen), 2);
    assert_eq!(table.find(&"a.".repeat(127)), 2);
    assert_eq!(table.find(&"a.".repeat(15)), count::OTHER);
    assert_eq!(table.find("b."), 3);
}

#[test]
fn a_full_table_says_so() {
    let names: Vec<_> = (0..100).map(|number| name(&format!("{number}."))).collect();
    let mut buckets = vec![[0; 8]; 8];
    assert!(build(names.iter().map(Vec::as_slice), &KEY, &mut buckets).is_err());
    assert!(build(names.iter().map(Vec::as_slice), &KEY, &mut []).is_err());
}

#[test]
fn a_million_names_are_all_found_and_others_are_not() {
    let names: Vec<_> = (0..1_000_000).map(|number| format!("zone{number}.{}.", number % 7)).collect();
    let table = Table::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for (slot, query) in (1..).zip(&names) {
        assert_eq!(table.find(query), slot);
    }
    for number in 0..200_000 {
        assert_eq!(table.find(&format!("other{number}.{}.", number % 7)), count::OTHER);
    }
    assert!(names.len() <= NAMES);
}

/// A table and the way to ask it.
pub(crate) struct Table {
    buckets: Vec<Bucket>,
    shape: Shape,
}

impl Table {
    pub(crate) fn of(names: &[&str]) -> Self {
        Self::of_wire(&names.iter().map(|text| name(text)).collect::<Vec<_>>())
    }

    pub(crate) fn of_wire(names: &[Vec<u8>]) -> Self {
        let mut size = buckets_for(names.len());
        loop {
            let mut buckets = vec![[0; 8]; size];
            if let Ok(shape) = build(names.iter().map(Vec::as_slice), &KEY, &mut buckets) {
                return Self { buckets, shape };
            }
            size = more(size);
        }
    }

    pub(crate) fn find(&self, query: &str) -> u32 {
        self.find_wire(&name(query))
    }

    pub(crate) fn find_wire(&self, query: &[u8]) -> u32 {
        let frame = [&[0; 8], query].concat();
        let query = Name::read(&Slice(&frame), 8, frame.len(), Skip::Malformed).unwrap();
        find(&Slice(&frame), &query, &KEY, self.shape, &self.buckets[..])
    }
}
