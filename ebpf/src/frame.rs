//! A frame behind packet pointers: the one place where its bytes are loaded.

use core::arch::asm;
use core::hint::assert_unchecked;
use wire::Frame;

/// The verifier follows a packet pointer no further than this.
const REACH: usize = 0xFF00;

/// From the first byte of a frame to where the kernel ends to show it.
pub(crate) struct Direct {
    start: usize,
    end: usize,
    /// 0, which the verifier does not know.
    zero: u64,
}

impl Direct {
    #[inline(always)]
    pub(crate) const fn new(start: usize, end: usize, zero: u64) -> Self {
        Self { start, end, zero }
    }

    /// The same, of which the compiler does not know that it is: what it has read before it reads again, when it needs it.
    ///
    /// # Safety
    /// The frame must hold its first `held` bytes, and the verifier must have seen that it does.
    #[inline(always)]
    pub(crate) unsafe fn again(&self, held: usize) -> Self {
        let mut start = self.start;
        // SAFETY: it moves a register to itself.
        unsafe { asm!("{0} = {0}", inout(reg) start, options(nomem, nostack)) };
        // SAFETY: the caller's, as the start is the same.
        unsafe { assert_unchecked(start.wrapping_add(held) <= self.end) };
        Self { start, ..*self }
    }
}

impl Frame for Direct {
    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        if core::intrinsics::is_val_statically_known(at) {
            // A verifier knows what is compared whatever the register: nothing varies.
            let from = self.start.wrapping_add(at);
            if from.wrapping_add(N) > self.end {
                return None;
            }
            // SAFETY: as below.
            return Some(unsafe { (from as *const [u8; N]).read_unaligned() });
        }
        let mut at = at;
        // Each stays where it is, and in one arm of a branch another text than in the other: of two that are the same one would
        // be made in front of the branch, and what waits on the stack meanwhile is not, to Linux 6.1, what was compared.
        if N > 8 {
            // SAFETY: it adds nothing, so that what is compared below is what is added below.
            unsafe { asm!("{0} += 0", inout(reg) at, options(nomem, nostack)) };
        } else {
            // SAFETY: it moves a register to itself, likewise.
            unsafe { asm!("{0} = {0}", inout(reg) at, options(nomem, nostack)) };
        }
        if at > REACH {
            return None;
        }
        let mut from = self.start.wrapping_add(at);
        // SAFETY: as above: the pointer that is compared is the one that is loaded through.
        unsafe { asm!("{0} = {0}", inout(reg) from, options(pure, nomem, nostack)) };
        if from.wrapping_add(N) > self.end {
            return None;
        }
        // SAFETY: the N bytes lie between the frame's start and its end, as just compared.
        Some(unsafe { (from as *const [u8; N]).read_unaligned() })
    }

    #[inline(always)]
    fn opaque(&self, number: u64) -> u64 {
        number ^ self.zero
    }
}
