//! The engine itself: one sample in, one step out.

use crate::{Intent, Plan, Sample, Signal, View};

/// Judges samples by a plan.
///
/// `step` takes samples in; `view` shows what was made of them; `replan` changes the plan under it.
#[derive(Clone, Debug)]
pub struct Engine {
    plan: Plan,
}

/// What one sample led to.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Step {
    /// The conditions that changed state, in the order of the plan.
    pub signals: Vec<Signal>,
    /// The prefixes whose announcement should change, or, after a start or a change of plan, all of them.
    pub intents: Vec<Intent>,
}

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self { plan }
    }

    /// Takes one sample in.
    pub fn step(&mut self, sample: &Sample) -> Step {
        let _ = sample;
        todo!()
    }

    /// Changes the plan. Totals go on by name, the states of conditions that are the same in both go on.
    pub fn replan(&mut self, plan: Plan) {
        self.plan = plan;
    }

    /// The engine as of its last sample.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        todo!()
    }
}
