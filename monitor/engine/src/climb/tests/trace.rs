//! A climb on a clock of its own.

use super::super::*;

/// A climb that is looked at each second, and its changes: when, and to how many prepends.
pub(super) struct Trace {
    pub(super) climb: Climb,
    pub(super) policy: Policy,
    pub(super) harm: Option<String>,
    pub(super) load: Option<f64>,
    pub(super) seconds: u64,
    pub(super) changes: Vec<(u64, u8)>,
}

impl Trace {
    pub(super) fn new(ladder: Ladder) -> Self {
        let (climb, policy) = (Climb::new(), Policy::Demote(ladder));
        Self { climb, policy, harm: None, load: None, seconds: 0, changes: Vec::new() }
    }

    pub(super) fn look(&mut self, seconds: u64, known: Known) {
        self.seconds += seconds;
        let (at, elapsed) = (Time(self.seconds * 1_000_000_000), Duration::from_secs(seconds));
        let before = self.step();
        let why = || String::from("c");
        let harm = |_| self.harm.clone();
        self.climb
            .follow(&self.policy, Look { known, followed: true, load: self.load, at, elapsed, why: &why, harm: &harm });
        if self.step() != before {
            self.changes.push((self.seconds, self.step()));
        }
    }

    pub(super) fn at(&self) -> Time {
        Time(self.seconds * 1_000_000_000)
    }

    pub(super) fn release(&mut self, time: Option<Duration>) {
        self.climb.release(self.at(), time);
        self.changes.push((self.seconds, self.step()));
    }

    pub(super) fn put_back(&mut self) -> bool {
        let at = self.at();
        self.climb.put_back(&self.policy, at)
    }

    pub(super) fn find(&mut self, action: Action) {
        let at = self.at();
        self.climb.found(&self.policy, action, at);
    }

    /// Another engine goes on from what this one remembers, as a clock of its own has it.
    pub(super) fn restart(&mut self) {
        let policy = self.policy.clone();
        let route = Route { prefix: "p".into(), router: "r".into(), when: "c".into(), policy };
        let record = self.climb.record(&route, self.at());
        self.climb = Climb::new();
        if let Some(record) = record {
            self.climb = Climb::new().restored(&record, &self.policy, self.at());
        }
    }

    pub(super) fn pass(&mut self, seconds: u64, known: Known) {
        (0..seconds).for_each(|_| self.look(1, known));
    }

    /// Met on the plain path, cleared on any other.
    pub(super) fn under_a_load_that_one_step_halves(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.look(1, if self.step() == 0 { Known::Met } else { Known::Cleared });
        }
    }

    /// That many times falling is offered; each step leaves a third of it.
    pub(super) fn offer(&mut self, seconds: u64, offered: f64) {
        for _ in 0..seconds {
            let load = if self.step() == 0 { offered } else { offered / 3.0 };
            self.load = Some(load);
            let known = if load >= 1.4 { Known::Met } else { Known::Cleared };
            self.look(1, known);
        }
    }

    pub(super) fn action(&self) -> Option<Action> {
        self.climb.rung(&self.policy).action
    }

    pub(super) fn step(&self) -> u8 {
        if let Some(Action::Prepend(times)) = self.action() { times } else { 0 }
    }

    /// How long the path was demoted, each time.
    pub(super) fn kept(&self) -> Vec<u64> {
        self.changes.chunks_exact(2).map(|pair| pair[1].0 - pair[0].0).collect()
    }
}
