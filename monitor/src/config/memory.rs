//! How much memory a configuration can come to need: what is allocated for it, whether or not the pages are ever touched.

use super::Config;
use engine::MOST_WATCHED_ZONES;
use wire::count::{CODES, FIELDS};
use wire::zones::{Bucket, buckets_for};

/// The program itself, its libraries and runtimes.
const PROGRAM: u64 = 24 << 20;
/// Zones that can have extended errors of their own in a tally.
const ROWS: u64 = 16_384;
/// What the engine keeps of a zone that is not watched.
const TUMBLING: u64 = 28;
/// What the engine keeps of a watched scope for a tick in which it moved.
const MOVED: u64 = 32;

impl Config {
    /// The most memory, in bytes, that counting and judging can come to need, packet buffers included.
    ///
    /// Names: their letters and 4 bytes each; the table of zones; a tally for each thread, of 64 bytes a slot and 528 for
    /// each that has extended errors; in the engine 112 bytes a slot, and 32 for each watched scope and each tick of the
    /// longer window.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let plan = &self.plan;
        let (slots, zones) = (u64::from(plan.names.slots()), u64::from(plan.names.zones()));
        let letters: u64 = (0..plan.names.slots()).map(|slot| plan.names.get(slot).len() as u64 + 4).sum();
        let table = (buckets_for(plan.names.zones() as usize) * size_of::<Bucket>()) as u64;

        let threads = (self.capture.interfaces.len().max(1) * self.capture.threads) as u64;
        let rows = 1 + self.prefixes.len() as u64 + zones.min(ROWS);
        let tally = slots * 8 * (FIELDS as u64 + 1) + rows * 8 * (CODES as u64 + 2);

        let is_partial = plan.names.zones() > MOST_WATCHED_ZONES;
        let (watched_zones, tumbling) = if is_partial { (0, slots * TUMBLING) } else { (zones, 0) };
        let watched = 2 + watched_zones + self.prefixes.len() as u64 + plan.conditions.len() as u64;
        let ticks = plan.window.max(plan.slope_window).as_nanos().div_ceil(plan.tick.as_nanos().max(1));
        let windows = watched * (u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(2)).saturating_mul(MOVED);
        let engine = slots * 2 * 8 * FIELDS as u64 + tumbling + windows;

        PROGRAM + letters + table + threads * (tally + self.capture.buffer as u64) + engine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_zones_need_a_few_megabytes() {
        let names: Vec<String> = (0..1000).map(|number| format!("zone{number}.example.")).collect();
        let config = Config::for_zones(names.iter().map(String::as_str)).unwrap();
        let without_buffer = config.memory() - config.capture.buffer as u64;
        assert!((PROGRAM..PROGRAM + (4 << 20)).contains(&without_buffer), "{without_buffer}");
    }
}
