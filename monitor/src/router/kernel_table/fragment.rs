//! What bird.conf needs so that BIRD acts on the table: for the README and `oopsd check`. BIRD 2.0.12 to 3.x take it.

use super::{Config, LEVELS, message};
use core::fmt::Write;
use engine::{Action, Route};
use ipnet::IpNet;

/// The text to put into bird.conf, rendered from the metrics that oopsd writes and the prefixes of `routes` that `config` announces.
///
/// The operator sets `OOPSD_AS` and the table of the BGP channels, as the comments in it say.
#[must_use]
pub fn bird_fragment(config: &Config, routes: &[Route]) -> String {
    let routes = routes.iter().filter(|route| route.router == config.name);
    let prefixes: Vec<IpNet> = routes.filter_map(|route| route.prefix.parse().ok()).collect();
    let mut text = String::from(HEAD);
    for (family, v6) in [("4", false), ("6", true)] {
        let of_family = prefixes.iter().filter(|prefix| prefix.addr().is_ipv6() == v6);
        let set = of_family.map(IpNet::to_string).collect::<Vec<_>>().join(", ");
        if !set.is_empty() {
            text.push_str(&FAMILY.replace("{4}", family).replace("{set}", &set));
        }
    }
    text.replace("{table}", &config.table.to_string())
        .replace("{protocol}", &message::PROTOCOL.to_string())
        .replace("{levels}", &levels())
}

/// One line a level, strongest first.
fn levels() -> String {
    let mut lines = String::new();
    for (metric, action) in LEVELS {
        let act = match action {
            Action::Plain | Action::Med(_) | Action::Community(..) | Action::GracefulShutdown | Action::Withdraw => {
                String::new()
            }
            Action::Prepend(times) => "bgp_path.prepend(OOPSD_AS); ".repeat(usize::from(times)),
        };
        writeln!(lines, "    if krt_metric = {metric} then {{ {act}accept; }}").expect("a String takes every write");
    }
    lines
}

const HEAD: &str = "\
# oopsd writes routes into a kernel table of its own. BIRD learns them, and the metric says how much longer the AS path becomes.
# In each BGP channel that announces these prefixes: `table oopsd_out4; import none;` (oopsd_out6 for IPv6).
# While a path is longer, oopsd's route stands in for yours, also when yours has gone: so add communities, and withdraw for
# reasons of your own (a failed health check), in the channel's export filter or by stopping the session.
# Back to plain paths without oopsd: `ip route flush table {table}`, and `ip -6 route flush table {table}`.
define OOPSD_AS = 64999;            # your own AS number
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
protocol pipe oopsd_act{4} {        # the same with a longer path, while oopsd says so
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
    use engine::Policy;

    #[test]
    fn every_level_is_a_line_of_the_filter() {
        let text = bird_fragment(&table("bird"), &[route("192.0.2.0/24", "bird")]);
        for (metric, action) in LEVELS {
            let line = text.lines().find(|line| line.contains(&format!("krt_metric = {metric} "))).unwrap();
            assert_eq!(Action::Prepend(u8::try_from(line.matches("prepend").count()).unwrap()), action);
        }
    }

    #[test]
    fn a_stronger_level_has_a_lower_metric() {
        assert!(LEVELS.is_sorted_by(|(low, strong), (high, weak)| low < high && strong > weak));
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

    fn route(prefix: &str, router: &str) -> Route {
        Route { prefix: prefix.to_owned(), router: router.to_owned(), when: "overload".into(), policy: Policy::Absorb }
    }
}
