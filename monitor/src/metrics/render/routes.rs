//! The families of routes: what is wanted, what is there, and what keeps the two apart.

use crate::metrics::Snapshot;
use crate::metrics::text::{Text, Type};
use crate::router::Status;
use engine::Action;
use std::time::UNIX_EPOCH;

pub(super) fn put(text: &mut Text, snapshot: &Snapshot) {
    let routes = &snapshot.daemon.routers;
    if routes.is_empty() {
        return;
    }
    let mut announced = |name, help, action: fn(&Status) -> Option<Action>| {
        let mut family = text.family(name, Type::Gauge, help);
        for route in routes {
            if let Some(action) = action(route) {
                let labels = [("prefix", &*route.prefix), ("router", &route.router), ("action", &action.to_string())];
                family.put(&labels, 1_u8);
            }
        }
    };
    announced("oopsd_route_wanted", "How a prefix should be announced now; plain is as the router has it.", |route| {
        route.wanted
    });
    announced(
        "oopsd_route_seen",
        "What its router was asked for when it was last read; without a series it could not be read.",
        |route| route.seen,
    );
    let mut family = text.family(
        "oopsd_route_budget_left",
        Type::Gauge,
        "How often a route may still be changed within the hour; one change is kept for the way back.",
    );
    for (prefix, router, rung) in &snapshot.rungs {
        if let Some(left) = rung.budget_left {
            family.put(&[("prefix", prefix), ("router", router)], left);
        }
    }
    let mut family =
        text.family("oopsd_route_held_back", Type::Gauge, "What keeps a route from the change that is due.");
    for (prefix, router, rung) in &snapshot.rungs {
        if let Some(reason) = rung.held_back {
            family.put(&[("prefix", prefix), ("router", router), ("reason", reason.as_str())], 1);
        }
    }
    let mut family = text.family("oopsd_route_changes_total", Type::Counter, "Changes made to a route.");
    for route in routes {
        family.put(&[("prefix", &route.prefix), ("router", &route.router)], route.changes);
    }
    let mut family = text.family(
        "oopsd_route_last_change_timestamp_seconds",
        Type::Gauge,
        "When what was read back of a route last became another, whoever changed it.",
    );
    for route in routes {
        let changed = route.changed.and_then(|changed| changed.duration_since(UNIX_EPOCH).ok());
        if let Some(changed) = changed {
            family.put(&[("prefix", &route.prefix), ("router", &route.router)], changed.as_secs_f64());
        }
    }
    let mut family = text.family(
        "oopsd_route_contested",
        Type::Gauge,
        "Whether somebody else keeps changing a route, which is left to them.",
    );
    for route in routes {
        family.put(&[("prefix", &route.prefix), ("router", &route.router)], u8::from(route.contested));
    }
    let mut family =
        text.family("oopsd_route_errors_total", Type::Counter, "Attempts to change or read a route that failed.");
    for route in routes {
        family.put(&[("prefix", &route.prefix), ("router", &route.router)], route.errors);
    }
}
