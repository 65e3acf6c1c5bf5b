//! Path attributes as they are on the wire (RFC 4271, section 4.3): three of them are read and changed, the others kept byte by byte.

use crate::router::announcement::Announcement;

const AS_PATH: u8 = 2;
const MED: u8 = 4;
const COMMUNITIES: u8 = 8;

/// The length has two bytes.
const EXTENDED: u8 = 0x10;
/// Well-known, or optional and handed on.
const TRANSITIVE: u8 = 0x40;
const OPTIONAL: u8 = 0x80;
/// A segment of a path that is in order.
const SEQUENCE: u8 = 2;

/// All attributes of a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// The AS numbers of all segments.
    path: Vec<u32>,
    med: Option<u32>,
    communities: Vec<(u16, u16)>,
    rest: Vec<Vec<u8>>,
}

impl Attributes {
    /// Reads them; `None` if one that matters is not as it should be.
    pub(super) fn read(attributes: &[Vec<u8>]) -> Option<Self> {
        let mut read = Self::default();
        for attribute in attributes {
            let (kind, value) = value(attribute)?;
            match kind {
                AS_PATH => read.path = path(value)?,
                MED => read.med = Some(u32::from_be_bytes(value.try_into().ok()?)),
                COMMUNITIES => {
                    let (communities, []) = value.as_chunks::<4>() else { return None };
                    let halves = |[a, b, c, d]: &[u8; 4]| (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
                    read.communities = communities.iter().map(halves).collect();
                }
                _ => read.rest.push(attribute.clone()),
            }
        }
        Some(read)
    }

    /// What they say, as far as actions change it; `None` if the path is not of our own AS number alone.
    pub(super) fn announcement(&self, own_as: u32) -> Option<Announcement> {
        let own = self.path.iter().all(|asn| *asn == own_as);
        own.then(|| Announcement { prepends: self.path.len(), med: self.med, communities: self.communities.clone() })
    }

    pub(super) fn path_as_said(&self) -> String {
        format!("AS path {:?}", self.path)
    }

    /// The same, saying `made`.
    pub(super) fn with(&self, own_as: u32, made: &Announcement) -> Vec<Vec<u8>> {
        let mut attributes = self.rest.clone();
        if made.prepends > 0 {
            // Within one segment, which holds 255.
            let count = u8::try_from(made.prepends).unwrap_or(u8::MAX);
            let mut value = vec![SEQUENCE, count];
            (0..count).for_each(|_| value.extend(own_as.to_be_bytes()));
            attributes.push(attribute(TRANSITIVE, AS_PATH, &value));
        }
        if let Some(med) = made.med {
            attributes.push(attribute(OPTIONAL, MED, &med.to_be_bytes()));
        }
        if !made.communities.is_empty() {
            let halves = made.communities.iter().flat_map(|(of, value)| [of.to_be_bytes(), value.to_be_bytes()]);
            let value: Vec<u8> = halves.flatten().collect();
            attributes.push(attribute(OPTIONAL | TRANSITIVE, COMMUNITIES, &value));
        }
        attributes.sort_by_key(|attribute| attribute.get(1).copied());
        attributes
    }
}

/// The type of an attribute, and its value.
fn value(attribute: &[u8]) -> Option<(u8, &[u8])> {
    let (&[flags, kind], rest) = attribute.split_first_chunk()?;
    let (length, value) = if flags & EXTENDED == 0 {
        let (length, value) = rest.split_first()?;
        (usize::from(*length), value)
    } else {
        let (length, value) = rest.split_first_chunk()?;
        (usize::from(u16::from_be_bytes(*length)), value)
    };
    (value.len() == length).then_some((kind, value))
}

/// The AS numbers, of four bytes each, of all segments.
fn path(mut segments: &[u8]) -> Option<Vec<u32>> {
    let mut path = Vec::new();
    while let Some((&[_, count], rest)) = segments.split_first_chunk() {
        let (numbers, behind) = rest.split_at_checked(usize::from(count) * 4)?;
        path.extend(numbers.as_chunks::<4>().0.iter().map(|number| u32::from_be_bytes(*number)));
        segments = behind;
    }
    segments.is_empty().then_some(path)
}

fn attribute(flags: u8, kind: u8, value: &[u8]) -> Vec<u8> {
    match u8::try_from(value.len()) {
        Ok(length) => [&[flags, kind, length], value].concat(),
        Err(_) => {
            let [high, low] = u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes();
            [&[flags | EXTENDED, kind, high, low], value].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ORIGIN IGP, NEXT_HOP 192.0.2.1, a large community, COMMUNITIES 64999:1.
    fn found() -> Vec<Vec<u8>> {
        vec![
            vec![0x40, 1, 1, 0],
            vec![0x40, 3, 4, 192, 0, 2, 1],
            vec![0xC0, 8, 4, 0xFD, 0xE7, 0, 1],
            vec![0xC0, 32, 12, 0, 0, 0xFD, 0xE7, 0, 0, 0, 1, 0, 0, 0, 2],
        ]
    }

    #[test]
    fn what_is_read_is_written_again() {
        let attributes = Attributes::read(&found()).unwrap();
        let said = attributes.announcement(64999).unwrap();
        assert_eq!(said, Announcement { prepends: 0, med: None, communities: vec![(64999, 1)] });
        assert_eq!(attributes.with(64999, &said), found());
    }

    #[test]
    fn what_is_made_is_read_as_it_was_meant() {
        let attributes = Attributes::read(&found()).unwrap();
        for communities in [vec![], vec![(64999, 1), (65535, 0)], vec![(1, 2); 100]] {
            let made = Announcement { prepends: 10, med: Some(7), communities };
            let written = attributes.with(4_200_000_000, &made);
            assert_eq!(Attributes::read(&written).unwrap().announcement(4_200_000_000), Some(made));
        }
    }

    #[test]
    fn a_path_of_others_is_none() {
        let mut attributes = found();
        attributes.push(vec![0x40, 2, 10, 2, 2, 0, 0, 0xFD, 0xE7, 0, 0, 0, 1]);
        assert_eq!(Attributes::read(&attributes).unwrap().announcement(64999), None);
    }

    #[test]
    fn what_is_cut_short_is_not_read() {
        for attribute in [&[][..], &[0x40], &[0x40, 2, 5, 2, 1], &[0x80, 4, 3, 1, 2, 3], &[0xC0, 8, 2, 0, 0]] {
            assert_eq!(Attributes::read(&[attribute.to_vec()]), None, "{attribute:?}");
        }
    }
}
