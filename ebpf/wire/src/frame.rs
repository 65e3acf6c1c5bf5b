//! Bytes at an offset: the one thing the parser asks of a frame.

/// A frame whose bytes can be read at an offset from its first one.
pub trait Frame {
    /// The `N` bytes from offset `at`, which is below 2^32, or `None` if the capture does not hold all of them.
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]>;

    /// As many steps as the walk over a response's records may take; what is behind them is not walked.
    const STEPS: usize = usize::MAX;

    /// The same number, of which a verifier knows nothing any more: it need not follow each way to it apart.
    #[must_use]
    #[inline(always)]
    fn opaque(&self, number: usize) -> usize {
        number
    }

    /// The same, of 32 bits.
    #[must_use]
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "it comes back as it went")]
    fn opaque_u32(&self, number: u32) -> u32 {
        self.opaque(number as usize) as u32
    }

    /// The same, of a flag.
    #[must_use]
    #[inline(always)]
    fn opaque_flag(&self, flag: bool) -> bool {
        self.opaque(usize::from(flag)) & 1 != 0
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
