//! Numbers that look random, the same in each run.

/// SplitMix64, by its seed.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// From 0 to under 1, all alike.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From `low` to under `high`, all alike.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// An index under `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// Over 0 with this median, exponential: many short, few long.
    pub(crate) fn waiting(&mut self, median: f64) -> f64 {
        -median / std::f64::consts::LN_2 * (1.0 - self.share()).ln()
    }

    /// At least 1, and sometimes much more (Pareto, shape 1.2): how big networks are.
    pub(crate) fn size(&mut self) -> f64 {
        (1.0 - self.share()).powf(-1.0 / 1.2).min(200.0)
    }
}
