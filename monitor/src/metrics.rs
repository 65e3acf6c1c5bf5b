//! `/metrics`: what is exported, taken in one go on the judging thread and printed elsewhere.
//!
//! `render` has the families, `text` the format. Who asks, and how often, is `http`'s.

mod render;
mod text;

use crate::{capture, channel, router};
use engine::view::{Rates, Standing};
use engine::{Names, Rung, View, Wall};
use std::sync::Arc;
use wire::count::{FIELDS, NODE};

pub use render::render;

/// Up to so many zones all are exported; of more, those that ever had a message, and of these the totals that are not zero.
pub const ALL_ZONES: u32 = 10_000;

/// Everything that is exported, as of one instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    names: Arc<Names>,
    node: [u64; NODE],
    node_rates: Rates,
    slots: Vec<Slot>,
    codes: Vec<(u32, u8, u64)>,
    conditions: Vec<(String, Standing)>,
    /// By route, with its prefix and its router.
    rungs: Vec<(String, String, Rung)>,
    blind: bool,
    daemon: Daemon,
}

/// What the engine does not know.
#[derive(Clone, Debug, Default)]
pub struct Daemon {
    /// Of each interface.
    pub captures: Vec<capture::Status>,
    /// Of each channel.
    pub channels: Vec<channel::Status>,
    /// Of what waits for them on the disk, if there is such a place.
    pub outbox: Option<channel::Standing>,
    /// Of each route.
    pub routers: Vec<router::Status>,
    /// How often what routes have been through could not be written down; `None` if it need not be.
    pub state_failures: Option<u64>,
    /// Whether the last reload of the configuration (or the start) was a success.
    pub reload_success: bool,
    /// When the configuration in force was loaded.
    pub reloaded: Wall,
}

/// A zone, `other` or a service prefix.
#[derive(Clone, Debug)]
struct Slot {
    slot: u32,
    totals: [u64; FIELDS],
    rate: Option<f64>,
    slope: Option<f64>,
}

