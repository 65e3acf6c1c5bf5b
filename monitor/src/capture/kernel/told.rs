//! An object as it is loaded: with what the daemon writes into the programs before.
//!
//! A map of one value is in the programs by its address, so that nothing is looked up at run time. The library that loads
//! the object knows this for maps of its own making only, which no process can map; so the addresses are put in here.

use super::Error;
use super::room::VALUES;
use super::sys;
use layout::Totals;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

/// An object, by words: whoever reads it expects it to be aligned.
pub(super) struct Told(Vec<u64>);

/// What a program is told in place of a constant.
enum What<'f> {
    Address(&'f OwnedFd),
    Number(u64),
}

impl Told {
    /// Tells the programs of `object` where the maps are that are one value: the state and the totals.
    ///
    /// # Errors
    /// The programs have no place for it.
    pub(super) fn new(object: &[u8], [state, totals]: &[OwnedFd; 2]) -> Result<Self, Error> {
        let [of_state, of_totals] = VALUES.map(|map| move |source| Error::Map { map, source });
        let bytes = sys::bytes(totals.as_fd()).map_err(&of_totals)?;
        let mut told = Self(object.chunks(8).map(word).collect());
        told.put(layout::STATE, &What::Address(state)).map_err(of_state)?;
        told.put(layout::TOTALS, &What::Address(totals)).map_err(&of_totals)?;
        told.put(layout::BLOCKS, &What::Number((bytes / size_of::<Totals>()) as u64)).map_err(of_totals)?;
        Ok(told)
    }

    /// Puts it wherever a constant of 64 bits is loaded that is `place`: two words, each with half of it in its upper half.
    fn put(&mut self, place: u64, what: &What<'_>) -> io::Result<()> {
        const LOAD: u64 = 0x18;
        const PSEUDO_MAP_VALUE: u64 = 2 << 12;
        const REGISTER: u64 = 0xF00;
        const UPPER: u64 = 0xFFFF_FFFF_0000_0000;
        let mut found = false;
        for at in 1..self.0.len() {
            let [first, second] = [self.0[at - 1], self.0[at]].map(u64::from_le);
            if first & !UPPER & !REGISTER != LOAD || first >> 32 | second != place {
                continue;
            }
            let register = first & REGISTER;
            let written = match *what {
                What::Address(map) => {
                    [LOAD | register | PSEUDO_MAP_VALUE | u64::from(map.as_raw_fd().cast_unsigned()) << 32, 0]
                }
                What::Number(number) => [LOAD | register | number << 32, number & UPPER],
            };
            [self.0[at - 1], self.0[at]] = written.map(u64::to_le);
            found = true;
        }
        found.then_some(()).ok_or_else(|| io::Error::other("the programs have no place for where it is"))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: any byte of a word is a byte.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 8) }
    }
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: u64 = layout::BLOCKS;

    /// Two words that load a constant into a register.
    fn load(register: u64, constant: u64) -> [u64; 2] {
        [0x18 | register << 8 | constant << 32, constant >> 32 << 32]
    }

    #[test]
    fn every_load_of_the_place_is_told_and_no_other() {
        let others = [load(3, PLACE + 1), load(4, PLACE ^ 1 << 40), [PLACE, 0x95]];
        let object = [others[0], load(1, PLACE), others[1], load(9, PLACE), others[2]].concat();
        let mut told = Told(object);
        told.put(PLACE, &What::Number(0x1_2345_6789)).unwrap();
        let wanted = [others[0], load(1, 0x1_2345_6789), others[1], load(9, 0x1_2345_6789), others[2]].concat();
        assert_eq!(told.0, wanted);
        let map = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let mut told = Told(load(2, PLACE).to_vec());
        told.put(PLACE, &What::Address(&map)).unwrap();
        let number = u64::try_from(map.as_raw_fd()).unwrap();
        assert_eq!(told.0, [0x18 | 2 << 8 | 2 << 12 | number << 32, 0]);
    }

    #[test]
    fn programs_without_the_place_are_refused() {
        let mut told = Told(load(1, PLACE + 1).to_vec());
        assert!(told.put(PLACE, &What::Number(1)).is_err());
    }
}
