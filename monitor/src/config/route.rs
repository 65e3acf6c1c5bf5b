//! `[[route]]`: which prefix, and what to do while a condition is met. Who announces it is in `router`.

use super::document::{At, Document, Table};
use super::nearest::listed;
use super::{ladder, prefixes, when, word};
use crate::router::Config;
use engine::{Ladder, Policy, Route};
use ipnet::IpNet;

/// What a route may refer to, and may not contradict.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// The names of all routers.
    pub(super) names: &'a [String],
    /// The routers that are sound.
    pub(super) routers: &'a [Config],
    pub(super) conditions: &'a [String],
    /// The prefixes that are listed in `[capture]`.
    pub(super) listed: &'a [IpNet],
    /// The prefixes that conditions watch.
    pub(super) watched: &'a [IpNet],
}

/// Reads one `[[route]]`. Its prefix goes to `routed`.
pub(super) fn read_route<'i>(
    document: &mut Document<'i>,
    mut table: Table<'i>,
    known: &Known<'_>,
    routed: &mut Vec<IpNet>,
) -> Option<Route> {
    let prefix = table.need(document, "prefix", "the prefix, such as \"192.0.2.0/24\"");
    let prefix = prefix.and_then(|value| value.parse(document, "a prefix, such as \"192.0.2.0/24\"", prefixes::parse));
    if let Some(prefix) = &prefix {
        check_prefix(document, prefix, known, routed);
        routed.push(prefix.it);
    }
    let router = table.need(document, "router", "the name of a [[router]]");
    let router = router.and_then(|router| router.text(document, "the name of a [[router]]"));
    if let Some(router) = &router {
        word::known(document, "router", router, known.names.iter().map(String::as_str));
    }
    let when = table.need(document, "when", "the name of a [[condition]]");
    let when = when.and_then(|when| when::read(document, when, known.conditions));
    let words = ["demote", "absorb"];
    let policy = table.need(document, "policy", &listed(words)).and_then(|policy| policy.word(document, &words));
    let keys = ladder::Keys::take(&mut table);
    table.close(document);
    let policy = if policy?.it == "absorb" {
        keys.refuse(document);
        Policy::Absorb
    } else {
        let on = router.as_ref().and_then(|router| known.routers.iter().find(|known| known.name() == router.it));
        if on.is_some_and(|router| !router.may_withdraw()) {
            keys.refuse_withdrawal(document);
        }
        let ladder = keys.read(document)?;
        if let (Some(router), Some(on)) = (&router, on) {
            check_steps(document, router, on, &ladder);
        }
        Policy::Demote(ladder)
    };
    Some(Route { prefix: prefix?.it.to_string(), router: router?.it, when: when?, policy })
}

/// What the route's router cannot say.
fn check_steps(document: &mut Document<'_>, router: &At<String>, config: &Config, ladder: &Ladder) {
    for step in &ladder.steps {
        if let Some(why) = config.refuses(*step) {
            document.error(&router.at, format!("`router`: no `{step}` by {}: {why}", router.it));
        }
    }
}

fn check_prefix(document: &mut Document<'_>, prefix: &At<IpNet>, known: &Known<'_>, routed: &[IpNet]) {
    let net = prefix.it;
    let least = if matches!(net, IpNet::V4(_)) { 8 } else { 16 };
    let inside = known.listed.iter().chain(known.watched).find(|&&inner| net != inner && net.contains(&inner));
    if routed.contains(&net) {
        document.error(&prefix.at, format!("`prefix`: {net} has a route already; remove one"));
    } else if net.prefix_len() < least {
        let what = format!("`prefix`: {net} is far too much to announce; write the prefix of the service");
        document.error(&prefix.at, what);
    } else if let Some(inside) = inside
        && !known.listed.contains(&net)
    {
        let what = format!(
            "`prefix`: {net} is less specific than the service prefix {inside}; write that, or list {net} in `prefixes` in [capture]"
        );
        document.error(&prefix.at, what);
    }
}
