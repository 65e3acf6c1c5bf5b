//! Plans and samples for tests: a plan in a line, and a source that counts what it is told to.

use crate::*;
use core::time::Duration;
use std::sync::Arc;
use wire::Field;
use wire::count::{FIELDS, NODE};

pub(crate) const TICK: Duration = Duration::from_millis(100);

pub(crate) fn plan<const Z: usize, const P: usize>(zones: [&str; Z], prefixes: [&str; P]) -> Plan {
    Plan {
        names: Arc::new(Names::new(zones, prefixes)),
        groups: Vec::new(),
        tick: TICK,
        window: Duration::from_secs(1),
        slope_window: Duration::from_secs(5),
        lost_share: 0.01,
        conditions: Vec::new(),
        routes: Vec::new(),
    }
}

/// Falling at 0.7 of rising, without holds.
pub(crate) fn condition(name: &str, kind: Kind, scope: Scope, rising: f64) -> Condition {
    Condition {
        name: name.into(),
        kind,
        scope,
        thresholds: Thresholds::new(rising, rising * 0.7).unwrap(),
        hold_rising: Duration::ZERO,
        hold_falling: Duration::ZERO,
    }
}

pub(crate) fn query_rate(name: &str, scope: Scope, rising: f64) -> Condition {
    condition(name, Kind::QueryRate, scope, rising)
}

/// A capture under test.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) sample: Sample,
    totals: Vec<[u64; FIELDS]>,
}

impl Source {
    pub(crate) fn new(slots: u32) -> Self {
        let sample = Sample {
            at: Time(1_000_000_000),
            wall: Wall(0),
            generation: 1,
            node: [0; NODE],
            moved: Vec::new(),
            codes: Vec::new(),
            sight: Sight::default(),
        };
        Self { sample, totals: vec![[0; FIELDS]; slots as usize] }
    }

    pub(crate) fn add(&mut self, slot: u32, field: Field, count: u64) {
        self.totals[slot as usize][field as usize] += count;
    }

    /// Time goes on; all that ever moved in this generation is in the sample.
    pub(crate) fn pass(&mut self, time: Duration) -> &Sample {
        let nanos = u64::try_from(time.as_nanos()).unwrap();
        self.sample.at.0 += nanos;
        self.sample.wall.0 += i64::try_from(nanos).unwrap();
        self.sample.moved = (0..)
            .zip(&self.totals)
            .filter(|(_, totals)| **totals != [0; FIELDS])
            .map(|(slot, &totals)| Moved { slot, totals })
            .collect();
        &self.sample
    }

    /// All totals are zero again.
    pub(crate) fn regenerate(&mut self) {
        self.sample.generation += 1;
        self.sample.codes.clear();
        self.totals.fill([0; FIELDS]);
    }

    /// Adds an info-code in a slot, and the SERVFAIL response it came with.
    pub(crate) fn error(&mut self, slot: u32, column: u8, count: u64) {
        self.add(slot, Field::ServFail, count);
        self.add(slot, Field::WithExtendedError, count);
        self.code(slot, column, count);
    }

    /// Adds an info-code in a slot.
    pub(crate) fn code(&mut self, slot: u32, column: u8, count: u64) {
        let codes = &mut self.sample.codes;
        match codes.binary_search_by_key(&(slot, column), |moved| (moved.slot, moved.column)) {
            Ok(index) => codes[index].total += count,
            Err(index) => codes.insert(index, MovedCodes { slot, column, total: count }),
        }
    }
}
