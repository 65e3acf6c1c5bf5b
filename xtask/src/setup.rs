//! Installs what is missing, and only that. What runs as root is in `install.sh`, so that a person can read it and type it.

mod bird3;
mod listeners;

use crate::command::{cargo, output, run, succeeds};
use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use listeners::Listeners;
use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
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
    /// Run it on another kernel
    Kernels,
    /// Fuzz what reads packets
    Fuzz,
}

impl Purpose {
    /// Whether it takes oopsd itself; what is fuzzed depends on nothing.
    fn compiles_oopsd(self) -> bool {
        self != Self::Fuzz
    }
}

/// Installs what `purposes` need and this machine lacks; for everything if empty.
pub(crate) fn setup(purposes: &[Purpose]) -> Result<()> {
    let purposes = if purposes.is_empty() { Purpose::value_variants() } else { purposes };
    let installed = installed_packages()?;
    let mut wanted: BTreeSet<&str> = purposes.iter().flat_map(|purpose| packages(*purpose)).collect();
    let in_the_way = RIVALS.iter().find(|rival| installed.contains(**rival));
    if let Some(rival) = in_the_way {
        println!("setup: no kernel capture: {} would take the place of {rival}, which is installed", KERNEL[0]);
        wanted.retain(|package| !KERNEL.contains(package));
    }
    let packages: Vec<&str> = wanted.into_iter().filter(|package| !installed.contains(*package)).collect();
    let asked = |tool: &&Tool| match tool.purposes {
        [] => in_the_way.is_none() && purposes.iter().any(|purpose| purpose.compiles_oopsd()),
        some => some.iter().any(|purpose| purposes.contains(purpose)),
    };
    let tools: Vec<&Tool> = TOOLS.iter().filter(asked).filter(|tool| !tool.is_here()).collect();
    let bird3 = purposes.contains(&Purpose::Test) && !bird3::is_here();
    if packages.is_empty() && tools.is_empty() && !bird3 {
        println!("setup: nothing to install");
        return Ok(());
    }
    install_packages(&packages)?;
    tools.into_iter().try_for_each(Tool::install)?;
    if bird3 { bird3::fetch().context(FETCHING) } else { Ok(()) }
}

/// What to do when something cannot be fetched.
const FETCHING: &str =
    "it needs the network (https_proxy, where there is a proxy); mend what it says, then setup again";

/// What compiles the kernel programs, beside `bpf-linker`: a rustc with libraries for BPF, and its LLVM.
const KERNEL: [&str; 3] = ["rustc-web", "libstd-rust-web-dev-bpf", "llvm-22-dev"];

/// Packages that cannot be installed beside those.
const RIVALS: [&str; 3] = ["rustc", "rustc-mozilla", "rustup"];

/// What links a Rust program.
const LINKING: [&str; 2] = ["gcc", "libc6-dev"];

/// What links oopsd besides.
const LIBRARIES: [&str; 2] = ["libpcap-dev", "pkg-config"];

/// Debian packages: what compiling oopsd takes, and what `purpose` takes besides.
fn packages(purpose: Purpose) -> impl Iterator<Item = &'static str> {
    let besides: &[&str] = match purpose {
        Purpose::Build | Purpose::Check => &[],
        Purpose::Demo => &["bird2", "dnsperf", "iproute2", "knot", "procps"],
        #[rustfmt::skip]
        Purpose::Test => &[
            "bird2", "bpftool", "dbus-bin", "dbus-daemon", "dnsperf", "exabgp", "faketime", "gobgpd", "iproute2",
            "knot", "knot-dnsutils", "libcoap3-bin", "mosquitto", "mosquitto-clients", "nsd", "openssl", "procps", "prometheus",
            "prometheus-alertmanager", "python3", "python3-pip", "rsyslog", "rsyslog-gnutls", "rsyslog-openssl", "systemd",
            "tcpdump", "tshark", "unbound",
        ],
        #[rustfmt::skip]
        Purpose::Bench => &[
            "bird2", "clang", "dnstop", "fastnetmon", "iproute2", "knot", "knot-dnsutils", "mosquitto", "mosquitto-clients", "openssl",
            "rsyslog", "rsyslog-gnutls", "tcpdump", "tshark",
        ],
        Purpose::Kernels => &["bpftool", "busybox-static", "iproute2", "qemu-system-x86"],
        // libFuzzer is C++.
        Purpose::Fuzz => &["g++"],
    };
    let compiling: &[&[&str]] = if purpose.compiles_oopsd() { &[&LIBRARIES, &KERNEL] } else { &[] };
    LINKING.iter().chain(compiling.iter().copied().flatten()).chain(besides).copied()
}

