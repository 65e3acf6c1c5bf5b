//! Up a ladder while a condition is met, and slowly down again. What goes on over another plan or another engine is in `memory`.

mod memory;
#[cfg(test)]
mod tests;

use crate::budget::{Budget, Moment};
use crate::effect::Effect;
use crate::harm::Harm;
use crate::ladder::{HOUR, HeldBack, Ladder};
use crate::machine::Known;
use crate::{Action, Evidence, Intent, Policy, Route, Rung, Time, When};
use core::fmt;
use core::time::Duration;

/// Where a route is on its ladder, and what it has been through.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Climb {
    /// What it follows, by the conditions' indices.
    pub(crate) when: Option<When<usize>>,
    /// How it is announced, as far as that is known.
    action: Option<Action>,
    /// The number of its step, 0 for plain. The action may be one of a ladder that is not in force any more.
    step: usize,
    /// The engine has said how it should be announced: its condition was known once.
    wanted: bool,
    /// What a router announces is still to be compared with what was remembered.
    awaited: bool,
    /// The ladder it comes down by where the policy has none.
    left: Option<Ladder>,
    /// For how long it was seen there: time that is blind does not count.
    kept: Duration,
    /// For how long its condition was seen cleared.
    cleared: Duration,
    /// How often the hold was doubled.
    doubled: u32,
    /// It was released, and the condition has not stayed cleared for a hold since.
    released: bool,
    /// When it left the plain path.
    began: Option<Moment>,
    /// It has been held for as long as it may: no more steps until the condition has cleared.
    spent: bool,
    /// An operator wants it plain until then, or until the condition clears.
    plain: Option<(Moment, bool)>,
    /// What its steps did to the load.
    effect: Effect,
    /// What is seen beside its condition, of what its ladder asks for.
    harm: Harm,
    budget: Budget,
    held_back: Option<HeldBack>,
    because: String,
}

/// What is known at a tick.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) known: Known,
    /// There is something that it follows; else it comes down.
    pub(crate) followed: bool,
    /// The load that it follows, as a multiple of falling, if it is one.
    pub(crate) load: Option<f64>,
    pub(crate) at: Time,
    /// The time that was seen since the last look.
    pub(crate) elapsed: Duration,
    /// How what it follows became what it is, in words.
    pub(crate) why: &'a dyn Fn() -> String,
    /// The harm that is seen of what is asked for, in words.
    pub(crate) harm: &'a dyn Fn(Evidence) -> Option<String>,
}

impl fmt::Debug for Look<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { known, at, elapsed, .. } = self;
        to.debug_struct("Look").field("known", known).field("at", at).field("elapsed", elapsed).finish_non_exhaustive()
    }
}

impl Climb {
    pub(crate) fn new() -> Self {
        Self {
            when: None,
            action: None,
            step: 0,
            wanted: false,
            awaited: false,
            left: None,
            kept: Duration::MAX,
            cleared: Duration::ZERO,
            doubled: 0,
            released: false,
            began: None,
            spent: false,
            plain: None,
            effect: Effect::new(),
            harm: Harm::default(),
            budget: Budget::default(),
            held_back: None,
            because: String::new(),
        }
    }

    /// Follows what it is to follow; whether a router is to be told.
    pub(crate) fn follow(&mut self, policy: &Policy, look: Look<'_>) -> bool {
        self.budget.pass(look.at);
        // What the router announces is from before this engine, or from before the plan changed: it stays.
        if self.awaited {
            return false;
        }
        if look.known == Known::Unknown {
            return self.expire(policy, look);
        }
        self.held_back = None;
        self.effect.see(look.load, look.elapsed);
        self.harm.see(look.known, look.load, is_harmed(policy, look), look.elapsed);
        self.kept = self.kept.saturating_add(look.elapsed);
        self.cleared = match look.known {
            Known::Cleared => self.cleared.saturating_add(look.elapsed),
            Known::Met | Known::Unknown => Duration::ZERO,
        };
        let fresh = !core::mem::replace(&mut self.wanted, true);
        self.action.get_or_insert(Action::Plain);
        if fresh {
            self.because = (look.why)();
        }
        match (policy, self.left.take()) {
            (Policy::Demote(ladder), _) => self.climb(ladder, look) || fresh,
            (Policy::Absorb, Some(ladder)) if self.step > 0 => {
                let changed = self.climb(&ladder, Look { known: Known::Cleared, followed: false, load: None, ..look });
                self.left = Some(ladder);
                changed || fresh
            }
            (Policy::Absorb, _) => {
                let plain = self.action.replace(Action::Plain) == Some(Action::Plain);
                if fresh && look.known == Known::Met {
                    self.because.push_str("; absorbed");
                }
                fresh || !plain
            }
        }
    }

