//! Names learned while observing: the two rightmost labels of the queries received.
//!
//! Bounded, so that nobody can fill memory by asking; read without a lock, written a thousand times in its life.

use crate::name;
use engine::Names;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use wire::{Key, Slice, count};

const CELLS: usize = 4096;
const SLOT_BITS: u64 = 0xFFF;

/// The first [`Learner::MOST`] names seen, each with a slot of its own.
#[derive(Debug)]
pub(super) struct Learner {
    /// Open addressing: the slot in the low bits, the rest of a name's keyed hash above; 0 is empty.
    cells: Box<[AtomicU64; CELLS]>,
    names: Mutex<Vec<String>>,
    count: AtomicU32,
}

impl Default for Learner {
    fn default() -> Self {
        Self {
            cells: Box::new([const { AtomicU64::new(0) }; CELLS]),
            names: Mutex::default(),
            count: AtomicU32::new(0),
        }
    }
}

impl Learner {
    /// How many names are learned.
    pub(super) const MOST: u32 = 1_000;

    /// The slot of the last two labels of a name in `frame`; a new one if there is room and `learn` says so.
    #[inline]
    pub(super) fn slot(&self, frame: &[u8], name: &wire::Name, key: &Key, learn: bool) -> u32 {
        let Some(hash) = name.ending(&Slice(frame), 2, key) else { return count::OTHER };
        match self.find(hash) {
            Ok(slot) => slot,
            Err(_) if learn && self.count() < Self::MOST => {
                let wire = frame.get(name.at..).and_then(last_two);
                wire.map_or(count::OTHER, |ending| self.learn(hash, ending))
            }
            Err(_) => count::OTHER,
        }
    }

    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn names(&self) -> Names {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        Names::new(names.iter(), std::iter::empty::<&str>())
    }

    /// The slot of a hash, or the cell where it would go.
    fn find(&self, hash: u64) -> Result<u32, &AtomicU64> {
        let start = (hash >> 32) as usize;
        let mut last = &self.cells[0];
        for step in 0..CELLS {
            last = &self.cells[start.wrapping_add(step) % CELLS];
            match last.load(Ordering::Relaxed) {
                0 => break,
                cell if (cell ^ hash) & !SLOT_BITS == 0 => return Ok((cell & SLOT_BITS) as u32),
                _ => {}
            }
        }
        Err(last)
    }

    #[cold]
    fn learn(&self, hash: u64, ending: &[u8]) -> u32 {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = match self.find(hash) {
            Ok(slot) => return slot,
            Err(cell) => cell,
        };
        if names.len() >= Self::MOST as usize {
            return count::OTHER;
        }
        names.push(name::print(ending));
        let slot = self.count.load(Ordering::Relaxed) + 1;
        self.count.store(slot, Ordering::Relaxed);
        cell.store(hash & !SLOT_BITS | u64::from(slot), Ordering::Relaxed);
        slot
    }
}

/// The wire format of the last two labels of a name in wire format; all of it if it has fewer.
fn last_two(qname: &[u8]) -> Option<&[u8]> {
    let (mut before, mut last, mut at) = (0, 0, 0);
    loop {
        match usize::from(*qname.get(at)?) {
            0 => return qname.get(before..=at),
            length => (before, last, at) = (last, at, at + 1 + length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::to_wire;

    #[test]
    fn the_two_rightmost_labels_are_learned_without_regard_to_case() {
        let learner = Learner::default();
        assert_eq!(slot(&learner, &to_wire("www.example.nl."), true), 1);
        assert_eq!(slot(&learner, b"\x07ExAmPlE\x02NL\0", true), 1);
        assert_eq!(slot(&learner, &to_wire("nl."), true), 2);
        assert_eq!(slot(&learner, &to_wire("."), true), 3);
        assert_eq!(slot(&learner, &to_wire(r"a.b\.c.nl."), true), 4);
        let names = learner.names();
        assert_eq!((1..=4).map(|slot| names.get(slot)).collect::<Vec<_>>(), ["example.nl.", "nl.", ".", r"b\.c.nl."]);
        assert_eq!(learner.count(), 4);
    }

    #[test]
    fn what_is_only_answered_is_not_learned() {
        let learner = Learner::default();
        assert_eq!(slot(&learner, &to_wire("example.nl."), false), count::OTHER);
        assert_eq!(learner.count(), 0);
    }

    #[test]
    fn names_beyond_the_thousandth_are_other() {
        let learner = Learner::default();
        for number in 1..=Learner::MOST {
            assert_eq!(slot(&learner, &to_wire(&format!("x{number}.nl.")), true), number);
        }
        assert_eq!(slot(&learner, &to_wire("one.more."), true), count::OTHER);
        assert_eq!(slot(&learner, &to_wire("x1000.nl."), true), Learner::MOST);
        assert_eq!(learner.names().zones(), Learner::MOST);
    }

    fn slot(learner: &Learner, wire: &[u8], learn: bool) -> u32 {
        let frame = [&[0; 8], wire].concat();
        let name = wire::Name::read(&Slice(&frame), 8, frame.len(), wire::Skip::Malformed).unwrap();
        learner.slot(&frame, &name, &Key([0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3211]), learn)
    }
}
