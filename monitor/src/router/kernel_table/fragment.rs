//! What bird.conf needs so that BIRD acts on the table: for the README and `oopsd check`. BIRD 2.0.12 to 3.x take it.

use super::{Config, level, message};
use engine::{Action, Policy, Route};
use ipnet::IpNet;
use std::collections::BTreeMap;

/// The text to put into bird.conf, rendered from the metrics that oopsd writes and the prefixes of `routes` that `config` announces.
///
/// It knows prepends of 1 to 3, and all that the ladders of those routes say. The operator sets `OOPSD_AS` and the table of the BGP channels, and
/// calls `oopsd_on_export` in their export filters where a ladder needs it, as the comments in it say.
#[must_use]
pub fn bird_fragment(config: &Config, routes: &[Route]) -> String {
    let routes: Vec<&Route> = routes.iter().filter(|route| route.router == config.name).collect();
    let prefixes: Vec<IpNet> = routes.iter().filter_map(|route| route.prefix.parse().ok()).collect();
    let levels = levels(&routes);
    let mut text = String::from(HEAD);
    let last: String = levels.iter().filter_map(last).collect();
    if !last.is_empty() {
        text.push_str(&ON_EXPORT.replace("{last}", &last));
    }
    for (family, v6) in [("4", false), ("6", true)] {
        let of_family = prefixes.iter().filter(|prefix| prefix.addr().is_ipv6() == v6);
        let set = of_family.map(IpNet::to_string).collect::<Vec<_>>().join(", ");
        if !set.is_empty() {
            text.push_str(&FAMILY.replace("{4}", family).replace("{set}", &set));
        }
    }
    text.replace("{table}", &config.table.to_string())
        .replace("{protocol}", &message::PROTOCOL.to_string())
        .replace("{levels}", &levels.iter().map(line).collect::<String>())
}

/// What the filter knows, by metric.
fn levels(routes: &[&Route]) -> BTreeMap<u32, Action> {
    let mut actions: Vec<Action> = (1..=3).map(Action::Prepend).collect();
    for route in routes {
        match &route.policy {
            Policy::Demote(ladder) => actions.extend(&ladder.steps),
            Policy::Absorb => {}
        }
    }
    actions.into_iter().filter_map(|action| Some((level::metric_of(action)?, action))).collect()
}

fn line((metric, action): (&u32, &Action)) -> String {
    let act = match action {
        Action::Plain | Action::Med(_) | Action::Withdraw => String::new(),
        Action::Prepend(times) => "bgp_path.prepend(OOPSD_AS); ".repeat(usize::from(*times)),
        Action::Community(of, value) => format!("bgp_community.add(({of}, {value})); "),
        Action::GracefulShutdown => String::from("bgp_community.add((65535, 0)); "),
    };
    format!("    if krt_metric = {metric} then {{ {act}accept; }}\n")
}

/// What can only be done on the way out. To other neighbours BIRD sends no discriminator but one that the export filter set.
fn last((metric, action): (&u32, &Action)) -> Option<String> {
    let act = match action {
        Action::Med(value) => format!("bgp_med = {value};"),
        Action::Withdraw => String::from("reject;"),
        Action::Plain | Action::Prepend(_) | Action::Community(..) | Action::GracefulShutdown => return None,
    };
    Some(format!("    if krt_metric = {metric} then {act}\n"))
}

const HEAD: &str = "\
# oopsd writes routes into a kernel table of its own. BIRD learns them, and the metric says how the path becomes less attractive.
# A metric means the same for ever. One without a line below changes nothing: after a change of a ladder, take this text anew.
# In each BGP channel that announces these prefixes: `table oopsd_out4; import none;` (oopsd_out6 for IPv6).
# While a path is changed, oopsd's route stands in for yours, also when yours has gone: so add communities, and withdraw for
# reasons of your own (a failed health check), in the channel's export filter or by stopping the session.
# Back to plain paths without oopsd: `ip route flush table {table}`, and `ip -6 route flush table {table}`.
define OOPSD_AS = 64999;            # your own AS number
";

const ON_EXPORT: &str = "
# Call it first in the export filter of each such channel: `oopsd_on_export();`. Where it is not called, nobody can withdraw or set a
# discriminator, and the path stays plain.
function oopsd_on_export() {
  if defined(krt_source) && krt_source = {protocol} then {
{last}  }
}
";

