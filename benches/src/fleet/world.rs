//! Sites, the networks whose resolvers ask them, and which site each network would choose.

use crate::chance::Chance;

/// A fleet and those who use it.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) sites: Vec<Site>,
    pub(crate) networks: Vec<Network>,
}

#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Queries a second that it can answer.
    pub(crate) capacity: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Queries a second to this fleet on a day like any other.
    pub(crate) normal: f64,
    /// How many of all machines that take part in attacks are here, as a weight.
    pub(crate) bots: f64,
    pub(crate) place: Place,
    /// The site that its policy prefers however long the path is: that of a customer or a peer.
    favoured: Option<usize>,
    /// It has a use for communities of others (RFC 8326).
    pub(crate) honours: bool,
    /// To every site, the best first.
    paths: Vec<Path>,
}

/// A place on a square of 1 by 1 whose opposite edges are one.
pub(crate) type Place = [f64; 2];

#[derive(Clone, Copy, Debug)]
struct Path {
    site: usize,
    /// The length of the AS path.
    hops: u8,
    /// Round trip, in microseconds.
    trip: u32,
}

/// What is added to the path to a site, as a network sees it.
pub(crate) type Toll = u8;
/// It is taken only when there is no other.
pub(crate) const DRAINED: Toll = 100;
/// There is no path.
pub(crate) const GONE: Toll = Toll::MAX;

/// The site that a network sends to, and the round trip.
pub(crate) type Chosen = Option<(usize, u32)>;

impl World {
    pub(crate) fn new(sites: usize, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let places: Vec<Place> = (0..sites).map(|_| [chance.share(), chance.share()]).collect();
        let count = (10 * sites).max(200);
        let mut networks: Vec<Network> = (0..count).map(|_| Network::new(&places, &mut chance)).collect();
        let all: f64 = networks.iter().map(|network| network.normal).sum();
        let scale = MEAN * sites as f64 / all;
        networks.iter_mut().for_each(|network| network.normal *= scale);
        let plain = vec![0; sites];
        let mut load = vec![0.0; sites];
        for network in &networks {
            if let Some((site, _)) = network.choose(&plain) {
                load[site] += network.normal;
            }
        }
        // A site is built for what it gets, with room; the smallest machine is not that small.
        let capacity = load.iter().map(|load| (load * chance.between(1.5, 3.0)).max(0.6 * MEAN));
        let sites = capacity.map(|capacity| Site { capacity }).collect();
        Self { sites, networks }
    }

    /// The networks of a site's catchment while all paths are plain.
    pub(crate) fn catchment(&self, site: usize) -> Vec<usize> {
        let plain = vec![0; self.sites.len()];
        let here = |network: &Network| network.choose(&plain).is_some_and(|(at, _)| at == site);
        (0..self.networks.len()).filter(|&index| here(&self.networks[index])).collect()
    }
}

/// Queries a second of the average site.
const MEAN: f64 = 50_000.0;

impl Network {
    /// Near a site mostly: sites are where networks are.
    fn new(sites: &[Place], chance: &mut Chance) -> Self {
        let home = sites[chance.below(sites.len())];
        let spread = 0.6 / (sites.len() as f64).sqrt();
        let place = home.map(|at| (at + chance.between(-spread, spread)).rem_euclid(1.0));
        let path = |(site, &there): (usize, &Place)| {
            let distance = distance(place, there);
            let hops = 2 + (distance * 6.0 + chance.share() * 1.5) as u8;
            Path { site, hops, trip: (4_000.0 + distance * 220_000.0) as u32 }
        };
        let mut paths: Vec<Path> = sites.iter().enumerate().map(path).collect();
        paths.sort_unstable_by_key(|path| (path.hops, path.trip));
        let favoured = (chance.share() < STUCK).then(|| paths[chance.below(paths.len().min(3))].site);
        let honours = chance.share() < HONOURING;
        Self { normal: chance.size(), bots: chance.size(), place, favoured, honours, paths }
    }

    /// BGP's first three questions: local preference, the length of the path, what is nearest.
    pub(crate) fn choose(&self, tolls: &[Toll]) -> Chosen {
        let mut best: Option<(u8, u32, usize)> = None;
        for path in &self.paths {
            if best.is_some_and(|(hops, ..)| hops < path.hops) && self.favoured.is_none() {
                break;
            }
            let toll = tolls[path.site];
            if self.favoured == Some(path.site) && toll < DRAINED {
                return Some((path.site, path.trip));
            }
            if toll != GONE {
                let this = (path.hops + toll, path.trip, path.site);
                best = Some(best.map_or(this, |best| best.min(this)));
            }
        }
        best.map(|(_, trip, site)| (site, trip))
    }
}

/// The share of networks that no prepending moves.
const STUCK: f64 = 0.15;
/// The share of networks that follow a community.
const HONOURING: f64 = 0.8;

/// How far two places are apart, the short way round.
pub(crate) fn distance(one: Place, other: Place) -> f64 {
    let apart = |axis: usize| {
        let straight = (one[axis] - other[axis]).abs();
        straight.min(1.0 - straight)
    };
    apart(0).hypot(apart(1))
}