impl Snapshot {
    /// Copies what is exported: about 100 bytes for each zone that is. Takes milliseconds from a million zones on.
    #[must_use]
    pub fn take(view: View<'_>, daemon: Daemon) -> Self {
        let plan = view.plan();
        let names = Arc::clone(&plan.names);
        let all = names.zones() <= ALL_ZONES;
        let slots = (0..names.slots())
            .map(|slot| (slot, view.totals(slot)))
            .filter(|(slot, totals)| all || names.is_prefix(*slot) || totals.iter().any(|&total| total != 0))
            .map(|(slot, totals)| {
                let Rates { queries: rate, slope, .. } = view.rates(slot);
                Slot { slot, totals, rate, slope }
            })
            .collect();
        Self {
            node: *view.node(),
            node_rates: view.node_rates(),
            slots,
            codes: view.codes().collect(),
            conditions: plan.conditions.iter().map(|condition| condition.name.clone()).zip(view.standings()).collect(),
            rungs: (plan.routes.iter().zip(view.rungs()))
                .map(|(route, rung)| (route.prefix.clone(), route.router.clone(), rung))
                .collect(),
            blind: view.blind(),
            names,
            daemon,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use engine::{Action, Engine, Moved, MovedCodes, Plan, Sample, Sight, State, Time};
    use std::time::Duration;

    #[test]
    fn few_zones_are_all_exported() {
        let text = render(&taken(3));
        assert!(text.contains("oopsd_queries_total{zone=\"z1.\"} 0\n"), "{text}");
        assert!(text.contains("oopsd_queries_total{zone=\"z2.\"} 5\n"), "{text}");
        assert!(text.contains("oopsd_responses_total{zone=\"z2.\",rcode=\"NXDOMAIN\"} 0\n"), "{text}");
    }

    #[test]
    fn of_many_zones_those_that_moved_are_exported_without_zeros() {
        let text = render(&taken(ALL_ZONES + 1));
        let zones: Vec<&str> =
            text.lines().filter(|line| line.starts_with("oopsd_") && line.contains("zone=")).collect();
        assert_eq!(
            zones,
            [r#"oopsd_queries_total{zone="z2."} 5"#, r#"oopsd_ede_responses_total{zone="z2.",info_code="22"} 4"#]
        );
        assert!(text.contains("oopsd_prefix_queries_total{prefix=\"192.0.2.0/24\"} 0\n"), "prefixes are few");
    }

    /// What an engine with so many zones shows after five queries for the second one.
    fn taken(zones: u32) -> Snapshot {
        let names = Names::new((1..=zones).map(|zone| format!("z{zone}.")), ["192.0.2.0/24"]);
        let mut engine = Engine::new(Plan {
            names: Arc::new(names),
            groups: Vec::new(),
            tick: Duration::from_millis(100),
            window: Duration::from_secs(1),
            slope_window: Duration::from_secs(5),
            lost_share: 0.01,
            conditions: Vec::new(),
            routes: Vec::new(),
        });
        engine.step(&Sample {
            at: Time(0),
            wall: Wall(0),
            generation: 1,
            node: [0; NODE],
            moved: vec![Moved { slot: 2, totals: [5, 0, 0, 0, 0, 0, 0] }],
            codes: vec![MovedCodes { slot: 2, column: 22, total: 4 }],
            sight: Sight::default(),
        });
        Snapshot::take(engine.view(), Daemon::default())
    }

    /// Zones nl. and one with a quote in it, a prefix, one of everything else.
    pub(crate) fn snapshot() -> Snapshot {
        let slot = |slot, first: u64, rate| Slot {
            slot,
            totals: std::array::from_fn(|field| first + field as u64),
            rate,
            slope: rate.map(|rate: f64| -rate / 2.0),
        };
        Snapshot {
            names: Arc::new(Names::new(["nl.", "a\\\"b.nl."], ["192.0.2.0/24"])),
            node: std::array::from_fn(|index| 1_000 + index as u64),
            node_rates: Rates { queries: Some(12.5), ..Rates::default() },
            slots: vec![slot(0, 0, Some(0.0)), slot(1, 100, Some(10.5)), slot(2, 200, None), slot(3, 300, Some(3.0))],
            codes: vec![(0, 20, 4), (1, 22, 7), (1, 63, 1), (3, 22, 7)],
            conditions: vec![standing("nl-overload", Some(10.5)), standing("dnssec-trouble", None)],
            rungs: vec![(
                "192.0.2.0/24".into(),
                "bird".into(),
                Rung { action: None, budget_left: Some(3), held_back: None },
            )],
            blind: false,
            daemon: daemon(),
        }
    }

    fn standing(name: &str, value: Option<f64>) -> (String, Standing) {
        let spent = [Duration::from_millis(2_500), Duration::from_secs(1)];
        (name.to_owned(), Standing { state: State::Met, value, spent, transitions: [1, 2] })
    }

    fn daemon() -> Daemon {
        let mut delay = hdrhistogram::Histogram::new_with_bounds(1_000, 3_600_000_000_000, 2).unwrap();
        for milliseconds in [2, 30, 30, 4_000] {
            delay.record(milliseconds * 1_000_000).unwrap();
        }
        let channel = channel::Status {
            channel: "siem".into(),
            sent: 4,
            failed: 1,
            dropped: 2,
            superseded: 0,
            failed_attempts: 9,
            waiting: 3,
            disabled: false,
            delay,
        };
        let capture = |interface: &str, blind: Option<&str>| capture::Status {
            interface: interface.into(),
            kind: "socket",
            frames: 50,
            dropped: 5,
            blind: blind.map(str::to_owned),
        };
        let route = router::Status {
            router: "bird".into(),
            prefix: "192.0.2.0/24".into(),
            wanted: Some(Action::Prepend(3)),
            seen: Some(Action::Plain),
            changes: 1,
            changed: Some(std::time::UNIX_EPOCH + Duration::from_millis(1_500)),
            contested: true,
            errors: 2,
            error: None,
        };
        Daemon {
            state_failures: Some(0),
            captures: vec![capture("eth0", None), capture("eth1", Some("gone"))],
            channels: vec![channel],
            outbox: Some(channel::Standing { durable: true, unwritten: 2, bytes: 4_096, failures: 1, broken_lines: 0 }),
            routers: vec![route],
            reload_success: true,
            reloaded: Wall(1_767_225_603_200_000_000),
        }
    }
}
