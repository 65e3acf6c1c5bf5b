//! `oopsd::channel::Channels` on a line protocol, so that tests can give it signals by the thousand, kill it and start it again.
//!
//! Arguments: a configuration file, and the folder that what waits is kept in. On standard input `send FROM TO` sends signals
//! with these numbers in their names, and is answered with `kept TO` once the disk has them all; `post FROM TO` sends them and is not
//! answered; `met N` sends one whose condition is met, and is answered as `send` is; `status` is answered with a line of JSON. The end of input
//! stops it.

use anyhow::{Context, Result, bail};
use engine::signal::Named;
use engine::{Arguments, Signal, State, Time, Wall};
use oopsd::channel::{Channels, Sender, Status};
use oopsd::config::{Config, Purpose};
use std::io::{Write, stdin, stdout};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Runtime;

fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter("oopsd=info").with_ansi(false).init();
    let mut arguments = std::env::args().skip(1);
    let file = PathBuf::from(arguments.next().context("which configuration?")?);
    let state = PathBuf::from(arguments.next().context("which folder?")?);
    let config = Config::load(&file, Purpose::Run)?;
    let runtime = Runtime::new()?;
    let boot = wall().to_string();
    let sender = Sender { node: "killed".into(), boot };
    let channels = Channels::start(&config.channels, sender, runtime.handle().clone(), Some(&state))?;
    let mut seq = 0;
    for line in stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            [how @ ("send" | "post" | "met"), from, ..] => {
                let to: u64 = words.last().unwrap_or(from).parse()?;
                let state = if *how == "met" { State::Met } else { State::Cleared };
                for number in from.parse()?..=to {
                    seq += 1;
                    channels.send(&Signal { state, ..signal(number, seq) }, Instant::now());
                }
                if *how == "post" {
                    continue;
                }
                let is_kept =
                    || channels.standing().is_some_and(|standing| standing.durable && standing.unwritten == 0);
                while !is_kept() {
                    std::thread::sleep(Duration::from_micros(200));
                }
                writeln!(stdout(), "kept {to}")?;
            }
            ["status"] => {
                let rows: Vec<_> = channels.status().iter().map(row).collect();
                writeln!(stdout(), "{}", serde_json::Value::from(rows))?;
            }
            _ => bail!("what is {line:?}?"),
        }
    }
    channels.close(Instant::now() + Duration::from_secs(2));
    Ok(())
}

/// The number is the condition's name and its zone's first label: it is the same after a restart, when `seq` begins anew.
fn signal(number: u64, seq: u64) -> Signal {
    Signal {
        seq,
        at: Time::default(),
        wall: Wall(wall()),
        condition: number.to_string(),
        kind: "query-rate",
        // Who keeps a list of what is met need not keep ten thousand.
        state: State::Cleared,
        scope: Named::Zone(format!("{number}.nl.")),
        value: 120_345.0,
        threshold: 100_000.0,
        window: Duration::from_secs(1),
        arguments: Arguments::default(),
    }
}

fn wall() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn row(status: &Status) -> serde_json::Value {
    serde_json::json!({
        "channel": status.channel,
        "sent": status.sent,
        "failed": status.failed,
        "dropped": status.dropped,
        "superseded": status.superseded,
        "failed_attempts": status.failed_attempts,
        "waiting": status.waiting,
        "p50_ms": Duration::from_nanos(status.delay.value_at_quantile(0.5)).as_secs_f64() * 1e3,
        "p99_ms": Duration::from_nanos(status.delay.value_at_quantile(0.99)).as_secs_f64() * 1e3,
    })
}
