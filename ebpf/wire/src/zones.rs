//! The zone table: which configured name is the longest suffix of a QNAME.
//!
//! Buckets of 64 bytes, of which the last five words are entries: each a fingerprint, a slot and whether deeper names exist.
//! The rest belongs to whoever keeps the table: what is counted there comes into the cache with the entry. Above each configured
//! name there is an entry at every depth that any name uses, with slot 0 if that suffix is not configured itself: so a
//! search begins with the shortest suffix and ends at the first one that has no entry, or none below it.
//! The table is built in memory, whole, and read through [`Buckets`], so that a kernel array can stand behind it.

use crate::count::OTHER;
use crate::name::{self, Alone, DEPTH, Keyed};
use crate::{Frame, Key, Name};

/// One cache line: first what its keeper has there, then its [`Entries`].
pub type Bucket = [u64; 8];

/// How many entries a bucket has.
pub const ENTRIES: usize = 5;

/// The entries of a bucket; 0 is an empty one.
pub type Entries = [u64; ENTRIES];

/// As many names as there are slots for: 20 bits of an entry.
pub const NAMES: usize = (1 << SLOT_BITS) - 1;

const SLOT_BITS: u32 = 20;

/// As many of the highest bits of a hash choose the bucket; the fingerprint are those below. There are no more buckets than they
/// can tell.
const INDEX_BITS: u32 = SLOT_BITS + 1;

/// An entry's lowest bit: longer names exist below this one.
const DEEPER: u64 = 1;

/// Where the entries of a bucket begin.
pub const FIRST: usize = size_of::<Bucket>() / size_of::<u64>() - ENTRIES;

/// What is above the slot and the lowest bit is the fingerprint.
pub const FINGERPRINT: u64 = !((1 << INDEX_BITS) - 1);

/// The lowest of the three bits of a [`Hit`] that [`Buckets::find`] may set to say which entry it is.
pub const WHICH: u32 = INDEX_BITS;

/// The fingerprint's lowest bit is always set, so that it is not that of an empty entry.
const PRESENT: u64 = 1 << INDEX_BITS;

/// How many buckets an entry may be in. They are not neighbours, which would fill up together.
const CHAIN: u64 = 8;

/// The buckets.
pub trait Buckets {
    /// The entries of the bucket at `index`, which is below the table's size.
    fn entries(&self, index: usize) -> Option<&Entries>;

    /// What is below [`FINGERPRINT`] of the one entry that has this fingerprint; 0 if there is none.
    ///
    /// Without a branch: which of them it is cannot be foreseen. Equal fingerprints leave less than any others.
    #[inline(always)]
    fn find(entries: &Entries, fingerprint: u64) -> u64 {
        let [a, b, c, d, e] = entries.map(|word| word ^ fingerprint);
        let least = a.min(b).min(c.min(d)).min(e);
        if least & FINGERPRINT == 0 { least } else { 0 }
    }
}

impl Buckets for [Bucket] {
    #[inline(always)]
    fn entries(&self, index: usize) -> Option<&Entries> {
        self.get(index)?.last_chunk()
    }
}

/// An entry that was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hit(u64);

impl Hit {
    /// The slot; [`OTHER`] if no entry was found, or that of a name that is not configured itself.
    #[expect(clippy::cast_possible_truncation, reason = "masked to 20 bits")]
    #[must_use]
    #[inline(always)]
    pub const fn slot(self) -> u32 {
        (self.0 >> 1 & NAMES as u64) as u32
    }

    /// What [`Buckets::find`] has said of which entry of its bucket it is.
    #[must_use]
    #[inline(always)]
    pub const fn which(self) -> u64 {
        self.0 >> WHICH
    }

    /// Longer names exist below this one.
    #[inline(always)]
    const fn has_deeper(self) -> bool {
        self.0 & DEEPER != 0
    }

    /// The same, of which the compiler knows nothing ([`Frame::opaque`]).
    #[must_use]
    #[inline(always)]
    pub fn opaque<F: Frame>(self, frame: &F) -> Self {
        Self(frame.opaque(self.0))
    }
}

/// What a reader must know of a table besides its buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of buckets.
    pub buckets: u64,
    /// Bit n: some configured name has n labels.
    pub depths: u32,
}

impl Shape {
    /// No names, however many buckets.
    pub const EMPTY: Self = Self { buckets: 0, depths: 0 };

    #[inline(always)]
    const fn uses(self, depth: usize) -> bool {
        self.depths >> depth & 1 != 0
    }
}

/// The slot of the longest configured name that is a suffix of `name`, read from `frame`; [`OTHER`] if there is none.
#[must_use]
#[inline(always)]
pub fn find<F: Frame, B: Buckets + ?Sized>(frame: &F, name: &Name, key: &Key, shape: Shape, buckets: &B) -> u32 {
    let mut slot = OTHER;
    each(frame, name, key, shape, buckets, |hit, _| slot = hit.slot());
    slot
}

