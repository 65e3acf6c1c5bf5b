//! The marks of what moved, as the programs set them, taken by whoever reads what they stand for.

use super::half::Maps;
use super::mapped;
use layout::MARKED;
use std::sync::atomic::{AtomicU64, Ordering};

/// A word is fetched from memory while as many before it are taken.
const AHEAD: usize = 16;

/// All CPUs.
pub(super) const ALL: u64 = u64::MAX;

/// The marks of one CPU in a half.
#[derive(Clone, Copy, Debug)]
pub(super) struct MarksOfCpu<'m> {
    /// Slots that moved.
    pub(super) moved: &'m [AtomicU64],
    /// Zones that were ever queried.
    pub(super) queried: &'m [AtomicU64],
    /// Slots where something else was ever counted, or anything, if they are of no zone.
    pub(super) touched: &'m [AtomicU64],
    /// Words of `moved`.
    pub(super) summaries: &'m [AtomicU64],
}

/// A slot, and the CPUs on which it may have moved: bit n stands for the nth, and for those 64 after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) slot: u32,
    pub(super) cpus: u64,
}

impl Marked {
    /// These CPUs.
    #[inline]
    pub(super) fn cpus(self, maps: &Maps) -> impl Iterator<Item = usize> + use<> {
        (0..maps.room().cpus).filter(move |cpu| self.cpus >> (cpu % MARKED) & 1 != 0)
    }
}

/// Takes the marks of all CPUs together: the slots that are marked, in order. `words` is memory to use again.
pub(super) fn take_all(marks: &[MarksOfCpu<'_>], words: &mut Vec<usize>, marked: &mut Vec<Marked>) {
    marked.clear();
    words.clear();
    let summaries = marks.first().map_or(0, |marks| marks.summaries.len());
    for summary in 0..summaries {
        let all = marks.iter().fold(0, |all, marks| all | take(&marks.summaries[summary]));
        words.extend(each_bit(all).map(|bit| summary * MARKED + bit));
    }
    for (nth, &word) in words.iter().enumerate() {
        // A word that is taken at once is waited for.
        if let Some(&later) = words.get(nth + AHEAD) {
            marks.iter().for_each(|marks| mapped::prefetch(&raw const marks.moved[later]));
        }
        let first = marked.len();
        for (cpu, marks) in marks.iter().enumerate() {
            let taken = take(&marks.moved[word]);
            if taken == 0 {
                continue;
            }
            let cpus = 1 << (cpu % MARKED);
            let before = marked.len();
            #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
            let these = each_bit(taken).map(|bit| Marked { slot: (word * MARKED + bit) as u32, cpus });
            if first == before {
                marked.extend(these);
            } else {
                let both: Vec<Marked> = merged(marked.drain(first..), these).collect();
                marked.extend(both);
            }
        }
    }
}

/// Whether a slot is marked on any CPU.
#[inline]
pub(super) fn is_marked<'m>(mut marks: impl Iterator<Item = &'m [AtomicU64]>, slot: u32) -> bool {
    let (word, bit) = (slot as usize / MARKED, slot as usize % MARKED);
    marks.any(|marks| marks[word].load(Ordering::Relaxed) >> bit & 1 != 0)
}

/// The slots where anything was ever counted on any CPU, and `other`, in order.
pub(super) fn ever<'m>(marks: &'m [MarksOfCpu<'m>]) -> impl Iterator<Item = u32> + 'm {
    let words = 0..marks.first().map_or(0, |marks| marks.queried.len());
    words.flat_map(move |word| {
        let on_cpu = |marks: &MarksOfCpu<'_>| {
            marks.queried[word].load(Ordering::Relaxed) | marks.touched[word].load(Ordering::Relaxed)
        };
        let all = marks.iter().fold(u64::from(word == 0), |all, marks| all | on_cpu(marks));
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        each_bit(all).map(move |bit| (word * MARKED + bit) as u32)
    })
}

/// Takes a word, and leaves 0 there.
#[inline]
fn take(word: &AtomicU64) -> u64 {
    // Most are 0, and need not be written.
    if word.load(Ordering::Relaxed) == 0 { 0 } else { word.swap(0, Ordering::AcqRel) }
}

/// The bits that are set, in order.
fn each_bit(mut left: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        (bit < MARKED).then_some(bit)
    })
}

/// What is in either, each ascending and without repetition, once, and the CPUs of both.
pub(super) fn merged(
    one: impl Iterator<Item = Marked>,
    other: impl Iterator<Item = Marked>,
) -> impl Iterator<Item = Marked> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || {
        let slot = match (one.peek(), other.peek()) {
            (Some(one), Some(other)) => one.slot.min(other.slot),
            (Some(only), None) | (None, Some(only)) => only.slot,
            (None, None) => return None,
        };
        let [one, other] = [one.next_if(|one| one.slot == slot), other.next_if(|other| other.slot == slot)];
        let cpus = [one, other].into_iter().flatten().fold(0, |cpus, marked| cpus | marked.cpus);
        Some(Marked { slot, cpus })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_either_comes_once_and_in_order() {
        let of = |slots: &[u32], cpus| slots.iter().map(move |&slot| Marked { slot, cpus }).collect::<Vec<_>>();
        let all = |one: &[u32], other: &[u32]| {
            let merged = merged(of(one, 1).into_iter(), of(other, 2).into_iter());
            merged.map(|marked| (marked.slot, marked.cpus)).collect::<Vec<_>>()
        };
        assert_eq!(all(&[0, 2, 5], &[1, 2, 7]), [(0, 1), (1, 2), (2, 3), (5, 1), (7, 2)]);
        assert_eq!(all(&[], &[3]), [(3, 2)]);
        assert_eq!(all(&[], &[]), [(0, 0); 0]);
    }

    #[test]
    fn a_word_of_marks_is_taken_once() {
        let word = AtomicU64::new(1 << 5 | 1 << 63);
        assert_eq!(each_bit(take(&word)).collect::<Vec<_>>(), [5, 63]);
        assert_eq!(take(&word), 0);
    }
}
