//! What bird.conf needs so that BIRD acts on the constants: for `oopsd check`. BIRD 2.0.11 to 3.x take it.

use super::Config;
use super::constants::{Family, Level};
use core::fmt::Write;
use engine::Route;

/// The text to put into bird.conf: the include file's line, and the functions that the export filters call.
///
/// The operator sets `OOPSD_AS` and calls the functions, as the comments in it say. There is one for each family, because BIRD sends all that a
/// channel exports again when anything that its filter uses has changed.
#[must_use]
pub fn bird_fragment(config: &Config, routes: &[Route]) -> String {
    let mut text = HEAD
        .replace("{protocols}", &config.protocols.join(", "))
        .replace("{include}", &config.include.display().to_string());
    for family in Family::BOTH {
        writeln!(text, "function {}() {{", function(family)).expect("a String takes every write");
        for level in config.levels(routes) {
            writeln!(text, "  if net ~ {} then {{ {} }}", level.name(family), statements(level))
                .expect("a String takes every write");
        }
        text.push_str("}\n");
    }
    text
}

/// The function that the export filters of channels of that family call.
pub(super) fn function(family: Family) -> String {
    format!("oopsd_export{family}")
}

/// What the filter does with a route of that level.
fn statements(level: Level) -> String {
    match level {
        Level::Prepend(times) => vec!["bgp_path.prepend(OOPSD_AS);"; usize::from(times)].join(" "),
        Level::Med(value) => format!("bgp_med = {value};"),
        Level::Community(of, value) => format!("bgp_community.add(({of}, {value}));"),
        Level::GracefulShutdown => "bgp_community.add((65535, 0));".to_owned(),
    }
}

const HEAD: &str = "\
# oopsd writes constants into a file of its own, and has BIRD read its configuration again. In the export filters of {protocols} call, first,
# oopsd_export4(); in an ipv4 channel, oopsd_export6(); in an ipv6 channel: `export filter { oopsd_export4(); ... accept; };`.
# They change attributes, and reject nothing.
# Whatever bird.conf says at that moment takes effect: edit a copy of it, and rename that. `configure soft` leaves out what it changes.
# Back to plain paths without oopsd: `sed -i 's/= \\[.*/= [];/' {include} && birdc configure`.
define OOPSD_AS = 64999;            # your own AS number
include \"{include}\";
";

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use engine::{Action, Ladder, Policy, When};

    #[test]
    fn the_text_is_as_it_always_was() {
        let config = Config {
            name: "bird".to_owned(),
            socket: "/run/bird/bird.ctl".into(),
            include: "/var/lib/oopsd/bird/oopsd.conf".into(),
            protocols: vec!["up4".to_owned(), "up6".to_owned()],
        };
        let steps = vec![Action::Prepend(5), Action::Med(200), Action::Community(64999, 666)];
        insta::assert_snapshot!(bird_fragment(&config, &[route("bird", steps), route("other", vec![Action::Med(7)])]), @r#"
        # oopsd writes constants into a file of its own, and has BIRD read its configuration again. In the export filters of up4, up6 call, first,
        # oopsd_export4(); in an ipv4 channel, oopsd_export6(); in an ipv6 channel: `export filter { oopsd_export4(); ... accept; };`.
        # They change attributes, and reject nothing.
        # Whatever bird.conf says at that moment takes effect: edit a copy of it, and rename that. `configure soft` leaves out what it changes.
        # Back to plain paths without oopsd: `sed -i 's/= \[.*/= [];/' /var/lib/oopsd/bird/oopsd.conf && birdc configure`.
        define OOPSD_AS = 64999;            # your own AS number
        include "/var/lib/oopsd/bird/oopsd.conf";
        function oopsd_export4() {
          if net ~ OOPSD_PREPEND1_4 then { bgp_path.prepend(OOPSD_AS); }
          if net ~ OOPSD_PREPEND2_4 then { bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); }
          if net ~ OOPSD_PREPEND3_4 then { bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); }
          if net ~ OOPSD_PREPEND5_4 then { bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); }
          if net ~ OOPSD_MED200_4 then { bgp_med = 200; }
          if net ~ OOPSD_COMMUNITY_64999_666_4 then { bgp_community.add((64999, 666)); }
          if net ~ OOPSD_GRACEFUL_SHUTDOWN_4 then { bgp_community.add((65535, 0)); }
        }
        function oopsd_export6() {
          if net ~ OOPSD_PREPEND1_6 then { bgp_path.prepend(OOPSD_AS); }
          if net ~ OOPSD_PREPEND2_6 then { bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); }
          if net ~ OOPSD_PREPEND3_6 then { bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); }
          if net ~ OOPSD_PREPEND5_6 then { bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); bgp_path.prepend(OOPSD_AS); }
          if net ~ OOPSD_MED200_6 then { bgp_med = 200; }
          if net ~ OOPSD_COMMUNITY_64999_666_6 then { bgp_community.add((64999, 666)); }
          if net ~ OOPSD_GRACEFUL_SHUTDOWN_6 then { bgp_community.add((65535, 0)); }
        }
        "#);
    }

    fn route(router: &str, steps: Vec<Action>) -> Route {
        let (step_every, hold, max_hold) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        Route {
            prefix: "192.0.2.0/24".to_owned(),
            router: router.to_owned(),
            when: When::Met("overload".to_owned()),
            policy: Policy::Demote(Ladder {
                steps,
                step_every,
                hold,
                max_hold,
                changes: 4,
                withdrawals: 1,
                evidence: None,
            }),
        }
    }
}
