//! Names: where their labels are, and keyed hashes of their suffixes, eight bytes at a time, without regard to case.
//!
//! Reading a name looks at lengths only. A label's hash is keyed; a suffix is the fold of its labels' hashes from the root
//! leftwards, made only as far as the zone table asks for it ([`crate::zones`]).

use crate::{Frame, Skip};

/// How many labels a configured name may have: that many labels are kept, counted from the root.
pub const DEPTH: usize = 16;

/// The most labels a name can have, the root not counted (RFC 1035 section 3.1).
pub const LABELS: usize = 127;

/// As many labels as a common name has at most, the root not counted.
pub const SHORT: usize = 8;

/// The longest name in bytes, its root label included (RFC 1035 section 2.3.4).
pub const LENGTH: usize = 255;

/// The longest label in bytes.
const LABEL: usize = 63;

/// The per-boot secret that keys every hash, so that nobody can craft names that share a counter.
///
/// Both words must be random in all their bits: under a small number, names of a few bytes collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub [u64; 2]);

/// Where an uncompressed name is in its frame, and where its last [`DEPTH`] labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Offset of its first byte.
    pub at: usize,
    /// Its length in bytes, the root label included: 1 to [`LENGTH`], or 0 if it was not read.
    pub length: usize,
    /// How many labels it has, the root not counted.
    pub labels: usize,
    /// Byte n from below: where the label n labels from the last one begins, modulo 256.
    starts: u128,
}

impl Name {
    /// A name that was not read.
    pub const BLANK: Self = Self { at: 0, length: 0, labels: 0, starts: 0 };

    /// Reads the name at `at`, at least 8 bytes into the frame, which must end before `end`.
    ///
    /// # Errors
    /// Why it is not a name: `past_end` if it goes on beyond its end.
    #[inline(always)]
    pub fn read<F: Frame>(frame: &F, at: usize, end: usize, past_end: impl Into<Skip>) -> Result<Self, Skip> {
        let longest = at.wrapping_add(LENGTH);
        let limit = frame.opaque_at(end.min(longest));
        let mut begin = at;
        let mut starts = 0_u128;
        for labels in 0..LABELS + 1 {
            if begin >= limit {
                return Err(if begin >= longest { Skip::NameLength } else { past_end.into() });
            }
            let [length] = frame.read(begin).ok_or(Skip::Truncated)?;
            let length = usize::from(length);
            let next = begin.wrapping_add(length).wrapping_add(1);
            if length == 0 {
                let labels = frame.opaque_at(labels);
                let length = frame.opaque_at(next.wrapping_sub(at));
                return Ok(Self { at, length, labels, starts: frame.opaque_u128(starts) });
            }
            if length > LABEL {
                return Err(Skip::NamePointer);
            }
            starts = starts << 8 | (begin & 0xFF) as u128;
            begin = next;
        }
        Err(Skip::NameLength)
    }

    /// Reads the name at `at` if it is a common one: of [`SHORT`] labels at most, of which none begins beyond the frame's
    /// first 256 bytes, and with four bytes behind it that are not beyond `end` either. Else [`Name::read`] tells.
    #[inline(always)]
    pub fn short<F: Frame>(frame: &F, at: usize, end: usize) -> Option<Self> {
        let mut begin = at;
        let mut starts = 0_u64;
        for labels in 0..SHORT + 1 {
            let [length] = frame.read(begin)?;
            let length = usize::from(length);
            if length == 0 {
                // Only here: whatever was read from behind the end was for nothing.
                let after = frame.opaque_at(begin.wrapping_add(1));
                if after > 0x100 || after.wrapping_add(4) > end {
                    return None;
                }
                frame.read::<4>(after)?;
                let labels = frame.opaque_at(labels);
                return Some(Self { at, length: after.wrapping_sub(at), labels, starts: frame.opaque(starts).into() });
            }
            if length > LABEL {
                return None;
            }
            starts = starts << 8 | begin as u64;
            begin = begin.wrapping_add(length).wrapping_add(1);
        }
        None
    }

    /// The keyed hash of its last `labels` labels, of all if it has fewer, of [`DEPTH`] at most; `None` if `frame` is not
    /// the one that it was read from.
    #[inline(always)]
    pub fn ending<F: Frame>(&self, frame: &F, labels: usize, key: &Key) -> Option<u64> {
        let mut leftwards = self.leftwards();
        let mut hash = 0;
        for _ in 0..labels.min(self.labels).min(DEPTH) {
            hash = suffix(hash, leftwards.hash(frame, key)?);
        }
        Some(scatter(hash))
    }

    /// Its labels from the last one leftwards, [`DEPTH`] of them at most.
    #[inline(always)]
    pub(crate) const fn leftwards(&self) -> Leftwards {
        Leftwards { starts: self.starts, end: self.at.wrapping_add(self.length).wrapping_sub(1) }
    }
}

/// The labels of a [`Name`], from the last one leftwards. It does not know where to stop.
pub(crate) struct Leftwards {
    starts: u128,
    /// Where the last label given begins.
    end: usize,
}

