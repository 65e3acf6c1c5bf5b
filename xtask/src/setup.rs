//! Installs what is missing, and only that. What runs as root is in `install.sh`, so that a person can read it and type it.

mod listeners;

use crate::command::{cargo, output, run, succeeds, text};
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
    let wanted: BTreeSet<&str> = purposes.iter().flat_map(|purpose| packages(*purpose)).copied().collect();
    let packages: Vec<&str> = wanted.into_iter().filter(|package| !installed.contains(*package)).collect();
    let tools: Vec<&Tool> = TOOLS.iter().filter(|tool| purposes.contains(&tool.purpose) && !tool.is_here()).collect();
    if packages.is_empty() && tools.is_empty() {
        println!("setup: nothing to install");
        return Ok(());
    }
    install_packages(&packages)?;
    tools.into_iter().try_for_each(Tool::install)
}

/// Debian packages, without those that any Debian has.
fn packages(purpose: Purpose) -> &'static [&'static str] {
    match purpose {
        Purpose::Build | Purpose::Check => &["gcc", "libc6-dev", "libpcap-dev", "pkg-config"],
        Purpose::Demo => &["gcc", "libc6-dev", "libpcap-dev", "pkg-config", "bird2", "dnsperf", "iproute2", "knot"],
        #[rustfmt::skip]
        Purpose::Test => &[
            "gcc", "libc6-dev", "libpcap-dev", "pkg-config", "bird2", "dnsperf", "iproute2", "knot", "knot-dnsutils", "nsd", "openssl",
            "prometheus", "tcpdump", "tshark", "unbound",
        ],
        Purpose::Bench => &["gcc", "libc6-dev", "libpcap-dev", "pkg-config", "dnstop", "tcpdump", "tshark"],
    }
}

/// What cargo or rustup installs.
struct Tool {
    purpose: Purpose,
    /// The arguments to cargo that succeed if it is here.
    probe: &'static [&'static str],
    program: &'static str,
    install: &'static [&'static str],
}

/// Versions that Rust 1.95 builds; one that is here already is used whatever its version.
const TOOLS: &[Tool] = &[
    Tool {
        purpose: Purpose::Test,
        probe: &["nextest", "--version"],
        program: "cargo",
        // Without the updater, which would bring an HTTP client.
        install: &[
            "install",
            "--locked",
            "cargo-nextest@0.9.143",
            "--no-default-features",
            "--features=default-no-update",
        ],
    },
    Tool {
        purpose: Purpose::Check,
        probe: &["fmt", "--version"],
        program: "rustup",
        install: &["component", "add", "rustfmt"],
    },
    Tool {
        purpose: Purpose::Check,
        probe: &["clippy", "--version"],
        program: "rustup",
        install: &["component", "add", "clippy"],
    },
    Tool {
        purpose: Purpose::Check,
        probe: &["deny", "--version"],
        program: "cargo",
        install: &["install", "--locked", "cargo-deny@0.20.2"],
    },
    Tool {
        purpose: Purpose::Check,
        probe: &["machete", "--version"],
        program: "cargo",
        install: &["install", "--locked", "cargo-machete@0.9.2"],
    },
];

impl Tool {
    fn is_here(&self) -> bool {
        succeeds(&mut cargo(self.probe))
    }

    fn install(&self) -> Result<()> {
        let mut command = if self.program == "cargo" { cargo(self.install) } else { Command::new(self.program) };
        if self.program != "cargo" {
            command.args(self.install);
        }
        println!("setup: {}", text(&command));
        run(&mut command)
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
