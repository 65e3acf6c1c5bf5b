//! Names: where their labels are, and keyed hashes of their suffixes, eight bytes at a time, without regard to case.
//!
//! Reading a name looks at lengths only. A suffix's hash is made from a secret key, its first label, and the hash of the suffix
//! after it: from the root leftwards, only as far as the zone table asks for it ([`crate::zones`]).

use crate::frame::FRONT;
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

/// What has a [`Key`], and gives each word of it where it is needed.
pub trait Keyed {
    /// The first word.
    fn seed(&self) -> u64;
    /// The second word.
    fn step(&self) -> u64;
}

impl Keyed for Key {
    #[inline(always)]
    fn seed(&self) -> u64 {
        let Self([seed, _]) = *self;
        seed
    }

    #[inline(always)]
    fn step(&self) -> u64 {
        let Self([_, step]) = *self;
        step
    }
}

/// Where an uncompressed name is in its frame, and where its last [`DEPTH`] labels are. In the same frame, what is at the same
/// place is the same name.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// Offset of its first byte.
    pub at: usize,
    /// Its length in bytes, the root label included: 1 to [`LENGTH`], or 0 if it was not read.
    pub length: usize,
    /// How many labels it has, the root not counted.
    pub labels: usize,
    /// Byte n from below: where the label n labels from the last one begins, less [`FRONT`] and `before`; 0 if there is none. The
    /// lower half comes first.
    starts: [u64; 2],
    /// What is in front of it, as far as it is not for a byte to tell.
    before: usize,
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.length, self.labels) == (other.at, other.length, other.labels)
    }
}

impl Eq for Name {}

impl Name {
    /// A name that was not read.
    pub const BLANK: Self = Self { at: 0, length: 0, labels: 0, starts: [0; 2], before: 0 };

    /// Reads the name at `at`, at least 8 bytes into the frame, which must end before `end`.
    ///
    /// # Errors
    /// Why it is not a name: `past_end` if it goes on beyond its end.
    #[inline(always)]
    pub fn read<F: Frame>(frame: &F, at: usize, end: usize, past_end: impl Into<Skip>) -> Result<Self, Skip> {
        let first = at.wrapping_sub(1);
        let before = first.wrapping_sub(FRONT);
        let longest = LENGTH + 1;
        let limit = frame.opaque_at(end.wrapping_sub(first).min(longest));
        let mut begin = 1_usize;
        let (mut starts, mut upper) = (0_u64, 0_u64);
        for labels in 0..LABELS + 1 {
            if begin >= limit {
                return Err(if begin >= longest { Skip::NameLength } else { past_end.into() });
            }
            let [length] = frame.read(first.wrapping_add(begin)).ok_or(Skip::Truncated)?;
            let length = usize::from(length);
            if length == 0 {
                let labels = frame.opaque_at(labels);
                let starts = [frame.opaque(starts), frame.opaque(upper)];
                return Ok(Self { at, length: frame.opaque_at(begin), labels, starts, before });
            }
            if length > LABEL {
                return Err(Skip::NamePointer);
            }
            upper = upper << 8 | starts >> 56;
            starts = starts << 8 | begin as u64;
            begin = begin.wrapping_add(length).wrapping_add(1);
        }
        Err(Skip::NameLength)
    }

