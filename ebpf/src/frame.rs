//! A frame behind packet pointers: the one place where its bytes are loaded.

use core::arch::asm;
use core::hint::{assert_unchecked, cold_path};
use wire::Frame;
use wire::frame::FRONT;

/// The verifier follows a packet pointer no further than this.
const REACH: usize = 0xFF00;

/// From the first byte of a frame to where the kernel ends to show it.
///
/// If it is `NEAR`, the verifier knows of the places of names that they are within reach.
pub(crate) struct Direct<const NEAR: bool> {
    /// As many bytes behind the first as are in front of each name: all is read from there, so that one register does for all.
    front: usize,
    end: usize,
    /// Where a 0 is, of which the verifier does not know that it is one. It is read when it is needed, rather than kept.
    zero: *const u64,
}

impl<const NEAR: bool> Direct<NEAR> {
    #[inline(always)]
    pub(crate) fn new(start: usize, end: usize, zero: *const u64) -> Self {
        let mut front = start;
        // SAFETY: it calculates. The compiler must not know how: it would keep both.
        unsafe { asm!("{0} += {front}", inout(reg) front, front = const FRONT, options(pure, nomem, nostack)) };
        // SAFETY: in a program's eyes it has 32 bits. So one look at how long the frame is tells of all that is in front of there.
        unsafe { assert_unchecked(front < 1 << 33) };
        Self { front, end, zero }
    }

    /// What lies at an offset.
    #[inline(always)]
    const fn place(&self, at: usize) -> usize {
        self.front.wrapping_add(at.wrapping_sub(FRONT))
    }

    /// The same, of which the compiler does not know that it is: what it has read before it reads again, when it needs it.
    ///
    /// # Safety
    /// The frame must hold its first `held` bytes, and the verifier must have seen that it does.
    #[inline(always)]
    pub(crate) unsafe fn again(&self, held: usize) -> Self {
        let mut front = self.front;
        // SAFETY: it moves a register to itself.
        unsafe { asm!("{0} = {0}", inout(reg) front, options(nomem, nostack)) };
        let again = Self { front, ..*self };
        // SAFETY: the caller's, as it is the same frame.
        unsafe { assert_unchecked(again.place(held) <= self.end) };
        again
    }

    /// A pointer to offset `at` + [`FRONT`], where there is a byte. The verifier then lets those in front of it be read too: to it
    /// they are what lies between the pointer that `at` was added to and that byte.
    #[inline(always)]
    fn pointer(&self, at: usize) -> Option<*const u8> {
        let mut at = at;
        if !NEAR {
            // SAFETY: it moves a register to itself, so that what is compared below is what is added below.
            unsafe { asm!("{0} = {0}", inout(reg) at, options(nomem, nostack)) };
            if at > REACH {
                cold_path();
                return None;
            }
        }
        // SAFETY: it calculates. The compiler must not know how: the pointer that is compared is the one that is loaded through.
        unsafe { asm!("{0} += {1}", inout(reg) at, in(reg) self.front, options(pure, nomem, nostack)) };
        if at >= self.end {
            cold_path();
            return None;
        }
        Some(at as *const u8)
    }
}

impl<const NEAR: bool> Frame for Direct<NEAR> {
    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        if core::intrinsics::is_val_statically_known(at) {
            // A verifier knows what is compared whatever the register: nothing varies.
            let from = self.place(at);
            if from.wrapping_add(N) > self.end {
                cold_path();
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
            cold_path();
            return None;
        }
        let mut from = at;
        // SAFETY: it calculates: the pointer that is compared is the one that is loaded through.
        unsafe { asm!("{0} += {1}", inout(reg) from, in(reg) self.front, options(pure, nomem, nostack)) };
        let from = from.wrapping_sub(FRONT);
        if from.wrapping_add(N) > self.end {
            cold_path();
            return None;
        }
        // SAFETY: the N bytes lie between the frame's start and its end, as just compared.
        Some(unsafe { (from as *const [u8; N]).read_unaligned() })
    }

    #[inline(always)]
    fn byte(&self, at: usize) -> Option<u8> {
        let byte = self.pointer(at)?;
        // SAFETY: it lies in front of the frame's end.
        Some(unsafe { byte.read() })
    }

    #[inline(always)]
    fn front(&self, at: usize) -> Option<[u8; FRONT]> {
        let byte = self.pointer(at)?;
        // SAFETY: as many bytes lie between the frame's start and that byte.
        Some(unsafe { byte.sub(FRONT).cast::<[u8; FRONT]>().read_unaligned() })
    }

    /// The compiler would have it wait until there are no registers for it.
    #[inline(always)]
    fn less(&self, end: usize, start: usize) -> usize {
        let mut size = end;
        // SAFETY: it calculates.
        unsafe { asm!("{0} -= {1}", inout(reg) size, in(reg) start, options(nomem, nostack)) };
        size
    }

    /// BPF looks at no more than six bits of a number by which it shifts.
    #[inline(always)]
    fn shifted(&self, word: u64, bits: usize) -> u64 {
        let mut word = word;
        // SAFETY: it calculates.
        unsafe { asm!("{0} >>= {1}", inout(reg) word, in(reg) bits, options(pure, nomem, nostack)) };
        word
    }

    #[inline(always)]
    fn halved(&self, number: u64) -> u64 {
        let mut half = number;
        // SAFETY: it calculates.
        unsafe { asm!("{0} >>= 1", inout(reg) half, options(pure, nomem, nostack)) };
        half
    }

    #[inline(always)]
    fn opaque_byte(&self, number: usize) -> usize {
        let mut byte = self.opaque_at(number);
        // SAFETY: it calculates. The compiler would do it before: what Linux 6.1 then knows of it, it forgets.
        unsafe { asm!("{0} &= 255", inout(reg) byte, options(pure, nomem, nostack)) };
        byte
    }

    #[inline(always)]
    fn opaque(&self, number: u64) -> u64 {
        // SAFETY: a map's value.
        number ^ unsafe { self.zero.read_volatile() }
    }
}
