//! Names as keyed hashes of their suffixes: one pass over the labels, eight bytes at a time, without regard to case.
//!
//! A label's hash is keyed; a suffix is the fold of its labels' hashes from the root leftwards, made only as far as the
//! zone table asks for it ([`crate::zones`]).

use crate::{Frame, Skip};

/// How many labels a configured name may have: the hashes of that many labels are kept, counted from the root.
pub const DEPTH: usize = 16;

/// The most labels a name can have, the root not counted (RFC 1035 section 3.1).
pub const LABELS: usize = 127;

/// The longest name in bytes, its root label included (RFC 1035 section 2.3.4).
pub const LENGTH: usize = 255;

/// The longest label in bytes.
const LABEL: usize = 63;

/// The per-boot secret that keys every hash, so that nobody can craft names that share a counter.
///
/// Both words must be random in all their bits: under a small number, names of a few bytes collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub [u64; 2]);

/// The hashes of the last [`DEPTH`] labels of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suffixes {
    /// How many labels the name has, the root not counted: 0 to 127.
    pub labels: usize,
    /// Label n, counted from the left, is at n modulo [`DEPTH`].
    ring: [u64; DEPTH],
}

impl Suffixes {
    /// The name without labels: the root.
    pub const ROOT: Self = Self { labels: 0, ring: [0; DEPTH] };

    /// The hashes of a name in wire format, uncompressed and whole; `None` if it is not one.
    #[must_use]
    pub fn of_wire(name: &[u8], key: &Key) -> Option<Self> {
        const FRONT: usize = 8;
        let mut bytes = [0_u8; FRONT + LENGTH];
        bytes.get_mut(FRONT..)?.get_mut(..name.len())?.copy_from_slice(name);
        let end = FRONT.checked_add(name.len())?;
        let mut suffixes = Self::ROOT;
        match NameWalk::new(FRONT, end).finish(&crate::Slice(&bytes), Skip::Malformed, key, &mut suffixes) {
            Ok(at) if at == end => Some(suffixes),
            Ok(_) | Err(_) => None,
        }
    }

    /// The hash of the `depth`th label from the root, 1 to [`DEPTH`] and at most [`Suffixes::labels`].
    #[inline(always)]
    pub(crate) fn label(&self, depth: usize) -> u64 {
        self.ring.get(self.labels.wrapping_sub(depth) % DEPTH).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn push(&mut self, hash: u64) {
        if let Some(place) = self.ring.get_mut(self.labels % DEPTH) {
            *place = hash;
        }
        self.labels = self.labels.wrapping_add(1);
    }
}

/// A walk over an uncompressed name, a label a step: whoever cannot loop to its end at once goes on with it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameWalk {
    at: usize,
    start: usize,
    end: usize,
}

impl NameWalk {
    /// Begins at `at`, at least 8 bytes into the frame, with a name that must end before `end`.
    #[must_use]
    #[inline(always)]
    pub const fn new(at: usize, end: usize) -> Self {
        Self { at, start: at, end }
    }

    /// Adds one label to `suffixes`; if there is none but the root, gives the offset of what follows the name.
    ///
    /// # Errors
    /// Why it is not a name: `past_end` if it goes on beyond its end.
    #[inline(always)]
    pub fn step<F: Frame>(
        &mut self,
        frame: &F,
        past_end: Skip,
        key: &Key,
        suffixes: &mut Suffixes,
    ) -> Result<Option<usize>, Skip> {
        if self.at >= self.end {
            return Err(past_end);
        }
        let [length] = frame.read(self.at).ok_or(Skip::Truncated)?;
        let length = usize::from(length);
        let label = self.at.wrapping_add(1);
        if length == 0 {
            return Ok(Some(label));
        }
        if length > LABEL {
            return Err(Skip::NamePointer);
        }
        let next = label.wrapping_add(length);
        if next.wrapping_sub(self.start) >= LENGTH {
            return Err(Skip::NameLength);
        }
        if next > self.end {
            return Err(past_end);
        }
        suffixes.push(hash(frame, label, length, key).ok_or(Skip::Truncated)?);
        self.at = next;
        Ok(None)
    }

    /// Adds all labels to `suffixes` and gives the offset of what follows the name.
    ///
    /// # Errors
    /// As [`NameWalk::step`].
    #[inline(always)]
    pub fn finish<F: Frame>(
        &mut self,
        frame: &F,
        past_end: Skip,
        key: &Key,
        suffixes: &mut Suffixes,
    ) -> Result<usize, Skip> {
        for _ in 0..LABELS + 1 {
            if let Some(next) = self.step(frame, past_end, key, suffixes)? {
                return Ok(next);
            }
        }
        Err(Skip::NameLength)
    }
}

