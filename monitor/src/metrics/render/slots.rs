//! The families of zones and service prefixes: the same ones under different names.

use crate::json::info_code;
use crate::metrics::text::{Text, Type};
use crate::metrics::{ALL_ZONES, Slot, Snapshot};
use engine::Names;
use wire::count::Field;

pub(super) fn put(text: &mut Text, snapshot: &Snapshot) {
    families(text, snapshot, &ZONES);
    families(text, snapshot, &PREFIXES);
}

/// What a zone and a service prefix are counted by, in different families.
struct Kind {
    label: &'static str,
    is_one: fn(&Names, u32) -> bool,
    /// Whether totals of zero are exported, by how many names there are.
    zeros: fn(&Names) -> bool,
    queries: (&'static str, &'static str),
    responses: (&'static str, &'static str),
    with_ede: (&'static str, &'static str),
    ede: (&'static str, &'static str),
    rate: (&'static str, &'static str),
    slope: (&'static str, &'static str),
}

const ZONES: Kind = Kind {
    label: "zone",
    is_one: |names, slot| !names.is_prefix(slot),
    zeros: |names| names.zones() <= ALL_ZONES,
    queries: ("oopsd_queries_total", "Queries received."),
    responses: ("oopsd_responses_total", "Responses sent."),
    with_ede: ("oopsd_responses_with_ede_total", "Responses sent that carry an Extended DNS Error."),
    ede: ("oopsd_ede_responses_total", "Responses sent with this Extended DNS Error, once for each code in them."),
    rate: ("oopsd_query_rate", "Queries received a second, over the rate window."),
    slope: ("oopsd_query_rate_slope", "Change of the query rate, in queries a second per second."),
};

const PREFIXES: Kind = Kind {
    label: "prefix",
    is_one: Names::is_prefix,
    zeros: |_| true,
    queries: ("oopsd_prefix_queries_total", "Queries received by a service prefix."),
    responses: ("oopsd_prefix_responses_total", "Responses sent by a service prefix."),
    with_ede: (
        "oopsd_prefix_responses_with_ede_total",
        "Responses sent by a service prefix that carry an Extended DNS Error.",
    ),
    ede: (
        "oopsd_prefix_ede_responses_total",
        "Responses sent by a service prefix with this Extended DNS Error, once for each code in them.",
    ),
    rate: ("oopsd_prefix_query_rate", "Queries received by a service prefix a second, over the rate window."),
    slope: (
        "oopsd_prefix_query_rate_slope",
        "Change of the query rate of a service prefix, in queries a second per second.",
    ),
};

const RCODES: [(Field, &str); 5] = [
    (Field::NoError, "NOERROR"),
    (Field::NxDomain, "NXDOMAIN"),
    (Field::ServFail, "SERVFAIL"),
    (Field::Refused, "REFUSED"),
    (Field::OtherRcode, "OTHER"),
];

fn families(text: &mut Text, snapshot: &Snapshot, kind: &Kind) {
    let names = &*snapshot.names;
    let zeros = (kind.zeros)(names);
    let slots = || snapshot.slots.iter().filter(|slot| (kind.is_one)(names, slot.slot));
    if slots().next().is_none() {
        return;
    }
    let total = |slot: &Slot, field: Field| Some(slot.totals[field as usize]).filter(|&total| zeros || total != 0);

    let mut family = text.family(kind.queries.0, Type::Counter, kind.queries.1);
    for slot in slots() {
        if let Some(total) = total(slot, Field::Queries) {
            family.put(&[(kind.label, names.get(slot.slot))], total);
        }
    }
    let mut family = text.family(kind.responses.0, Type::Counter, kind.responses.1);
    for slot in slots() {
        for (field, rcode) in RCODES {
            if let Some(total) = total(slot, field) {
                family.put(&[(kind.label, names.get(slot.slot)), ("rcode", rcode)], total);
            }
        }
    }
    let mut family = text.family(kind.with_ede.0, Type::Counter, kind.with_ede.1);
    for slot in slots() {
        if let Some(total) = total(slot, Field::WithExtendedError) {
            family.put(&[(kind.label, names.get(slot.slot))], total);
        }
    }
    let codes: [String; wire::count::CODES] =
        std::array::from_fn(|column| info_code(u8::try_from(column).unwrap_or(u8::MAX)));
    let mut family = text.family(kind.ede.0, Type::Counter, kind.ede.1);
    for &(slot, column, total) in snapshot.codes.iter().filter(|code| (kind.is_one)(names, code.0)) {
        let code = codes.get(usize::from(column)).map_or("other", String::as_str);
        family.put(&[(kind.label, names.get(slot)), ("info_code", code)], total);
    }
    let mut family = text.family(kind.rate.0, Type::Gauge, kind.rate.1);
    for (slot, rate) in slots().filter_map(|slot| Some((slot, slot.rate?))) {
        family.put(&[(kind.label, names.get(slot.slot))], rate);
    }
    let mut family = text.family(kind.slope.0, Type::Gauge, kind.slope.1);
    for (slot, slope) in slots().filter_map(|slot| Some((slot, slot.slope?))) {
        family.put(&[(kind.label, names.get(slot.slot))], slope);
    }
}
