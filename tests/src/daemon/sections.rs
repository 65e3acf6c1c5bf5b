//! What tests have in their configurations.

use super::{METRICS, Orders};

/// What comes before a test's own configuration: short windows, metrics, and a log of signals.
const BASE: &str = r#"
interfaces = ["eth0"]
prefixes = ["192.0.2.0/24", "2001:db8::/48"]
[rate]
tick = "50ms"
window = "500ms"
slope-window = "1s"
[metrics]
[[channel]]
type = "log"
file = "signals.jsonl"
"#;

/// A condition that a load of some 2,000 queries a second meets, and its end clears: not what holds the sender up on a busy machine.
pub const BUSY: &str = r#"
[[condition]]
name = "busy"
kind = "query-rate"
rising = 500
keep-for = "500ms"
"#;

/// The same for the zone nl.
pub const NL_BUSY: &str = r#"
[zones]
names = ["nl."]
[[condition]]
name = "nl-busy"
kind = "query-rate"
scope = { zone = "nl." }
rising = 500
keep-for = "500ms"
"#;

/// A router, and a route on it that `busy` demotes, in the host's own table. What else the route says comes right behind.
pub const DEMOTED: &str = r#"
[[router]]
name = "bird"
type = "kernel-table"
table = 5353
[[route]]
prefix = "192.0.2.0/24"
router = "bird"
when = "busy"
policy = "demote"
"#;

/// A route for each family that [`BUSY`] demotes, as often as it likes: by three the first, by one the second.
#[must_use]
pub fn routes() -> String {
    let (_, route) = DEMOTED.split_once("[[route]]").expect("there is a route");
    let second = route.replace("192.0.2.0/24", "2001:db8::/48");
    let often = "step-every = \"0s\"\nhold = \"0s\"\nchanges-per-hour = 100\n";
    format!("{DEMOTED}ladder = [{{ prepend = 3 }}]\n{often}[[route]]{second}ladder = [{{ prepend = 1 }}]\n{often}")
}

/// The whole file.
pub(super) fn text(orders: &Orders<'_>) -> String {
    let Orders { config, capture, metrics, .. } = orders;
    let base = BASE.replace("[metrics]", &format!("[metrics]\nlisten = \"{}\"", metrics.unwrap_or(METRICS)));
    format!("[capture]\n{capture}\n{base}{config}")
}
