//! The configuration as operators meet it: the example that is shipped, a table of broken files, files made of noise.

use engine::{Action, Condition, Judged, Kind, Ladder, Policy, Scope, Thresholds};
use oopsd::config::{Config, Errors, Purpose};
use oopsd::{channel, router};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const EXAMPLE: &str = include_str!("../oopsd.example.toml");
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const KEY: &str = "hmac-sha256:oopsd:MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

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
    let ladder = Ladder {
        steps: vec![Action::Prepend(1), Action::Prepend(3)],
        step_every: Duration::from_secs(600),
        hold: Duration::from_secs(600),
        max_hold: Duration::from_hours(3),
        changes: 4,
        withdrawals: 1,
        evidence: None,
    };
    assert_eq!(plan.routes[0].policy, Policy::Demote(ladder));
}

/// Keys that have no default, one that the machine or another key says, or that go with another one only.
const WITHOUT_DEFAULT: [&str; 17] = [
    "address",
    "ca-file",
    "certificate-file",
    "client-id",
    "evidence",
    "falling-ratio",
    "file",
    "generator-url",
    "key-file",
    "password-file",
    "repeat",
    "severity",
    "state-directory",
    "template-file",
    "token-file",
    "user",
    "withdrawals-per-hour",
];

#[test]
fn what_the_example_comments_out_is_the_default() {
    let folder = folder();
    write_secret(&folder.path().join("webhook.secret"), SECRET);
    write_secret(&folder.path().join("notify.key"), KEY);
    let read = |text: &str| {
        let text = text.replace("/etc/oopsd/", "");
        Config::parse(&folder.path().join("oopsd.toml"), &text, Purpose::Run).map(|config| format!("{config:?}"))
    };
    let before = read(EXAMPLE).unwrap();
    // Whole tables are commented out from here to there.
    let (others, route) = (EXAMPLE.find("\n# [[channel]]").unwrap(), EXAMPLE.find("\n[[route]]").unwrap());
    let mut checked = 0;
    for (at, _) in EXAMPLE.match_indices("\n# ") {
        let line = EXAMPLE[at + 3..].lines().next().unwrap();
        let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| keys().contains(key)) else { continue };
        if !WITHOUT_DEFAULT.contains(&key) && !(others..route).contains(&at) {
            let text = [&EXAMPLE[..=at], &EXAMPLE[at + 3..]].concat();
            assert_eq!(read(&text).as_ref(), Ok(&before), "{line}");
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn a_step_says_any_action_and_the_last_one_may_withdraw() {
    let ladder = r#"[{ prepend = 1 }, { prepend = 10 }, { med = 0 }, { med = 200 }, { community = "64999:666" },
        { graceful-shutdown = true }, { withdraw = true }]"#;
    let text = EXAMPLE.replace("[{ prepend = 1 }, { prepend = 3 }]", ladder);
    let config = read(&text.replace("# allow-withdraw = false", "allow-withdraw = true")).unwrap();
    let Policy::Demote(ladder) = &config.plan.routes[0].policy else { panic!("it demotes") };
    let steps = ["prepend 1", "prepend 10", "med 0", "med 200", "community 64999:666", "graceful-shutdown", "withdraw"];
    assert_eq!(ladder.steps.iter().map(ToString::to_string).collect::<Vec<_>>(), steps);
}

#[test]
fn the_example_names_its_channels_and_its_router() {
    let config = example().unwrap();
    let names: Vec<&str> = config.channels.iter().map(|channel| channel.name.as_str()).collect();
    assert_eq!(names, ["log", "siem", "script", "dbus", "primary", "logs", "mqtt"]);
    assert!(config.channels.iter().all(|channel| channel.waits == channel::Waits::default()));
    let channel::To::Webhook(webhook) = &config.channels[1].to else { panic!("{:?}", config.channels) };
    assert_eq!(webhook.timeout, Duration::from_secs(5));
    let [router::Config::KernelTable(table)] = config.routers.as_slice() else { panic!("{:?}", config.routers) };
    assert_eq!((table.name.as_str(), table.table), ("bird", 5353));
}

#[test]
fn the_readme_shows_a_configuration_that_works() {
    let text = include_str!("../../README.md");
    let shown = text.split("## A configuration\n").nth(1).and_then(|rest| rest.split("`oopsd check`").next());
    let shown: Vec<&str> = shown.unwrap().lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let config = read(&shown.join("\n")).unwrap();
    assert_eq!((config.plan.conditions.len(), config.plan.routes.len(), config.channels.len()), (3, 1, 1));
    assert_eq!(config.warnings, []);
}

#[test]
fn the_manual_shows_channels_that_work() {
    let text = include_str!("../MANUAL.md");
    let chapter = text.split("\n## Webhook\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let shown = chapter.split("\n\n").filter(|part| part.starts_with("    [[channel]]"));
    let shown: Vec<String> = shown.map(|part| part.replace("\n    ", "\n").trim_start().to_owned()).collect();
    let config = Config::parse(Path::new("f.toml"), &shown.join("\n"), Purpose::Judge).unwrap();
    let names: Vec<&str> = config.channels.iter().map(|channel| channel.name.as_str()).collect();
    assert_eq!(names, ["webhook", "alertmanager", "splunk", "elastic", "lake", "pager"]);
}

/// Each file begins with the errors that it has, as `#! line:column: what`.
#[test]
fn every_broken_file_is_refused_as_it_says() {
    let mut wrong = String::new();
    for (path, text) in broken() {
        if !cfg!(feature = "dots") && path.ends_with("channel-dots.toml") {
            continue;
        }
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#! ")).collect();
        let errors =
            Config::load(&path, Purpose::Run).map_or_else(|errors| errors.to_string(), |_| String::from("none"));
        let prefix = format!("{}:", path.display());
        let found: Vec<&str> = errors.lines().map(|line| line.strip_prefix(&prefix).unwrap_or(line)).collect();
        if found != expected {
            let _ = writeln!(wrong, "{}", path.display());
            for line in found {
                let _ = writeln!(wrong, "#! {line}");
            }
        }
    }
    assert!(wrong.is_empty(), "these say something else:\n{wrong}");
}

#[test]
fn every_key_of_the_example_is_broken_somewhere() {
    let said: String =
        broken().iter().map(|(_, text)| text.split("\n[").next().unwrap_or_default().to_owned()).collect();
    for key in keys().into_iter().filter(|&key| key != "customers") {
        assert!(said.contains(&format!("`{key}`")), "no broken file says `{key}`");
    }
}

#[test]
fn every_known_key_is_in_the_example() {
    let table = |name: &str| format!("{name}\nxyz = 1\n");
    let names = ["[capture]", "[rate]", "[zones]", "[[condition]]", "[metrics]", "[[route]]"];
    let text: String = names.map(table).concat()
        + "[[channel]]\ntype = 'log'\nxyz = 1\n[[channel]]\ntype = 'webhook'\nxyz = 1\n"
        + "[[channel]]\ntype = 'exec'\nxyz = 1\n"
        + "[[channel]]\ntype = 'dbus'\nxyz = 1\n[[channel]]\ntype = 'notify'\nxyz = 1\n"
        + "[[channel]]\ntype = 'syslog'\nxyz = 1\n"
        + "[[channel]]\ntype = 'mqtt'\nxyz = 1\n"
        + if cfg!(feature = "dots") { "[[channel]]\ntype = 'dots'\nxyz = 1\n" } else { "" }
        + "[[router]]\nname = 'a'\ntype = 'kernel-table'\nxyz = 1\n"
        + "[[router]]\nname = 'b'\ntype = 'bird'\nxyz = 1\n"
        + "[[router]]\nname = 'c'\ntype = 'exabgp'\nxyz = 1\n"
        + "[[router]]\nname = 'd'\ntype = 'gobgp'\nxyz = 1\n";
    let errors = Config::parse(Path::new("f"), &text, Purpose::Run).unwrap_err();
    let lists: Vec<&str> =
        errors.0.iter().filter_map(|error| error.what.split_once("known: ").map(|(_, l)| l)).collect();
    assert_eq!(lists.len(), if cfg!(feature = "dots") { 18 } else { 17 });
    for key in lists.iter().flat_map(|list| list.split(", ")).map(|key| key.trim_matches('`')) {
        assert!(keys().contains(&key) || EXAMPLE.contains(&format!(".{key}]")), "the example does not show `{key}`");
    }
}

#[test]
fn what_is_doubtful_is_a_warning() {
    let config = Config::parse(Path::new("f.toml"), "[metrics]\nlisten = '[::]:9553'", Purpose::Run).unwrap();
    let what = "`listen`: [::]:9553 is not a loopback address: everybody who reaches it can read it";
    assert_eq!(config.warnings[0].to_string(), format!("f.toml:2:10: {what}"));
}

#[test]
fn a_secret_that_everybody_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let secret = folder.path().join("s");
    write_secret(&secret, SECRET);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let text = "[[channel]]\ntype = 'webhook'\nurl = 'http://127.0.0.1:8080/'\nsecret-file = 's'";
    let config = Config::parse(&folder.path().join("f.toml"), text, Purpose::Run).unwrap();
    assert!(config.warnings[0].to_string().contains("everybody can read"), "{:?}", config.warnings);
}

#[test]
fn judging_alone_needs_no_secret() {
    let config = Config::parse(Path::new("f.toml"), EXAMPLE, Purpose::Judge).unwrap();
    assert_eq!(config.plan.conditions.len(), 4);
    let errors = Config::parse(Path::new("f.toml"), EXAMPLE, Purpose::Run).unwrap_err();
    assert!(errors.to_string().contains("/etc/oopsd/webhook.secret"), "{errors}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let errors = Config::load(Path::new("tests/broken/not-there.toml"), Purpose::Run).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "tests/broken/not-there.toml: cannot read it: No such file or directory (os error 2); -c names another file"
    );
}

#[test]
fn names_of_a_file_follow_those_of_the_configuration() {
    let folder = folder();
    fs::write(folder.path().join("zones.txt"), "# all of them\r\nDE\r\n\n be. # Belgium\n").unwrap();
    let text = "[zones]\nnames = ['nl.']\nfile = 'zones.txt'\ngroups = { low = ['BE', 'nl'] }";
    let config = Config::parse(&folder.path().join("f.toml"), text, Purpose::Run).unwrap();
    let names = &config.plan.names;
    assert_eq!([names.get(1), names.get(2), names.get(3)], ["nl.", "de.", "be."]);
    assert_eq!(config.plan.groups[0].slots, [1, 3]);
}

proptest! {
    #[test]
    fn noise_is_no_panic(noise in any::<Vec<u8>>()) {
        let _ = Config::parse(Path::new("f"), &String::from_utf8_lossy(&noise), Purpose::Run);
    }

    #[test]
    fn a_damaged_example_is_no_panic(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), 0_usize..8, ".{0,6}"), 1..6),
    ) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for (at, length, with) in damage {
            let start = at.index(text.len().max(1));
            let end = (start + length).min(text.len());
            text.splice(start..end, with.chars());
        }
        let _ = Config::parse(Path::new("f"), &text.into_iter().collect::<String>(), Purpose::Run);
    }

    #[test]
    fn a_value_of_another_type_is_an_error_or_a_value(
        line in any::<proptest::sample::Index>(),
        value in proptest::sample::select(vec!["-1", "0", "1e400", "nan", "''", "'9'", "[]", "[[]]", "{}", "true", "1979-05-27", "'\u{1b}'"]),
    ) {
        let lines: Vec<&str> = EXAMPLE.lines().collect();
        let chosen = line.index(lines.len());
        let changed = lines.iter().enumerate().map(|(index, line)| match line.split_once(" = ") {
            Some((key, _)) if index == chosen => format!("{} = {value}\n", key.trim_start_matches("# ")),
            _ => format!("{line}\n"),
        });
        let _ = Config::parse(Path::new("f"), &changed.collect::<String>(), Purpose::Run);
    }
}

