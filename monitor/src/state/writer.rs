//! A thread that writes the newest records down, so that a disk that hangs holds up nothing but itself.

use super::file;
use engine::Record;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The thread, until dropped; a write that hangs then is left to itself.
#[derive(Debug)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    /// The newest records that are not being written yet.
    next: Option<Vec<Record>>,
    /// How many were asked for, and how many of these are done, or have failed.
    asked: u64,
    done: u64,
    failures: u64,
    /// It was said that writing fails.
    failing: bool,
    over: bool,
}

impl Writer {
    pub(super) fn start(directory: &Path) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (theirs, directory) = (Arc::clone(&shared), directory.to_owned());
        thread::Builder::new().name(String::from("state")).spawn(move || theirs.work(&directory))?;
        Ok(Self(shared))
    }

    /// Has the records written; the number by which to wait for it. Those that wait are replaced.
    pub(super) fn write(&self, records: Vec<Record>) -> u64 {
        let mut work = self.0.lock();
        work.next = Some(records);
        work.asked += 1;
        self.0.changed.notify_all();
        work.asked
    }

    /// Waits until this was written, or could not be; whether it came to that in time.
    pub(super) fn wait(&self, number: u64, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut work = self.0.lock();
        while work.done < number {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.0.changed.wait_timeout(work, left);
            work = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Nothing waits to be written.
    pub(super) fn is_idle(&self) -> bool {
        let work = self.0.lock();
        work.done == work.asked
    }

    /// The last write failed.
    pub(super) fn is_failing(&self) -> bool {
        self.0.lock().failing
    }

    pub(super) fn failures(&self) -> u64 {
        self.0.lock().failures
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn work(&self, directory: &Path) {
        let mut work = self.lock();
        loop {
            let Some(records) = work.next.take() else {
                if work.over {
                    return;
                }
                work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let number = work.asked;
            drop(work);
            let written = file::write(directory, &records);
            work = self.lock();
            work.done = number;
            match written {
                Ok(()) if work.failing => {
                    work.failing = false;
                    tracing::info!(directory = %directory.display(), "the state is written again");
                }
                Ok(()) => {}
                Err(error) => {
                    work.failures += 1;
                    if !std::mem::replace(&mut work.failing, true) {
                        tracing::warn!(
                            directory = %directory.display(),
                            "cannot write the state: routes go on, but a restart would not know of their last changes: {error}"
                        );
                    }
                }
            }
            self.changed.notify_all();
        }
    }

    /// It holds plain values, so a thread that died holding them left them whole.
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
