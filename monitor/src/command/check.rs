//! `oopsd check`: reads the configuration, prints what is in effect, changes nothing. Nothing of a secret is printed.

mod channel;
mod here;
mod judged;
mod router;

use crate::config::units::{show_duration, show_number, show_size};
use crate::config::{Config, Errors, Purpose};
use crate::router::{Config as Router, bird};
use crate::state;
use here::here;
use judged::{print_condition, print_route};
use std::io::{self, Write};
use std::path::Path;

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] Errors),
    /// A file for BIRD to include could not be written.
    #[error(transparent)]
    Include(#[from] bird::IncludeError),
    /// What is in effect could not be printed.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Reads the file at `path` and prints to `out` what is in effect. With `write_include` it also writes the files for BIRD to include that are
/// not there, with nothing in effect in them.
///
/// # Errors
/// Everything that is wrong with the file; what was wrong with `out`; a file that cannot be written.
pub fn check(path: &Path, write_include: bool, out: &mut impl Write) -> Result<(), Error> {
    let config = Config::load(path, Purpose::Run)?;
    print(&config, out)?;
    for router in &config.routers {
        if let (true, Router::Bird(bird)) = (write_include, router) {
            let said =
                if bird.write_include(&config.plan.routes)? { "written" } else { "there already, and left as it is" };
            writeln!(out, "\n{}: {said}", bird.include.display())?;
        }
    }
    for warning in &config.warnings {
        writeln!(out, "\nwarning: {warning}")?;
    }
    for text in here(&config) {
        writeln!(out, "\nhere: {text}")?;
    }
    out.flush()?;
    Ok(())
}

/// Prints what is in effect, whatever this machine is like.
fn print(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let (capture, plan) = (&config.capture, &config.plan);
    let mut ports: Vec<String> = capture.ports.all().iter().map(u16::to_string).collect();
    ports.dedup();
    let interfaces = if capture.interfaces.is_empty() { "named with -i" } else { &capture.interfaces.join(", ") };
    writeln!(out, "node {}", config.node)?;
    line(out, "captures", &format!("{interfaces}; ports {}", ports.join(", ")))?;
    let buffer = show_size(capture.buffer as u64);
    line(out, "reads", &format!("threads an interface: {}, each with {buffer} of buffer", capture.threads))?;
    let pinned =
        if capture.pin { format!("pinned in {}", capture.pin_path.display()) } else { String::from("not pinned") };
    line(out, "kernel", &format!("{} of counters at most; {pinned}", show_size(capture.kernel_memory)))?;
    let (tick, window) = (show_duration(plan.tick), show_duration(plan.window));
    line(
        out,
        "measures",
        &format!("every {tick}, rates over {window}, slopes over {}", show_duration(plan.slope_window)),
    )?;
    line(out, "blind", &format!("from {} of frames lost", percent(plan.lost_share)))?;
    let (zones, groups, prefixes) = (plan.names.zones(), plan.groups.len(), config.prefixes.len());
    line(out, "counts", &format!("zones: {zones}, groups of zones: {groups}, service prefixes: {prefixes}"))?;
    // Rounded up: a figure to give the machine, not a measurement.
    line(out, "memory", &format!("{} MiB at most", config.memory().div_ceil(1 << 20)))?;
    let listen = config.metrics.map_or_else(|| String::from("not served"), |listen| format!("http://{listen}/metrics"));
    line(out, "metrics", &listen)?;
    if !config.routers.is_empty() {
        let directory = state::directory(config.state_directory.as_deref());
        line(out, "remembers", &format!("what routes have been through, in {}", directory.display()))?;
    }
    for condition in &plan.conditions {
        print_condition(condition, plan, out)?;
    }
    for route in &plan.routes {
        print_route(route, out)?;
    }
    for channel in &config.channels {
        channel::print(channel, out)?;
    }
    for router in &config.routers {
        router::print(router, &plan.routes, out)?;
    }
    Ok(())
}

fn line(out: &mut impl Write, what: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {what:<11}{text}")
}

fn percent(share: f64) -> String {
    format!("{}%", show_number(share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_effect_is_printed() {
        let text = printed(include_str!("../../oopsd.example.toml"));
        let own = text.split_once("bird.conf needs:").unwrap().0;
        insta::assert_snapshot!(own, @r#"
        node ams1
          captures   eth0; ports 53
          reads      threads an interface: 1, each with 16MiB of buffer
          kernel     1GiB of counters at most; not pinned
          measures   every 100ms, rates over 1s, slopes over 5s
          blind      from 1% of frames lost
          counts     zones: 2, groups of zones: 1, service prefixes: 2
          memory     41 MiB at most
          metrics    http://127.0.0.1:9553/metrics
          remembers  what routes have been through, in /var/lib/oopsd

        condition nl-overload
          kind       query-rate (draft section 3.9)
          watches    zone nl.
          measures   queries received a second, over 1s
          met        at 100k or over for 2s
          cleared    under 70k for 5m

        condition surge
          kind       query-rate-increase (draft section 3.10)
          watches    prefix 192.0.2.0/24
          measures   increase of queries a second per second, over 5s; 0 while the rate is under 10k
          met        at 20k or over, at once
          cleared    under 14k for 1m

        condition dnssec-trouble
          kind       extended-error (draft section 3.11)
          watches    the node
          measures   responses a second with info-codes 6, 7, 9, 10, 22, 23, over 1s
          met        at 50 or over, at once
          cleared    under 35 for 1m

        condition customers-refused
          kind       extended-error (draft section 3.11)
          watches    group customers, zones: 1
          measures   share of responses with info-codes 18, 20, over 1s; 0 with fewer than 500 of them
          met        at 5% or over, at once
          cleared    under 3.5% for 1m

        route 192.0.2.0/24
          when       nl-overload is met
          router     bird
          policy     demote: prepend 1, then prepend 3, for 3h at most
          climbs     a step every 10m while it is met
          released   a step after 10m in which it is not; twice as long each time it comes back, 3h at most
          changes    4 an hour at most

        channel log
          writes     JSON lines to standard output
          keeps      every signal, 1d long; 10000 or 16MiB of them

        channel siem
          posts to   https://siem.example.net/...
          says       CloudEvents 1.0
          signs      secrets: 1
          trusts     the system's authorities
          tries      5s at a time
          keeps      every signal, 1d long; 10000 or 16MiB of them

        channel script
          starts     /bin/true, for 10s at most
          keeps      every signal, 1d long; 10000 or 16MiB of them

        channel dbus
          speaks on  the system bus, as org.oopsd
          keeps      every signal, 1d long; 10000 or 16MiB of them

        channel primary
          notifies   192.0.2.53:53
          signs      by the key in /etc/oopsd/k
          tries      5s at a time
          keeps      every signal, 1d long; 10000 or 16MiB of them

        channel logs
          sends to   tls://logs.example.net:6514
          writes     RFC 5424, facility daemon: warning when met, notice when cleared
          trusts     the system's authorities
          tries      5s at a time
          keeps      every signal, 1d long; 10000 or 16MiB of them

        channel mqtt
          publishes  under oopsd/v1 at mqtt.example.net port 8883, in TLS
          trusts     the system's authorities
          is gone    5s after a lost connection, 20s after its last word
          tries      5s at a time
          keeps      every signal, 1d long; 10000 or 16MiB of them

        router bird
          writes     kernel table 5353;
        "#);
    }

    #[test]
    fn nothing_of_a_secret_is_printed() {
        let text =
            printed("[[channel]]\ntype = 'webhook'\nurl = 'https://h.example/token?key=hush'\nsecret-file = 's'");
        assert!(text.contains("https://h.example/..."), "{text}");
        assert!(!text.contains("token") && !text.contains("hush") && !text.contains("MfKQ"), "{text}");
    }

    #[test]
    fn the_defaults_are_those_of_the_configuration() {
        use crate::config::defaults;
        let text = printed("[[condition]]\nname = 'a'\nkind = 'query-rate'\nrising = '10k'");
        assert!(text.contains(&format!("every {}", show_duration(defaults::TICK))), "{text}");
        let falling = show_number(10_000.0 * defaults::FALLING);
        assert!(text.contains(&format!("under {falling} for {}", show_duration(defaults::KEEP_FOR))), "{text}");
    }

    fn printed(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("s"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        std::fs::write(folder.path().join("k"), "hmac-sha256:oopsd:MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let text = text.replace("/etc/oopsd/webhook.secret", "s").replace("/etc/oopsd/notify.key", "k");
        let config = Config::parse(&folder.path().join("f.toml"), &text, Purpose::Run).unwrap();
        let mut out = Vec::new();
        print(&config, &mut out).unwrap();
        String::from_utf8(out).unwrap().replace(&folder.path().display().to_string(), "/etc/oopsd")
    }
}
