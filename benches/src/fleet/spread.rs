//! How an announcement spreads: each network learns of it in its own time.

use crate::chance::Chance;
use crate::world::{DRAINED, GONE, Network, Toll, World};
use engine::Action;

/// What each network knows of each site, and what is on its way.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    /// By network and site.
    tolls: Vec<Toll>,
    /// By network and site: the number of the announcement that it is of.
    known: Vec<u32>,
    sites: usize,
    /// By the second in which they arrive, modulo its length.
    coming: Vec<Vec<Update>>,
    announced: u32,
    chance: Chance,
}

#[derive(Clone, Copy, Debug)]
struct Update {
    network: usize,
    site: usize,
    toll: Toll,
    number: u32,
}

/// No update takes longer, in seconds.
const LONGEST: usize = 180;
/// Half of the networks have a new path within this time, in seconds.
const ANNOUNCED: f64 = 10.0;
/// Half of the networks have found another path within this time after a withdrawal: they try longer ones first.
const WITHDRAWN: f64 = 45.0;

impl Spread {
    pub(crate) fn new(world: &World, seed: u64) -> Self {
        let (sites, networks) = (world.sites.len(), world.networks.len());
        Self {
            tolls: vec![0; sites * networks],
            known: vec![0; sites * networks],
            sites,
            coming: vec![Vec::new(); LONGEST + 1],
            announced: 0,
            chance: Chance::new(seed),
        }
    }

    /// A site announces its prefix otherwise, or (`GONE`) not at all.
    pub(crate) fn announce(&mut self, world: &World, second: usize, site: usize, action: Action) {
        self.announced += 1;
        let median = if action == Action::Withdraw { WITHDRAWN } else { ANNOUNCED };
        for (network, of) in world.networks.iter().enumerate() {
            let delay = (1.0 + self.chance.waiting(median)).min(LONGEST as f64) as usize;
            let update = Update { network, site, toll: toll(of, action), number: self.announced };
            let slot = (second + delay) % self.coming.len();
            self.coming[slot].push(update);
        }
    }

    /// The same, and every network knows it at once.
    pub(crate) fn announce_at_once(&mut self, world: &World, site: usize, action: Action) {
        self.announced += 1;
        for (network, of) in world.networks.iter().enumerate() {
            let at = network * self.sites + site;
            (self.known[at], self.tolls[at]) = (self.announced, toll(of, action));
        }
    }

    /// What arrives in this second; gives the networks that know more than before, some of them more than once.
    pub(crate) fn arrive(&mut self, second: usize) -> Vec<usize> {
        let slot = second % self.coming.len();
        let mut changed = Vec::new();
        for update in std::mem::take(&mut self.coming[slot]) {
            let at = update.network * self.sites + update.site;
            if update.number > self.known[at] {
                self.known[at] = update.number;
                self.tolls[at] = update.toll;
                changed.push(update.network);
            }
        }
        changed
    }

    /// What a network knows of each site.
    pub(crate) fn known_to(&self, network: usize) -> &[Toll] {
        &self.tolls[network * self.sites..][..self.sites]
    }
}

fn toll(network: &Network, action: Action) -> Toll {
    match action {
        Action::Prepend(times) => times,
        Action::GracefulShutdown | Action::Community(..) if network.honours => DRAINED,
        // A MED is for the neighbour alone: who is further away never sees it.
        Action::Plain | Action::Med(_) | Action::GracefulShutdown | Action::Community(..) => 0,
        Action::Withdraw => GONE,
    }
}
