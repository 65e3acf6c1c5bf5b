//! The engine itself: one sample in, one step out. It only says in which order the parts do their work.

use crate::blind::Blindness;
use crate::climb::Climb;
use crate::clock::{Clock, Passage};
use crate::errors::{Errors, Occurred};
use crate::machine::{Known, Machine, Rule};
use crate::measure::{self, Track, Windows, compared};
use crate::total::Totals;
use crate::trouble::Troubles;
use crate::tumble::Tumble;
use crate::watch::Watch;
use crate::{Arguments, Condition, Intent, Named, Plan, Route, Sample, Sight, Signal, State, Time, View, Wall};
use core::time::Duration;

/// Judges samples by a plan.
///
/// `step` takes samples in; `view` shows what was made of them; `replan` changes the plan under it.
///
/// Nothing is judged before its window is full, while the capture is blind, or over a gap longer than three ticks and the
/// window: then windows begin again, and the holds of conditions wait. A new generation begins windows again as well.
///
/// A route gets no intent before its condition was met, or was under falling for `keep-for`: starting the engine in the
/// middle of an overload leaves routes as the one before left them.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) plan: Plan,
    pub(crate) watch: Watch,
    pub(crate) clock: Clock,
    pub(crate) totals: Totals,
    /// By watched scope.
    pub(crate) tracks: Vec<Track>,
    pub(crate) tumble: Tumble,
    pub(crate) blindness: Blindness,
    pub(crate) sight: Sight,
    pub(crate) last: Option<(Time, Wall)>,
    /// By condition.
    pub(crate) watched: Vec<Watched>,
    /// By watched scope: the conditions that want its extended errors.
    pub(crate) wanting: Vec<Vec<usize>>,
    /// By route.
    pub(crate) climbs: Vec<Climb>,
    /// The routes that are not in the plan any more, on their way down.
    pub(crate) leaving: Vec<(Route, Climb)>,
    /// What became of met conditions that are in the plan no more, to be signalled by the next step.
    pub(crate) gone: Vec<Signal>,
    /// Of routes, as was signalled.
    pub(crate) troubles: Troubles,
    /// All routes are to be told at the next step.
    pub(crate) announce: bool,
    pub(crate) seq: u64,
}

/// A condition at work.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) named: Named,
    pub(crate) track: usize,
    pub(crate) errors: Option<Errors>,
    pub(crate) machine: Machine,
    /// How it became what it is, in words.
    pub(crate) why: String,
}

impl Watched {
    pub(crate) const fn known(&self) -> Known {
        self.machine.known()
    }
}

