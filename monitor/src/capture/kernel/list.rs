//! The list that each CPU writes of what moved, as read on from reading to reading; and the marks of what ever did.

use layout::{Listed, MARKED, OWN};
use std::sync::atomic::{AtomicU64, Ordering};

/// A slot in which a CPU has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slot: u32,
    pub(super) cpu: u32,
    /// The slot itself is meant, not the counter of its zone's queries.
    pub(super) own: bool,
}

/// How far each CPU's list is read.
#[derive(Debug)]
pub(super) struct Lists {
    next: Vec<u64>,
}

impl Lists {
    /// Read up to these entries.
    pub(super) fn read_up_to(next: Vec<u64>) -> Self {
        Self { next }
    }

    /// What the `cpu` has listed since: `entries` is its list, `written` as many as it ever wrote there. Whether that is all;
    /// else it has gone round meanwhile.
    pub(super) fn read_on(&mut self, cpu: u32, entries: &[AtomicU64], written: u64, into: &mut Vec<Place>) -> bool {
        let Some(next) = self.next.get_mut(cpu as usize) else { return true };
        if written.wrapping_sub(*next) > entries.len() as u64 {
            *next = written;
            return false;
        }
        while *next != written {
            let Some(what) = entry(entries, *next) else { break };
            into.push(Place { slot: what & !OWN, cpu, own: what & OWN != 0 });
            *next = next.wrapping_add(1);
        }
        true
    }
}

/// What the `nth` entry of a list says, if it has been written and nothing else since.
#[expect(clippy::cast_possible_truncation, reason = "lists are shorter, and the lower half is what is wanted")]
fn entry(entries: &[AtomicU64], nth: u64) -> Option<u32> {
    let entry: Listed = entries.get(nth as usize % entries.len())?.load(Ordering::Acquire);
    let what = entry as u32;
    (entry == layout::listed(nth, what)).then_some(what)
}

/// The marks of one CPU in a half.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks<'m> {
    /// Zones that were ever queried.
    pub(super) queried: &'m [AtomicU64],
    /// Slots where something else was ever counted, or anything, if they are of no zone.
    pub(super) touched: &'m [AtomicU64],
}

/// Whether something else than queries of a zone was ever counted in a slot, on any CPU.
pub(super) fn is_touched(marks: &[Marks<'_>], slot: u32) -> bool {
    let (word, bit) = (slot as usize / MARKED, slot as usize % MARKED);
    marks.iter().any(|marks| marks.touched[word].load(Ordering::Relaxed) >> bit & 1 != 0)
}

/// The slots where anything was ever counted on any CPU, and `other`, in order.
pub(super) fn ever<'m>(marks: &'m [Marks<'m>]) -> impl Iterator<Item = u32> + 'm {
    let words = 0..marks.first().map_or(0, |marks| marks.queried.len());
    words.flat_map(move |word| {
        let on_cpu = |marks: &Marks<'_>| {
            marks.queried[word].load(Ordering::Relaxed) | marks.touched[word].load(Ordering::Relaxed)
        };
        let all = marks.iter().fold(u64::from(word == 0), |all, marks| all | on_cpu(marks));
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        each_bit(all).map(move |bit| (word * MARKED + bit) as u32)
    })
}

/// The bits that are set, in order.
fn each_bit(mut left: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        (bit < MARKED).then_some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> [AtomicU64; 4] {
        [0; 4].map(AtomicU64::new)
    }

    /// Writes as a program does.
    fn write(entries: &[AtomicU64], from: u64, what: &[u32]) -> u64 {
        for (nth, &what) in (from..).zip(what) {
            entries[usize::try_from(nth).unwrap() % entries.len()].store(layout::listed(nth, what), Ordering::Relaxed);
        }
        from + what.len() as u64
    }

    fn read(lists: &mut Lists, entries: &[AtomicU64], written: u64) -> (bool, Vec<u32>) {
        let mut places = Vec::new();
        let all = lists.read_on(0, entries, written, &mut places);
        (all, places.into_iter().map(|place| place.slot).collect())
    }

    #[test]
    fn a_list_is_read_on_over_its_end() {
        let (entries, mut lists) = (empty(), Lists::read_up_to(vec![0]));
        let written = write(&entries, 0, &[7, 8, 9]);
        assert_eq!(read(&mut lists, &entries, written), (true, vec![7, 8, 9]));
        assert_eq!(read(&mut lists, &entries, written), (true, vec![]));
        let written = write(&entries, written, &[1, 2, 3, 4]);
        assert_eq!(read(&mut lists, &entries, written), (true, vec![1, 2, 3, 4]));
    }

    #[test]
    fn what_is_not_yet_written_is_read_when_it_is() {
        let (entries, mut lists) = (empty(), Lists::read_up_to(vec![0]));
        let written = write(&entries, 0, &[7, 8, 9, 10, 11]);
        assert!(!read(&mut lists, &entries, written).0, "one was written over");
        let next = write(&entries, written, &[1]);
        // As far as the second's number says, the place holds what was there a round before.
        assert_eq!(read(&mut lists, &entries, next + 1), (true, vec![1]));
        write(&entries, next, &[2]);
        assert_eq!(read(&mut lists, &entries, next + 1), (true, vec![2]));
    }

    #[test]
    fn the_slot_itself_is_told_from_its_queries() {
        let (entries, mut lists) = (empty(), Lists::read_up_to(vec![0, 0]));
        let written = write(&entries, 0, &[5, 5 | OWN]);
        let mut places = Vec::new();
        assert!(lists.read_on(1, &entries, written, &mut places));
        assert_eq!(places, [false, true].map(|own| Place { slot: 5, cpu: 1, own }));
    }

    #[test]
    fn what_was_ever_counted_in_comes_once_and_in_order() {
        let word = |bits: u64| AtomicU64::new(bits);
        let (queried, touched) = ([[word(1 << 5), word(2)], [word(1 << 5), word(0)]], [word(1 << 63), word(1)]);
        let marks = queried.each_ref().map(|queried| Marks { queried, touched: &touched });
        assert_eq!(ever(&marks).collect::<Vec<_>>(), [0, 5, 63, 64, 65]);
        assert_eq!([5, 63, 64, 65].map(|slot| is_touched(&marks, slot)), [false, true, true, false]);
    }
}
