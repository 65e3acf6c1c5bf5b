//! The two pipes of ExaBGP's command line: one command at a time, every answer read, nothing waited for without a limit.
//!
//! They are open only while something is asked, so that a person can use `exabgpcli` in between, and locked, so that two routers of oopsd
//! do not take each other's answers. What a command or an answer means is in `words.rs`.

use super::Error;
use super::words::Dialect;
use core::time::Duration;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::{sleep, timeout};

/// ExaBGP answers within milliseconds, or a second when what it told nobody is still in the way.
const PATIENCE: Duration = Duration::from_secs(2);
/// Of that there may be more than one.
const LONG_PATIENCE: Duration = Duration::from_secs(5);
/// As long as a command may be, so that it is written whole or not at all (PIPE_BUF).
const LONGEST: usize = 4096;

/// The pipes, open and ours.
#[derive(Debug)]
pub(super) struct Exchange {
    path: PathBuf,
    commands: Sender,
    answers: Receiver,
    unread: Vec<u8>,
}

/// The end of an answer, and what came before it.
#[derive(Debug)]
struct Answer {
    lines: Vec<String>,
    done: bool,
}

impl Exchange {
    pub(super) async fn open(pipes: &Path) -> Result<Self, Error> {
        let [path, answers] = [".in", ".out"].map(|end| {
            let mut path = pipes.as_os_str().to_owned();
            path.push(end);
            PathBuf::from(path)
        });
        // Without waiting: a pipe that nobody reads would hold up this thread.
        let open = |path: &Path, read| {
            let opened = OpenOptions::new().read(read).write(true).custom_flags(libc::O_NONBLOCK).open(path);
            opened.map_err(|source| Error::Open { path: path.to_owned(), source })
        };
        let commands = open(&path, false)?;
        lock(&path, &commands).await?;
        // Also for writing: ExaBGP closes its end after each line, which would read as the end of all.
        let answers_file = open(&answers, true)?;
        let commands = Sender::from_file(commands).map_err(|source| Error::Open { path: path.clone(), source })?;
        let answers =
            Receiver::from_file(answers_file).map_err(|source| Error::Open { path: answers.clone(), source })?;
        Ok(Self { path, commands, answers, unread: Vec::new() })
    }

    /// Says whether an answer is here that nobody of us asked for.
    pub(super) fn is_unread(&mut self) -> bool {
        let mut chunk = [0; 1];
        self.answers.try_read(&mut chunk).is_ok_and(|count| count > 0)
    }

    /// Asks, and returns the lines of the answer.
    pub(super) async fn ask(&mut self, command: &str) -> Result<Vec<String>, Error> {
        let silent = || Error::Silent { path: self.path.clone(), command: command.to_owned() };
        let silent = silent();
        let answer = timeout(PATIENCE, async {
            self.write(command).await?;
            self.answer().await
        });
        let answer = answer.await.map_err(|_| silent)??;
        if answer.done { Ok(answer.lines) } else { Err(Error::Refused { command: command.to_owned() }) }
    }

    /// Finds the place behind all answers to others, who may have been killed while they asked.
    ///
    /// Each of two harmless questions is known by its answer; a row of them that nobody else asked in this order ends where ours begin.
    pub(super) async fn fall_in(&mut self, dialect: Dialect) -> Result<(), Error> {
        let mut random = [0; 2];
        getrandom::fill(&mut random).map_err(|error| self.broken(io::Error::other(error.to_string())))?;
        let row: Vec<bool> = (0..u16::BITS).map(|bit| u16::from_ne_bytes(random) >> bit & 1 == 1).collect();
        let questions: Vec<&str> = row.iter().map(|speaks| dialect.question(*speaks)).collect();
        let silent = Error::Silent { path: self.path.clone(), command: questions[0].to_owned() };
        let found = timeout(LONG_PATIENCE, async {
            self.write(&questions.join("\n")).await?;
            let mut heard = VecDeque::new();
            while heard != row {
                let answer = self.answer().await?;
                if heard.len() == row.len() {
                    heard.pop_front();
                }
                heard.push_back(!answer.lines.is_empty());
            }
            Ok(())
        });
        found.await.map_err(|_| silent)?
    }

    async fn write(&mut self, command: &str) -> Result<(), Error> {
        // An empty line would end the program that ExaBGP reads this pipe with.
        let empty = command.is_empty() || command.contains("\n\n");
        if empty || command.len() >= LONGEST {
            return Err(self.broken(io::Error::new(io::ErrorKind::InvalidInput, "a command is empty or too long")));
        }
        let written = self.commands.write_all(format!("{command}\n").as_bytes()).await;
        written.map_err(|source| self.broken(source))
    }

    async fn answer(&mut self) -> Result<Answer, Error> {
        let mut lines = Vec::new();
        loop {
            while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                match Dialect::end(&line) {
                    Some(done) => return Ok(Answer { lines, done }),
                    None => lines.push(line),
                }
            }
            let mut chunk = [0; 4096];
            let count = self.answers.read(&mut chunk).await.map_err(|source| self.broken(source))?;
            self.unread.extend_from_slice(&chunk[..count]);
        }
    }

    fn broken(&self, source: io::Error) -> Error {
        Error::Broken { path: self.path.clone(), source }
    }
}

/// Until the file is closed, no other router of oopsd speaks here.
async fn lock(path: &Path, file: &File) -> Result<(), Error> {
    let locked = timeout(PATIENCE, async {
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(5)).await,
                Err(TryLockError::Error(source)) => return Err(Error::Broken { path: path.to_owned(), source }),
            }
        }
    });
    locked.await.unwrap_or_else(|_| Err(Error::Busy { path: path.to_owned() }))
}
