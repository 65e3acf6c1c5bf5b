//! `oopsd outbox`: what waits for channels, from the oopsd that runs, or from what a dead one left on the disk.

mod print;

use super::socket::{ask, state_of};
use crate::channel::{Dropped, Left, LeftError, Line, Row};
use crate::cli::{Chosen, Drop, Outbox, Whose};
use crate::control::{Answer, NAME, Request};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Why what waits was not shown, or nothing was done about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers, and what is asked for needs somebody.
    #[error("no oopsd runs with the state directory {}: what waits is sent at its next start", state.display())]
    Dead {
        /// The state directory.
        state: PathBuf,
    },
    /// Somebody may be there, but cannot be asked.
    #[error("cannot ask the oopsd at {}: run this as root or as the user of oopsd", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
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
    /// What a dead one left.
    #[error(transparent)]
    Left(#[from] LeftError),
    /// Nothing that was named waits.
    #[error("channel {channel}: nothing was dropped; {waiting} signals wait, and none of them has such a number")]
    None {
        /// The channel.
        channel: String,
        /// How many wait for it.
        waiting: u64,
    },
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Does what is asked, and prints to `out` what there is or what came of it.
///
/// # Errors
/// When there is nothing to look at, or nothing could be done.
pub fn outbox(what: &Outbox, out: &mut impl Write) -> Result<(), Error> {
    let done = match what {
        Outbox::List(arguments) => list(arguments, out),
        Outbox::Retry(arguments) => retry(arguments, out),
        Outbox::Drop(arguments) => discard(arguments, out),
    };
    match done.and_then(|()| Ok(out.flush()?)) {
        // Who looked at the first lines has seen enough.
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn list(arguments: &Chosen, out: &mut impl Write) -> Result<(), Error> {
    let source = Source::find(&arguments.whose)?;
    let (running, odd) = match &source {
        Source::Running(_) => (true, None),
        Source::Dead(left) => (false, left.odd()),
    };
    if !running && !arguments.json {
        writeln!(out, "no oopsd runs: this is on the disk, and its next start sends it")?;
    }
    if let Some(odd) = odd {
        tracing::warn!(
            "what is on the disk is {odd}: the next start of oopsd sets it aside, and sends what can be read of it"
        );
    }
    let named = |row: &Row| arguments.channel.as_ref().is_none_or(|channel| *channel == row.channel);
    let rows: Vec<Row> = source.rows()?.into_iter().filter(named).collect();
    if let (Some(channel), true) = (&arguments.channel, rows.is_empty()) {
        // Says which there are.
        source.lines(channel, 0)?;
    }
    for row in rows {
        if arguments.json {
            print::object(out, "channel", &print::Shown { running, of: &row })?;
        } else {
            writeln!(out, "{}", print::channel(&row))?;
        }
        let mut from = 0;
        loop {
            let lines = source.lines(&row.channel, from)?;
            let Some(last) = lines.last() else { break };
            from = last.number.saturating_add(1);
            for line in &lines {
                if arguments.json {
                    print::object(out, "waiting", &print::Waiting { channel: &row.channel, line })?;
                } else {
                    writeln!(out, "{}", print::signal(line))?;
                }
            }
        }
    }
    Ok(())
}

fn retry(arguments: &Chosen, out: &mut impl Write) -> Result<(), Error> {
    let Source::Running(path) = Source::find(&arguments.whose)? else {
        return Err(Error::Dead { state: state_of(&arguments.whose).0 });
    };
    let Answer::Retried(channels) = answer(&path, &Request::Retry { channel: arguments.channel.clone() })? else {
        return Err(Error::Nonsense { path });
    };
    for channel in channels {
        if arguments.json {
            print::object(out, "retried", &print::Named { channel: &channel })?;
        } else {
            writeln!(out, "channel {channel}: tries again now")?;
        }
    }
    Ok(())
}

fn discard(arguments: &Drop, out: &mut impl Write) -> Result<(), Error> {
    let Drop { channel, numbers, all, json, .. } = arguments;
    let numbers = (!all).then(|| numbers.clone());
    let dropped = match Source::find(&arguments.whose)? {
        Source::Running(path) => {
            let Answer::Dropped(dropped) = answer(&path, &Request::Drop { channel: channel.clone(), numbers })? else {
                return Err(Error::Nonsense { path });
            };
            dropped
        }
        Source::Dead(mut left) => left.discard(channel, numbers.as_deref())?,
    };
    let Dropped { dropped: count, waiting, trying } = dropped;
    if count == 0 && !all {
        return Err(Error::None { channel: channel.clone(), waiting });
    }
    if *json {
        print::object(out, "dropped", &print::Fate { channel, of: dropped })?;
    } else {
        let trying = if trying { "; what was being sent may arrive" } else { "" };
        writeln!(out, "channel {channel}: {count} dropped, {waiting} wait{trying}")?;
    }
    Ok(())
}

/// Who knows what waits.
enum Source {
    /// The oopsd that runs, at this socket.
    Running(PathBuf),
    /// The disk.
    Dead(Left),
}

impl Source {
    fn find(whose: &Whose) -> Result<Self, Error> {
        let (state, config) = state_of(whose);
        let path = state.join("outbox").join(NAME);
        match ask(&path, &Request::Outbox) {
            Ok(_) => Ok(Self::Running(path)),
            Err(source) if source.kind() == ErrorKind::PermissionDenied => Err(Error::Socket { path, source }),
            // Nobody is there, or nobody answers: the lock knows which, if anything is to be changed.
            Err(_) => {
                let channels = config.iter().flat_map(|config| &config.channels).map(|channel| channel.name.clone());
                Ok(Self::Dead(Left::look(&state, channels.collect())?))
            }
        }
    }

    fn rows(&self) -> Result<Vec<Row>, Error> {
        match self {
            Self::Running(path) => {
                let Answer::Outbox(rows) = answer(path, &Request::Outbox)? else {
                    return Err(Error::Nonsense { path: path.clone() });
                };
                Ok(rows)
            }
            Self::Dead(left) => Ok(left.rows()),
        }
    }

    fn lines(&self, channel: &str, from: u64) -> Result<Vec<Line>, Error> {
        match self {
            Self::Running(path) => {
                let request = Request::Waiting { channel: channel.to_owned(), from };
                let Answer::Waiting(lines) = answer(path, &request)? else {
                    return Err(Error::Nonsense { path: path.clone() });
                };
                Ok(lines)
            }
            Self::Dead(left) => Ok(left.waiting(channel, from)?),
        }
    }
}

fn answer(path: &Path, request: &Request) -> Result<Answer, Error> {
    let text = ask(path, request).map_err(|source| Error::Socket { path: path.to_owned(), source })?;
    match serde_json::from_slice(&text) {
        Ok(Answer::Error(why)) => Err(Error::Refused(why)),
        Ok(answer) => Ok(answer),
        Err(_) => Err(Error::Nonsense { path: path.to_owned() }),
    }
}
