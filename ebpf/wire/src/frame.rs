//! Bytes at an offset: the one thing the parser asks of a frame.

/// As many bytes at least are in front of a name: the header of its message is longer.
pub const FRONT: usize = 8;

/// A frame whose bytes can be read at an offset from its first one.
pub trait Frame {
    /// The `N` bytes from offset `at`, which is below 2^32, or `None` if the capture does not hold all of them.
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]>;

    /// The byte at offset `at` + [`FRONT`]: of a common name, for which `at` is the sum of a few bytes.
    #[inline(always)]
    fn byte(&self, at: usize) -> Option<u8> {
        let [byte] = self.read(at.wrapping_add(FRONT))?;
        Some(byte)
    }

    /// The bytes in front of that one, which is there.
    #[inline(always)]
    fn front(&self, at: usize) -> Option<[u8; FRONT]> {
        self.read(at)
    }

    /// The difference of two places, at once.
    #[must_use]
    #[inline(always)]
    fn less(&self, end: usize, start: usize) -> usize {
        end.wrapping_sub(start)
    }

    /// What is left of a word when so many bits below are taken away, 0 to 63.
    #[must_use]
    #[inline(always)]
    fn shifted(&self, word: u64, bits: usize) -> u64 {
        word >> (bits & 63)
    }

    /// Half of a number, of which a compiler knows nothing.
    #[must_use]
    #[inline(always)]
    fn halved(&self, number: u64) -> u64 {
        number >> 1
    }

    /// The same number, of which a verifier knows nothing any more: it need not follow each way to it apart.
    #[must_use]
    #[inline(always)]
    fn opaque(&self, number: u64) -> u64 {
        number
    }

    /// The same, of a place in the frame.
    #[must_use]
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "it comes back as it went")]
    fn opaque_at(&self, at: usize) -> usize {
        self.opaque(at as u64) as usize
    }

    /// The same, of a number below 256, of which the verifier knows that.
    #[must_use]
    #[inline(always)]
    fn opaque_byte(&self, number: usize) -> usize {
        self.opaque_at(number) & 0xFF
    }

    /// The same, of 32 bits.
    #[must_use]
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "it comes back as it went")]
    fn opaque_u32(&self, number: u32) -> u32 {
        self.opaque(u64::from(number)) as u32
    }

    /// The same, of a flag.
    #[must_use]
    #[inline(always)]
    fn opaque_flag(&self, flag: bool) -> bool {
        self.opaque(u64::from(flag)) & 1 != 0
    }
}

/// A frame in memory: as much of it as the capture holds.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a>(pub &'a [u8]);

impl Frame for Slice<'_> {
    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        // What cannot overflow needs one comparison.
        let at = at & 0xFFFF_FFFF;
        self.0.get(at..at.wrapping_add(N))?.first_chunk().copied()
    }
}
