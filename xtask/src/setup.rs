//! Installs what is missing, and only that. What runs as root is in `install.sh`, so that a person can read it and type it.

mod listeners;

use crate::command::{cargo, output, run, succeeds};
use anyhow::{Result, bail};
use clap::ValueEnum;
use listeners::Listeners;
use std::collections::BTreeSet;
use std::process::Command;

/// What a person wants to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Purpose {
    /// Compile oopsd
    Build,
    /// Show it with a real name server and real routers
    Demo,
    /// Run all tests
    Test,
    /// Measure it beside its peers
    Bench,
    /// Check what a reviewer would otherwise have to
    Check,
}

/// Installs what `purposes` need and this machine lacks; for everything if empty.
pub(crate) fn setup(purposes: &[Purpose]) -> Result<()> {
    let purposes = if purposes.is_empty() { Purpose::value_variants() } else { purposes };
    let installed = installed_packages()?;
    let wanted: BTreeSet<&str> = purposes.iter().flat_map(|purpose| packages(*purpose)).collect();
    let packages: Vec<&str> = wanted.into_iter().filter(|package| !installed.contains(*package)).collect();
    let tools: Vec<&Tool> = TOOLS
        .iter()
        .filter(|tool| tool.purposes.iter().any(|purpose| purposes.contains(purpose)) && !tool.is_here())
        .collect();
    if packages.is_empty() && tools.is_empty() {
        println!("setup: nothing to install");
        return Ok(());
    }
    install_packages(&packages)?;
    tools.into_iter().try_for_each(Tool::install)
}

/// Debian packages: what compiling oopsd takes, and what `purpose` takes besides.
fn packages(purpose: Purpose) -> impl Iterator<Item = &'static str> {
    let besides: &[&str] = match purpose {
        Purpose::Build | Purpose::Check => &[],
        Purpose::Demo => &["bird2", "dnsperf", "iproute2", "knot", "procps"],
        #[rustfmt::skip]
        Purpose::Test => &[
            "bird2", "dnsperf", "faketime", "iproute2", "knot", "knot-dnsutils", "nsd", "openssl", "procps", "prometheus",
            "tcpdump", "tshark", "unbound",
        ],
        Purpose::Bench => &["dnstop", "tcpdump", "tshark"],
    };
    ["gcc", "libc6-dev", "libpcap-dev", "pkg-config"].iter().chain(besides).copied()
}

/// What cargo or rustup installs.
struct Tool {
    purposes: &'static [Purpose],
    /// The subcommand of cargo that it is.
    name: &'static str,
    install: &'static str,
}

/// Versions that Rust 1.95 builds; one that is here already is used whatever its version.
const TOOLS: &[Tool] = &[
    Tool {
        purposes: &[Purpose::Test],
        name: "nextest",
        // Without the updater, which would bring an HTTP client.
        install: "cargo install --locked cargo-nextest@0.9.143 --no-default-features --features=default-no-update",
    },
    Tool { purposes: &[Purpose::Check, Purpose::Test], name: "fmt", install: "rustup component add rustfmt" },
    Tool { purposes: &[Purpose::Check, Purpose::Test], name: "clippy", install: "rustup component add clippy" },
    Tool { purposes: &[Purpose::Check], name: "deny", install: "cargo install --locked cargo-deny@0.20.2" },
    Tool { purposes: &[Purpose::Check], name: "machete", install: "cargo install --locked cargo-machete@0.9.2" },
];

impl Tool {
    fn is_here(&self) -> bool {
        succeeds(&mut cargo(&[self.name, "--version"]))
    }

    fn install(&self) -> Result<()> {
        println!("setup: {}", self.install);
        let words: Vec<&str> = self.install.split(' ').collect();
        match words.as_slice() {
            ["cargo", arguments @ ..] => run(&mut cargo(arguments)),
            [program, arguments @ ..] => run(Command::new(program).args(arguments)),
            [] => Ok(()),
        }
    }
}

fn installed_packages() -> Result<BTreeSet<String>> {
    let list = output(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status} ${Package}\\n"]))?;
    Ok(list.lines().filter_map(|line| line.strip_prefix("installed ")).map(str::to_owned).collect())
}

fn install_packages(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");
    let mut command = if is_root()? {
        Command::new("sh")
    } else if succeeds(Command::new("sudo").args(["-n", "true"])) {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "sh"]);
        sudo
    } else {
        bail!(
            "setup needs root for some packages, and sudo would ask. Type, as root:\n\n    sh {script} {}\n",
            packages.join(" ")
        );
    };
    println!("setup: installing {}", packages.join(" "));
    let before = Listeners::now()?;
    run(command.arg(script).args(packages))?;
    before.expect_no_more()
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}
