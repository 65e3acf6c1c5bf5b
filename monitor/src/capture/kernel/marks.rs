//! The marks of what moved, as the programs set them, taken by whoever reads what they stand for.

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

/// A slot, or a word of marks, and the CPUs on which it may have moved: bit n stands for the nth, and for those 64 after
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) slot: u32,
    pub(super) cpus: u64,
}

impl Marked {
    /// These CPUs, of so many.
    #[inline]
    pub(super) fn cpus(self, of: usize) -> impl Iterator<Item = usize> + use<> {
        (0..of).filter(move |cpu| self.cpus >> (cpu % MARKED) & 1 != 0)
    }
}

/// What is taken together: of each CPU its bit in [`Marked`], and a word.
type Taken = Vec<(u64, u64)>;

/// Memory to use again.
#[derive(Debug, Default)]
pub(super) struct Taking {
    words: Vec<Marked>,
    taken: Taken,
}

impl Taking {
    /// Takes the marks of all CPUs: the slots that are marked, in order. `every` word is looked at or, which is enough as
    /// long as nobody took a summary and then ended, those that a summary names.
    pub(super) fn take_all(&mut self, marks: &[MarksOfCpu<'_>], every: bool, marked: &mut Vec<Marked>) {
        marked.clear();
        self.words.clear();
        let (summaries, words) = marks.first().map_or((0, 0), |marks| (marks.summaries.len(), marks.moved.len()));
        for summary in 0..summaries {
            let named = |marks: &MarksOfCpu<'_>| take(&marks.summaries[summary]) | if every { u64::MAX } else { 0 };
            self.taken.clear();
            self.taken.extend(marks.iter().enumerate().map(|(cpu, marks)| (1 << (cpu % MARKED), named(marks))));
            each(summary, &self.taken, &mut self.words);
        }
        self.words.retain(|word| (word.slot as usize) < words);
        for (nth, word) in self.words.iter().enumerate() {
            // A word that is taken at once is waited for.
            if let Some(later) = self.words.get(nth + AHEAD) {
                for cpu in later.cpus(marks.len()) {
                    mapped::prefetch_to_write(&raw const marks[cpu].moved[later.slot as usize]);
                }
            }
            self.taken.clear();
            let cpus = word.cpus(marks.len());
            self.taken.extend(cpus.map(|cpu| (1 << (cpu % MARKED), take(&marks[cpu].moved[word.slot as usize]))));
            each(word.slot as usize, &self.taken, marked);
        }
    }
}

/// What the `word`th words of some CPUs name, in order.
fn each(word: usize, taken: &Taken, into: &mut Vec<Marked>) {
    let all = taken.iter().fold(0, |all, (_, bits)| all | bits);
    into.extend(each_bit(all).map(|bit| {
        let on = taken.iter().filter(|(_, bits)| bits >> bit & 1 != 0);
        #[expect(clippy::cast_possible_truncation, reason = "slots are u32")]
        let slot = (word * MARKED + bit) as u32;
        Marked { slot, cpus: on.fold(0, |cpus, (cpu, _)| cpus | cpu) }
    }));
}

/// Whether something else than queries of a zone was ever counted in a slot, on one of its CPUs.
#[inline]
pub(super) fn is_touched(marks: &[MarksOfCpu<'_>], marked: Marked) -> bool {
    let (word, bit) = (marked.slot as usize / MARKED, marked.slot as usize % MARKED);
    marked.cpus(marks.len()).any(|cpu| marks[cpu].touched[word].load(Ordering::Relaxed) >> bit & 1 != 0)
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
    fn what_is_marked_comes_with_its_cpus_and_once() {
        let word = |bits: u64| AtomicU64::new(bits);
        let first = [word(1 << 5), word(0), word(1 << 63 | 1)];
        let second = [word(1 << 5 | 1 << 6), word(1 << 1), word(1)];
        // As left by one who took the second's summary and then ended.
        let summaries = [[word(0b101)], [word(0)]];
        let of = |moved, summary| MarksOfCpu { moved, queried: &[], touched: &[], summaries: summary };
        let marks = [of(&first[..], &summaries[0][..]), of(&second[..], &summaries[1][..])];
        let (mut taking, mut marked) = (Taking::default(), Vec::new());
        let mut take_all = |every| {
            taking.take_all(&marks, every, &mut marked);
            marked.iter().map(|marked| (marked.slot, marked.cpus)).collect::<Vec<_>>()
        };
        assert_eq!(take_all(false), [(5, 1), (128, 1), (191, 1)]);
        assert_eq!(take_all(false), []);
        first[2].store(1, Ordering::Relaxed);
        assert_eq!(take_all(true), [(5, 2), (6, 2), (65, 2), (128, 3)]);
        assert_eq!(take_all(true), []);
    }

    #[test]
    fn a_word_of_marks_is_taken_once() {
        let word = AtomicU64::new(1 << 5 | 1 << 63);
        assert_eq!(each_bit(take(&word)).collect::<Vec<_>>(), [5, 63]);
        assert_eq!(take(&word), 0);
    }
}
