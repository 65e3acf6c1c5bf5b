//! The configuration as operators meet it: the example that is shipped, a table of broken files, files made of noise.

use engine::{Action, Condition, Judged, Kind, Policy, Scope, Thresholds};
use oopsd::config::{Config, Errors};
use oopsd::{channel, router};
use std::fs;
use std::path::Path;
use std::time::Duration;

const EXAMPLE: &str = include_str!("../oopsd.example.toml");
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn the_example_is_read_as_it_is_meant() {
    let config = example().unwrap();
    assert_eq!(config.node, "ams1");
    assert_eq!(config.capture.interfaces, ["eth0"]);
    assert_eq!(config.warnings, []);
    let plan = &config.plan;
    let names: Vec<&str> = (0..plan.names.slots()).map(|slot| plan.names.get(slot)).collect();
    assert_eq!(names, ["other", "nl.", "example.org.", "2001:db8::/48", "192.0.2.0/24"]);
    assert_eq!(plan.groups[0].slots, [2]);
    assert_eq!(
        plan.conditions[0],
        Condition {
            name: "nl-overload".into(),
            kind: Kind::QueryRate,
            scope: Scope::Zone(1),
            thresholds: Thresholds::new(100_000.0, 70_000.0).unwrap(),
            hold_rising: Duration::from_secs(2),
            hold_falling: Duration::from_mins(5),
        }
    );
    assert_eq!(plan.conditions[1].kind, Kind::QueryRateIncrease { at_least: 10_000.0 });
    assert_eq!(plan.conditions[1].scope, Scope::Prefix(4));
    let codes = 1 << 6 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 22 | 1 << 23;
    assert_eq!(plan.conditions[2].kind, Kind::ExtendedError { codes, judged: Judged::Rate });
    assert_eq!(plan.conditions[2].scope, Scope::Node);
    let codes = 1 << 18 | 1 << 20;
    assert_eq!(plan.conditions[3].kind, Kind::ExtendedError { codes, judged: Judged::Share { at_least: 500 } });
    assert_eq!(plan.conditions[3].scope, Scope::Group(0));
    assert_eq!(plan.routes[0].prefix, "192.0.2.0/24");
    assert_eq!(plan.routes[0].policy, Policy::Demote(Action::Prepend(1)));
}

#[test]
fn the_example_names_its_channels_and_its_router() {
    let config = example().unwrap();
    let [channel::Config::Log(log), channel::Config::Webhook(webhook)] = config.channels.as_slice() else {
        panic!("{:?}", config.channels)
    };
    assert_eq!((log.name.as_str(), webhook.name.as_str()), ("log", "siem"));
    assert_eq!((webhook.queue, webhook.timeout, webhook.give_up.as_secs()), (1024, Duration::from_secs(5), 3600));
    let [router::Config::KernelTable(table)] = config.routers.as_slice() else { panic!("{:?}", config.routers) };
    assert_eq!((table.name.as_str(), table.table), ("bird", 5353));
}

/// The example, whose secret is in a folder of its own.
fn example() -> Result<Config, Errors> {
    let folder = folder();
    let secret = folder.path().join("webhook.secret");
    write_secret(&secret, SECRET);
    Config::parse(&folder.path().join("oopsd.toml"), &EXAMPLE.replace("/etc/oopsd/webhook.secret", "webhook.secret"))
}

fn write_secret(path: &Path, secret: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, secret).expect("a file in the temporary folder");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode of one's own file");
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}