    /// Nothing is known of its condition: no step is made but the last one back, when it is time for that.
    fn expire(&mut self, policy: &Policy, look: Look<'_>) -> bool {
        let ladder = match (policy, self.left.clone()) {
            (Policy::Demote(ladder), _) => ladder.clone(),
            (Policy::Absorb, Some(ladder)) => ladder,
            (Policy::Absorb, None) => return false,
        };
        let over = self.step > 0 && self.demoted(look.at) >= ladder.max_hold;
        let changed = over && self.climb(&ladder, look);
        self.wanted |= changed;
        changed
    }

    /// It is on a step.
    pub(crate) const fn is_demoted(&self) -> bool {
        self.step > 0
    }

    /// It is plain, and no change of it counts any more.
    pub(crate) fn is_done(&self) -> bool {
        self.step == 0 && self.budget.is_empty()
    }

    /// Back to the plain path at once, and no step for `time`, or else until the condition has cleared, an hour at most.
    pub(crate) fn release(&mut self, at: Time, time: Option<Duration>) {
        self.plain = Some((Moment::after(at, time.unwrap_or(HOUR)), time.is_none()));
        if self.step > 0 {
            self.budget.spend(at, Action::Plain);
            self.kept = Duration::ZERO;
        }
        self.awaited = false;
        self.wanted = true;
        self.step = 0;
        self.effect.step(0, false);
        self.action = Some(Action::Plain);
        self.began = None;
        self.released = false;
        self.left = None;
        "released by an operator".clone_into(&mut self.because);
    }

    /// Whether it may be announced once more as it is, which then counts.
    pub(crate) fn put_back(&mut self, policy: &Policy, at: Time) -> bool {
        let Some(action) = self.action else { return false };
        let ladder = match (policy, &self.left) {
            (Policy::Demote(ladder), _) | (Policy::Absorb, Some(ladder)) => ladder,
            // It has no budget, and is plain.
            (Policy::Absorb, None) => return true,
        };
        self.budget.pass(at);
        let may = self.budget.forbids(ladder, action).is_none();
        if may {
            self.budget.spend(at, action);
        }
        may
    }

    fn climb(&mut self, ladder: &Ladder, look: Look<'_>) -> bool {
        let Some((to, because)) = self.due(ladder, look) else { return false };
        let action = ladder.action(to);
        self.held_back = self.budget.forbids(ladder, action);
        if self.held_back.is_some() {
            return false;
        }
        if to > self.step && self.released {
            self.doubled = self.doubled.saturating_add(1);
        }
        self.effect.step(to, to > self.step);
        self.released = to < self.step;
        self.step = to;
        self.action = Some(action);
        self.kept = Duration::ZERO;
        self.began = (to > 0).then(|| self.began.unwrap_or_else(|| look.at.into()));
        self.budget.spend(look.at, action);
        self.because = because;
        true
    }