/// What one sample led to.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Step {
    /// The conditions that changed state, in the order of the plan; blindness before them.
    pub signals: Vec<Signal>,
    /// The prefixes whose announcement should change, or, after a change of plan, all of which it is known.
    pub intents: Vec<Intent>,
}

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self::empty(plan)
    }

    /// Takes one sample in.
    ///
    /// One that is not later than the last is counted but not judged, and one that is earlier begins windows again. Slots that the plan does not have are left out.
    pub fn step(&mut self, sample: &Sample) -> Step {
        let (window, tick) = (self.plan.window, self.plan.tick);
        let fresh = self.totals.begin(sample.generation);
        let limit = tick.saturating_mul(3).max(window);
        let passage = self.clock.pass(sample.at, tick, limit, window.max(self.plan.slope_window));
        let reset = self.count(sample);
        self.blindness.count(&sample.sight, &self.clock, fresh);
        self.last = Some((sample.at, sample.wall));
        self.sight.clone_from(&sample.sight);
        let (elapsed, whole) = match passage {
            Passage::Forward(elapsed) => (elapsed, !fresh && !reset),
            Passage::Broken(elapsed) => (elapsed, false),
            Passage::Still if fresh || reset => (Duration::ZERO, false),
            Passage::Still => return Step::default(),
        };
        if whole {
            self.tumble.pass(sample.at, window);
        } else {
            self.restart(sample.at);
        }
        let mut step = Step { signals: self.leave(sample), intents: Vec::new() };
        step.signals.extend(self.judge_sight(sample));
        self.judge_conditions(sample, elapsed, &mut step.signals);
        if !self.blindness.is_blind() {
            let seen = if whole { elapsed } else { Duration::ZERO };
            self.judge_routes(sample, seen, &mut step);
        }
        step
    }

    /// The engine as of its last sample.
    #[must_use]
    pub const fn view(&self) -> View<'_> {
        View::new(self)
    }

    /// Counts what moved; whether any total began again at zero.
    fn count(&mut self, sample: &Sample) -> bool {
        let (tick, oldest) = (self.clock.last(), self.clock.first());
        let mut reset = self.totals.take_node(&sample.node);
        let mut node = [0_u64; 3];
        for moved in &sample.moved {
            let (Some(grown), Some(fed)) = (self.totals.take(moved), self.watch.fed(moved.slot)) else { continue };
            reset |= grown.reset;
            let kept = measure::kept(&grown.by);
            for &index in &fed.tracks {
                if index == NODE_TRACK {
                    for (sum, count) in node.iter_mut().zip(kept) {
                        *sum = sum.wrapping_add(count);
                    }
                } else if let Some(track) = self.tracks.get_mut(index) {
                    track.add(tick, oldest, kept);
                }
            }
            if !fed.own {
                self.tumble.add(moved.slot, kept);
            }
        }
        if let Some(track) = self.tracks.get_mut(NODE_TRACK)
            && node != [0; 3]
        {
            track.add(tick, oldest, node);
        }
        reset | self.count_codes(sample)
    }

    fn count_codes(&mut self, sample: &Sample) -> bool {
        let tick = self.clock.last();
        let oldest = self.clock.base(self.plan.window).map_or(self.clock.first(), |base| base.tick);
        let mut reset = false;
        for moved in &sample.codes {
            let (Some(grown), Some(fed)) = (self.totals.take_code(moved), self.watch.fed(moved.slot)) else { continue };
            reset |= grown.reset;
            let zone = (!self.plan.names.is_prefix(moved.slot)).then_some(moved.slot);
            let occurred = Occurred { column: moved.column, count: grown.by, zone };
            for &condition in fed.tracks.iter().filter_map(|&track| self.wanting.get(track)).flatten() {
                if let Some(errors) = self.watched.get_mut(condition).and_then(|watched| watched.errors.as_mut()) {
                    errors.add(tick, oldest, occurred);
                }
            }
        }
        reset
    }

    /// All windows begin with this sample.
    fn restart(&mut self, at: Time) {
        self.clock.forget();
        self.tumble.restart(at);
        self.blindness.restart();
    }

    fn leave(&mut self, sample: &Sample) -> Vec<Signal> {
        let mut gone = core::mem::take(&mut self.gone);
        for signal in &mut gone {
            self.seq = self.seq.saturating_add(1);
            (signal.seq, signal.at, signal.wall) = (self.seq, sample.at, sample.wall);
        }
        gone
    }

    fn judge_sight(&mut self, sample: &Sample) -> Option<Signal> {
        let limit = self.plan.lost_share;
        let state = self.blindness.judge(sample.at, &sample.sight, &self.clock, self.plan.window, limit)?;
        let value = self.blindness.value(&sample.sight);
        let reasons = self.blindness.reasons(&sample.sight, limit);
        if state == State::Cleared {
            self.restart(sample.at);
        }
        self.seq = self.seq.saturating_add(1);
        Some(Signal {
            seq: self.seq,
            at: sample.at,
            wall: sample.wall,
            condition: BLIND.to_owned(),
            kind: BLIND,
            state,
            scope: Named::Node,
            value,
            threshold: limit,
            window: self.plan.window,
            arguments: Arguments { reasons, ..Arguments::default() },
        })
    }

    fn judge_conditions(&mut self, sample: &Sample, elapsed: Duration, signals: &mut Vec<Signal>) {
        let windows = Windows::new(&self.clock, &self.plan);
        for (condition, watched) in self.plan.conditions.iter().zip(&mut self.watched) {
            watched.machine.pass(elapsed);
            let track = self.tracks.get(watched.track).filter(|_| !self.blindness.is_blind());
            let value = track.and_then(|track| windows.value(&condition.kind, track, watched.errors.as_ref()));
            let Some(value) = value else {
                watched.machine.freeze();
                continue;
            };
            let Some(rule) = watched.machine.judge(value, elapsed, &condition.limits()) else { continue };
            watched.why = why(condition, rule, value);
            if !rule.signal {
                continue;
            }
            let arguments = match (&watched.errors, windows.rate) {
                (_, None) => Arguments::default(),
                (Some(errors), Some(base)) => errors.arguments(base, &self.plan.names),
                (None, Some(base)) => self.watch.busiest(&self.plan, &condition.scope, &self.tracks, base),
            };
            self.seq = self.seq.saturating_add(1);
            signals.push(Signal {
                seq: self.seq,
                at: sample.at,
                wall: sample.wall,
                arguments,
                ..Signal::new(condition, &self.plan, watched.named.clone(), rule.to.into(), value)
            });
        }
    }
}

/// Name and kind of the signal that the capture cannot be trusted.
pub const BLIND: &str = "blind";

/// The node is the first of the watched scopes.
const NODE_TRACK: usize = 0;

fn why(condition: &Condition, rule: &Rule, value: f64) -> String {
    let (name, kind) = (&condition.name, &condition.kind);
    match rule.to {
        Known::Met => format!("{name} met: {}", compared(kind, value, ">=", condition.thresholds.rising())),
        Known::Cleared | Known::Unknown => {
            format!("{name} cleared: {}", compared(kind, value, "<", condition.thresholds.falling()))
        }
    }
}
