//! A fleet on paper: what the engine does at one site changes the load of all the others, and theirs its own. No network,
//! and no clock: hours in seconds, the same in each run.
//!
//! Each site has an engine of its own, the real one, made from a configuration that leaves all it can to its defaults. It
//! gets a sample a second and its intents are announced. What is compared with it sees the same load at the same site.
//!
//! What is assumed, for all alike:
//!
//! - Who reaches which site is what BGP's first questions make of it (RFC 4271, section 9.1.2.2): local preference, then the
//!   length of the path, then what is nearest. Sites and networks lie on a square; a path has two hops and more the further
//!   it goes. A prepend moves who has another path that is then shorter. 15 % of the networks prefer a site by policy, and
//!   no prepend moves them: some stay however long the path is (de Vries et al., Verfploeter, 2017). 80 % follow a
//!   community (RFC 8326), all a withdrawal.
//! - Half of the networks have a changed path within 10 s, most within a minute; after a withdrawal half of them within
//!   45 s, all within three minutes (RIPE Labs, The Shape of a BGP Update, 2011). Nobody damps (RFC 2439): what would be
//!   damped is what the columns of returns count.
//! - A site is built for 1.5 to 3 times what it gets, and never for less than 0.6 times what the average site gets. What
//!   is over its capacity goes unanswered, all queries alike. The capture sees them all the same.
//! - Resolvers send an unanswered query twice more (up to eight times as much was seen: Moura et al., When the Dike Breaks,
//!   2018). They divide their queries between this fleet and the zone's other name servers by the round trip, which
//!   they remember for five minutes (Müller et al., Recursives in the Wild, 2017). Machines that attack do neither.
//! - All thresholds are at 0.9 of the capacity. FastNetMon averages over 5 s and undoes after 1900 s; it is taken with a
//!   prepend, as ours has, and with a withdrawal. `anycast_healthchecker` checks every 10 s, two in a row count; its check
//!   is one query, which is lost like any other.
//! - Sites know nothing of each other.
//!
//! An oscillation is a return to a state that was left less than 10 minutes ago: changes that come no faster are never
//! suppressed where damping is strictest. Returns within 30 minutes are counted beside it.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of queries, seconds, hops and sites: all small, and none negative"
)]

mod chance;
mod oracle;
mod others;
mod plot;
mod report;
mod run;
mod scenario;
mod score;
mod spread;
mod summary;
mod way;
mod world;

pub use others::others;
pub use plot::plots;
pub use report::report;
pub use run::run;
pub use scenario::Scenario;
pub use score::Score;
pub use way::Way;

#[cfg(test)]
mod tests {
    use super::*;

    const SITES: usize = 5;
    const SEEDS: std::ops::Range<u64> = 1..4;

    #[test]
    fn ours_keeps_its_budget_does_not_oscillate_and_settles() {
        for scenario in Scenario::ALL {
            for seed in SEEDS {
                for way in [Way::Ours, Way::OursByEvidence] {
                    let score = run(SITES, seed, scenario, way);
                    assert!(score.busiest_hour <= 4, "{scenario:?}: {score:?}");
                    assert_eq!((score.oscillations, score.withdrawn), (0, 0), "{scenario:?}");
                }
            }
        }
    }

    #[test]
    fn attacked_everywhere_ours_absorbs_in_the_end() {
        for (seed, way) in SEEDS.flat_map(|seed| [(seed, Way::Ours), (seed, Way::OursByEvidence)]) {
            let score = run(SITES, seed, Scenario::AllSites, way);
            // Up while the attack begins, by evidence up to twice, and back to plain after max-hold though it goes on.
            let most = if way == Way::Ours { 2 } else { 3 } * SITES as u64;
            assert!((2 * SITES as u64..=most).contains(&score.changes), "{score:?}");
            assert!(score.last_change < (20 + 180 + 2) * 60, "{score:?}");
        }
    }

