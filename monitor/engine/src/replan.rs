//! A new plan under a running engine: what goes on, and what begins anew.

use crate::blind::Blindness;
use crate::climb::Climb;
use crate::clock::Clock;
use crate::judge::{Engine, Watched};
use crate::machine::{Known, Machine};
use crate::measure::Track;
use crate::total::Totals;
use crate::trouble::Troubles;
use crate::tumble::Tumble;
use crate::watch::Watch;
use crate::{Condition, Plan, Route, Scope, Sight, Signal, State};
use std::collections::BTreeMap;

impl Engine {
    pub(crate) fn empty(plan: Plan) -> Self {
        let nothing = Plan { conditions: Vec::new(), routes: Vec::new(), ..plan.clone() };
        let mut engine = Self {
            watch: Watch::new(&nothing),
            clock: Clock::default(),
            totals: Totals::new(plan.names.slots()),
            tracks: Vec::new(),
            tumble: Tumble::new(tumbling(&plan)),
            blindness: Blindness::new(),
            sight: Sight::default(),
            last: None,
            watched: Vec::new(),
            wanting: Vec::new(),
            climbs: Vec::new(),
            leaving: Vec::new(),
            gone: Vec::new(),
            troubles: Troubles::new(),
            announce: false,
            seq: 0,
            plan: nothing,
        };
        engine.replan(plan);
        engine.announce = false;
        engine
    }

    /// Changes the plan. Totals go on by name, the states of conditions that are the same in both go on.
    ///
    /// A condition is the same if its name, kind, thresholds, holds and, by name, its scope are. A met condition that does
    /// not go on is signalled as cleared by the next step, with its last value. A route goes on if its prefix and router are
    /// the same: it stays as it is until what it follows now is known. One that is gone comes down by its old ladder, as if
    /// its condition had cleared. Windows go on unless slots have changed their meaning: a plan whose names are not the old
    /// ones, or those and more, goes with a new generation of samples.
    pub fn replan(&mut self, plan: Plan) {
        let same = plan.names.continues(&self.plan.names);
        if same {
            self.totals.extend(plan.names.slots());
        } else {
            self.totals = self.totals.rename(&self.plan.names, &plan.names);
            self.clock.forget();
        }
        if !same || plan.names.slots() != self.plan.names.slots() {
            self.tumble = Tumble::new(tumbling(&plan));
            self.tumble.restart(self.last.map_or_else(Default::default, |(at, _)| at));
        }
        let watch = Watch::new(&plan);
        let since = self.clock.last();
        self.tracks = watch.scopes().iter().map(|scope| self.track(&plan, scope, same, since)).collect();
        let kept = self.kept(&plan);
        let gone = self.gone(&kept);
        self.gone.extend(gone);
        let watched: Vec<Watched> = (plan.conditions.iter().zip(&kept))
            .map(|(condition, &old)| self.watched(&plan, &watch, condition, old, same, since))
            .collect();
        let climbs = plan.routes.iter().map(|route| self.climb(&plan, route)).collect();
        self.leaving = self.left(&plan);
        self.climbs = climbs;
        self.wanting = vec![Vec::new(); watch.scopes().len()];
        for (index, watched) in watched.iter().enumerate() {
            if let Some(wanting) = self.wanting.get_mut(watched.track).filter(|_| watched.errors.is_some()) {
                wanting.push(index);
            }
        }
        self.watched = watched;
        self.watch = watch;
        self.plan = plan;
        self.announce = true;
    }

    /// The track of a scope goes on while the scope is the same slots.
    fn track(&self, plan: &Plan, scope: &Scope, same: bool, since: u64) -> Track {
        let old = self.watch.find(scope).filter(|_| same && self.is_same_group(plan, scope));
        old.and_then(|index| self.tracks.get(index)).cloned().unwrap_or_else(|| Track::new(since))
    }

