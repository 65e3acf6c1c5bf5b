//! `oopsd::router::Routers` on a line protocol, so that tests can run it in a namespace, kill it and start it again.
//!
//! Arguments: the table's number, `dry` or `wet`, then the prefixes. On standard input `want PREFIX N` (N prepends, 0 is plain) and
//! `replace PREFIX...` are not answered; `status` is, with one line of JSON. The end of input stops it.

use anyhow::{Context, Result, bail};
use engine::{Action, Intent, Policy, Route};
use oopsd::router::{Config, Routers, Status, kernel_table};
use std::io::{Write, stdin, stdout};
use std::slice::from_ref;
use tokio::runtime::Runtime;

fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter("oopsd=info").init();
    let mut arguments = std::env::args().skip(1);
    let table = arguments.next().context("which table?")?.parse()?;
    let dry_run = arguments.next().context("dry or wet?")? == "dry";
    let routes: Vec<Route> = arguments.map(|prefix| route(&prefix)).collect();
    let config = Config::KernelTable(kernel_table::Config { name: "bird".to_owned(), table });

    let runtime = Runtime::new()?;
    let mut routers = Routers::start(from_ref(&config), &routes, dry_run, runtime.handle().clone())?;
    for line in stdin().lines() {
        let line = line?;
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["want", prefix, prepends] => routers.want(&[intent(prefix, prepends.parse()?)]),
            ["replace", ref prefixes @ ..] => {
                let routes: Vec<Route> = prefixes.iter().map(|prefix| route(prefix)).collect();
                routers.replace(from_ref(&config), &routes)?;
            }
            ["status"] => {
                let rows: Vec<_> = routers.status().iter().map(row).collect();
                writeln!(stdout(), "{}", serde_json::Value::from(rows))?;
            }
            _ => bail!("what is {line:?}?"),
        }
    }
    Ok(())
}

fn route(prefix: &str) -> Route {
    let (router, when) = ("bird".to_owned(), "overload".to_owned());
    Route { prefix: prefix.to_owned(), router, when, policy: Policy::Absorb }
}

fn intent(prefix: &str, prepends: u8) -> Intent {
    let action = if prepends == 0 { Action::Plain } else { Action::Prepend(prepends) };
    Intent { router: "bird".to_owned(), prefix: prefix.to_owned(), action, because: "a test says so".to_owned() }
}

fn row(status: &Status) -> serde_json::Value {
    serde_json::json!({
        "prefix": status.prefix,
        "wanted": status.wanted.map(prepends),
        "seen": status.seen.map(prepends),
        "changes": status.changes,
        "errors": status.errors,
        "error": status.error,
    })
}

fn prepends(action: Action) -> u8 {
    match action {
        Action::Plain => 0,
        Action::Prepend(times) => times,
    }
}
