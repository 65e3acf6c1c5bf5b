//! The host with a BIRD that includes oopsd's file, oopsd's routers beside it, and the listener upstream.

use anyhow::{Context, Result, ensure};
use core::time::Duration;
use engine::Action;
use oopsd::config::{Config, Purpose};
use oopsd::router::Config as Router;
use oopsd::router::bird::{Config as BirdConfig, bird_fragment};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tests::bgp::message::Attributes;
use tests::lab::bird::{self, Bird, HOST, Version};
use tests::lab::peering::{HOST_AS, Peering, V4, V6};
use tests::routers::Routers;

/// Long enough for a busy machine; what is timed is printed.
pub(crate) const SOON: Duration = tests::lab::SOON;

/// Every kind of step, ascending.
pub(crate) const ACTIONS: [&str; 8] = [
    "prepend 1",
    "prepend 2",
    "prepend 3",
    "prepend 5",
    "prepend 10",
    "med 200",
    "community 64999:666",
    "graceful-shutdown",
];

pub(crate) struct Lab {
    pub(crate) bird: Bird,
    pub(crate) peering: Peering,
    pub(crate) folder: TempDir,
    /// Where in the listener's records the sessions were up and both paths plain.
    pub(crate) start: usize,
}

impl Lab {
    /// Sessions are up and both prefixes upstream with a plain path; `None` if this cannot run here.
    pub(crate) fn new() -> Result<Option<Self>> {
        Self::of(Version::Two)
    }

    /// The same with this BIRD on the host.
    pub(crate) fn of(version: Version) -> Result<Option<Self>> {
        Self::with(version, tempfile::Builder::new().prefix("oopsd-include-").tempdir()?)
    }

    /// With the include file in `folder`.
    pub(crate) fn with(version: Version, folder: TempDir) -> Result<Option<Self>> {
        let Some(peering) = Peering::new(&[version.program()])? else { return Ok(None) };
        let include = folder.path().join("oopsd.conf");
        let parsed = config(Path::new("/nowhere"), &include)?;
        let Some(Router::Bird(router)) = parsed.routers.first() else { anyhow::bail!("{:?}", parsed.routers) };
        router.write_include(&parsed.plan.routes)?;
        let bird = Bird::start(version, &peering.host, &bird_conf(router, &parsed))?;
        peering.listener.up(2, Duration::from_secs(20))?;
        let mut lab = Self { bird, peering, folder, start: 0 };
        lab.reaches(V4, "plain")?;
        lab.reaches(V6, "plain")?;
        lab.start = lab.peering.listener.mark();
        Ok(Some(lab))
    }

    pub(crate) fn include(&self) -> PathBuf {
        self.folder.path().join("oopsd.conf")
    }

    /// The file of constants, as it is.
    pub(crate) fn text(&self) -> Result<String> {
        Ok(fs::read_to_string(self.include())?)
    }

    pub(crate) fn toml(&self) -> String {
        toml(&self.bird.socket(), &self.include())
    }

    pub(crate) fn oopsd(&self) -> Result<Routers> {
        self.oopsd_with(&self.toml(), "wet")
    }

    pub(crate) fn oopsd_with(&self, config: &str, mode: &str) -> Result<Routers> {
        Routers::start(&mut self.peering.host.command(env!("CARGO_BIN_EXE_routers")), config, mode)
    }

    /// bird.conf as it stands.
    pub(crate) fn conf(&self) -> Result<String> {
        Ok(fs::read_to_string(self.bird.file())?)
    }

    /// Waits until `prefix` is announced exactly so.
    pub(crate) fn reaches(&self, prefix: &str, action: &str) -> Result<()> {
        let right = |route: Option<&Attributes>| route.is_some_and(|route| is(route, action));
        self.peering.listener.reaches(prefix, SOON, right).with_context(|| format!("{prefix} should be {action}"))
    }

    /// Since the lab began, no session changed and nothing was withdrawn.
    pub(crate) fn undisturbed(&self) -> Result<()> {
        self.peering.listener.undisturbed(self.start)
    }

    /// That BIRD would start with the files as they are.
    pub(crate) fn boots(&self) -> Result<()> {
        self.bird.boots()
    }

    /// That the file's folder holds nothing else.
    pub(crate) fn tidy(&self) -> Result<()> {
        let names =
            fs::read_dir(self.folder.path())?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
        ensure!(names == ["oopsd.conf"], "{names:?}");
        Ok(())
    }
}

/// The same configuration with a route for each of `prefixes` too.
pub(crate) fn with_routes(toml: &str, prefixes: &[String]) -> String {
    let route = |prefix: &String| format!("[[route]]\nprefix = \"{prefix}\"\n{ROUTE}");
    toml.to_owned() + &prefixes.iter().map(route).collect::<String>()
}

/// Whether a route is a plain one and what `action` adds, and no more.
pub(crate) fn is(route: &Attributes, action: &str) -> bool {
    let Ok(action) = action.parse::<Action>() else { return false };
    let times = if let Action::Prepend(times) = action { usize::from(times) } else { 0 };
    let med = if let Action::Med(med) = action { Some(med) } else { None };
    let communities = match action {
        Action::Community(of, value) => vec![(of, value)],
        Action::GracefulShutdown => vec![(65535, 0)],
        Action::Plain | Action::Prepend(_) | Action::Med(_) | Action::Withdraw => Vec::new(),
    };
    route.path == vec![HOST_AS; 1 + times] && route.med == med && route.communities == communities
}

/// Numbers that are the same in each run (xorshift).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Any action, plain among them.
    pub(crate) fn action(&mut self) -> &'static str {
        let index = usize::try_from(self.below(ACTIONS.len() as u64 + 1)).unwrap_or(0);
        ACTIONS.get(index).copied().unwrap_or("plain")
    }

    pub(crate) fn prefix(&mut self) -> &'static str {
        [V4, V6][usize::from(self.below(2) == 0)]
    }
}

fn config(socket: &Path, include: &Path) -> Result<Config> {
    Ok(Config::parse(Path::new("oopsd.toml"), &toml(socket, include), Purpose::Judge)?)
}

/// What an operator has anyway, and what `oopsd check` prints.
fn bird_conf(router: &BirdConfig, config: &Config) -> String {
    let fragment = bird_fragment(router, &config.plan.routes);
    format!("log stderr all;\n{HOST}\n{fragment}\n{}", bird::sessions(CHANNELS))
}

fn toml(socket: &Path, include: &Path) -> String {
    let mut text = CONDITION.to_owned();
    text += &format!("socket = {socket:?}\ninclude = {include:?}\nprotocols = [\"up4\", \"up6\"]\n");
    for prefix in [V4, V6] {
        text += &format!("[[route]]\nprefix = \"{prefix}\"\n{ROUTE}");
    }
    text
}

const CONDITION: &str = r#"
[[condition]]
name = "overload"
kind = "query-rate"
rising = "1k"
[[router]]
name = "bird"
type = "bird"
"#;

/// Its ladder needs more constants than a file has anyway.
const ROUTE: &str = r#"
router = "bird"
when = "overload"
policy = "demote"
ladder = [{ prepend = 1 }, { prepend = 5 }, { prepend = 10 }, { med = 200 }, { community = "64999:666" }]
"#;

const CHANNELS: [&str; 2] =
    ["export filter { oopsd_export4(); accept; };", "export filter { oopsd_export6(); accept; };"];
