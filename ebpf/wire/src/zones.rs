//! The zone table: which configured name is the longest suffix of a QNAME.
//!
//! Buckets of eight words, 64 bytes each; a word holds a fingerprint, a slot and whether deeper names exist. The table is
//! built in memory, whole, and read through [`Buckets`], so that a kernel array can stand behind it.

use crate::{Key, Suffixes};

/// One cache line of entries; 0 is an empty entry.
pub type Bucket = [u64; 8];

/// The buckets, a power of two of them.
pub trait Buckets {
    /// The bucket at `index`, which the reader has masked to the table's size.
    fn bucket(&self, index: usize) -> Option<Bucket>;
}

/// What a reader must know of a table besides its buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of buckets less one.
    pub mask: u64,
    /// Bit n: some configured name has n labels.
    pub depths: u32,
}

/// The slot of the longest configured name that is a suffix of the name behind `suffixes`; [`crate::count::OTHER`] if
/// there is none.
#[must_use]
#[inline(always)]
pub fn find(suffixes: &Suffixes, shape: Shape, buckets: &impl Buckets) -> u32 {
    let _ = (suffixes, shape, buckets);
    todo!()
}

/// Fills `buckets` (a power of two, all zero) with `names` in wire format, the first of which gets slot 1.
///
/// # Errors
/// [`Full`] if a chain of buckets overflows: try again with twice as many. [`buckets_for`] gives a number that seldom does.
pub fn build<'a>(
    names: impl Iterator<Item = &'a [u8]> + Clone,
    key: &Key,
    buckets: &mut [Bucket],
) -> Result<Shape, Full> {
    let _ = (names, key, buckets);
    todo!()
}

/// The table is too small for these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A number of buckets, a power of two, for this many names.
#[must_use]
pub fn buckets_for(names: usize) -> usize {
    let _ = names;
    todo!()
}