/// How many labels a name in wire format has, without a look at their bytes.
pub(crate) fn labels(name: &[u8]) -> usize {
    let mut rest = name;
    for labels in 0..LABELS {
        match rest.split_first() {
            Some((&length, after)) if length != 0 => rest = after.get(usize::from(length)..).unwrap_or_default(),
            Some(_) | None => return labels,
        }
    }
    LABELS
}

/// The hash of the suffix that begins with a label, from that label's hash and the hash of the suffix after it. It is
/// good for going on; [`scatter`] makes of it what is looked up.
#[inline(always)]
pub(crate) const fn suffix(after: u64, label: u64) -> u64 {
    let mixed = (after ^ label).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

/// Every bit of the result depends on every bit of a suffix's hash, and no two hashes have the same result.
#[inline(always)]
pub(crate) const fn scatter(hash: u64) -> u64 {
    let mixed = hash.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    mixed ^ (mixed >> 32)
}

/// The hash of the label of `length` bytes, 1 to 63, at `at`; `None` if the frame does not hold all of them.
///
/// The last eight bytes are loaded backwards from the label's end: a query may end four bytes after its root label, but
/// its header always lies in front.
#[inline(always)]
fn hash<F: Frame>(frame: &F, at: usize, length: usize, key: &Key) -> Option<u64> {
    let Key([seed, step]) = *key;
    // An unknown multiple: no bytes of a shorter label make up for its being shorter.
    let mut hash = seed.wrapping_mul((length as u64) << 1 | 1);
    let mut done = 8;
    for _ in 0..LABEL / 8 {
        if done >= length {
            break;
        }
        hash = mix(hash ^ fold(u64::from_le_bytes(frame.read(at.wrapping_add(done).wrapping_sub(8))?)), step);
        done = done.wrapping_add(8);
    }
    let last = u64::from_le_bytes(frame.read(at.wrapping_add(length).wrapping_sub(8))?);
    let before = 64_usize.saturating_sub(length << 3);
    Some(mix(hash ^ fold(last >> before), step))
}

/// Half by half, so that no known difference of inputs gives a known difference of outputs; BPF has no wider product.
#[inline(always)]
const fn mix(x: u64, step: u64) -> u64 {
    (x & 0xFFFF_FFFF).wrapping_mul(x >> 32).wrapping_add(x ^ step)
}

/// Makes lower case of the bytes `A` to `Z`, and of no others (RFC 4343).
#[inline(always)]
const fn fold(bytes: u64) -> u64 {
    const TO_TOP_FROM_A: u64 = u64::from_ne_bytes([0x80 - b'A'; 8]);
    const TO_TOP_BEYOND_Z: u64 = u64::from_ne_bytes([0x7F - b'Z'; 8]);
    const TOP: u64 = u64::from_ne_bytes([0x80; 8]);
    let low = bytes & !TOP;
    let upper = !bytes & TOP & (low.wrapping_add(TO_TOP_FROM_A) ^ low.wrapping_add(TO_TOP_BEYOND_Z));
    bytes | upper >> 2
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashSet;
    use std::format;
    use std::vec::Vec;

    use super::*;

    const KEY: Key = Key([0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3211]);

    #[test]
    fn only_ascii_capitals_are_folded() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut bytes = [byte.wrapping_add(85); 8];
                bytes[place] = byte;
                let want = bytes.map(|byte| byte.to_ascii_lowercase());
                assert_eq!(fold(u64::from_le_bytes(bytes)), u64::from_le_bytes(want));
            }
        }
    }

    #[test]
    fn case_makes_no_difference_and_position_neither() {
        for length in 1..=LABEL {
            let upper: Vec<u8> = (0..length).map(|at| b"ABCXYZ-09@[`{"[at % 13]).collect();
            let lower = upper.to_ascii_lowercase();
            let want = one(&lower);
            assert_eq!(one(&upper), want);
            for front in 8..24 {
                let mut frame = std::vec![0xEE; front];
                frame.extend_from_slice(&upper);
                assert_eq!(hash(&crate::Slice(&frame), front, length, &KEY), Some(want));
            }
        }
    }

    #[test]
    fn every_byte_and_the_length_matter() {
        let mut seen = HashSet::new();
        for length in 1..=LABEL {
            let label = std::vec![0; length];
            assert!(seen.insert(one(&label)));
            for place in 0..length {
                for bit in [0, 1, 2, 3, 4, 6, 7] {
                    let mut label = label.clone();
                    label[place] ^= 1 << bit;
                    assert!(seen.insert(one(&label)), "{length} {place} {bit}");
                }
            }
        }
    }

    #[test]
    fn flipping_one_input_bit_flips_half_of_the_suffix() {
        let mut flipped = 0_u32;
        let mut pairs = 0_u32;
        for number in 0..2000 {
            let label = format!("name{number:06}");
            for bit in 0..3 {
                let mut other = label.clone().into_bytes();
                other[4 + number % 6] ^= 1 << bit;
                flipped += (whole(label.as_bytes()) ^ whole(&other)).count_ones();
                pairs += 1;
            }
        }
        let mean = f64::from(flipped) / f64::from(pairs);
        assert!((29.0..35.0).contains(&mean), "{mean}");
    }

    #[test]
    fn a_million_names_have_a_million_hashes() {
        let mut seen = HashSet::new();
        for number in 0..500_000_u32 {
            assert!(seen.insert(whole(format!("zone{number}").as_bytes()) >> 4));
            assert!(seen.insert(whole(format!("a-rather-long-name-{number:06}-in-a-row").as_bytes()) >> 4));
        }
    }

    #[test]
    fn what_is_not_a_name_has_no_suffixes() {
        assert_eq!(Suffixes::of_wire(b"\x03www\x07example\x00", &KEY).map(|it| it.labels), Some(2));
        assert_eq!(Suffixes::of_wire(b"\0", &KEY), Some(Suffixes::ROOT));
        for bad in [&b""[..], b"\x01a", b"\x01a\0\0", b"\x02a\0", b"\xC0\x0C", b"\x40a\0", &[0; 300]] {
            assert_eq!(Suffixes::of_wire(bad, &KEY), None, "{bad:?}");
        }
        let longest: Vec<u8> = [1, b'a'].into_iter().cycle().take(254).chain([0]).collect();
        assert_eq!(Suffixes::of_wire(&longest, &KEY).map(|it| it.labels), Some(127));
        let longer: Vec<u8> = [1, b'a'].into_iter().cycle().take(252).chain([2, b'a', b'a', 0]).collect();
        assert_eq!(Suffixes::of_wire(&longer, &KEY), None);
    }

    #[test]
    fn order_of_labels_matters() {
        let of = |name: &[u8]| {
            let it = Suffixes::of_wire(name, &KEY).unwrap();
            (1..=it.labels).fold(0, |after, depth| suffix(after, it.label(depth)))
        };
        assert_ne!(of(b"\x01a\x01b\0"), of(b"\x01b\x01a\0"));
        assert_ne!(of(b"\x01a\x01b\0"), of(b"\x02ab\0"));
        assert_eq!(of(b"\x01a\x01b\0"), of(b"\x01A\x01B\0"));
    }

    #[test]
    fn names_in_a_row_fill_buckets_as_evenly_as_chance() {
        let shapes: [fn(u32) -> std::string::String; 5] = [
            |number| format!("zone{number:06}"),
            |number| format!("{number}"),
            |number| format!("{number:05}.x"),
            |number| format!("a-rather-long-name-{number:04}-in-a-row"),
            |number| format!("xn--{number:x}"),
        ];
        for seed in 0..200_u64 {
            let key = Key([seed.wrapping_mul(0xA5A5_5A5A_1234_5679), scatter(seed)]);
            for shape in shapes {
                let mut buckets = [0_u32; 256];
                for number in 0..1024 {
                    buckets[(keyed(shape(number).as_bytes(), &key) % 256) as usize] += 1;
                }
                // Chi-square with 255 degrees of freedom: 400 is less than one in a hundred million.
                let chi: u32 = buckets.iter().map(|&held| held.abs_diff(4).pow(2)).sum::<u32>() / 4;
                assert!(chi < 400, "{chi} {} {key:?}", shape(0));
            }
        }
    }

    fn whole(label: &[u8]) -> u64 {
        keyed(label, &KEY)
    }

    fn keyed(label: &[u8], key: &Key) -> u64 {
        let mut frame = std::vec![0; 8];
        frame.extend_from_slice(label);
        scatter(suffix(1, hash(&crate::Slice(&frame), 8, label.len(), key).unwrap()))
    }

    fn one(label: &[u8]) -> u64 {
        let mut frame = std::vec![0; 8];
        frame.extend_from_slice(label);
        hash(&crate::Slice(&frame), 8, label.len(), &KEY).unwrap()
    }
}
