//! What is counted of a run.

use engine::Action;

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Site-seconds in which more arrived than could be answered.
    pub overload: u64,
    /// Queries of resolvers that arrived, or would have had a site been there.
    pub asked: f64,
    /// Those of them that went without an answer.
    pub unanswered: f64,
    /// Changes of how a site announces the prefix.
    pub changes: u64,
    /// Returns to a state that was left less than 10 minutes ago.
    pub oscillations: u64,
    /// Returns to a state that was left less than 30 minutes ago.
    pub returns: u64,
    /// Sites that were not plain at once, at most.
    pub away: usize,
    /// Site-seconds that were not plain.
    pub demoted: u64,
    /// Sites that were withdrawn at once, at most.
    pub withdrawn: usize,
    /// The most changes of one site within an hour.
    pub busiest_hour: usize,
    /// The second of the last change.
    pub last_change: usize,
    /// By how much what landed differed from what was sent, as a share, at worst.
    pub astray: f64,
}

/// Changes of a path that are further apart are never suppressed where flap damping is strictest (RFC 2439; it takes 6.2
/// minutes), and paths and resolvers have settled by then.
pub(crate) const SOON: usize = 600;
/// Twice the usual half-life of flap damping.
pub(crate) const LATER: usize = 1800;

impl Score {
    /// The share of resolvers' queries that went without an answer.
    #[must_use]
    pub fn share_unanswered(&self) -> f64 {
        self.unanswered / self.asked.max(1.0)
    }

    /// Adds another run's figures; of those that are the most of something, the greater one.
    pub fn add(&mut self, other: &Self) {
        self.overload += other.overload;
        self.asked += other.asked;
        self.unanswered += other.unanswered;
        self.changes += other.changes;
        self.oscillations += other.oscillations;
        self.returns += other.returns;
        self.demoted += other.demoted;
        self.away = self.away.max(other.away);
        self.withdrawn = self.withdrawn.max(other.withdrawn);
        self.busiest_hour = self.busiest_hour.max(other.busiest_hour);
        self.last_change = self.last_change.max(other.last_change);
        self.astray = self.astray.max(other.astray);
    }
}

/// How each site announces the prefix, and did.
#[derive(Clone, Debug)]
pub(crate) struct Announced {
    /// By site: when it changed, and from what.
    left: Vec<Vec<(usize, Action)>>,
    now: Vec<Action>,
}

impl Announced {
    pub(crate) fn new(sites: usize) -> Self {
        Self { left: vec![Vec::new(); sites], now: vec![Action::Plain; sites] }
    }

    /// A site changes how it announces the prefix.
    pub(crate) fn change(&mut self, second: usize, site: usize, action: Action, score: &mut Score) {
        let since = self.left[site].iter().rev().find(|(_, left)| *left == action).map(|(at, _)| second - at);
        score.oscillations += u64::from(since.is_some_and(|since| since < SOON));
        score.returns += u64::from(since.is_some_and(|since| since < LATER));
        let before = std::mem::replace(&mut self.now[site], action);
        self.left[site].push((second, before));
        score.changes += 1;
        score.last_change = second;
        let within_the_hour = self.left[site].iter().rev().take_while(|(at, _)| second - at < 3600).count();
        score.busiest_hour = score.busiest_hour.max(within_the_hour);
        score.away = score.away.max(self.away());
        let withdrawn = self.now.iter().filter(|&&action| action == Action::Withdraw).count();
        score.withdrawn = score.withdrawn.max(withdrawn);
    }

    /// What runs at the site has begun anew, with the plain path.
    pub(crate) fn forget(&mut self, site: usize) {
        self.now[site] = Action::Plain;
    }

    /// How a site announces the prefix now.
    pub(crate) fn by(&self, site: usize) -> Action {
        self.now[site]
    }

    /// Sites that are not plain.
    pub(crate) fn away(&self) -> usize {
        self.now.iter().filter(|&&action| action != Action::Plain).count()
    }
}
