//! For how long there has been harm beside a met condition, and how it came. What follows from that is in `climb`.
//!
//! What an attack sends, or what another site sheds, is there within minutes. Load that creeps up over a longer time is of
//! resolvers that come back, and they ask other servers by themselves when too little is answered: it mostly settles about
//! where a site can bear it. A longer path gives all of it to a neighbour instead, who may give it back.

use crate::machine::Known;
use core::time::Duration;

/// Harm since the condition was last cleared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Harm {
    /// For how long the load has not been under falling.
    risen: Duration,
    /// For how long there was harm, in all.
    seen: Duration,
    /// There was harm soon after the load had risen.
    sudden: bool,
}

/// What comes by another path is there by then: the slowest paths take three minutes (RIPE Labs, The Shape of a BGP Update, 2011).
const SUDDEN: Duration = Duration::from_secs(240);
/// By then resolvers know what else they can ask: they remember for about so long (Müller et al., Recursives in the Wild, 2017).
const LASTING: Duration = Duration::from_secs(300);

impl Harm {
    /// Takes what is seen now: the load as a multiple of falling, and whether there is harm.
    pub(crate) fn see(&mut self, known: Known, load: Option<f64>, harmed: bool, elapsed: Duration) {
        let low = load.is_some_and(|load| load < 1.0);
        self.risen = if low { Duration::ZERO } else { self.risen.saturating_add(elapsed) };
        if known == Known::Cleared {
            (self.seen, self.sudden) = (Duration::ZERO, false);
        }
        if harmed {
            self.seen = self.seen.saturating_add(elapsed);
            self.sudden |= self.risen <= SUDDEN;
        }
    }

    /// Whether it came at once, or has lasted.
    pub(crate) fn is_sound(&self) -> bool {
        self.sudden || self.seen >= LASTING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harm_is_sound_when_it_comes_with_the_load() {
        let mut harm = Harm::default();
        see(&mut harm, 600, 0.9, false);
        see(&mut harm, 239, 1.2, false);
        see(&mut harm, 1, 2.0, true);
        assert!(harm.is_sound());
        see(&mut harm, 3600, 1.2, false);
        assert!(harm.is_sound(), "until the condition has cleared");
        harm.see(Known::Cleared, Some(0.5), false, Duration::from_secs(1));
        assert!(!harm.is_sound());
    }

    #[test]
    fn harm_that_crept_up_is_sound_once_it_has_added_up() {
        let mut harm = Harm::default();
        see(&mut harm, 600, 0.9, false);
        see(&mut harm, 241, 1.2, false);
        for _ in 0..29 {
            see(&mut harm, 10, 2.0, true);
            see(&mut harm, 60, 1.3, false);
        }
        assert!(!harm.is_sound());
        see(&mut harm, 10, 2.0, true);
        assert!(harm.is_sound());
    }

    fn see(harm: &mut Harm, seconds: u64, load: f64, harmed: bool) {
        (0..seconds).for_each(|_| harm.see(Known::Met, Some(load), harmed, Duration::from_secs(1)));
    }
}
