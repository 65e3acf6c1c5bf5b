//! One run: a world, what happens to it, and a way of answering that; a second at a time.

use crate::chance::Chance;
use crate::scenario::{Course, SECONDS, Scenario};
use crate::score::{Announced, Score};
use crate::spread::Spread;
use crate::way::{Keeper, Seen, Way};
use crate::world::{Chosen, World};
use engine::Action;

/// What a run was at each second, to be drawn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    /// Sites with more load than capacity.
    pub(crate) overloaded: usize,
    /// Sites that are not plain.
    pub(crate) away: usize,
    /// The share of resolvers' queries that went without an answer.
    pub(crate) unanswered: f64,
}

/// Runs a fleet of so many sites. The same seed is the same world and the same course, whatever the way.
#[must_use]
pub fn run(sites: usize, seed: u64, scenario: Scenario, way: Way) -> Score {
    watch(sites, seed, scenario, way, |_| {})
}

/// The same, and every moment of it.
pub(crate) fn watch(sites: usize, seed: u64, scenario: Scenario, way: Way, mut moment: impl FnMut(Moment)) -> Score {
    let world = World::new(sites, seed);
    let course = Course::new(scenario, &world, seed ^ 1);
    let mut fleet = Fleet::new(&world, way, seed ^ 2);
    for second in 0..SECONDS {
        moment(fleet.second(second, &course));
    }
    fleet.score
}

/// A fleet in the middle of a run.
#[derive(Clone)]
pub(crate) struct Fleet<'a> {
    world: &'a World,
    way: Way,
    seed: u64,
    spread: Spread,
    keepers: Vec<Keeper>,
    announced: Announced,
    /// The site that is gone.
    dark: Option<usize>,
    /// By network: where it sends to.
    chosen: Vec<Chosen>,
    /// By network: the share of its resolvers' queries that come to this fleet, and what it was at first.
    preference: Vec<[f64; 2]>,
    /// By network: how its queries go up and down by themselves.
    waves: Vec<f64>,
    /// By site: the share of queries that went unanswered in the last second.
    lost: Vec<f64>,
    chance: Chance,
    pub(crate) score: Score,
}

/// How often one query is sent again.
const RETRIES: i32 = 2;
/// Seconds in which resolvers' memory of round trips fades to a third.
const MEMORY: f64 = 300.0;
/// The round trip to the zone's other name servers, which are not of this fleet, in microseconds.
const OTHERS: f64 = 60_000.0;
/// A query without an answer counts as a round trip of this long.
const TIMEOUT: f64 = 1_500_000.0;

impl<'a> Fleet<'a> {
    pub(crate) fn new(world: &'a World, way: Way, seed: u64) -> Self {
        let plain = vec![0; world.sites.len()];
        let chosen: Vec<Chosen> = world.networks.iter().map(|network| network.choose(&plain)).collect();
        let preference = chosen.iter().map(|&chosen| [preferred(chosen, 0.0); 2]).collect();
        Self {
            world,
            way,
            seed,
            spread: Spread::new(world, seed),
            keepers: (0..)
                .zip(&world.sites)
                .map(|(index, site)| Keeper::new(way, site.capacity, seed + index))
                .collect(),
            announced: Announced::new(world.sites.len()),
            dark: None,
            chosen,
            preference,
            waves: vec![1.0; world.networks.len()],
            lost: vec![0.0; world.sites.len()],
            chance: Chance::new(seed),
            score: Score::default(),
        }
    }

    /// Lives through one more second.
    pub(crate) fn second(&mut self, second: usize, course: &Course) -> Moment {
        self.lose(second, course);
        for network in self.spread.arrive(second) {
            self.chosen[network] = self.world.networks[network].choose(self.spread.known_to(network));
        }
        if second.is_multiple_of(10) {
            self.waves.iter_mut().for_each(|wave| *wave = self.chance.between(0.9, 1.1));
        }
        let (arrived, moment) = self.land(second, course);
        self.answer(second, &arrived);
        let away = self.announced.away();
        self.score.demoted += away as u64;
        Moment { away, ..moment }
    }

    pub(crate) const fn is_site_lost(&self) -> bool {
        self.dark.is_some()
    }

