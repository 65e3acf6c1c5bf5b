//! Which slot feeds which scopes, and which zones of a scope have most. What is counted is in `series`.

use crate::clock::Base;
use crate::errors::named;
use crate::measure::Track;
use crate::{Arguments, Plan, Scope};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use wire::count::OTHER;

/// With no more zones than this, each is watched; with more, only those that a condition names.
pub const LIMIT: u32 = 10_000;

/// The watched scopes, in order, and which of them each slot is part of.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    scopes: Vec<Scope>,
    lists: Vec<Fed>,
    of: Vec<u32>,
}

/// The scopes that a slot is part of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fed {
    /// As indices of the watched scopes.
    pub(crate) tracks: Vec<usize>,
    /// One of them is the slot itself.
    pub(crate) own: bool,
}

impl Watch {
    pub(crate) fn new(plan: &Plan) -> Self {
        let scopes = scopes(plan);
        // The scope of a zone that nobody watches is the node alone; that list is the first, which zeros refer to.
        let mut lists = vec![Fed { tracks: vec![0], own: false }];
        let mut known = BTreeMap::new();
        let mut of = vec![0; plan.names.slots() as usize];
        let mut links = links(plan, &scopes);
        links.sort_unstable();
        links.dedup();
        for same in links.chunk_by(|(a, ..), (b, ..)| a == b) {
            let Some(place) = same.first().and_then(|&(slot, ..)| of.get_mut(slot as usize)) else { continue };
            let mut fed = Fed { tracks: Vec::new(), own: false };
            if !same.first().is_some_and(|&(slot, ..)| plan.names.is_prefix(slot)) {
                fed.tracks.push(0);
            }
            for &(_, track, own) in same {
                fed.tracks.push(track);
                fed.own |= own;
            }
            *place = match known.entry(fed) {
                Entry::Occupied(list) => *list.get(),
                Entry::Vacant(list) => {
                    let number = u32::try_from(lists.len()).unwrap_or(0);
                    lists.push(list.key().clone());
                    *list.insert(number)
                }
            };
        }
        Self { scopes, lists, of }
    }

    /// The watched scopes, ascending; the first is the node.
    pub(crate) fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The place of a scope among the watched ones.
    pub(crate) fn find(&self, scope: &Scope) -> Option<usize> {
        self.scopes.binary_search(scope).ok()
    }

    /// The scopes that a slot is part of; `None` if there is no such slot.
    pub(crate) fn fed(&self, slot: u32) -> Option<&Fed> {
        self.lists.get(*self.of.get(slot as usize)? as usize)
    }

    /// The zones with most queries since `base` in a scope of many zones, if all zones are watched.
    pub(crate) fn busiest(&self, plan: &Plan, scope: &Scope, tracks: &[Track], base: Base) -> Arguments {
        let within = |slot| match *scope {
            Scope::Node => true,
            Scope::Group(index) => plan.groups.get(index).is_some_and(|group| group.slots.binary_search(&slot).is_ok()),
            Scope::Prefix(_) | Scope::Zone(_) => false,
        };
        let queries = |(scope, track): (&Scope, &Track)| match (scope, track.increase(base)?) {
            (&Scope::Zone(slot), [queries, ..]) if queries > 0 && within(slot) => Some((slot, queries)),
            _ => None,
        };
        let mut zones = Vec::new();
        if !Self::is_partial(plan) && matches!(scope, Scope::Node | Scope::Group(_)) {
            zones.extend(self.scopes.iter().zip(tracks).filter_map(queries));
        }
        Arguments { zones: named(zones, &plan.names), ..Arguments::default() }
    }

    /// Whether there are zones that are not watched.
    pub(crate) fn is_partial(plan: &Plan) -> bool {
        plan.names.zones() > LIMIT
    }
}

fn scopes(plan: &Plan) -> Vec<Scope> {
    let mut scopes = vec![Scope::Node, Scope::Zone(OTHER)];
    let zones = plan.names.zones();
    if !Watch::is_partial(plan) {
        scopes.extend((1..=zones).map(Scope::Zone));
    }
    scopes.extend((zones.saturating_add(1)..plan.names.slots()).map(Scope::Prefix));
    scopes.extend(plan.conditions.iter().map(|condition| condition.scope.clone()));
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// Slot, track, and whether the track is the slot itself.
fn links(plan: &Plan, scopes: &[Scope]) -> Vec<(u32, usize, bool)> {
    let mut links = Vec::new();
    for (track, scope) in scopes.iter().enumerate() {
        match scope {
            Scope::Node => {}
            &Scope::Prefix(slot) | &Scope::Zone(slot) => links.push((slot, track, true)),
            &Scope::Group(index) => {
                let slots = plan.groups.get(index).map_or(&[][..], |group| &group.slots);
                links.extend(slots.iter().map(|&slot| (slot, track, false)));
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Group, Names, test};
    use std::sync::Arc;

    #[test]
    fn a_zone_feeds_itself_the_node_and_its_groups() {
        let mut plan = test::plan(["a.", "b."], ["192.0.2.0/24"]);
        plan.groups.push(Group { name: "g".into(), slots: vec![1, 2] });
        plan.conditions.push(test::query_rate("c", Scope::Group(0), 100.0));
        let watch = Watch::new(&plan);
        let fed = |slot| -> Vec<&Scope> {
            watch.fed(slot).unwrap().tracks.iter().map(|&track| &watch.scopes()[track]).collect()
        };
        assert_eq!(fed(1), [&Scope::Node, &Scope::Zone(1), &Scope::Group(0)]);
        assert_eq!(fed(0), [&Scope::Node, &Scope::Zone(0)]);
        assert_eq!(fed(3), [&Scope::Prefix(3)]);
        assert_eq!(watch.fed(4), None);
    }

    #[test]
    fn too_many_zones_share_one_list() {
        let mut plan = test::plan([], []);
        plan.names = Arc::new(Names::new((0..20_000).map(|zone| format!("{zone}.")), ["192.0.2.0/24"]));
        plan.groups.push(Group { name: "g".into(), slots: (1..=5000).collect() });
        plan.conditions.push(test::query_rate("c", Scope::Group(0), 100.0));
        plan.conditions.push(test::query_rate("d", Scope::Zone(7), 100.0));
        let watch = Watch::new(&plan);
        assert_eq!(watch.lists.len(), 5);
        assert!(watch.fed(7).unwrap().own);
        assert!(!watch.fed(8).unwrap().own);
        assert_eq!(watch.fed(9000).unwrap().tracks, [0]);
    }
}
