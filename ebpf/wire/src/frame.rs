//! Bytes at an offset: the one thing the parser asks of a frame.

/// A frame whose bytes can be read at an offset from its first one.
pub trait Frame {
    /// The `N` bytes from offset `at`, which is below 2^32, or `None` if the capture does not hold all of them.
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]>;
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
