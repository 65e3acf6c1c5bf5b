//! The routes of an engine: each looks at what it follows, climbs, and is remembered. How it climbs is in `climb`.

use crate::climb::{Climb, Look};
use crate::judge::{Engine, Step, Watched};
use crate::ladder::HeldBack;
use crate::machine::Known;
use crate::measure::Windows;
use crate::{Action, Evidence, Intent, Policy, Record, Route, Sample, Scope, Signal, Time, When};
use core::time::Duration;

/// As many conditions as a route says the state of.
const SAID: usize = 8;

impl Engine {
    /// Tells how a router announced a prefix before this engine began, so that it goes on from there. It makes no
    /// difference once the engine itself has wanted anything of the prefix.
    pub fn found(&mut self, router: &str, prefix: &str, action: Action) {
        let at = self.now();
        let present = self.plan.routes.iter().zip(&mut self.climbs);
        let leaving = self.leaving.iter_mut().map(|(route, climb)| (&*route, climb));
        for (route, climb) in present.chain(leaving) {
            if route.router == router && route.prefix == prefix {
                climb.found(&route.policy, action, at);
            }
        }
    }

    /// What is to be known of the routes when the engine begins anew, in the order of the plan.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let at = self.now();
        self.all().filter_map(|(route, climb)| climb.record(route, at)).collect()
    }

    /// Takes up records at `at`, before the first sample. Each route that has one waits until [`Self::found`] says what its
    /// router announces. One that is not in the plan comes down.
    pub fn restore(&mut self, at: Time, records: &[Record]) {
        for record in records {
            let is = |route: &Route| route.router == record.router && route.prefix == record.prefix;
            let present = self.plan.routes.iter().zip(&mut self.climbs).find(|(route, _)| is(route));
            if let Some((route, climb)) = present {
                *climb = climb.clone().restored(record, &route.policy, at);
                continue;
            }
            let (router, prefix, when) = (record.router.clone(), record.prefix.clone(), When::Any(Vec::new()));
            let route = Route { router, prefix, when, policy: Policy::Demote(record.ladder.clone()) };
            let climb = Climb::new().restored(record, &route.policy, at);
            self.leaving.push((route, climb));
        }
    }

    /// An operator wants a prefix plain: at once, and for this long, or else until what its route follows has cleared, an
    /// hour at most. No budget stands in the way. What is wanted now; `None` if there is no such route.
    pub fn release(&mut self, router: &str, prefix: &str, time: Option<Duration>) -> Option<Intent> {
        let at = self.now();
        let present = self.plan.routes.iter().zip(&mut self.climbs);
        let mut all = present.chain(self.leaving.iter_mut().map(|(route, climb)| (&*route, climb)));
        let (route, climb) = all.find(|(route, _)| route.router == router && route.prefix == prefix)?;
        climb.release(at, time);
        climb.intent(route)
    }

    /// Somebody else has changed a prefix, and its router would put it back: whether it may. It then counts as a change, because
    /// its neighbours see one.
    pub fn put_back(&mut self, router: &str, prefix: &str) -> bool {
        let at = self.now();
        let present = self.plan.routes.iter().zip(&mut self.climbs);
        let mut all = present.chain(self.leaving.iter_mut().map(|(route, climb)| (&*route, climb)));
        let found = all.find(|(route, _)| route.router == router && route.prefix == prefix);
        found.is_some_and(|(route, climb)| climb.put_back(&route.policy, at))
    }

    pub(crate) fn judge_routes(&mut self, sample: &Sample, elapsed: Duration, step: &mut Step) {
        let announce = core::mem::take(&mut self.announce);
        let (mut climbs, mut leaving) = (core::mem::take(&mut self.climbs), core::mem::take(&mut self.leaving));
        for (route, climb) in self.plan.routes.iter().zip(&mut climbs) {
            let Some(when) = climb.when.clone() else { continue };
            let known = when.known(&|&index| self.watched.get(index).map_or(Known::Unknown, Watched::known));
            let why = || self.why(route, &when, known);
            let harm = |evidence| self.harm(route, evidence);
            let load = when.load(&|&index| self.load(index));
            let look = Look { known, followed: true, load, at: sample.at, elapsed, why: &why, harm: &harm };
            judge(route, climb, look, announce, step);
        }
        for (route, climb) in &mut leaving {
            let why = || String::from("not configured any more");
            let (known, followed, harm) = (Known::Cleared, false, |_| None);
            let look = Look { known, followed, load: None, at: sample.at, elapsed, why: &why, harm: &harm };
            judge(route, climb, look, announce, step);
        }
        leaving.retain(|(_, climb)| !climb.is_done());
        (self.climbs, self.leaving) = (climbs, leaving);
        let unnumbered = step.signals.iter_mut().filter(|signal| signal.seq == 0);
        for signal in unnumbered {
            self.seq = self.seq.saturating_add(1);
            (signal.seq, signal.at, signal.wall) = (self.seq, sample.at, sample.wall);
        }
    }

    /// The routes of the plan, and those that come down.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Route, &Climb)> {
        let leaving = self.leaving.iter().map(|(route, climb)| (route, climb));
        self.plan.routes.iter().zip(&self.climbs).chain(leaving)
    }

    /// The value of a condition now, as a multiple of falling.
    fn load(&self, condition: usize) -> Option<f64> {
        let falling = self.plan.conditions.get(condition)?.thresholds.falling();
        let value = self.watched.get(condition)?.machine.value()?;
        (falling > 0.0).then(|| value / falling)
    }

    /// How what a route follows became what it is.
    fn why(&self, route: &Route, when: &When<usize>, known: Known) -> String {
        let whys = when.conditions().into_iter().filter_map(|&index| self.watched.get(index));
        let mut whys: Vec<&str> = whys.map(|watched| watched.why.as_str()).filter(|why| !why.is_empty()).collect();
        if let (When::Met(_), [why]) = (when, whys.as_slice()) {
            return (*why).to_owned();
        }
        whys.truncate(SAID);
        let state = match known {
            Known::Met => "met",
            Known::Cleared => "cleared",
            Known::Unknown => "not known",
        };
        format!("{} {state}: {}", route.when, whys.join("; "))
    }

    /// The harm that is seen at the prefix of a route, in words.
    fn harm(&self, route: &Route, evidence: Evidence) -> Option<String> {
        let unanswered = || {
            let limit = evidence.unanswered?;
            let track = self.tracks.get(self.watch.find(&self.scope(route))?)?;
            let [queries, responses, _] = track.increase(Windows::new(&self.clock, &self.plan).rate?)?;
            let share = (queries > 0).then(|| queries.saturating_sub(responses) as f64 / queries as f64)?;
            (share >= limit).then(|| format!("{:.1} % of queries unanswered", share * 100.0))
        };
        let lost = || {
            let share = self.blindness.share().filter(|&share| evidence.drops && share > 0.0)?;
            Some(format!("{:.3} % of frames lost", share * 100.0))
        };
        let missed = || {
            let share = self.blindness.missed().filter(|_| evidence.drops)?;
            Some(format!("{:.3} % of frames dropped by interfaces", share * 100.0))
        };
        unanswered().or_else(lost).or_else(missed)
    }

    /// The service prefix of a route; the node if it is none.
    fn scope(&self, route: &Route) -> Scope {
        let names = &self.plan.names;
        let mut slots = names.zones().saturating_add(1)..names.slots();
        let slot = slots.find(|&slot| names.get(slot) == route.prefix);
        slot.map_or(Scope::Node, Scope::Prefix)
    }

    fn now(&self) -> Time {
        self.last.map_or_else(Time::default, |(at, _)| at)
    }
}

fn judge(route: &Route, climb: &mut Climb, look: Look<'_>, announce: bool, step: &mut Step) {
    let before = over_budget(climb);
    if climb.follow(&route.policy, look) || announce {
        step.intents.extend(climb.intent(route));
    }
    let after = over_budget(climb);
    if let Some((changes, limit)) = after.or(before).filter(|_| after.is_some() != before.is_some()) {
        step.signals.push(Signal::over_budget(route, after.is_some(), changes, limit));
    }
}

fn over_budget(climb: &Climb) -> Option<(usize, usize)> {
    match climb.held_back() {
        Some(HeldBack::OverBudget { changes, limit }) => Some((changes, limit)),
        Some(HeldBack::NoEvidence | HeldBack::Futile | HeldBack::Released) | None => None,
    }
}