    /// The step that should be next, and why.
    fn due(&mut self, ladder: &Ladder, look: Look<'_>) -> Option<(usize, String)> {
        let Look { known, load, at, followed, why, harm, .. } = look;
        let (step, last) = (self.step, ladder.steps.len());
        let demoted = self.demoted(at);
        self.plain = self.plain.filter(|(until, to_clear)| {
            let cleared = *to_clear && known == Known::Cleared;
            !until.ahead(at).is_zero() && !cleared
        });
        if step > 0 && demoted >= ladder.max_hold {
            self.spent = known != Known::Cleared;
            return Some((0, format!("{}; held for {:?}, which is the longest", why(), ladder.max_hold)));
        }
        let hold = self.hold(ladder);
        match known {
            Known::Met if self.spent || step >= last || self.kept < ladder.step_every => None,
            Known::Met if load.is_some() && ladder.lengthens_again(step) && self.effect.is_futile() => {
                self.held_back = Some(HeldBack::Futile);
                None
            }
            // It would hardly have begun before it ends.
            Known::Met if step > 0 && demoted.saturating_add(ladder.step_every) > ladder.max_hold => None,
            Known::Met if self.released && hold >= ladder.max_hold => {
                self.spent = true;
                None
            }
            Known::Met if self.plain.is_some() => {
                self.held_back = Some(HeldBack::Released);
                None
            }
            Known::Met => {
                let harm = match ladder.evidence.map(harm) {
                    None => String::new(),
                    // What crept up mostly settles by itself; a first step is made all the same.
                    Some(Some(harm)) if step == 0 || load.is_none() || self.harm.is_sound() || self.effect.is_far() => {
                        format!("; {harm}")
                    }
                    Some(_) => {
                        self.held_back = Some(HeldBack::NoEvidence);
                        return None;
                    }
                };
                let to = step.saturating_add(1);
                let (why, number) = (why(), if last > 1 { format!("; step {to} of {last}") } else { String::new() });
                Some((to, format!("{why}{harm}{number}")))
            }
            Known::Cleared => {
                self.spent = false;
                if self.kept < hold {
                    return None;
                }
                if step == 0 {
                    self.released = false;
                    self.doubled = 0;
                    return None;
                }
                // Where nothing is left nothing says whether it would be back, and finding out costs a hold of overload.
                let nothing_left = load.is_some() && self.effect.left_nothing();
                let hold = if nothing_left { hold.saturating_mul(3).min(ladder.max_hold) } else { hold };
                if followed && (self.kept < hold || self.cleared < hold) {
                    return None;
                }
                // It is cleared because of the step, not because the load has gone.
                if load.is_some() && self.effect.would_be_back() {
                    return None;
                }
                // Of a step of another ladder nobody can say which of these is weaker.
                let foreign = self.action != Some(ladder.action(step));
                step.checked_sub(1).map(|to| (if foreign { 0 } else { to }, why()))
            }
            Known::Unknown => None,
        }
    }

    /// For how long it has not been plain.
    fn demoted(&self, at: Time) -> Duration {
        self.began.map_or(Duration::ZERO, |began| began.ago(at))
    }

    /// How long a step is kept before it is released.
    fn hold(&self, ladder: &Ladder) -> Duration {
        let factor = 2_u32.saturating_pow(self.doubled);
        ladder.hold.saturating_mul(factor).min(ladder.max_hold)
    }

    pub(crate) fn held_back(&self) -> Option<HeldBack> {
        self.held_back
    }

    pub(crate) fn rung(&self, policy: &Policy) -> Rung {
        let budget_left = match policy {
            Policy::Absorb => None,
            Policy::Demote(ladder) => Some(self.budget.left(ladder)),
        };
        Rung { action: self.action.filter(|_| self.wanted), budget_left, held_back: self.held_back }
    }

    /// How the prefix should be announced, for a router.
    pub(crate) fn intent(&self, route: &Route) -> Option<Intent> {
        let (router, prefix) = (route.router.clone(), route.prefix.clone());
        let action = self.rung(&route.policy).action?;
        Some(Intent { router, prefix, action, because: self.because.clone() })
    }
}

/// Whether the harm is there that the ladder asks for.
fn is_harmed(policy: &Policy, look: Look<'_>) -> bool {
    let Policy::Demote(Ladder { evidence: Some(evidence), .. }) = policy else { return false };
    look.known == Known::Met && (look.harm)(*evidence).is_some()
}