fn example() -> Result<Config, Errors> {
    read(EXAMPLE)
}

/// A configuration whose secrets are moved to a folder of its own.
fn read(text: &str) -> Result<Config, Errors> {
    let folder = folder();
    let secret = folder.path().join("webhook.secret");
    write_secret(&secret, SECRET);
    write_secret(&folder.path().join("notify.key"), KEY);
    Config::parse(&folder.path().join("oopsd.toml"), &text.replace("/etc/oopsd/", ""), Purpose::Run)
}

fn write_secret(path: &Path, secret: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, secret).expect("a file in the temporary folder");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode of one's own file");
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The broken files, by name.
fn broken() -> Vec<(PathBuf, String)> {
    let files = fs::read_dir("tests/broken").expect("tests run in the folder of their package");
    let paths = files.map(|file| file.expect("a file").path());
    let mut tables: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    tables.sort();
    tables.into_iter().map(|path| (path.clone(), fs::read_to_string(path).expect("a text"))).collect()
}

/// Every key of the example, those that are commented out too.
fn keys() -> Vec<&'static str> {
    let lines = EXAMPLE.lines().map(|line| line.trim_start_matches("# "));
    let key = |line: &'static str| line.split_once(" = ").map(|(key, _)| key);
    lines.filter_map(key).filter(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')).collect()
}
