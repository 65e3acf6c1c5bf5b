//! BIRD that learns oopsd's kernel table, with the text that oopsd itself prints for its configuration, in front of a listener.

use super::bird::{self, Bird, HOST, Version};
use super::peering::{HOST_AS, Peering, V4, V6};
use super::until;
use crate::bgp::message::Attributes;
use crate::routers::Routers;
use anyhow::{Context, Result, bail};
use core::time::Duration;
use engine::Action;
use oopsd::config::{Config, Purpose};
use oopsd::router;
use std::path::Path;
use std::process::Command;

/// The table that it learns.
pub const TABLE: u32 = 5353;
/// Long enough for a busy machine; what is timed is printed.
pub const SOON: Duration = super::SOON;

/// Actions that the configuration of BIRD knows.
pub const ACTIONS: [Action; 12] = [
    Action::Plain,
    Action::Prepend(1),
    Action::Prepend(2),
    Action::Prepend(3),
    Action::Prepend(7),
    Action::Prepend(10),
    Action::Med(0),
    Action::Med(65_535),
    Action::Community(64_999, 666),
    Action::Community(1, 0),
    Action::GracefulShutdown,
    Action::Withdraw,
];

/// The host with BIRD, and the upstream with the listener.
#[derive(Debug)]
pub struct Learner {
    /// BIRD on the host.
    pub bird: Bird,
    /// The rest.
    pub peering: Peering,
}

impl Learner {
    /// Both sessions are up and both prefixes are at the upstream with a plain path; `None` if this cannot run here.
    ///
    /// # Errors
    /// When it does not come to that.
    pub fn new() -> Result<Option<Self>> {
        Self::of(Version::Two)
    }

    /// The same with this BIRD on the host.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(version: Version) -> Result<Option<Self>> {
        let Some(peering) = Peering::new(&[version.program()])? else { return Ok(None) };
        let bird = Bird::start(version, &peering.host, &bird_conf()?)?;
        let learner = Self { bird, peering };
        learner.settled()?;
        for prefix in [V4, V6] {
            learner.reaches(prefix, Action::Plain)?;
        }
        Ok(Some(learner))
    }

    /// Waits until both sessions are up.
    ///
    /// # Errors
    /// When they are not in time.
    pub fn settled(&self) -> Result<()> {
        self.peering.listener.up(2, Duration::from_secs(20))
    }

    /// Waits until the upstream has `prefix` as `action` says.
    ///
    /// # Errors
    /// With how it is announced instead, and what the table holds.
    pub fn reaches(&self, prefix: &str, action: Action) -> Result<()> {
        let reached = self.peering.listener.reaches(prefix, SOON, |route| is_as(route, action));
        reached.with_context(|| format!("{prefix} by {action}; the table holds {:?}", self.table()))
    }

    /// All routes of oopsd's table, as `ip route` prints them.
    #[must_use]
    pub fn table(&self) -> String {
        let show = |family| self.peering.host.ip(&format!("{family} route show table {TABLE}"));
        // A table that nobody has put a route into is none.
        show("-4").unwrap_or_default() + &show("-6").unwrap_or_default()
    }

    /// Waits until the table is `wanted`.
    ///
    /// # Errors
    /// When it does not come to that.
    pub fn holds(&self, wanted: &str) -> Result<()> {
        until(&format!("table {TABLE} holds {wanted}"), SOON, || (self.table() == wanted).then_some(()))
            .with_context(|| format!("it holds {}", self.table()))
    }

    /// Empties the table as the manual says.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn flush(&self) -> Result<()> {
        for family in ["-4", "-6"] {
            // A table that never had a route of the family is none.
            let _ = self.peering.host.ip(&format!("{family} route flush table {TABLE}"));
        }
        Ok(())
    }

    /// Starts the program `routers`, which is at `program`, for both prefixes.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn oopsd(&self, program: &str) -> Result<Routers> {
        Routers::start(&mut self.command(program), &oopsd_toml(), "wet")
    }

    /// A program on the host.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        self.peering.host.command(program)
    }
}

/// Whether a route is announced as `action` says.
#[must_use]
pub fn is_as(route: Option<&Attributes>, action: Action) -> bool {
    let Some(route) = route else { return action == Action::Withdraw };
    let (mut path, mut med, mut communities) = (1, None, Vec::new());
    match action {
        Action::Plain => {}
        Action::Prepend(times) => path += usize::from(times),
        Action::Med(value) => med = Some(value),
        Action::Community(of, value) => communities.push((of, value)),
        Action::GracefulShutdown => communities.push((65_535, 0)),
        Action::Withdraw => return false,
    }
    route.path == vec![HOST_AS; path] && route.med == med && route.communities == communities
}

/// oopsd's configuration for both prefixes; its ladders hold [`ACTIONS`].
#[must_use]
pub fn oopsd_toml() -> String {
    let step = |action: &Action| match action {
        Action::Plain => String::new(),
        Action::Prepend(times) => format!("{{ prepend = {times} }}, "),
        Action::Med(value) => format!("{{ med = {value} }}, "),
        Action::Community(of, value) => format!("{{ community = \"{of}:{value}\" }}, "),
        Action::GracefulShutdown => "{ graceful-shutdown = true }, ".to_owned(),
        Action::Withdraw => "{ withdraw = true }".to_owned(),
    };
    let ladder: String = ACTIONS.iter().map(step).collect();
    let route = |prefix| ROUTE.replace("{prefix}", prefix).replace("{ladder}", &ladder);
    format!("{OOPSD}table = {TABLE}\n{}{}", route(V4), route(V6))
}

/// BIRD's configuration, which knows [`ACTIONS`].
///
/// # Errors
/// When oopsd does not take [`oopsd_toml`].
pub fn bird_conf() -> Result<String> {
    let config = Config::parse(Path::new("oopsd.toml"), &oopsd_toml(), Purpose::Judge)?;
    let Some(router::Config::KernelTable(table)) = config.routers.first() else { bail!("no kernel table") };
    let fragment = router::kernel_table::bird_fragment(table, &config.plan.routes);
    Ok(format!("{HOST}\n{fragment}\n{FILTER}{}", bird::sessions(CHANNELS)))
}

const ROUTE: &str = r#"
[[route]]
prefix = "{prefix}"
router = "bird"
when = "overload"
policy = "demote"
allow-withdraw = true
ladder = [{ladder}]
"#;

const OOPSD: &str = r#"
[[condition]]
name = "overload"
kind = "query-rate"
rising = "1k"
[[router]]
name = "bird"
type = "kernel-table"
"#;

const CHANNELS: [&str; 2] =
    ["table oopsd_out4; export filter to_upstream;", "table oopsd_out6; export filter to_upstream;"];

const FILTER: &str = "
filter to_upstream {
  oopsd_on_export();
  accept;
}
";