/// What cargo or rustup installs.
struct Tool {
    /// None: compiling oopsd takes it.
    purposes: &'static [Purpose],
    /// Says that it is here.
    test: &'static str,
    install: &'static str,
}

/// Versions that Rust 1.95 builds; one that is here already is used whatever its version.
const TOOLS: &[Tool] = &[
    Tool {
        purposes: &[],
        test: "bpf-linker --version",
        // With the LLVM of the rustc above.
        install: "env LLVM_PREFIX=/usr/lib/llvm-22 cargo install --locked bpf-linker@0.13.0 --no-default-features --features llvm-22",
    },
    Tool {
        purposes: &[Purpose::Test],
        test: "cargo nextest --version",
        // Without the updater, which would bring an HTTP client.
        install: "cargo install --locked cargo-nextest@0.9.143 --no-default-features --features=default-no-update",
    },
    Tool {
        purposes: &[Purpose::Test],
        test: "test -f target/python/standardwebhooks/webhooks.py",
        // A receiver's own way to verify signatures; in a folder of its own, so that it is in nobody's way.
        install: "/usr/bin/python3 -m pip install --quiet --root-user-action ignore --no-deps --target target/python standardwebhooks==1.1.0",
    },
    Tool {
        purposes: &[Purpose::Test],
        test: "test -f target/exabgp5/bin/exabgp",
        // Beside the 4.2 that Debian has.
        install: "/usr/bin/python3 -m pip install --quiet --root-user-action ignore --no-deps --target target/exabgp5 exabgp==5.0.15",
    },
    Tool {
        purposes: &[Purpose::Check, Purpose::Test],
        test: "cargo fmt --version",
        install: "rustup component add rustfmt",
    },
    Tool {
        purposes: &[Purpose::Check, Purpose::Test],
        test: "cargo clippy --version",
        install: "rustup component add clippy",
    },
    Tool {
        purposes: &[Purpose::Check],
        test: "cargo deny --version",
        install: "cargo install --locked cargo-deny@0.20.2",
    },
    Tool {
        purposes: &[Purpose::Check],
        test: "cargo machete --version",
        install: "cargo install --locked cargo-machete@0.9.2",
    },
    Tool {
        purposes: &[Purpose::Fuzz],
        test: "cargo fuzz --version",
        install: "cargo install --locked cargo-fuzz@0.13.2",
    },
];

impl Tool {
    fn is_here(&self) -> bool {
        succeeds(command(self.test).env("PATH", path()))
    }

    fn install(&self) -> Result<()> {
        println!("setup: {}", self.install);
        run(&mut command(self.install)).context(FETCHING)?;
        ensure!(self.is_here(), "installed, but it does not work: {}", self.test);
        Ok(())
    }
}

/// Where programs are: also where cargo installs them, which not everybody has on the path.
fn path() -> OsString {
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let path = env::var_os("PATH").unwrap_or_default();
    let all = env::split_paths(&path).chain(cargo.map(|cargo| cargo.join("bin")));
    env::join_paths(all).unwrap_or(path)
}

/// A command as a person would type it, with words that hold no space.
fn command(line: &str) -> Command {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["cargo", arguments @ ..] => cargo(arguments),
        ["env", variable, "cargo", arguments @ ..] => {
            let mut command = cargo(arguments);
            command.envs(variable.split_once('='));
            command
        }
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
        [] => Command::new("true"),
    }
}

fn installed_packages() -> Result<BTreeSet<String>> {
    let list = output(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status} ${Package}\\n"]))
        .context("setup knows Debian's packages only, and asks dpkg what is here")?;
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
    run(command.arg(script).args(packages)).context(
        "apt could not; what it said is above. It needs the network, and of Debian 12 main, updates and security",
    )?;
    before.expect_no_more()
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}
