//! ExaBGP, over the named pipes of its command line: 4.x, 5.x and 6.x.
//!
//! What it announces to each of its neighbours is read, and that which differs is announced again to that neighbour, with everything that no
//! action is about as it was; ExaBGP replaces in place. The pipes are in `exabgp/pipes.rs`, the words in `exabgp/words.rs`.

mod pipes;
mod words;

pub use words::Dialect;

use super::announcement::{self, Plain};
use super::reconcile::Announcer;
use engine::Action;
use ipnet::IpNet;
use pipes::Exchange;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use thiserror::Error;
use words::Said;

/// ExaBGP as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// The two pipes, without `.in` and `.out`.
    pub pipes: PathBuf,
    /// What its commands are called.
    pub dialect: Dialect,
    /// What its announcements are without oopsd.
    pub plain: Plain,
}

/// What went wrong with the pipes, and what to do about it.
#[derive(Debug, Error)]
pub enum Error {
    /// A pipe could not be opened.
    #[error("{}: cannot open it{}", path.display(), advice(source))]
    Open {
        /// The pipe.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A pipe could not be read or written.
    #[error("{}: cannot speak to ExaBGP", path.display())]
    Broken {
        /// The pipe.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another program, or another router of this one, has the pipes.
    #[error("{}: another oopsd is speaking to ExaBGP all the time", path.display())]
    Busy {
        /// The pipe.
        path: PathBuf,
    },
    /// No answer in time.
    #[error("{}: ExaBGP did not answer {command:?} in time: is it stopped, without exabgp.api.ack, or does exabgpcli run?", path.display())]
    Silent {
        /// The pipe.
        path: PathBuf,
        /// What it was asked.
        command: String,
    },
    /// It answered `error`.
    #[error("ExaBGP refused {command:?}: its log says why; is `dialect` right?")]
    Refused {
        /// What it was asked.
        command: String,
    },
    /// It says something else than what it announces.
    #[error("ExaBGP says that it announces {line:?}, which cannot be read")]
    Garbled {
        /// The line.
        line: String,
    },
}

fn advice(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENOENT) => " (ExaBGP needs both made with mkfifo before it starts)",
        Some(libc::EACCES) => " (oopsd must be able to read and write both)",
        Some(libc::ENXIO) => " (nobody reads it: ExaBGP is not running, or without exabgp.api.cli)",
        Some(_) | None => "",
    }
}

/// ExaBGP, by its pipes.
#[derive(Debug)]
pub(super) struct Exabgp {
    config: Config,
    /// Every answer so far belonged to the command before it.
    in_step: bool,
}

impl Exabgp {
    pub(super) fn new(config: Config) -> Self {
        Self { config, in_step: false }
    }

    /// The pipes, with no answer to anybody else left in them.
    async fn exchange(&mut self) -> Result<Exchange, Error> {
        let mut exchange = Exchange::open(&self.config.pipes).await?;
        if exchange.is_unread() || !self.in_step {
            self.in_step = false;
            exchange.fall_in(self.config.dialect).await?;
        }
        Ok(exchange)
    }

    /// What ExaBGP says to its neighbours of `prefixes`.
    async fn said(&mut self, exchange: &mut Exchange, prefixes: &BTreeSet<IpNet>) -> Result<Vec<Said>, Error> {
        let mut lines = self.ask(exchange, &[self.config.dialect.show().to_owned()]).await?;
        if !self.in_step {
            exchange.fall_in(self.config.dialect).await?;
            lines = self.ask(exchange, &[self.config.dialect.show().to_owned()]).await?;
        }
        let mut said = Vec::new();
        for line in lines {
            match Said::read(&line) {
                Some(one) => said.extend(prefixes.contains(&one.prefix).then_some(one)),
                None if Said::is_of_another_family(&line) => {}
                None => {
                    self.in_step = false;
                    return Err(Error::Garbled { line });
                }
            }
        }
        Ok(said)
    }

    /// Asks one after the other and returns all answers; then a question whose answer is like no other, to find out if they were ours:
    /// other programs may write to the pipe, and leave us the answers.
    async fn ask(&mut self, exchange: &mut Exchange, commands: &[String]) -> Result<Vec<String>, Error> {
        self.in_step = false;
        let mut lines = Vec::new();
        for command in commands {
            lines.extend(exchange.ask(command).await?);
        }
        let last = exchange.ask(self.config.dialect.question(true)).await?;
        self.in_step = !last.is_empty() && last.iter().all(|line| Said::read(line).is_none());
        Ok(lines)
    }

    fn action_of(&self, said: &Said) -> Option<Action> {
        said.announcement().and_then(|found| self.config.plain.action_of(&found))
    }
}

impl Announcer for Exabgp {
    async fn read_back(&mut self, prefixes: &BTreeSet<IpNet>) -> Result<BTreeMap<IpNet, Action>, super::Error> {
        let mut exchange = self.exchange().await?;
        let said = self.said(&mut exchange, prefixes).await?;
        let seen = prefixes.iter().filter_map(|prefix| {
            let mut actions = said.iter().filter(|said| said.prefix == *prefix).map(|said| self.action_of(said));
            let Some(first) = actions.next() else { return Some((*prefix, Action::Withdraw)) };
            // What differs between neighbours is not as it should be, whatever that is.
            actions.all(|action| action == first).then_some((*prefix, first?))
        });
        Ok(seen.collect())
    }

    async fn announce(&mut self, prefix: IpNet, action: Action) -> Result<(), super::Error> {
        let mut exchange = self.exchange().await?;
        let said = self.said(&mut exchange, &BTreeSet::from([prefix])).await?;
        if said.is_empty() {
            return Err(announcement::Error::Absent { prefix }.into());
        }
        // All are made before the first is sent: what is refused at one neighbour is not begun at another.
        let mut commands = Vec::new();
        for one in said.iter().filter(|said| self.action_of(said) != Some(action)) {
            let path = || announcement::Error::Path { prefix, path: one.path_as_said() };
            let found = one.announcement().ok_or_else(path)?;
            let made = self.config.plain.with(action, prefix, &found)?;
            commands.push(one.command(self.config.dialect, &made).ok_or_else(path)?);
        }
        self.ask(&mut exchange, &commands).await?;
        Ok(())
    }

    async fn changed(&mut self) {
        core::future::pending().await
    }
}
