//! The zone table: which configured name is the longest suffix of a QNAME.
//!
//! Buckets of eight words, 64 bytes each; a word holds a fingerprint, a slot and whether deeper names exist. Above each
//! configured name there is a word at every depth that any name uses, with slot 0 if that suffix is not configured
//! itself: so a search begins with the shortest suffix and ends at the first one that has no word, or none below it.
//! The table is built in memory, whole, and read through [`Buckets`], so that a kernel array can stand behind it.

use crate::count::OTHER;
use crate::name::{self, Alone, DEPTH};
use crate::{Frame, Key, Name};

/// One cache line of entries; 0 is an empty entry.
pub type Bucket = [u64; 8];

/// As many names as there are slots for: 20 bits of an entry.
pub const NAMES: usize = (1 << SLOT_BITS) - 1;

const SLOT_BITS: u32 = 20;

/// An entry's lowest bit: longer names exist below this one.
const DEEPER: u64 = 1;

/// What is above the slot and the lowest bit is the fingerprint; the hash's bits below it choose the bucket.
pub const FINGERPRINT: u64 = !((2 << SLOT_BITS) - 1);

/// The fingerprint's highest bit is always set, so that it is not that of an empty entry.
const PRESENT: u64 = 1 << 63;

/// How many buckets an entry may be in. They are not neighbours, which would fill up together.
const CHAIN: u64 = 5;

/// The buckets, a power of two of them.
pub trait Buckets {
    /// The bucket at `index`, which the reader has masked to the table's size.
    fn bucket(&self, index: usize) -> Option<&Bucket>;

    /// What is below [`FINGERPRINT`] of the one word that has this fingerprint; 0 if there is none.
    ///
    /// Without a branch: which of the eight it is cannot be foreseen. Equal fingerprints leave less than any others.
    #[inline(always)]
    fn find(bucket: &Bucket, fingerprint: u64) -> u64 {
        let [a, b, c, d, e, f, g, h] = bucket.map(|word| word ^ fingerprint);
        let least = a.min(b).min(c.min(d)).min(e.min(f).min(g.min(h)));
        if least & FINGERPRINT == 0 { least } else { 0 }
    }
}

impl Buckets for [Bucket] {
    #[inline(always)]
    fn bucket(&self, index: usize) -> Option<&Bucket> {
        self.get(index)
    }
}

/// What a reader must know of a table besides its buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of buckets less one.
    pub mask: u64,
    /// Bit n: some configured name has n labels.
    pub depths: u32,
}

impl Shape {
    /// No names, however many buckets.
    pub const EMPTY: Self = Self { mask: 0, depths: 0 };

    #[inline(always)]
    const fn uses(self, depth: usize) -> bool {
        self.depths >> depth & 1 != 0
    }
}

/// The slot of the longest configured name that is a suffix of `name`, read from `frame`; [`OTHER`] if there is none.
#[must_use]
#[inline(always)]
pub fn find<F: Frame, B: Buckets + ?Sized>(frame: &F, name: &Name, key: &Key, shape: Shape, buckets: &B) -> u32 {
    let mut slot = frame.opaque_u32(OTHER);
    let mut hash = 0;
    let mut labels = name.leftwards();
    let mut depths = shape.depths;
    for depth in 0..DEPTH + 1 {
        if depths & 1 != 0 {
            let entry = frame.opaque(entry(name::scatter(hash), shape, buckets));
            if slot_of(entry) != OTHER {
                slot = slot_of(entry);
            }
            if entry & DEEPER == 0 {
                break;
            }
        }
        depths >>= 1;
        if depths == 0 || depth == name.labels {
            break;
        }
        let Some(label) = labels.hash(frame, key) else { break };
        hash = name::suffix(hash, label);
    }
    slot
}

/// The hashes of all suffixes of a name that [`find`] may look up, the shortest first: for those who look many names up at
/// once, step by step.
pub struct Suffixes<'a, F> {
    frame: &'a F,
    key: &'a Key,
    leftwards: name::Leftwards,
    /// The hash of the suffix that was reached.
    hash: u64,
    /// Bit n: names n labels longer than it are to be looked up.
    depths: u32,
}

impl<'a, F: Frame> Suffixes<'a, F> {
    /// The suffixes of `name`, read from `frame`.
    #[inline(always)]
    pub fn of(frame: &'a F, name: &Name, key: &'a Key, shape: Shape) -> Self {
        let present = (2_u32 << name.labels.min(DEPTH)).wrapping_sub(1);
        Self { frame, key, leftwards: name.leftwards(), hash: 0, depths: shape.depths & present }
    }
}

impl<F: Frame> Iterator for Suffixes<'_, F> {
    type Item = u64;

    #[inline(always)]
    fn next(&mut self) -> Option<u64> {
        if self.depths == 0 {
            return None;
        }
        while self.depths & 1 == 0 {
            self.hash = name::suffix(self.hash, self.leftwards.hash(self.frame, self.key)?);
            self.depths >>= 1;
        }
        self.depths &= !1;
        Some(name::scatter(self.hash))
    }
}

