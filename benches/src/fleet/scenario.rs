//! What happens to the fleet.

use crate::chance::Chance;
use crate::world::{World, distance};

/// What happens to the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The networks of a region ask five times as much, for two hours: nobody means harm.
    FlashCrowd,
    /// The machines in one catchment send their site to twice its capacity, for an hour.
    OneSite,
    /// The same for 160 minutes.
    OneSiteLong,
    /// The same for two minutes, eight times, 20 minutes apart.
    Bursts,
    /// Machines everywhere send the fleet to three times its capacity, for 210 minutes, which is longer than a step of ours may last.
    AllSites,
    /// Eight catchments one after the other, 20 minutes each, their site to 1.6 times its capacity.
    Rolling,
    /// The busiest site is gone for an hour.
    SiteLoss,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::FlashCrowd,
        Self::OneSite,
        Self::OneSiteLong,
        Self::Bursts,
        Self::AllSites,
        Self::Rolling,
        Self::SiteLoss,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FlashCrowd => "flash crowd",
            Self::OneSite => "one site attacked",
            Self::OneSiteLong => "one site attacked for longer",
            Self::Bursts => "one site attacked in bursts",
            Self::AllSites => "all sites attacked",
            Self::Rolling => "rolling attack",
            Self::SiteLoss => "site lost",
        }
    }
}

/// A scenario in a world: who sends how much more, and when.
#[derive(Debug)]
pub(crate) struct Course {
    phases: Vec<Phase>,
    /// The site that is gone, from when, until when.
    pub(crate) lost: Option<(usize, usize, usize)>,
}

/// In seconds since the start.
#[derive(Debug)]
struct Phase {
    from: usize,
    until: usize,
    /// For so long it grows, and shrinks.
    ramps: [usize; 2],
    /// By network: how many times its normal queries are added.
    crowd: Vec<f64>,
    /// By network: queries a second of machines that attack.
    attack: Vec<f64>,
}

pub(crate) const MINUTE: usize = 60;
/// How long a scenario runs: before and after it there is quiet.
pub(crate) const SECONDS: usize = 240 * MINUTE;
const BEGIN: usize = 20 * MINUTE;
/// As long as the attacks on the root servers on 2015-12-01 and 2015-11-30.
const SHORT: usize = 60 * MINUTE;
const LONG: usize = 160 * MINUTE;
/// Longer than any of those.
const LONGEST: usize = 210 * MINUTE;

impl Course {
    pub(crate) fn new(scenario: Scenario, world: &World, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let victim = chance.below(world.sites.len());
        // Attacks on the site, each from when and for how long.
        let one = |attacks: &[(usize, usize)]| {
            let here = world.catchment(victim);
            let phase =
                |&(after, length): &(usize, usize)| attack(world, &here, 2.0, [BEGIN + after, BEGIN + after + length]);
            (attacks.iter().map(phase).collect(), None)
        };
        let (phases, lost) = match scenario {
            Scenario::FlashCrowd => (vec![crowd(world, &mut chance)], None),
            Scenario::OneSite => one(&[(0, SHORT)]),
            Scenario::OneSiteLong => one(&[(0, LONG)]),
            Scenario::Bursts => one(&[0, 20, 40, 60, 80, 100, 120, 140].map(|minute| (minute * MINUTE, 2 * MINUTE))),
            Scenario::AllSites => {
                let all: Vec<usize> = (0..world.networks.len()).collect();
                (vec![attack(world, &all, 3.0, [BEGIN, BEGIN + LONGEST])], None)
            }
            Scenario::Rolling => {
                let from = |turn: usize| BEGIN + turn * 20 * MINUTE;
                let phase = |turn: usize| {
                    let here = world.catchment((victim + turn) % world.sites.len());
                    attack(world, &here, 1.6, [from(turn), from(turn + 1)])
                };
                ((0..8).map(phase).collect(), None)
            }
            Scenario::SiteLoss => {
                let load = |&site: &usize| -> f64 {
                    world.catchment(site).iter().map(|&network| world.networks[network].normal).sum()
                };
                let busiest = (0..world.sites.len()).max_by(|one, other| load(one).total_cmp(&load(other)));
                (Vec::new(), busiest.map(|site| (site, BEGIN, BEGIN + 60 * MINUTE)))
            }
        };
        Self { phases, lost }
    }

    /// Adds what is sent in this second: times the normal, and attack.
    pub(crate) fn add(&self, second: usize, crowd: &mut [f64], attack: &mut [f64]) {
        for phase in &self.phases {
            let share = phase.share(second);
            if share > 0.0 {
                crowd.iter_mut().zip(&phase.crowd).for_each(|(sum, more)| *sum += share * more);
                attack.iter_mut().zip(&phase.attack).for_each(|(sum, more)| *sum += share * more);
            }
        }
    }
}

impl Phase {
    fn share(&self, second: usize) -> f64 {
        let [up, down] = self.ramps.map(|ramp| ramp as f64);
        if second < self.from || second >= self.until + self.ramps[1] {
            return 0.0;
        }
        let grown = (second - self.from) as f64 / up;
        let left = 1.0 - second.saturating_sub(self.until) as f64 / down;
        grown.min(left).min(1.0)
    }
}

fn crowd(world: &World, chance: &mut Chance) -> Phase {
    let centre = [chance.share(), chance.share()];
    // A region of a fifth of the square, whatever the number of sites.
    let more = |place| if distance(centre, place) < 0.25 { 4.0 } else { 0.0 };
    Phase {
        from: BEGIN,
        until: BEGIN + 120 * MINUTE,
        ramps: [10 * MINUTE, 40 * MINUTE],
        crowd: world.networks.iter().map(|network| more(network.place)).collect(),
        attack: vec![0.0; world.networks.len()],
    }
}

/// From these networks, so that the sites they reach get `times` what they can answer, all else included.
fn attack(world: &World, from: &[usize], times: f64, [begin, until]: [usize; 2]) -> Phase {
    let plain = vec![0; world.sites.len()];
    let mut reached: Vec<usize> =
        from.iter().filter_map(|&network| world.networks[network].choose(&plain)).map(|(site, _)| site).collect();
    reached.sort_unstable();
    reached.dedup();
    let capacity: f64 = reached.iter().map(|&site| world.sites[site].capacity).sum();
    let normal: f64 = from.iter().map(|&network| world.networks[network].normal).sum();
    let bots: f64 = from.iter().map(|&network| world.networks[network].bots).sum();
    let mut attack = vec![0.0; world.networks.len()];
    for &network in from {
        attack[network] = (times * capacity - normal).max(0.0) * world.networks[network].bots / bots;
    }
    let crowd = vec![0.0; world.networks.len()];
    Phase { from: begin, until, ramps: [30, 30], crowd, attack }
}