    /// What each site announces from now on, known to every network at once.
    pub(crate) fn announce_at_once(&mut self, second: usize, actions: &[Action]) {
        for (site, &action) in actions.iter().enumerate() {
            if action != self.announced.by(site) {
                self.announced.change(second, site, action, &mut self.score);
                self.spread.announce_at_once(self.world, site, action);
            }
        }
        self.chosen =
            (0..).zip(&self.world.networks).map(|(index, of)| of.choose(self.spread.known_to(index))).collect();
    }

    /// The power goes, and comes back.
    fn lose(&mut self, second: usize, course: &Course) {
        let Some((site, from, until)) = course.lost else { return };
        if second == from {
            self.dark = Some(site);
            self.spread.announce(self.world, second, site, Action::Withdraw);
        } else if second == until {
            self.dark = None;
            self.keepers[site] = Keeper::new(self.way, self.world.sites[site].capacity, self.seed + site as u64);
            self.announced.forget(site);
            self.spread.announce(self.world, second, site, Action::Plain);
        }
    }

    /// All that is sent lands: at a site, at the zone's other name servers, or nowhere.
    fn land(&mut self, second: usize, course: &Course) -> (Vec<f64>, Moment) {
        let networks = self.world.networks.len();
        let (mut crowd, mut attack) = (vec![1.0; networks], vec![0.0; networks]);
        course.add(second, &mut crowd, &mut attack);
        let mut arrived = vec![0.0; self.world.sites.len()];
        let mut asked = vec![0.0; self.world.sites.len()];
        let [mut sent, mut elsewhere, mut nowhere, mut nowhere_asked] = [0.0; 4];
        for (index, network) in self.world.networks.iter().enumerate() {
            let chosen = self.chosen[index];
            let lost = chosen.map_or(1.0, |(site, _)| self.lost[site]);
            let [preference, first] = &mut self.preference[index];
            let resolvers = network.normal / *first * self.waves[index] * crowd[index];
            let ours = resolvers * *preference;
            // Who got no answer asks again.
            let again = ours * (1..=RETRIES).map(|time| lost.powi(time)).sum::<f64>();
            sent += resolvers + again + attack[index];
            elsewhere += resolvers - ours;
            *preference += (preferred(chosen, lost) - *preference) / MEMORY;
            match chosen {
                Some((site, _)) => {
                    arrived[site] += ours + again + attack[index];
                    asked[site] += ours + again;
                }
                None => {
                    nowhere += ours + again + attack[index];
                    nowhere_asked += ours + again;
                }
            }
        }
        let landed = arrived.iter().sum::<f64>() + elsewhere + nowhere;
        self.score.astray = self.score.astray.max((landed - sent).abs() / sent);
        let mut moment = Moment::default();
        let mut unanswered = nowhere_asked;
        for (index, site) in self.world.sites.iter().enumerate() {
            let overloaded = arrived[index] > site.capacity;
            self.lost[index] = match self.dark {
                Some(dark) if dark == index => 1.0,
                _ if overloaded => 1.0 - site.capacity / arrived[index],
                _ => 0.0,
            };
            moment.overloaded += usize::from(overloaded && self.dark != Some(index));
            unanswered += asked[index] * self.lost[index];
        }
        let asked = asked.iter().sum::<f64>() + nowhere_asked;
        self.score.overload += moment.overloaded as u64;
        self.score.asked += asked;
        self.score.unanswered += unanswered;
        moment.unanswered = unanswered / asked.max(1.0);
        (arrived, moment)
    }

    /// Each site answers to what it saw.
    fn answer(&mut self, second: usize, arrived: &[f64]) {
        for (site, keeper) in self.keepers.iter_mut().enumerate() {
            if self.dark == Some(site) {
                continue;
            }
            let seen = Seen { arrived: arrived[site], lost: self.lost[site] };
            if let Some(action) = keeper.see(second, seen) {
                self.announced.change(second, site, action, &mut self.score);
                self.spread.announce(self.world, second, site, action);
            }
        }
    }
}

/// The share of its queries that a resolver sends to this fleet, once it knows the round trips.
fn preferred(chosen: Chosen, lost: f64) -> f64 {
    let ours = chosen.map_or(TIMEOUT, |(_, trip)| f64::from(trip) * (1.0 - lost) + TIMEOUT * lost);
    OTHERS / (OTHERS + ours)
}
