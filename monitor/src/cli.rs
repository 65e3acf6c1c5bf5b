//! The command line: what can be typed, and what it means. What each command does is in `command`.

use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Where the configuration is when nothing else is said.
pub const CONFIGURATION: &str = "/etc/oopsd/oopsd.toml";

/// Counts DNS queries, responses and extended errors beside an anycast name server; signals when they cross a threshold.
#[derive(Debug, Parser)]
#[command(name = "oopsd", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say more on standard error: -v for deviations, -vv for every sample.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}

/// What oopsd can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Counts, judges and signals until told to stop (SIGTERM); SIGHUP reloads the configuration.
    ///
    /// With -i and no -c it observes: it counts by the two rightmost labels, for at most 1,000 names, prints what it sees
    /// each second, and touches nothing.
    Run(Run),
    /// Judges capture files exactly as `run` would have, in packet time. Touches nothing.
    Replay(Replay),
    /// Reads the configuration and prints what is in effect for each condition and route.
    ///
    /// Exits 1 with file:line:col and what would be right if there is anything wrong with it.
    Check(Check),
    /// Has the oopsd that runs take routes back to the plain path at once, and keep them there.
    ///
    /// No budget stands in the way. Says how each route was and is; exits 1 if one is not plain within 3 seconds, or if no
    /// oopsd runs.
    Release(Release),
    /// Tries a channel.
    #[command(subcommand)]
    Channel(Channel),
    /// Shows what waits for channels, has them try again, or drops what waits.
    #[command(subcommand)]
    Outbox(Outbox),
}

/// What can be done with what waits.
#[derive(Debug, Subcommand)]
pub enum Outbox {
    /// Prints how each channel stands, and the signals that wait for it, the oldest first. Works with oopsd dead, too.
    List(Chosen),
    /// Has the oopsd that runs try again at once, however long a receiver asked it to wait, also one that said that it is gone.
    Retry(Chosen),
    /// Drops signals that wait for a channel: they are not sent. Works with oopsd dead, too.
    ///
    /// The next signal that the receiver gets says in its `lost` how many it did not get. Exits 1 if none was dropped.
    Drop(Drop),
}

/// Which oopsd is meant, alive or dead.
#[derive(Debug, clap::Args)]
pub struct Whose {
    /// The configuration file, which says where the state directory is.
    #[arg(short, long, value_name = "FILE", default_value = CONFIGURATION)]
    pub config: PathBuf,
    /// The state directory of the oopsd that is meant, whatever the configuration says.
    #[arg(long, value_name = "DIRECTORY")]
    pub state_directory: Option<PathBuf>,
}

/// Arguments of `outbox list` and `outbox retry`.
#[derive(Debug, clap::Args)]
pub struct Chosen {
    /// Whose outbox.
    #[command(flatten)]
    pub whose: Whose,
    /// Only this channel.
    pub channel: Option<String>,
    /// Print JSON, one object a line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `outbox drop`.
#[derive(Debug, clap::Args)]
pub struct Drop {
    /// Whose outbox.
    #[command(flatten)]
    pub whose: Whose,
    /// The channel.
    pub channel: String,
    /// Signals, by the numbers that `outbox list` prints.
    #[arg(value_name = "NUMBER", required_unless_present = "all")]
    pub numbers: Vec<u64>,
    /// All that waits for it.
    #[arg(long, conflicts_with = "numbers")]
    pub all: bool,
    /// Print JSON, one object a line.
    #[arg(long)]
    pub json: bool,
}

/// What can be done with a channel.
#[derive(Debug, Subcommand)]
pub enum Channel {
    /// Sends a signal that is marked as a test to one channel, and says what the other side answered.
    ///
    /// It is sent from here, at once and once, as the configuration says; the daemon need not run. Exits 1 if it is not
    /// accepted.
    Test(Test),
}

/// Arguments of `channel test`.
#[derive(Debug, clap::Args)]
pub struct Test {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = CONFIGURATION)]
    pub config: PathBuf,
    /// The channel's name.
    pub name: String,
}

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The configuration file [default: /etc/oopsd/oopsd.toml, unless -i is given].
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// An interface to count on, in place of those in the configuration; may be repeated.
    #[arg(short, long = "interface", value_name = "IFACE")]
    pub interfaces: Vec<String>,
    /// How to capture.
    #[arg(long, value_enum, default_value_t = Capture::Auto)]
    pub capture: Capture,
    /// Say what would be announced, and announce nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print a row this often [default: 1s while observing or with --json; else none].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub interval: Option<Duration>,
    /// Print rows and the closing summary as JSON, one object a line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub struct Replay {
    /// The configuration file; without one there is nothing to judge, and only totals and rates are printed.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Count this zone, in place of those in the configuration; may be repeated.
    #[arg(long = "zone", value_name = "NAME")]
    pub zones: Vec<String>,
    /// Print a row for each interval of packet time; the summary's distribution is over these, or over seconds.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub interval: Option<Duration>,
    /// Print JSON, one object a line.
    #[arg(long)]
    pub json: bool,
    /// Capture files (pcap or pcapng), in order; - is standard input.
    #[arg(value_name = "PCAP", required = true)]
    pub files: Vec<PathBuf>,
}

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = CONFIGURATION)]
    pub config: PathBuf,
    /// Write the files for BIRD to include that are not there yet, with nothing in effect in them.
    #[arg(long)]
    pub write_include: bool,
}

/// Arguments of `release`.
#[derive(Debug, clap::Args)]
pub struct Release {
    /// Whose routes.
    #[command(flatten)]
    pub whose: Whose,
    /// Release this prefix, in place of all; may be repeated.
    #[arg(long = "prefix", value_name = "PREFIX")]
    pub prefixes: Vec<String>,
    /// Keep them plain for this long, whatever their conditions do [default: until these have cleared, 1h at most].
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub time: Option<Duration>,
}

/// How to capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Capture {
    /// The best that works here.
    Auto,
    /// The kernel, by XDP.
    Xdp,
    /// The kernel, by TC.
    Tc,
    /// The kernel, by TC as before Linux 6.6.
    #[value(hide = true)]
    Clsact,
    /// A packet socket (libpcap).
    Socket,
}

fn duration(text: &str) -> Result<Duration, String> {
    let value = crate::config::units::duration(text)?;
    if value < Duration::from_millis(10) {
        return Err("at least 10ms".to_owned());
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_interval_is_at_least_ten_milliseconds() {
        assert!(Cli::try_parse_from(["oopsd", "replay", "--interval", "9ms", "x.pcap"]).is_err());
        assert!(Cli::try_parse_from(["oopsd", "replay", "--interval", "10ms", "x.pcap"]).is_ok());
    }
}
