//! Who keeps changing a route that somebody else keeps changing back makes it flap. So a route is put back a few times, and then left
//! as it is until something new is wanted of it, or it is right by itself.

use core::time::Duration;
use tokio::time::Instant;

/// So often a prefix is put back within [`WINDOW`]: each time is a change that its neighbours see.
pub(in crate::router) const REPAIRS: u32 = 5;
/// The time that [`REPAIRS`] are for.
pub(in crate::router) const WINDOW: Duration = Duration::from_secs(3600);
/// It must be right for so long before the fight is over.
const CALM: Duration = Duration::from_secs(10);

/// The fight over one prefix, if there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Fight {
    /// When it was put back.
    repairs: Vec<Instant>,
    given_up: bool,
    contested: bool,
    right_since: Option<Instant>,
}

impl Fight {
    /// Something new is wanted, for which there is another budget. Whether somebody fights that as well is yet to be seen.
    pub(super) fn renew(&mut self) {
        self.repairs.clear();
        self.given_up = false;
    }

    /// Whether the prefix may be put back once more.
    pub(super) fn may_repair(&mut self, now: Instant) -> bool {
        self.repairs.retain(|repair| now.duration_since(*repair) < WINDOW);
        if self.repairs() >= REPAIRS {
            self.give_up();
        }
        !self.given_up
    }

    /// It is put back.
    pub(super) fn repaired(&mut self, now: Instant) {
        self.repairs.push(now);
    }

    /// How often it was put back within the hour.
    pub(super) fn repairs(&self) -> u32 {
        u32::try_from(self.repairs.len()).unwrap_or(u32::MAX)
    }

    /// It is left to them.
    pub(super) const fn give_up(&mut self) {
        self.given_up = true;
        self.contested = true;
    }

    /// Takes what was seen of the prefix: whether it is as wanted.
    pub(super) fn look(&mut self, right: bool, now: Instant) {
        if !right {
            self.right_since = None;
            return;
        }
        let since = *self.right_since.get_or_insert(now);
        if self.contested && now.duration_since(since) >= CALM {
            *self = Self { right_since: Some(since), ..Self::default() };
        }
    }

    /// Whether it was put back as often as it may be, and has not been right for a while since.
    pub(super) const fn is_contested(&self) -> bool {
        self.contested
    }

    /// Whether it is left as it is.
    pub(super) const fn is_given_up(&self) -> bool {
        self.given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_up_after_so_many_repairs_within_the_hour_and_not_before() {
        let (mut fight, start) = (Fight::default(), Instant::now());
        for minute in 0..60_u64 {
            // One in 13 minutes: at most five within any hour.
            assert!(minute % 13 != 0 || repair(&mut fight, start + Duration::from_secs(60 * minute)), "{minute}");
        }
        assert!(!fight.is_contested());
        let soon = start + Duration::from_secs(59 * 60);
        assert!(!repair(&mut fight, soon) && fight.is_contested());
        assert!(!repair(&mut fight, soon + 2 * WINDOW), "time alone is no reason to begin again");
    }

    #[test]
    fn something_new_is_tried_and_the_fight_is_over_once_that_holds() {
        let (mut fight, now) = (Fight::default(), Instant::now());
        while repair(&mut fight, now) {}
        fight.renew();
        assert!(repair(&mut fight, now) && fight.is_contested());
        fight.look(true, now);
        fight.look(false, now + CALM / 2);
        fight.look(true, now + CALM);
        fight.look(true, now + CALM + CALM / 2);
        assert!(fight.is_contested(), "it was wrong in between");
        fight.look(true, now + 2 * CALM);
        assert!(!fight.is_contested() && !fight.is_given_up());
    }

    fn repair(fight: &mut Fight, now: Instant) -> bool {
        let may = fight.may_repair(now);
        if may {
            fight.repaired(now);
        }
        may
    }
}