const FAMILY: &str = "
ipv{4} table oopsd_in{4};
ipv{4} table oopsd_out{4};
protocol kernel oopsd_learn{4} {
  kernel table {table};
  learn;
  scan time 5;
  ipv{4} { table oopsd_in{4}; import all; export none; };
}
protocol pipe oopsd_own{4} {        # what you announce anyway
  table oopsd_out{4};
  peer table master{4};
  import where net ~ [ {set} ];
  export none;
}
protocol pipe oopsd_act{4} {        # the same, less attractive, while oopsd says so
  table oopsd_out{4};
  peer table oopsd_in{4};
  import filter {
    if krt_source != {protocol} then reject;
    if net !~ [ {set} ] then reject;
    preference = 1000;
{levels}    reject;
  };
  export none;
}
";

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use engine::Ladder;

    #[test]
    fn short_prepends_and_each_step_of_the_ladders_are_lines_of_the_filter() {
        let steps = [
            Action::Prepend(5),
            Action::Community(64999, 666),
            Action::Med(200),
            Action::GracefulShutdown,
            Action::Withdraw,
        ];
        let text = bird_fragment(&table("bird"), &[climbing(&steps)]);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("krt_metric")).map(str::trim).collect();
        let prepends = |times| "bgp_path.prepend(OOPSD_AS); ".repeat(times);
        assert_eq!(
            lines,
            [
                "if krt_metric = 80 then reject;".to_owned(),
                "if krt_metric = 4294901960 then bgp_med = 200;".to_owned(),
                "if krt_metric = 80 then { accept; }".to_owned(),
                "if krt_metric = 90 then { bgp_community.add((65535, 0)); accept; }".to_owned(),
                format!("if krt_metric = 99 then {{ {}accept; }}", prepends(5)),
                format!("if krt_metric = 101 then {{ {}accept; }}", prepends(3)),
                format!("if krt_metric = 102 then {{ {}accept; }}", prepends(2)),
                format!("if krt_metric = 103 then {{ {}accept; }}", prepends(1)),
                "if krt_metric = 4259775130 then { bgp_community.add((64999, 666)); accept; }".to_owned(),
                "if krt_metric = 4294901960 then { accept; }".to_owned(),
            ]
        );
    }

    #[test]
    fn only_a_ladder_that_needs_the_export_filter_asks_for_it() {
        let asks = |steps: &[Action]| bird_fragment(&table("bird"), &[climbing(steps)]).contains("oopsd_on_export");
        assert!(asks(&[Action::Prepend(1), Action::Withdraw]));
        assert!(asks(&[Action::Med(5)]));
        assert!(!asks(&[Action::Prepend(1), Action::GracefulShutdown]));
    }

    #[test]
    fn no_placeholder_is_left() {
        let text = bird_fragment(&table("bird"), &[route("192.0.2.0/24", "bird"), route("2001:db8::/48", "bird")]);
        let placeholder = |word: &&str| word.starts_with('{') && word.ends_with('}') && word.len() > 2;
        assert_eq!(text.split_whitespace().find(placeholder), None);
        assert!(text.contains("kernel table 5353;") && text.contains("flush table 5353"));
    }

    #[test]
    fn only_families_in_use_are_written() {
        let text = bird_fragment(&table("bird"), &[route("2001:db8::/48", "bird"), route("192.0.2.0/24", "other")]);
        assert!(text.contains("[ 2001:db8::/48 ]"));
        assert!(!text.contains("ipv4"));
        assert!(!text.contains("192.0.2.0"));
    }

    fn table(name: &str) -> Config {
        Config { name: name.to_owned(), table: 5353 }
    }

    fn climbing(steps: &[Action]) -> Route {
        let ladder = Ladder {
            steps: steps.to_vec(),
            step_every: Duration::ZERO,
            hold: Duration::ZERO,
            max_hold: Duration::ZERO,
            changes: 4,
            withdrawals: 1,
            evidence: None,
        };
        Route { policy: Policy::Demote(ladder), ..route("192.0.2.0/24", "bird") }
    }

    fn route(prefix: &str, router: &str) -> Route {
        Route { prefix: prefix.to_owned(), router: router.to_owned(), when: "overload".into(), policy: Policy::Absorb }
    }
}