    #[test]
    fn where_others_have_room_ours_has_the_least_overload_and_the_fewest_unanswered() {
        for scenario in [Scenario::OneSite, Scenario::OneSiteLong, Scenario::Bursts] {
            let [nothing, ban, _, check, ours, by_evidence] = Way::ALL.map(|way| run(50, 1, scenario, way));
            for ours in [ours, by_evidence] {
                for other in [&nothing, &ban, &check] {
                    assert!(ours.overload < other.overload, "{scenario:?}: {ours:?} {other:?}");
                    assert!(ours.share_unanswered() < other.share_unanswered(), "{scenario:?}: {ours:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn where_moving_load_helps_ours_with_evidence_has_less_overload_than_each_other() {
        for (sites, seeds) in [(5, 1..7), (20, 1..4), (50, 1..2)] {
            for scenario in Scenario::ALL.into_iter().filter(|&scenario| scenario != Scenario::AllSites) {
                let overload = |way| seeds.clone().map(|seed| run(sites, seed, scenario, way).overload).sum::<u64>();
                let [nothing, ban, _, check, _, ours] = Way::ALL.map(overload);
                assert!(ours < nothing.min(ban).min(check), "{scenario:?}: {ours}, {nothing} {ban} {check}");
            }
        }
    }

    #[test]
    fn where_it_cannot_help_ours_adds_hardly_any() {
        for scenario in [Scenario::OneSite, Scenario::OneSiteLong, Scenario::SiteLoss] {
            let overload = |way| (1..9).map(|seed| run(2, seed, scenario, way).overload).sum::<u64>();
            let [nothing, ours] = [Way::Nothing, Way::OursByEvidence].map(overload);
            assert!(ours * 100 < nothing * 101, "{scenario:?}: {ours} {nothing}");
        }
    }

    #[test]
    fn two_sites_of_which_one_is_attacked_have_hardly_less_overload_by_one_who_knows_all() {
        for scenario in [Scenario::OneSite, Scenario::OneSiteLong] {
            let nothing: u64 = (1..9).map(|seed| run(2, seed, scenario, Way::Nothing).overload).sum();
            let oracle: u64 = (1..9).map(|seed| oracle::run(seed, scenario).overload).sum();
            assert!(oracle * 100 > nothing * 99, "{scenario:?}: {oracle} {nothing}");
        }
    }

    #[test]
    fn who_knows_all_has_no_more_overload_than_ours_and_less_where_there_is_room() {
        for scenario in Scenario::ALL {
            let sum = |one: &dyn Fn(u64) -> Score| SEEDS.map(|seed| one(seed).overload).sum::<u64>();
            let [nothing, ours] =
                [Way::Nothing, Way::OursByEvidence].map(|way| sum(&|seed| run(2, seed, scenario, way)));
            let oracle = sum(&|seed| oracle::run(seed, scenario));
            assert!(oracle <= ours, "{scenario:?}: {oracle} {ours}");
            let room = [Scenario::FlashCrowd, Scenario::AllSites, Scenario::Rolling].contains(&scenario);
            assert!(!room || oracle * 10 < nothing * 9, "{scenario:?}: {oracle} {nothing}");
        }
    }

    #[test]
    fn with_evidence_a_large_fleet_that_loses_a_site_is_better_off_than_without_action() {
        let [nothing, ban, _, check, _, by_evidence] = Way::ALL.map(|way| run(200, 1, Scenario::SiteLoss, way));
        for other in [nothing, ban, check] {
            assert!(2 * by_evidence.overload < other.overload, "{by_evidence:?} {other:?}");
        }
    }

    #[test]
    fn all_that_is_sent_lands_somewhere() {
        for way in Way::ALL {
            for scenario in Scenario::ALL {
                let score = run(SITES, 1, scenario, way);
                assert!(score.astray < 1e-9 && score.unanswered < score.asked, "{scenario:?} {way:?}: {score:?}");
            }
        }
    }

    #[test]
    fn a_seed_is_a_run() {
        let [one, again, other] = [1, 1, 2].map(|seed| format!("{:?}", run(SITES, seed, Scenario::Rolling, Way::Ours)));
        assert!(one == again && one != other, "{one} {other}");
    }

    #[test]
    fn what_withdraws_at_a_threshold_takes_all_sites_away_at_once() {
        let score = run(SITES, 1, Scenario::AllSites, Way::Threshold(engine::Action::Withdraw));
        assert_eq!(score.withdrawn, SITES);
        assert!(score.oscillations > 0 && score.share_unanswered() > 0.4, "{score:?}");
    }
}
