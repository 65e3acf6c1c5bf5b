//! Which service prefix an address belongs to.

/// A service prefix over 128-bit addresses; IPv4 is `::ffff:0:0/96`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    network: u128,
    mask: u128,
}

impl Prefix {
    /// The prefix of `length` (0 to 128) bits that holds `address`.
    #[must_use]
    pub const fn new(address: u128, length: u32) -> Self {
        let mask = match 128_u32.checked_sub(length) {
            Some(0) => u128::MAX,
            Some(host) if host < 128 => u128::MAX << host,
            _ => 0,
        };
        Self { network: address & mask, mask }
    }

    /// Its address and its mask.
    #[must_use]
    pub const fn bits(&self) -> (u128, u128) {
        (self.network, self.mask)
    }

    /// Whether `address` lies in it.
    #[must_use]
    #[inline(always)]
    pub const fn contains(&self, address: u128) -> bool {
        address & self.mask == self.network
    }
}

/// The index of the first of `prefixes` that holds `address`; order them longest first.
#[must_use]
#[inline(always)]
pub fn find(prefixes: &[Prefix], address: u128) -> Option<usize> {
    prefixes.iter().position(|prefix| prefix.contains(address))
}
