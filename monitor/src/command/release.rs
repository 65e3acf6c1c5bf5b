//! `oopsd release`: asks the oopsd that runs to take routes back to the plain path, and waits until routers say that they are.

use super::socket::{ask, state_of};
use crate::cli::Release;
use crate::config::units::show_duration;
use crate::control::{Answer, NAME, Request, Route};
use crate::router;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long routers may take until they are asked no more.
const SETTLED: Duration = Duration::from_secs(3);

/// Why nothing was released, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers.
    #[error("no oopsd answers at {}{}", path.display(), otherwise(switches))]
    Nobody {
        /// The socket.
        path: PathBuf,
        /// What brings the plain paths back without it.
        switches: Vec<String>,
        /// Why.
        source: io::Error,
    },
    /// It refused.
    #[error("{0}")]
    Refused(String),
    /// The answer is not one.
    #[error("what answers at {} is no oopsd of this version", path.display())]
    Nonsense {
        /// The socket.
        path: PathBuf,
    },
    /// Routers do not say that they are plain.
    #[error("not all of them are plain yet: oopsd goes on trying")]
    NotYet,
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

fn otherwise(switches: &[String]) -> String {
    if switches.is_empty() {
        return String::from("; --state-directory names another place");
    }
    format!("; without it: {}", switches.join("; "))
}

/// Releases routes and prints to `out` how they were and are.
///
/// # Errors
/// When no oopsd runs or it refuses, or routers do not follow.
pub fn release(arguments: &Release, out: &mut impl Write) -> Result<(), Error> {
    let (state, config) = state_of(&arguments.whose);
    let path = state.join(NAME);
    let switches = config.iter().flat_map(|config| {
        let routes = &config.plan.routes;
        config.routers.iter().map(|router| switch(router, routes))
    });
    let switches = switches.collect();
    let before =
        ask(&path, &Request::Routes).map_err(|source| Error::Nobody { path: path.clone(), switches, source })?;
    let before = routes(&path, &before)?;
    let seconds = arguments.time.map(|time| time.as_secs());
    let request = Request::Release { prefixes: arguments.prefixes.clone(), seconds };
    let mut now = routes(&path, &ask(&path, &request)?)?;
    let begun = Instant::now();
    let plain = |route: &Route| route.seen.as_deref() == Some("plain");
    while !now.iter().all(plain) && begun.elapsed() < SETTLED {
        std::thread::sleep(Duration::from_millis(50));
        let all = routes(&path, &ask(&path, &Request::Routes)?)?;
        now = now.iter().map(|one| all.iter().find(|other| same(one, other)).unwrap_or(one).clone()).collect();
    }
    let kept = arguments.time.map_or_else(
        || String::from("until its condition has cleared, 1h at most"),
        |time| format!("for {}", show_duration(time)),
    );
    for route in &now {
        let was = before.iter().find(|other| same(route, other)).and_then(|route| route.seen.as_deref());
        let (was, is) = (was.unwrap_or("not known"), route.seen.as_deref().unwrap_or("not known"));
        let wrong = route.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
        writeln!(out, "{} on {}: was {was}, is {is}{wrong}; stays plain {kept}", route.prefix, route.router)?;
    }
    out.flush()?;
    if now.iter().all(plain) { Ok(()) } else { Err(Error::NotYet) }
}

fn same(one: &Route, other: &Route) -> bool {
    one.prefix == other.prefix && one.router == other.router
}

/// What brings the plain paths of a router back with oopsd dead.
fn switch(router: &router::Config, routes: &[engine::Route]) -> String {
    let name = router.name();
    let how = match router {
        router::Config::KernelTable(table) => {
            let table = table.table;
            return format!("ip route flush table {table}; ip -6 route flush table {table}");
        }
        router::Config::Bird(bird) => {
            let socket = bird.socket.display();
            return format!("sed -i 's/= \\[.*/= [];/' {} && birdc -s {socket} configure", bird.include.display());
        }
        router::Config::Exabgp(exabgp) => {
            let pipe = exabgp.pipes.with_added_extension("in");
            let pipe = pipe.display();
            format!(
                "SIGUSR1 to ExaBGP, for what exabgp.conf announces; else say it once more: echo 'announce route ...' > {pipe}"
            )
        }
        router::Config::Gobgp(_) => {
            let own = routes.iter().filter(|route| route.router == name);
            let prefixes = own.map(|route| route.prefix.as_str()).collect::<Vec<_>>();
            format!("`gobgp global rib add` of {}, as each was given first", prefixes.join(" and "))
        }
    };
    format!("on {name}: {how}")
}

fn routes(path: &Path, answer: &[u8]) -> Result<Vec<Route>, Error> {
    match serde_json::from_slice(answer) {
        Ok(Answer::Routes(routes)) => Ok(routes),
        Ok(Answer::Error(error)) => Err(Error::Refused(error)),
        Ok(_) | Err(_) => Err(Error::Nonsense { path: path.to_owned() }),
    }
}