    fn is_same_group(&self, plan: &Plan, scope: &Scope) -> bool {
        match *scope {
            Scope::Node | Scope::Prefix(_) | Scope::Zone(_) => true,
            Scope::Group(index) => plan.groups.get(index) == self.plan.groups.get(index),
        }
    }

    /// For each new condition the present one that it goes on from.
    fn kept(&self, plan: &Plan) -> Vec<Option<usize>> {
        let present = self.plan.conditions.iter().zip(&self.watched).enumerate();
        let present: BTreeMap<&str, _> = present.map(|(index, old)| (old.0.name.as_str(), (index, old))).collect();
        let kept = plan.conditions.iter().map(|new| {
            let &(index, (old, watched)) = present.get(new.name.as_str())?;
            let scope = old.scope.clone();
            let same = watched.named == plan.named(&new.scope) && Condition { scope, ..new.clone() } == *old;
            same.then_some(index)
        });
        kept.collect()
    }

    /// The signals of met conditions that do not go on.
    fn gone(&self, kept: &[Option<usize>]) -> Vec<Signal> {
        let present = self.plan.conditions.iter().zip(&self.watched).enumerate();
        let gone = present.filter(|&(index, _)| !kept.contains(&Some(index)));
        gone.filter(|(_, (_, watched))| watched.machine.known() == Known::Met)
            .map(|(_, (condition, watched))| {
                let (named, value) = (watched.named.clone(), watched.machine.last());
                Signal::new(condition, &self.plan, named, State::Cleared, value)
            })
            .collect()
    }

    fn watched(
        &self,
        plan: &Plan,
        watch: &Watch,
        condition: &Condition,
        old: Option<usize>,
        same: bool,
        since: u64,
    ) -> Watched {
        let named = plan.named(&condition.scope);
        let track = watch.find(&condition.scope).unwrap_or(usize::MAX);
        let Some(old) = old.and_then(|index| self.watched.get(index)) else {
            let errors = condition.errors(since);
            return Watched { named, track, errors, machine: Machine::new(), why: String::new() };
        };
        let errors = old.errors.clone().filter(|_| same && self.is_same_group(plan, &condition.scope));
        Watched { track, errors: errors.or_else(|| condition.errors(since)), ..old.clone() }
    }

    /// A route goes on from where its prefix is on its router, whatever it follows and does now.
    fn climb(&self, plan: &Plan, route: &Route) -> Climb {
        let index = |name: &String| plan.conditions.iter().position(|condition| condition.name == *name);
        let present =
            self.plan.routes.iter().zip(&self.climbs).chain(self.leaving.iter().map(|(old, climb)| (old, climb)));
        let mut present = present.filter(|(old, _)| old.router == route.router && old.prefix == route.prefix);
        let mut climb = present.next().map_or_else(Climb::new, |(old, climb)| climb.under(&old.policy, &route.policy));
        climb.when = route.when.map(&index);
        climb
    }

    /// The routes that would still have a way down under another plan, which does not have them.
    #[must_use]
    pub fn left_by(&self, plan: &Plan) -> Vec<Route> {
        let demoted = self.left(plan).into_iter().filter(|(_, climb)| climb.is_demoted());
        demoted.map(|(route, _)| route).collect()
    }

    /// The routes that are in no plan any more and still have a way down, or changes that count.
    fn left(&self, plan: &Plan) -> Vec<(Route, Climb)> {
        let goes_on = |old: &Route| plan.routes.iter().any(|new| new.router == old.router && new.prefix == old.prefix);
        let present =
            self.plan.routes.iter().zip(&self.climbs).chain(self.leaving.iter().map(|(old, climb)| (old, climb)));
        let left = present.filter(|(old, _)| !goes_on(old)).filter_map(|(old, climb)| {
            let route = Route { policy: climb.leave(&old.policy)?, ..old.clone() };
            Some((route, climb.clone()))
        });
        left.collect()
    }
}

/// The slots whose rates are not watched.
fn tumbling(plan: &Plan) -> u32 {
    if Watch::is_partial(plan) { plan.names.zones().saturating_add(1) } else { 0 }
}
