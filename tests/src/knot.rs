//! A knotd that counts what it does: its module `mod-stats`, for all together and for each zone.

use crate::lab::{Namespace, run, until};
use crate::servers::{Program, ZONE, write};
use anyhow::{Context, Result};
use core::time::Duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// knotd, running until it is dropped.
#[derive(Debug)]
pub struct Knot {
    file: PathBuf,
    program: Program,
}

/// Counters by section and name, such as `request-protocol` and `udp4`. Those that are zero are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics(BTreeMap<(String, String), u64>);

impl Knot {
    /// Starts it in `host` on these addresses, with these zones; those in `broken` have no content, so that they are
    /// answered with SERVFAIL and EDE 24. Waits until it can be asked for its statistics.
    ///
    /// # Errors
    /// With what it said, if it does not come to that.
    pub fn start(host: &Namespace, folder: &Path, addresses: &[&str], zones: &[&str], broken: &[&str]) -> Result<Self> {
        let here = folder.display();
        let listen: Vec<String> = addresses.iter().map(|address| format!("{address}@53")).collect();
        let mut text = format!(
            "server:\n    rundir: \"{here}\"\n    listen: [ {} ]\n    udp-workers: 2\n    tcp-workers: 2\ndatabase:\n    \
             storage: \"{here}\"\nmod-stats:\n  - id: all\n    request-protocol: on\n    server-operation: on\n    \
             request-bytes: off\n    response-bytes: off\n    edns-presence: on\n    response-code: on\n    \
             response-edns-option: on\ntemplate:\n  - id: default\n    global-module: mod-stats/all\n    \
             module: mod-stats/all\nzone:\n",
            listen.join(", ")
        );
        for zone in zones {
            let file = write(folder, zone, ZONE)?;
            text += &format!("  - domain: {zone}\n    file: \"{}\"\n", file.display());
        }
        for zone in broken {
            text += &format!("  - domain: {zone}\n    file: \"{here}/there-is-none\"\n");
        }
        let file = write(folder, "knot.conf", &text)?;
        let program = Program::start(host.command("knotd").arg("-c").arg(&file), &folder.join("knotd.log"))?;
        let knot = Self { file, program };
        until("statistics", Duration::from_secs(20), || knot.statistics().ok()).with_context(|| knot.program.said())?;
        Ok(knot)
    }

    /// What it counted of all queries since it was started.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn statistics(&self) -> Result<Statistics> {
        self.ask(&["stats", "mod-stats"])
    }

    /// What it counted of the queries for a zone.
    ///
    /// # Errors
    /// As [`Self::statistics`].
    pub fn zone(&self, zone: &str) -> Result<Statistics> {
        self.ask(&["zone-stats", zone, "mod-stats"])
    }

    /// Adds TXT records to a name of a zone, each with as many letters as a string may have, 255.
    ///
    /// # Errors
    /// When it does not take them.
    pub fn add_texts(&self, zone: &str, name: &str, many: usize) -> Result<()> {
        let control = |words: &[&str]| run(std::process::Command::new("knotc").arg("-c").arg(&self.file).args(words));
        control(&["zone-begin", zone])?;
        for nth in 0..many {
            control(&["zone-set", zone, name, "60", "TXT", &format!("\"{nth:0>255}\"")])?;
        }
        control(&["zone-commit", zone]).map(drop)
    }

    fn ask(&self, question: &[&str]) -> Result<Statistics> {
        let text = run(std::process::Command::new("knotc").arg("-c").arg(&self.file).args(question))?;
        // mod-stats.request-protocol[udp4] = 12, behind [nl.] if it is a zone's
        let counter = |line: &str| {
            let (section, rest) = line.split_once("mod-stats.")?.1.split_once('[')?;
            let (name, value) = rest.split_once("] = ")?;
            Some(((section.to_owned(), name.to_owned()), value.trim().parse().ok()?))
        };
        Ok(Statistics(text.lines().filter_map(counter).collect()))
    }
}

impl Statistics {
    /// One counter.
    #[must_use]
    pub fn get(&self, section: &str, name: &str) -> u64 {
        self.0.get(&(section.to_owned(), name.to_owned())).copied().unwrap_or(0)
    }

    /// The sum of a section.
    #[must_use]
    pub fn sum(&self, section: &str) -> u64 {
        self.0.iter().filter(|((of, _), _)| of == section).map(|(_, value)| value).sum()
    }

    /// What was counted since.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let difference =
            |(key, value): (&(String, String), &u64)| (key.clone(), value - before.0.get(key).copied().unwrap_or(0));
        Self(self.0.iter().map(difference).collect())
    }
}
