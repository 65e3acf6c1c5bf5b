//! Names as keyed hashes of their suffixes: one pass over the labels, eight bytes at a time, without regard to case.

/// How many labels a configured name may have: the hashes of that many suffixes are kept, counted from the root.
pub const DEPTH: usize = 16;

/// The per-boot secret that keys every hash, so that nobody can craft names that share a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub [u64; 2]);

/// The hashes of the last [`DEPTH`] suffixes of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suffixes {
    /// How many labels the name has, the root not counted: 0 to 127.
    pub labels: usize,
    // the representation is this module's own business
}

impl Suffixes {
    /// The hashes of a name in wire format, uncompressed and whole; `None` if it is not one.
    #[must_use]
    pub fn of_wire(name: &[u8], key: &Key) -> Option<Self> {
        let _ = (name, key);
        todo!()
    }
}
