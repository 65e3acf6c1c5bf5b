//! Which slot a message belongs to: the zone table, the service prefixes, or names learned while observing.

use engine::Names;
use ipnet::IpNet;

/// Attributes messages to slots. Shared by all threads of a capture; replaced whole on reload.
#[derive(Debug)]
pub struct Attribution {}

impl Attribution {
    /// The table for `names` and `prefixes`, which are in the order of their slots (longest prefix first), keyed anew.
    #[must_use]
    pub fn new(names: &Names, prefixes: &[IpNet]) -> Self {
        let _ = (names, prefixes);
        Self {}
    }
}