/// What a table holds of a suffix: of one that it does not have, [`OTHER`] and nothing deeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its slot; [`OTHER`] if it is not configured itself.
    pub slot: u32,
    /// Longer names are configured below it.
    pub deeper: bool,
}

/// Looks up one suffix by its hash.
#[must_use]
#[inline(always)]
pub fn look_up<B: Buckets + ?Sized>(hash: u64, shape: Shape, buckets: &B) -> Found {
    let entry = entry(hash, shape, buckets);
    Found { slot: slot_of(entry), deeper: entry & DEEPER != 0 }
}

/// The bucket where looking up a hash begins, and mostly ends.
#[must_use]
#[inline(always)]
pub const fn first_bucket(hash: u64, shape: Shape) -> usize {
    index(hash, 0, shape)
}

/// The entry of a suffix, without its fingerprint; 0 if there is none.
#[inline(always)]
fn entry<B: Buckets + ?Sized>(hash: u64, shape: Shape, buckets: &B) -> u64 {
    let fingerprint = fingerprint(hash);
    for link in 0..CHAIN {
        let Some(bucket) = buckets.bucket(index(hash, link, shape)) else { break };
        let found = B::find(bucket, fingerprint);
        if found != 0 {
            return found;
        }
        let [.., last] = bucket;
        if *last == 0 {
            break;
        }
    }
    0
}

#[inline(always)]
const fn fingerprint(hash: u64) -> u64 {
    hash & FINGERPRINT | PRESENT
}

#[expect(clippy::cast_possible_truncation, reason = "masked to 20 bits")]
#[inline(always)]
const fn slot_of(entry: u64) -> u32 {
    (entry >> 1 & NAMES as u64) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "buckets are in memory: their number fits")]
#[inline(always)]
const fn index(hash: u64, link: u64, shape: Shape) -> usize {
    (hash.wrapping_add(link.wrapping_mul(hash >> 40 | 1)) & shape.mask) as usize
}

/// Fills `buckets` (a power of two, all zero) with `names` in wire format, the first of which gets slot 1.
///
/// Of names that are the same but for case the first counts. A name that is not well-formed or has more than [`DEPTH`]
/// labels takes its slot and is never found; nor are names beyond [`NAMES`].
///
/// # Errors
/// [`Full`] if a chain of buckets overflows: try again with twice as many. [`buckets_for`] gives a number that seldom does.
pub fn build<'a>(
    names: impl Iterator<Item = &'a [u8]> + Clone,
    key: &Key,
    buckets: &mut [Bucket],
) -> Result<Shape, Full> {
    let mask = (buckets.len() as u64).checked_sub(1).ok_or(Full)?;
    let labels = names.clone().map(name::labels).filter(|&labels| labels <= DEPTH);
    let depths = labels.fold(0, |depths, labels| depths | 1_u32 << labels);
    let shape = Shape { mask, depths };
    for (alone, slot) in numbered(names) {
        let mut hash = 0;
        let mut labels = alone.name.leftwards();
        for depth in 0..=alone.name.labels {
            if depth > 0 {
                // It is whole: every label of it can be hashed.
                hash = name::suffix(hash, labels.hash(&alone.frame(), key).unwrap_or_default());
            }
            if depth == alone.name.labels {
                let entry = place(name::scatter(hash), shape, buckets)?;
                if slot_of(*entry) == OTHER {
                    *entry |= slot << 1;
                }
            } else if shape.uses(depth) {
                *place(name::scatter(hash), shape, buckets)? |= DEEPER;
            }
        }
    }
    Ok(shape)
}

/// The names that can be found, and their slots.
fn numbered<'a>(names: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = (Alone, u64)> {
    names.zip(1..=NAMES as u64).filter_map(|(name, slot)| {
        let alone = Alone::new(name)?;
        (alone.name.labels <= DEPTH).then_some((alone, slot))
    })
}

/// The entry of a suffix, made if there is none.
fn place(hash: u64, shape: Shape, buckets: &mut [Bucket]) -> Result<&mut u64, Full> {
    let (link, nth) = (0..CHAIN)
        .find_map(|link| {
            let bucket = buckets.get(index(hash, link, shape))?;
            let nth = bucket.iter().position(|&word| word == 0 || (word ^ fingerprint(hash)) & FINGERPRINT == 0)?;
            Some((link, nth))
        })
        .ok_or(Full)?;
    let word = buckets.get_mut(index(hash, link, shape)).and_then(|bucket| bucket.get_mut(nth)).ok_or(Full)?;
    *word |= fingerprint(hash);
    Ok(word)
}

/// The table is too small for these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A number of buckets, a power of two, for this many names.
#[must_use]
pub fn buckets_for(names: usize) -> usize {
    (names / 4).next_power_of_two()
}
