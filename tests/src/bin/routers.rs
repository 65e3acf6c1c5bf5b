//! `oopsd::router::Routers` on a line protocol, so that tests can run it in a namespace, kill it and start it again.
//!
//! Arguments: a configuration file, and `dry` or `wet`. On standard input `want PREFIX ACTION` and `reload` are not answered;
//! `status` is, with one line of JSON. The end of input stops it.

use anyhow::{Context, Result, bail};
use engine::{Action, Intent, Route};
use oopsd::config::{Config, Purpose};
use oopsd::router::{Routers, Status};
use std::io::{Write, stdin, stdout};
use std::path::PathBuf;
use tokio::runtime::Runtime;

fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter("oopsd=info").init();
    let mut arguments = std::env::args().skip(1);
    let file = PathBuf::from(arguments.next().context("which configuration?")?);
    let dry_run = arguments.next().context("dry or wet?")? == "dry";
    let mut config = Config::load(&file, Purpose::Judge)?;

    let runtime = Runtime::new()?;
    let mut routers = Routers::start(&config.routers, &config.plan.routes, dry_run, runtime.handle().clone())?;
    for line in stdin().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("want", rest) => routers.want(&[intent(&config.plan.routes, rest)?]),
            ("reload", "") => {
                config = Config::load(&file, Purpose::Judge)?;
                routers.replace(&config.routers, &config.plan.routes)?;
            }
            ("status", "") => {
                let rows: Vec<_> = routers.status().iter().map(row).collect();
                writeln!(stdout(), "{}", serde_json::Value::from(rows))?;
            }
            _ => bail!("what is {line:?}?"),
        }
    }
    Ok(())
}

fn intent(routes: &[Route], wish: &str) -> Result<Intent> {
    let (prefix, action) = wish.split_once(' ').context("want which action?")?;
    let route = routes.iter().find(|route| route.prefix == prefix).context("no such route")?;
    let (router, prefix, because) = (route.router.clone(), prefix.to_owned(), "a test says so".to_owned());
    Ok(Intent { router, prefix, action: action.parse()?, because })
}

fn row(status: &Status) -> serde_json::Value {
    serde_json::json!({
        "prefix": status.prefix,
        "wanted": status.wanted.map(text),
        "seen": status.seen.map(text),
        "changes": status.changes,
        "contested": status.contested,
        "errors": status.errors,
        "error": status.error,
    })
}

fn text(action: Action) -> String {
    action.to_string()
}
