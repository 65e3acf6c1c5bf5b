//! Cache lines of eight words, zero at first: a table whose entry costs one miss, and whose untouched pages cost nothing.

use wire::zones::{Buckets, Entries};

/// How many words a cache line has.
const WORDS: usize = 8;

/// Lines in a row. No `Vec` of aligned elements, because that would be made zero by writing to all of it.
#[derive(Debug)]
pub(super) struct Lines {
    words: Vec<u64>,
    /// The first word that begins a cache line.
    first: usize,
}

impl Lines {
    /// So many lines, all zero.
    pub(super) fn zero(count: usize) -> Self {
        let words = vec![0_u64; WORDS * count + WORDS - 1];
        let first = words.as_ptr().align_offset(WORDS * size_of::<u64>()).min(WORDS - 1);
        Self { words, first }
    }

    /// Asks the kernel for huge pages: a line then costs no second miss, for its address.
    pub(super) fn in_huge_pages(self) -> Self {
        const PAGE: usize = 1 << 21;
        let all = self.words.as_ptr_range();
        let start = all.start.addr().next_multiple_of(PAGE);
        let length = all.end.addr().saturating_sub(start) & !(PAGE - 1);
        if length > 0 {
            // SAFETY: the range lies in memory of ours, and the advice changes nothing that is in it. It may be refused.
            unsafe { libc::madvise(std::ptr::without_provenance_mut(start), length, libc::MADV_HUGEPAGE) };
        }
        self
    }

    /// A line.
    #[inline(always)]
    pub(super) fn get(&self, index: usize) -> Option<&[u64; WORDS]> {
        self.words.get(self.first + WORDS * index..)?.first_chunk()
    }

    /// A line, to write to.
    #[inline(always)]
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut [u64; WORDS]> {
        self.words.get_mut(self.first + WORDS * index..)?.first_chunk_mut()
    }

    /// All of them.
    pub(super) fn all(&self) -> &[[u64; WORDS]] {
        self.words[self.first..].as_chunks().0
    }

    /// Has the processor fetch a line while it goes on with other work.
    #[inline(always)]
    pub(super) fn prefetch(&self, index: usize) {
        #[cfg(target_arch = "x86_64")]
        if let Some(line) = self.get(index) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: the line is ours, and fetching it changes nothing. Every x86-64 processor has this instruction.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }

    /// All of them, to write to.
    pub(super) fn all_mut(&mut self) -> &mut [[u64; WORDS]] {
        self.words[self.first..].as_chunks_mut().0
    }
}

impl Buckets for Lines {
    #[inline(always)]
    fn entries(&self, index: usize) -> Option<&Entries> {
        self.get(index)?.last_chunk()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_lines_as_asked_for_and_each_is_aligned() {
        for count in [0, 1, 5, 1000] {
            let mut lines = Lines::zero(count);
            assert_eq!(lines.all_mut().len(), count);
            assert!((0..count).all(|index| lines.get(index).unwrap().as_ptr().addr().is_multiple_of(64)));
            assert_eq!(lines.get(count), None);
            assert_eq!(lines.get_mut(count), None);
        }
    }
}
