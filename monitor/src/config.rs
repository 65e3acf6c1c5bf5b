//! The configuration: the file as written becomes the configuration as meant.
//!
//! Each section is read by a file of its own, straight from the places in the text; every default and limit is in
//! [`defaults`]. Nothing here changes the machine or opens a socket.

mod bird;
mod buses;
mod capture;
mod channel;
mod condition;
pub mod defaults;
mod document;
#[cfg(feature = "dots")]
mod dots;
mod finding;
mod ladder;
mod memory;
mod mqtt;
mod nearest;
mod prefixes;
mod rate;
mod route;
mod router;
mod speaker;
mod step;
mod syslog;
mod tls;
pub mod units;
mod value;
mod webhook;
mod when;
mod word;
mod zones;

pub use finding::{Errors, Finding};

use crate::{channel as channels, router as routers};
use condition::Draft;
use document::{Document, Table};
use engine::{Names, Plan, Route};
use ipnet::IpNet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zones::Zones;

/// What to run, as meant.
#[derive(Clone, Debug)]
pub struct Config {
    /// What this node calls itself in signals; the host name by default.
    pub node: String,
    /// Where to count.
    pub capture: Capture,
    /// The service prefixes, longest first, in the order of their slots.
    pub prefixes: Vec<IpNet>,
    /// What to judge.
    pub plan: Plan,
    /// Where to serve `/metrics`; `None` serves nothing.
    pub metrics: Option<SocketAddr>,
    /// Where signals go.
    pub channels: Vec<channels::Config>,
    /// Who announces the routes.
    pub routers: Vec<routers::Config>,
    /// Where what routes have been through is kept, if it is said.
    pub state_directory: Option<PathBuf>,
    /// What an operator should look at.
    pub warnings: Vec<Finding>,
}

/// Where to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The interfaces, each once; empty if the command line is to name them.
    pub interfaces: Vec<String>,
    /// The ports that carry DNS.
    pub ports: wire::Ports,
    /// Bytes of ring buffer for each packet socket.
    pub buffer: usize,
    /// Threads for each interface, joined by PACKET_FANOUT when more than one.
    pub threads: usize,
    /// Programs and counters in the kernel outlive the process.
    pub pin: bool,
    /// The folder for that, on a BPF file system.
    pub pin_path: PathBuf,
    /// The most memory, in bytes, that counters in the kernel may take.
    pub kernel_memory: u64,
}

/// The state directory that the file at `path` names, as far as that can be read, whatever else is wrong with it.
#[must_use]
pub fn state_directory_of(path: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(path).ok()?;
    let (root, _) = toml::de::DeTable::parse_recoverable(&text);
    Some(PathBuf::from(root.get_ref().get("state-directory")?.get_ref().as_str()?))
}

/// What a configuration is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To run here: the secrets and certificates that channels need have to be there.
    Run,
    /// To judge only, maybe on another machine: they need not.
    Judge,
}

impl Config {
    /// Reads the file at `path`. Files that it names are looked for beside it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path, purpose: Purpose) -> Result<Self, Errors> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text, purpose),
            Err(error) => {
                let otherwise = if error.kind() == ErrorKind::NotFound { "; -c names another file" } else { "" };
                Err(Errors(vec![Finding::whole(path.to_owned(), format!("cannot read it: {error}{otherwise}"))]))
            }
        }
    }

    /// Reads `text`, which is what the file at `path` holds.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(path: &Path, text: &str, purpose: Purpose) -> Result<Self, Errors> {
        let mut document = Document::new(path, text, purpose);
        let config = document.root().and_then(|root| Self::read(&mut document, root));
        let warnings = document.close()?;
        // What could not be made has left an error.
        let config = config.ok_or_else(|| Errors(vec![Finding::whole(path.to_owned(), String::from("incomplete"))]))?;
        Ok(Self { warnings, ..config })
    }

    /// No configuration: counts on these interfaces, judges nothing.
    #[must_use]
    pub fn observe(interfaces: Vec<String>) -> Self {
        Self::bare(interfaces, Names::default())
    }

    /// No configuration but these zones: what `replay --zone` counts by.
    ///
    /// # Errors
    /// The names that cannot be zones.
    pub fn for_zones<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Errors> {
        let mut list = zones::List::default();
        let mut errors = Vec::new();
        for name in names {
            if let Err(what) = list.add(name) {
                errors.push(Finding::whole("--zone".into(), what));
            }
        }
        if !errors.is_empty() {
            return Err(Errors(errors));
        }
        Ok(Self::bare(Vec::new(), Names::new(list.iter(), std::iter::empty::<&str>())))
    }

    fn bare(interfaces: Vec<String>, names: Names) -> Self {
        let plan = Plan {
            names: Arc::new(names),
            groups: Vec::new(),
            tick: defaults::TICK,
            window: defaults::WINDOW,
            slope_window: defaults::SLOPE_WINDOW,
            lost_share: defaults::LOST_SHARE,
            conditions: Vec::new(),
            routes: Vec::new(),
        };
        Self {
            node: host_name(),
            capture: Capture { interfaces, ..Capture::default() },
            prefixes: Vec::new(),
            plan,
            metrics: None,
            channels: Vec::new(),
            routers: Vec::new(),
            state_directory: None,
            warnings: Vec::new(),
        }
    }

    fn read<'i>(document: &mut Document<'i>, mut root: Table<'i>) -> Option<Self> {
        const STATE: &str = "a directory of oopsd's own, such as \"/var/lib/oopsd\"";
        let node = root.take("node").and_then(|node| node.parse(document, "a name, such as \"ams1\"", node_name));
        let state_directory = root.take("state-directory").and_then(|value| {
            value.parse(document, STATE, |text| match Path::new(text) {
                path if path.is_absolute() => Ok(path.to_owned()),
                _ => Err(format!("\"{text}\" is no absolute path; write {STATE}")),
            })
        });
        let (capture, listed) = match root.table(document, "capture") {
            Some(table) => capture::read(document, table),
            None => Default::default(),
        };
        let times = root.table(document, "rate").map_or_else(Default::default, |table| rate::read(document, table));
        let zones = root.table(document, "zones").map_or_else(Default::default, |table| Zones::read(document, table));
        let mut named = Vec::new();
        let tables = root.tables(document, "condition").into_iter();
        let drafts: Vec<Draft> = tables.filter_map(|table| Draft::read(document, table, &zones, &mut named)).collect();
        let metrics = root.take("metrics").and_then(|value| metrics(document, value));
        let mut names = Vec::new();
        let tables = root.tables(document, "channel").into_iter();
        let mut channels: Vec<_> = tables
            .filter_map(|table| {
                let conditions = channel::Conditions { names: &named, drafts: &drafts };
                channel::read(document, table, &mut names, &conditions)
            })
            .collect();
        let watched: Vec<IpNet> = drafts.iter().filter_map(Draft::prefix).collect();
        let (routers, routes, routed) = routing(document, &mut root, &named, &listed, &watched);
        root.close(document);

        let prefixes = prefixes::in_order([listed, watched, routed].concat());
        if prefixes.len() > defaults::MOST_PREFIXES {
            let what = format!("{} service prefixes; {} at most", prefixes.len(), defaults::MOST_PREFIXES);
            document.error(&(0..0), what);
            return None;
        }
        let first = u32::try_from(zones.list.len()).ok()? + 1;
        let slot = |prefix: IpNet| {
            let index = prefixes.iter().position(|&known| known == prefix).expect("every watched prefix is among them");
            first + u32::try_from(index).expect("at most 256 prefixes")
        };
        let plan = Plan {
            names: Arc::new(Names::new(zones.list.iter(), prefixes.iter().map(ToString::to_string))),
            groups: zones.groups,
            tick: times.tick,
            window: times.window,
            slope_window: times.slope_window,
            lost_share: times.lost_share,
            conditions: drafts.into_iter().map(|draft| draft.finish(slot)).collect(),
            routes,
        };
        channels.iter_mut().for_each(|channel| channel.learn(&plan, &names));
        let node = node.map_or_else(host_name, |node| node.it);
        let state_directory = state_directory.map(|directory| directory.it);
        Some(Self { node, capture, prefixes, plan, metrics, channels, routers, state_directory, warnings: Vec::new() })
    }
}