impl Leftwards {
    /// The hash of the next label.
    #[inline(always)]
    pub(crate) fn hash<F: Frame>(&mut self, frame: &F, key: &Key) -> Option<u64> {
        // A label and its length byte are at most 64 bytes.
        let size = self.end.wrapping_sub((self.starts & 0xFF) as usize) & 0x7F;
        let end = self.end;
        self.starts >>= 8;
        self.end = end.wrapping_sub(size);
        hash(frame, end, size.wrapping_sub(1), key)
    }
}

/// A name in wire format as a frame of its own, so that it can be hashed in place.
pub(crate) struct Alone {
    bytes: [u8; Self::FRONT + LENGTH],
    pub(crate) name: Name,
}

impl Alone {
    /// As many bytes as may be read in front of a name.
    const FRONT: usize = 8;

    /// `None` if it is not a whole name, or more than one.
    pub(crate) fn new(wire: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::FRONT + LENGTH];
        bytes.get_mut(Self::FRONT..)?.get_mut(..wire.len())?.copy_from_slice(wire);
        let end = Self::FRONT.checked_add(wire.len())?;
        let name = Name::read(&crate::Slice(&bytes), Self::FRONT, end, Skip::Malformed).ok()?;
        (name.length == wire.len()).then_some(Self { bytes, name })
    }

    pub(crate) const fn frame(&self) -> crate::Slice<'_> {
        crate::Slice(&self.bytes)
    }
}

/// How many labels a name in wire format has, without a look at their bytes.
#[must_use]
pub fn labels(name: &[u8]) -> usize {
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

/// The hash of the label of `length` bytes, 1 to 63, that ends before `end`; `None` if the frame does not hold it.
///
/// The last eight bytes are loaded backwards from the label's end: a query may end four bytes after its root label, but
/// its header always lies in front.
#[inline(always)]
fn hash<F: Frame>(frame: &F, end: usize, length: usize, key: &Key) -> Option<u64> {
    let Key([seed, step]) = *key;
    // An unknown multiple: no bytes of a shorter label make up for its being shorter.
    let mut hash = seed.wrapping_mul((length as u64) << 1 | 1);
    let last = u64::from_le_bytes(frame.read(end.wrapping_sub(8))?);
    if length <= 8 {
        let before = 8_usize.wrapping_sub(length) << 3 & 63;
        return Some(mix(hash ^ fold(last >> before), step));
    }
    let mut left = length;
    for _ in 0..LABEL / 8 {
        if left <= 8 {
            break;
        }
        hash = mix(hash ^ fold(u64::from_le_bytes(frame.read(end.wrapping_sub(left))?)), step);
        left = left.wrapping_sub(8);
    }
    Some(mix(hash ^ fold(last), step))
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
                assert_eq!(hash(&crate::Slice(&frame), front + length, length, &KEY), Some(want));
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
    fn a_common_name_is_read_in_short_as_at_length() {
        let mut common = 0;
        for (labels, length, front) in (0..12).flat_map(|labels| (1..65).map(move |length| (labels, length, 54))) {
            let mut frame = std::vec![0xEE; front];
            for label in 0..labels {
                // The first may be too long, and then the name is none.
                let length = if label == 0 { length } else { length % 40 + 1 };
                frame.push(length);
                frame.extend(core::iter::repeat_n(b'a', length.into()));
            }
            frame.extend([0; 8]);
            let end = frame.len() - 3;
            for (held, end) in (front..frame.len()).flat_map(|held| [(held, end), (frame.len(), held)]) {
                let frame = crate::Slice(&frame[..held]);
                let Some(short) = Name::short(&frame, front, end) else { continue };
                assert_eq!(Name::read(&frame, front, end, Skip::Malformed), Ok(short));
                let after = front + short.length + 4;
                assert!(after <= end && after <= held && short.labels <= SHORT);
                common += 1;
            }
        }
        assert!(common > 1000, "{common}");
    }

    #[test]
    fn what_is_not_a_name_has_no_labels() {
        let labels = |wire: &[u8]| Alone::new(wire).map(|alone| alone.name.labels);
        assert_eq!(labels(b"\x03www\x07example\x00"), Some(2));
        assert_eq!(labels(b"\0"), Some(0));
        for bad in [&b""[..], b"\x01a", b"\x01a\0\0", b"\x02a\0", b"\xC0\x0C", b"\x40a\0", &[0; 300]] {
            assert_eq!(labels(bad), None, "{bad:?}");
        }
        let longest: Vec<u8> = [1, b'a'].into_iter().cycle().take(254).chain([0]).collect();
        assert_eq!(labels(&longest), Some(127));
        let longer: Vec<u8> = [1, b'a'].into_iter().cycle().take(252).chain([2, b'a', b'a', 0]).collect();
        assert_eq!(labels(&longer), None);
    }

    #[test]
    fn order_of_labels_matters() {
        let of = |wire: &[u8]| {
            let alone = Alone::new(wire).unwrap();
            let mut labels = alone.name.leftwards();
            (0..alone.name.labels).fold(0, |after, _| suffix(after, labels.hash(&alone.frame(), &KEY).unwrap()))
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
        scatter(suffix(1, hash(&crate::Slice(&frame), frame.len(), label.len(), key).unwrap()))
    }

    fn one(label: &[u8]) -> u64 {
        let mut frame = std::vec![0; 8];
        frame.extend_from_slice(label);
        hash(&crate::Slice(&frame), frame.len(), label.len(), &KEY).unwrap()
    }
}
