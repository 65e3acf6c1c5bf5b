//! Signals as JSON lines, to standard output or a file.
//!
//! A file that was moved away (logrotate) is made again at the next signal. Nothing is forced to the disk.

use super::Error;
use super::letter::Letter;
use super::outbox::Outbox;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// A log channel as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file to append to; `None` is standard output.
    pub file: Option<PathBuf>,
}

/// How long after a failed write it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Where lines go; a reload replaces it under the writer.
#[derive(Debug)]
pub(super) struct Target(Mutex<Place>);

#[derive(Debug)]
struct Place {
    path: Option<PathBuf>,
    file: File,
}

impl Target {
    pub(super) fn open(name: &str, config: &Config) -> Result<Self, Error> {
        let opened = match &config.file {
            // Not `io::stdout()`: its lock would be held while a write blocks.
            None => io::stdout().as_fd().try_clone_to_owned().map(File::from),
            Some(path) => append(path),
        };
        let file = opened.map_err(|source| Error::Log {
            channel: name.to_owned(),
            path: config.file.clone().unwrap_or_else(|| PathBuf::from("standard output")),
            source,
        })?;
        Ok(Self(Mutex::new(Place { path: config.file.clone(), file })))
    }

    /// Writes one signal, once.
    pub(super) fn write(&self, letter: &Letter) -> io::Result<()> {
        write(&mut self.file()?, &(letter.json() + "\n"), &mut false)
    }

    pub(super) fn replace(&self, new: Self) {
        let new = new.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// The file to write to now. Its own handle, so that a write that blocks keeps nobody from replacing it.
    fn file(&self) -> io::Result<File> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &place.path
            && !is_at(&place.file, path)
        {
            let file = append(path)?;
            place.file = file;
        }
        place.file.try_clone()
    }
}

/// Writes what comes out of `outbox` until that is closed and empty. A failed write is tried again every second.
pub(super) fn run(outbox: &Outbox, target: &Target, runtime: &Handle) {
    let mut failing = false;
    let mut torn = false;
    while let Some(letter) = runtime.block_on(outbox.next_one()) {
        let mut line = letter.json();
        line.push('\n');
        loop {
            if outbox.is_dropped() {
                break;
            }
            match target.file().and_then(|mut file| write(&mut file, &line, &mut torn)) {
                Ok(()) => {
                    outbox.accepted(std::slice::from_ref(&letter), Instant::now());
                    if std::mem::take(&mut failing) {
                        tracing::info!(channel = outbox.name(), "writes again");
                    }
                    break;
                }
                Err(error) => {
                    outbox.attempt_failed(&error.to_string(), Some(Instant::now() + AGAIN));
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(channel = outbox.name(), %error, "cannot write");
                    }
                }
            }
            if outbox.is_kept() {
                return;
            }
            if Instant::now() >= letter.expires {
                outbox.too_old();
                break;
            }
            if outbox.is_closing() {
                outbox.failed();
                break;
            }
            // Ends early when the outbox is closing; then comes the last attempt.
            runtime.block_on(async {
                tokio::select! {
                    () = outbox.closed() => {}
                    () = outbox.stirred() => {}
                    () = tokio::time::sleep(AGAIN) => {}
                }
            });
        }
    }
}

/// Writes a line in one piece if the system takes it so. `torn`: the last line was not written to its end.
fn write(file: &mut impl Write, line: &str, torn: &mut bool) -> io::Result<()> {
    if *torn {
        file.write_all(b"\n")?;
        *torn = false;
    }
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                rest = &rest[written..];
                *torn = !rest.is_empty();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Opens a file without ever blocking: a pipe that nobody reads is an error.
fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Whether `file` is what `path` names now.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(named)) => (ours.dev(), ours.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Waits;
    use crate::channel::outbox::tests::{outbox, pushed};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_gets_one_line_a_signal_and_is_made_again_when_it_was_moved_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signals.jsonl");
        let target = Target::open("log", &config(&path)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777 & !0o640, 0);
        written(&target, 1..=2);
        let moved = folder.path().join("signals.jsonl.1");
        std::fs::rename(&path, &moved).unwrap();
        written(&target, 3..=3);
        assert_eq!(sequence(&moved), [1, 2]);
        assert_eq!(sequence(&path), [3]);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error_that_names_it() {
        let error = Target::open("log", &config(Path::new("/nonexistent/signals.jsonl"))).unwrap_err();
        assert_eq!(error.to_string(), "channel log: cannot append to /nonexistent/signals.jsonl");
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_an_error_and_not_a_wait() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(Target::open("log", &config(&path)).is_err());
    }

    #[test]
    fn a_full_disk_is_counted_and_nothing_more() {
        let target = Target::open("log", &config(Path::new("/dev/full"))).unwrap();
        let outbox = written(&target, 1..=3);
        assert_eq!((outbox.status().sent, outbox.status().failed, outbox.status().failed_attempts), (0, 3, 3));
    }

    #[test]
    fn a_line_that_was_torn_is_ended_before_the_next() {
        let mut disk = Disk { space: 3, written: Vec::new() };
        let mut torn = false;
        assert!(write(&mut disk, "{first}\n", &mut torn).is_err());
        disk.space = 100;
        write(&mut disk, "{first}\n", &mut torn).unwrap();
        write(&mut disk, "{second}\n", &mut torn).unwrap();
        assert_eq!(String::from_utf8(disk.written).unwrap(), "{fi\n{first}\n{second}\n");
    }

    /// Writes some signals with one attempt each.
    fn written(target: &Target, signals: std::ops::RangeInclusive<u64>) -> Outbox {
        let outbox = outbox(Waits::default());
        pushed(&outbox, signals);
        outbox.close();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        run(&outbox, target, runtime.handle());
        outbox
    }

    fn sequence(path: &Path) -> Vec<u64> {
        let seq = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap();
        std::fs::read_to_string(path).unwrap().lines().map(seq).collect()
    }

    fn config(path: &Path) -> Config {
        Config { file: Some(path.to_owned()) }
    }

    struct Disk {
        space: usize,
        written: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fit = bytes.len().min(self.space);
            if fit == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.space -= fit;
            self.written.extend_from_slice(&bytes[..fit]);
            Ok(fit)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