/// Gives `found` each configured name that is a suffix of `name`, the longest last, and the index of its bucket.
#[inline(always)]
pub fn each<F: Frame, B: Buckets + ?Sized>(
    frame: &F,
    name: &Name,
    key: &impl Keyed,
    shape: Shape,
    buckets: &B,
    mut found: impl FnMut(Hit, u32),
) {
    let mut hash = 0;
    let mut labels = name.leftwards();
    // Of 64 bits: what waits on the stack in less a verifier may forget. Down to the next depth no bucket is looked at, so that
    // a compiler for few registers has them for the hash.
    let mut depths = u64::from(shape.depths) & ((1 << (DEPTH + 1)) - 1);
    while depths != 0 {
        while depths & 1 == 0 {
            depths = frame.halved(depths);
            // It cannot be, but a verifier sees by it that this comes to an end.
            if depths == 0 {
                return;
            }
            let Some(next) = labels.suffix(hash, frame, key) else { return };
            hash = next;
        }
        depths &= !1;
        let (hit, bucket) = entry(name::scatter(hash), shape, buckets);
        if hit.slot() != OTHER {
            found(hit, bucket);
        }
        if !hit.has_deeper() {
            return;
        }
    }
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
            self.hash = self.leftwards.suffix(self.hash, self.frame, self.key)?;
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
    let (hit, _) = entry(hash, shape, buckets);
    Found { slot: hit.slot(), deeper: hit.has_deeper() }
}

/// The bucket where looking up a hash begins, and mostly ends.
#[must_use]
#[inline(always)]
pub const fn first_bucket(hash: u64, shape: Shape) -> usize {
    index(hash, 0, shape)
}

/// The entry of a suffix, and its bucket; nothing if there is none. Mostly it is in the first bucket of its chain, or the chain ends there.
#[inline(always)]
fn entry<B: Buckets + ?Sized>(hash: u64, shape: Shape, buckets: &B) -> (Hit, u32) {
    let (hit, is_last) = in_bucket(hash, 0, shape, buckets);
    if is_last {
        return hit;
    }
    for link in 1..CHAIN {
        let (hit, is_last) = in_bucket(hash, link, shape, buckets);
        if is_last {
            return hit;
        }
    }
    (Hit::default(), 0)
}

/// The entry if a bucket of a chain has it, and whether there is nothing to be looked for in the next one.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "there are no more than 2^21 buckets")]
fn in_bucket<B: Buckets + ?Sized>(hash: u64, link: u64, shape: Shape, buckets: &B) -> ((Hit, u32), bool) {
    let index = index(hash, link, shape);
    let Some(entries) = buckets.entries(index) else { return ((Hit::default(), 0), true) };
    let found = B::find(entries, fingerprint(hash));
    let [.., last] = entries;
    ((Hit(found), index as u32), found != 0 || *last == 0)
}

#[inline(always)]
const fn fingerprint(hash: u64) -> u64 {
    hash << INDEX_BITS | PRESENT
}

/// The slot of an entry; [`OTHER`] if it is empty, or that of a name that is not configured itself.
#[must_use]
#[inline(always)]
pub const fn slot_of(entry: u64) -> u32 {
    Hit(entry).slot()
}

#[inline(always)]
const fn index(hash: u64, link: u64, shape: Shape) -> usize {
    // The next link is a sixteenth of the table away, at least.
    let scattered = hash.wrapping_add(link.wrapping_mul(hash << INDEX_BITS | 1 << 60));
    ((scattered >> (64 - INDEX_BITS)).wrapping_mul(shape.buckets) >> INDEX_BITS) as usize
}

/// Fills `buckets` (2^21 at most, all zero) with `names` in wire format, the first of which gets slot 1.
///
/// Of names that are the same but for case the first counts. A name that is not well-formed or has more than [`DEPTH`]
/// labels takes its slot and is never found; nor are names beyond [`NAMES`].
///
/// # Errors
/// [`Full`] if a chain of buckets overflows: try again with [`more`]. [`buckets_for`] gives a number that seldom does.
pub fn build<'a>(
    names: impl Iterator<Item = &'a [u8]> + Clone,
    key: &Key,
    buckets: &mut [Bucket],
) -> Result<Shape, Full> {
    let labels = names.clone().map(name::labels).filter(|&labels| labels <= DEPTH);
    let depths = labels.fold(0, |depths, labels| depths | 1_u32 << labels);
    let shape = Shape { buckets: buckets.len() as u64, depths };
    for (alone, slot) in numbered(names) {
        let mut hash = 0;
        let mut labels = alone.name.leftwards();
        for depth in 0..=alone.name.labels {
            if depth > 0 {
                // It is whole: every label of it can be hashed.
                hash = labels.suffix(hash, &alone.frame(), key).unwrap_or_default();
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
            let entries: &Entries = bucket.last_chunk()?;
            let nth = entries.iter().position(|&word| word == 0 || (word ^ fingerprint(hash)) & FINGERPRINT == 0)?;
            Some((link, nth))
        })
        .ok_or(Full)?;
    let bucket = buckets.get_mut(index(hash, link, shape)).ok_or(Full)?;
    let entries: &mut Entries = bucket.last_chunk_mut().ok_or(Full)?;
    let word = entries.get_mut(nth).ok_or(Full)?;
    *word |= fingerprint(hash);
    Ok(word)
}

/// The table is too small for these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A number of buckets for this many names: three for each bucket's five entries, so that one in twenty is in another
/// than the first of its chain.
#[must_use]
pub const fn buckets_for(names: usize) -> usize {
    (names / 3).saturating_add(1)
}

/// The next larger number of buckets to try.
#[must_use]
pub const fn more(buckets: usize) -> usize {
    buckets.saturating_add(buckets / 4).saturating_add(1)
}