fn routing<'i>(
    document: &mut Document<'i>,
    root: &mut Table<'i>,
    conditions: &[String],
    listed: &[IpNet],
    watched: &[IpNet],
) -> (Vec<routers::Config>, Vec<Route>, Vec<IpNet>) {
    let (mut taken, mut routed) = (router::Taken::default(), Vec::new());
    let tables = root.tables(document, "router").into_iter();
    let mut routers: Vec<_> = tables.filter_map(|table| router::read(document, table, &mut taken)).collect();
    let known = route::Known { names: &taken.names, routers: &routers, conditions, listed, watched };
    let tables = root.tables(document, "route").into_iter();
    let routes: Vec<_> = tables.filter_map(|table| route::read_route(document, table, &known, &mut routed)).collect();
    routers.iter_mut().for_each(|router| router.learn(&routes));
    (routers, routes, routed)
}

fn metrics<'i>(document: &mut Document<'i>, value: document::Value<'i>) -> Option<SocketAddr> {
    const RIGHT: &str = "write an address and a port, such as \"127.0.0.1:9553\" or \"[::1]:9553\"";
    let mut table = value.table(document, "[metrics]")?;
    let listen = table.take("listen").map(|listen| {
        listen.parse(document, RIGHT, |text| {
            text.parse::<SocketAddr>().map_err(|_| format!("\"{text}\" is not an address and a port; {RIGHT}"))
        })
    });
    table.close(document);
    let Some(listen) = listen else { return Some(defaults::LISTEN) };
    let listen = listen?;
    if !listen.it.ip().is_loopback() {
        let what = format!("`listen`: {} is not a loopback address: everybody who reaches it can read it", listen.it);
        document.warn(&listen.at, what);
    }
    Some(listen.it)
}

fn node_name(text: &str) -> Result<String, String> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !text.is_empty() && text.len() <= 253 && text.bytes().all(fine) {
        Ok(text.to_owned())
    } else {
        Err(format!("\"{text}\" cannot be the name of a node; write 1 to 253 letters, digits, `-`, `.` and `_`"))
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    node_name(name.trim()).unwrap_or_else(|_| String::from("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_at_all_is_a_configuration() {
        let config = Config::parse(Path::new("f.toml"), "", Purpose::Run).unwrap();
        assert_eq!((config.plan.tick, config.metrics), (defaults::TICK, None));
        assert_eq!(config.plan.names.slots(), 1);
    }

    #[test]
    fn zones_of_the_command_line_get_slots_in_their_order() {
        let config = Config::for_zones(["nl", "Example.org."]).unwrap();
        assert_eq!((config.plan.names.get(1), config.plan.names.get(2)), ("nl.", "example.org."));
        assert_eq!(Config::for_zones(["a..b"]).unwrap_err().0.len(), 1);
    }

    #[test]
    fn metrics_listen_on_loopback_by_default() {
        let config = Config::parse(Path::new("f.toml"), "[metrics]", Purpose::Run).unwrap();
        assert_eq!(config.metrics, Some(defaults::LISTEN));
    }
}
