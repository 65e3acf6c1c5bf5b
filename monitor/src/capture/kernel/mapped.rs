//! An array of the kernel in this process's memory.

use super::sys;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// An array of `T`, which consists of 64-bit words. The programs count in it meanwhile.
#[derive(Debug)]
pub(super) struct Mapped<T> {
    start: NonNull<AtomicU64>,
    words: usize,
    of: PhantomData<T>,
}

// SAFETY: it is memory of this process, and read and written by atomic words only.
unsafe impl<T> Send for Mapped<T> {}

impl<T> Mapped<T> {
    const WORDS: usize = size_of::<T>() / 8;

    pub(super) fn new(map: BorrowedFd<'_>) -> io::Result<Self> {
        let words = sys::bytes(map)? / 8;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, wherever the kernel likes.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), words * 8, protection, libc::MAP_SHARED, map.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { start, words, of: PhantomData })
    }

    /// The words of the entries from `entry` on.
    #[inline]
    pub(super) fn words(&self, entry: usize, entries: usize) -> &[AtomicU64] {
        // SAFETY: the mapping holds this many words until it is dropped, and they are accessed atomically.
        let all = unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) };
        &all[entry * Self::WORDS..][..entries * Self::WORDS]
    }

    pub(super) fn zero(&self, entry: usize, entries: usize) {
        for word in self.words(entry, entries) {
            word.store(0, Ordering::Relaxed);
        }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nothing refers to it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.words * 8) };
    }
}

/// Has the processor fetch a word while it goes on with other work.
#[inline]
pub(super) fn prefetch<T>(word: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: fetching changes nothing, wherever it is.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(word.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = word;
}

/// The same for one to write to, which the other CPUs' caches then have no more.
#[inline]
pub(super) fn prefetch_to_write<T>(word: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: fetching changes nothing, wherever it is. Processors without this instruction pass over it.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(word.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = word;
}

/// Waits until every program that ran at the call has ended: they run inside RCU read-side sections, which the slowest
/// of `membarrier`'s commands waits for.
pub(super) fn until_all_programs_have_ended() {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: the call has no preconditions. It fails only where the kernel runs without ticks (nohz_full).
    unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
}