    /// Reads the name at `at` if it is a common one: of [`SHORT`] labels at most, the root's within 256 bytes behind [`FRONT`], and
    /// with four bytes behind it that are not beyond `end` either. Else [`Name::read`] tells.
    #[inline(always)]
    pub fn short<F: Frame>(frame: &F, at: usize, end: usize) -> Option<Self> {
        let mut begin = at.wrapping_sub(FRONT);
        let mut starts = 0_u64;
        for labels in 0..SHORT + 1 {
            let length = usize::from(frame.byte(begin)?);
            if length == 0 {
                // Only here: whatever was read from behind the end was for nothing.
                if begin > 0xFF || begin.wrapping_add(FRONT + 5) > end {
                    return None;
                }
                frame.byte(begin.wrapping_add(4))?;
                let length = frame.opaque_byte(begin).wrapping_add(FRONT + 1).wrapping_sub(at);
                return Some(Self { at, length, labels, starts: [frame.opaque(starts), 0], before: 0 });
            }
            if length > LABEL {
                core::hint::cold_path();
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
            hash = leftwards.suffix(hash, frame, key)?;
        }
        Some(scatter(hash))
    }

    /// Its labels from the last one leftwards, [`DEPTH`] of them at most.
    #[inline(always)]
    pub(crate) const fn leftwards(&self) -> Leftwards {
        let end = self.at.wrapping_add(self.length).wrapping_sub(FRONT + 1).wrapping_sub(self.before);
        Leftwards { before: self.before, starts: self.starts, end }
    }
}

/// The labels of a [`Name`], from the last one leftwards.
pub(crate) struct Leftwards {
    /// Less than their offsets by this and [`FRONT`] are those that follow.
    before: usize,
    starts: [u64; 2],
    /// Where the last label given begins.
    end: usize,
}

impl Leftwards {
    /// The hash of the suffix that begins with the next label, from the hash of the suffix after it; `None` if there is no
    /// such label. [`scatter`] makes of it what is looked up.
    #[inline(always)]
    pub(crate) fn suffix<F: Frame>(&mut self, after: u64, frame: &F, key: &impl Keyed) -> Option<u64> {
        let [starts, upper] = self.starts;
        let (start, end) = ((starts & 0xFF) as usize, self.end);
        let size = frame.less(end, start);
        if start == 0 {
            return None;
        }
        self.starts = [starts >> 8 | upper << 56, upper >> 8];
        self.end = start;
        suffix(after, frame, self.before.wrapping_add(end), size, key)
    }
}

/// A name in wire format as a frame of its own, so that it can be hashed in place.
pub(crate) struct Alone {
    bytes: [u8; FRONT + LENGTH],
    pub(crate) name: Name,
}

impl Alone {
    /// `None` if it is not a whole name, or more than one.
    pub(crate) fn new(wire: &[u8]) -> Option<Self> {
        let mut bytes = [0; FRONT + LENGTH];
        bytes.get_mut(FRONT..)?.get_mut(..wire.len())?.copy_from_slice(wire);
        let end = FRONT.checked_add(wire.len())?;
        let name = Name::read(&crate::Slice(&bytes), FRONT, end, Skip::Malformed).ok()?;
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

/// The upper bits of the result depend on every bit of a suffix's hash, and no two hashes have the same result.
#[inline(always)]
pub(crate) const fn scatter(hash: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

/// The hash of the suffix that begins with the label that ends before offset `end` + [`FRONT`], from the hash of the suffix after
/// it; `None` if the frame does not hold it. The label's size is that of its length byte too: 2 to 64.
///
/// The last eight bytes are loaded backwards from the label's end: a query may end four bytes after its root label, but
/// its header always lies in front.
#[inline(always)]
fn suffix<F: Frame>(after: u64, frame: &F, end: usize, size: usize, key: &impl Keyed) -> Option<u64> {
    // An unknown multiple: no bytes of a shorter label make up for its being shorter.
    let mut hash = after ^ key.seed().wrapping_mul(size as u64);
    let last = u64::from_le_bytes(frame.front(end)?);
    if size <= 9 {
        return Some(mix(hash ^ fold(frame.shifted(last, 9_usize.wrapping_sub(size) << 3)), key.step()));
    }
    let mut left = size.wrapping_sub(1);
    for _ in 0..LABEL / 8 {
        if left <= 8 {
            break;
        }
        hash =
            mix(hash ^ fold(u64::from_le_bytes(frame.read(end.wrapping_add(FRONT).wrapping_sub(left))?)), key.step());
        left = left.wrapping_sub(8);
    }
    Some(mix(hash ^ fold(last), key.step()))
}

/// The product is with a number that nobody knows, and another one for another upper half: no known difference of inputs gives
/// a known difference of outputs. BPF has no wider product.
#[inline(always)]
const fn mix(x: u64, step: u64) -> u64 {
    x.wrapping_mul(x >> 32 ^ step)
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
                assert_eq!(suffix(0, &crate::Slice(&frame), front + length - FRONT, length + 1, &KEY), Some(want));
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
                let long = Name::read(&frame, front, end, Skip::Malformed).unwrap();
                assert_eq!(short, long);
                assert_eq!(short.ending(&frame, DEPTH, &KEY), long.ending(&frame, DEPTH, &KEY));
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
            (0..alone.name.labels).fold(0, |after, _| labels.suffix(after, &alone.frame(), &KEY).unwrap())
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
            let key = Key([random(2 * seed), random(2 * seed + 1)]);
            for shape in shapes {
                let mut buckets = [0_u32; 256];
                for number in 0..1024 {
                    buckets[(keyed(shape(number).as_bytes(), &key) >> 56) as usize] += 1;
                }
                // Chi-square with 255 degrees of freedom: 400 is less than one in a hundred million.
                let chi: u32 = buckets.iter().map(|&held| held.abs_diff(4).pow(2)).sum::<u32>() / 4;
                assert!(chi < 400, "{chi} {} {key:?}", shape(0));
            }
        }
    }

    /// Splitmix64: any numbers, all of whose bits vary.
    fn random(nth: u64) -> u64 {
        let mixed = (nth + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn whole(label: &[u8]) -> u64 {
        keyed(label, &KEY)
    }

    fn keyed(label: &[u8], key: &Key) -> u64 {
        let mut frame = std::vec![0; 8];
        frame.extend_from_slice(label);
        scatter(suffix(1, &crate::Slice(&frame), frame.len() - FRONT, label.len() + 1, key).unwrap())
    }

    fn one(label: &[u8]) -> u64 {
        let mut frame = std::vec![0; 8];
        frame.extend_from_slice(label);
        suffix(0, &crate::Slice(&frame), frame.len() - FRONT, label.len() + 1, &KEY).unwrap()
    }
}
