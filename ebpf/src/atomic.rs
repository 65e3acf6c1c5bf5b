//! Words that more than one task may write at a time: the BPF targets have no atomics in `core`.

use core::arch::asm;

/// Adds one at once, and gives what was there.
///
/// # Safety
/// `word` must be an aligned word of a map's value.
#[inline(always)]
pub(crate) unsafe fn fetch_add_one(word: *mut u64) -> u64 {
    let mut value = 1_u64;
    // SAFETY: the caller's.
    unsafe { asm!("{0} = atomic_fetch_add((u64 *)({1} + 0), {0})", inout(reg) value, in(reg) word, options(nostack)) };
    value
}

/// The same for 32 bits.
///
/// # Safety
/// `word` must be aligned and lie in a map's value.
#[inline(always)]
pub(crate) unsafe fn fetch_add_one_small(word: *mut u32) -> u32 {
    let mut value = 1_u32;
    // SAFETY: the caller's.
    unsafe { asm!("{0} = atomic_fetch_add((u32 *)({1} + 0), {0})", inout(wreg) value, in(reg) word, options(nostack)) };
    value
}

/// Sets bits at once.
///
/// # Safety
/// `word` must be an aligned word of a map's value.
#[inline(always)]
pub(crate) unsafe fn fetch_or(word: *mut u64, bits: u64) {
    let mut bits = bits;
    // SAFETY: the caller's.
    unsafe { asm!("{0} = atomic_fetch_or((u64 *)({1} + 0), {0})", inout(reg) bits, in(reg) word, options(nostack)) };
    let _ = bits;
}

/// Writes `value` if there is a zero, and gives what was there.
///
/// # Safety
/// `word` must be aligned and lie in a map's value.
#[inline(always)]
pub(crate) unsafe fn exchange_zero(word: *mut u32, value: u32) -> u32 {
    let mut was = 0_u32;
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "w0 = cmpxchg32_32({0} + 0, w0, {1})",
            in(reg) word, in(wreg) value, inout("w0") was, options(nostack)
        );
    }
    was
}
