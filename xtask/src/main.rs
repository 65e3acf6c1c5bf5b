//! Everything a person types: what it takes to build, show, test, check and measure oopsd.
//!
//! This package depends on nothing of oopsd nor of the system, so that `cargo xtask setup` builds on a machine that has Rust and nothing else.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a person reads what it prints")]

mod check;
mod command;
mod debian;
mod demo;
mod fuzz;
mod kernels;
mod manual;
mod setup;
mod test;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use setup::Purpose;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Everything a person types.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing, and only that; starts no daemon
    Setup {
        /// For what; everything if not given
        #[arg(long = "for", value_name = "PURPOSE")]
        purposes: Vec<Purpose>,
    },
    /// Show a threshold crossed, an AS path made longer, a webhook received, and all of it going back
    Demo,
    /// The demo without building, as root
    #[command(hide = true)]
    Show {
        /// What is shown
        #[arg(default_value = "target/release/oopsd")]
        oopsd: PathBuf,
    },
    /// The demo's receiver of webhooks
    #[command(hide = true)]
    Receive { address: String, secret_file: String },
    /// Run all tests; as root also those that make network namespaces
    Test,
    /// Formatting, lints, documentation, licences and advisories, unused dependencies
    Check {
        /// Formatting and lints only
        #[arg(long)]
        quick: bool,
    },
    /// Measure what must be fast, beside its peers
    Bench {
        /// Given to the benches, such as a part of a name
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Feed what reads packets with whatever libFuzzer thinks of; a crash is an error that names its input
    Fuzz {
        /// One target; all of them, one after the other, if not given
        target: Option<String>,
        /// For how long, each
        #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
        seconds: u32,
    },
    /// Run oopsd on Debian's 6.1 in a machine of its own, and compare every count
    Kernels {
        /// Use the processor's virtualisation, where it works; else the machine is emulated
        #[arg(long)]
        kvm: bool,
    },
    /// Inside of that machine
    #[command(hide = true)]
    Guest {
        #[command(subcommand)]
        part: kernels::Part,
    },
    /// Write the man pages to target/man
    Man,
    /// Write completions for bash, zsh and fish to target/completions
    Completions,
}

fn main() -> ExitCode {
    match act(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(task: Task) -> Result<()> {
    if let Task::Guest { part } = &task {
        return kernels::guest(part);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    std::env::set_current_dir(root).with_context(|| format!("the workspace {} is gone", root.display()))?;
    match task {
        Task::Setup { purposes } => setup::setup(&purposes),
        Task::Demo => demo::demo(),
        Task::Show { oopsd } => demo::show(&oopsd),
        Task::Receive { address, secret_file } => demo::receive(&address, &secret_file),
        Task::Test => test::test(),
        Task::Check { quick } => check::check(quick),
        Task::Bench { arguments } => test::bench(&arguments),
        Task::Fuzz { target, seconds } => fuzz::fuzz(target.as_deref(), seconds),
        Task::Kernels { kvm } => kernels::kernels(kvm),
        Task::Guest { part } => kernels::guest(&part),
        Task::Man => manual::man(),
        Task::Completions => manual::completions(),
    }
}
