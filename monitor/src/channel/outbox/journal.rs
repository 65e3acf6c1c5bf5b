//! The thread that keeps what waits on the disk. All that came while it wrote goes in one write, and is forced to the disk once.
//!
//! What it writes, and when it is read, is `file`'s. When the disk fails, signals go on in memory, and it tries to write a new
//! file with all that waits until that succeeds.

use super::super::row::{Dropped, Line, Row};
use super::file::{self, Aside, Batch, File, Kept, Waiting, read};
use super::{FOLDER, Outbox, asked};
use crate::state::{self, Lock};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What goes may go a little later, together with more.
const LINGER: Duration = Duration::from_millis(50);
/// How long after a failure the disk is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// A file that is longer than this, and three times as long as it began, is written anew.
const LONG: u64 = 1 << 20;

/// How it stands with what waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The last write succeeded.
    pub durable: bool,
    /// Signals, by channel, that the disk does not have yet.
    pub unwritten: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Writes that failed.
    pub failures: u64,
    /// Lines that were found broken at the start.
    pub broken_lines: u64,
}

/// Wakes the thread.
#[derive(Clone, Debug)]
pub(in super::super) struct Wake(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    orders: Mutex<Orders>,
    woken: Condvar,
    durable: AtomicBool,
}

#[derive(Debug)]
struct Orders {
    outboxes: Vec<Arc<Outbox>>,
    /// Which outboxes there are is known. Before, a new file would be without what waits in them.
    served: bool,
    /// Channels of an earlier run that are not configured: kept for when they are again.
    strangers: Waiting,
    soon: bool,
    later: bool,
    /// What is in the file is no longer what it should be.
    renew: bool,
    stop: bool,
    stopped: bool,
    standing: Standing,
}

impl Wake {
    /// There is something to write.
    pub(super) fn soon(&self) {
        self.orders().soon = true;
        self.0.woken.notify_all();
    }

    /// There is something that need not be there any more.
    pub(super) fn later(&self) {
        let was = std::mem::replace(&mut self.orders().later, true);
        if !was {
            self.0.woken.notify_all();
        }
    }

    /// How it stands with channels that are not configured.
    pub(in super::super) fn strangers(&self) -> Vec<Row> {
        self.orders().strangers.iter().map(|(channel, letters)| asked::row(channel, false, letters)).collect()
    }

    /// The first few signals for such a channel, from this number on.
    pub(in super::super) fn lines(&self, channel: &str, from: u64) -> Option<Vec<Line>> {
        self.orders().strangers.get(channel).map(|letters| asked::lines(letters, from))
    }

    /// Drops signals for such a channel.
    pub(in super::super) fn discard(&self, channel: &str, numbers: Option<&[u64]>) -> Option<Dropped> {
        let mut orders = self.orders();
        let letters = orders.strangers.get_mut(channel)?;
        let before = letters.len();
        letters.retain(|number, _| numbers.is_some_and(|numbers| !numbers.contains(number)));
        let dropped =
            Dropped { dropped: (before - letters.len()) as u64, waiting: letters.len() as u64, trying: false };
        orders.strangers.retain(|_, letters| !letters.is_empty());
        orders.renew = true;
        drop(orders);
        self.soon();
        Some(dropped)
    }

    pub(super) fn is_durable(&self) -> bool {
        self.0.durable.load(Ordering::Acquire)
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.0.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The journal of all outboxes.
#[derive(Debug)]
pub(in super::super) struct Journal {
    wake: Wake,
    /// Where it is, if it is ours: another process may ask there.
    pub(in super::super) folder: Option<PathBuf>,
    /// The number of the first signal of this run.
    pub(in super::super) next: u64,
}

impl Journal {
    /// Takes the folder `outbox` of the state directory, reads what the last run left there, and starts to write there.
    /// Whatever is wrong there, signals go on; `None` if another process has it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(in super::super) fn start(state: &Path) -> io::Result<Option<Self>> {
        let folder = &state.join(FOLDER);
        let lock = match take(folder) {
            Ok(lock) => Some(lock),
            Err(error @ state::Error::Taken { .. }) => {
                tracing::error!("what waits for channels is in memory only, and a crash would lose it: {error}");
                return Ok(None);
            }
            // Said once it is to be written to.
            Err(state::Error::Directory { .. }) => None,
        };
        let found = read(folder).unwrap_or_else(|error| {
            tracing::error!(folder = %folder.display(), %error, "cannot read what waits; what was there is not sent");
            Default::default()
        });
        let broken_lines = match &found.aside {
            None => 0,
            Some(Aside::Broken(lines)) => {
                tracing::error!(
                    folder = %folder.display(), lines,
                    "what waits was damaged on the disk; the rest of it is sent, and the file is now signals.broken"
                );
                *lines
            }
            Some(Aside::Version(version)) => {
                tracing::error!(
                    folder = %folder.display(), version,
                    "what waits was written by another version; it is not sent, and the file is now signals.other-version"
                );
                0
            }
        };
        let standing = Standing { durable: false, unwritten: 0, bytes: 0, failures: 0, broken_lines };
        let orders = Orders {
            outboxes: Vec::new(),
            served: false,
            strangers: found.waiting,
            soon: false,
            later: false,
            renew: false,
            stop: false,
            stopped: false,
            standing,
        };
        let shared = Shared { orders: Mutex::new(orders), woken: Condvar::new(), durable: AtomicBool::new(true) };
        let wake = Wake(Arc::new(shared));
        let ours = lock.as_ref().map(|_| folder.clone());
        let writer = Writer { folder: folder.clone(), lock, file: None, wake: wake.clone(), failing: false };
        std::thread::Builder::new().name("outbox".to_owned()).spawn(move || {
            crate::privileges::keep(&[]);
            writer.run();
        })?;
        Ok(Some(Self { wake, folder: ours, next: found.next }))
    }

    pub(in super::super) fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// What an earlier run left for a channel, which has it from the next `serve` on.
    pub(in super::super) fn left_for(&self, channel: &str) -> BTreeMap<u64, Kept> {
        self.wake.orders().strangers.get(channel).cloned().unwrap_or_default()
    }

    /// These are the outboxes now. What is in others is forgotten.
    pub(in super::super) fn serve(&self, outboxes: Vec<Arc<Outbox>>) {
        let mut orders = self.wake.orders();
        orders.strangers.retain(|channel, _| outboxes.iter().all(|outbox| outbox.name() != channel));
        orders.outboxes = outboxes;
        orders.served = true;
        orders.renew = true;
        for (channel, letters) in &orders.strangers {
            tracing::warn!(channel, signals = letters.len(), "signals wait for a channel that is not configured");
        }
        drop(orders);
        self.wake.soon();
    }

    pub(in super::super) fn standing(&self) -> Standing {
        let orders = self.wake.orders();
        let (outboxes, standing) = (orders.outboxes.clone(), orders.standing.clone());
        drop(orders);
        let unwritten = outboxes.iter().map(|outbox| outbox.unwritten()).sum();
        // After that: what was written when it was counted is there if the last write succeeded.
        Standing { durable: self.wake.is_durable(), unwritten, ..standing }
    }

    /// Writes the rest, and returns when that is done or at `deadline`; whether it is done.
    pub(in super::super) fn finish(&self, deadline: Instant) -> bool {
        let mut orders = self.wake.orders();
        orders.stop = true;
        self.wake.0.woken.notify_all();
        while !orders.stopped {
            let Some(rest) = deadline.checked_duration_since(Instant::now()) else { return false };
            orders = self.wake.0.woken.wait_timeout(orders, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.wake.is_durable()
    }
}

fn take(folder: &Path) -> Result<Lock, state::Error> {
    let failed = |source| state::Error::Directory { directory: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    Lock::take(folder)
}

/// What is to be written, and for whom.
struct Due {
    outboxes: Vec<Arc<Outbox>>,
    strangers: Waiting,
    /// A new file, with all that waits.
    whole: bool,
    /// It is the last time.
    stop: bool,
}

/// Its thread.
struct Writer {
    folder: PathBuf,
    lock: Option<Lock>,
    file: Option<File>,
    wake: Wake,
    failing: bool,
}

impl Writer {
    fn run(mut self) {
        loop {
            let due = self.wait();
            self.write(&due);
            if due.stop {
                // Before it is said: the next may take it then.
                self.lock = None;
                let mut orders = self.wake.orders();
                orders.stopped = true;
                orders.outboxes.clear();
                self.wake.0.woken.notify_all();
                return;
            }
        }
    }

    /// Until there is something to write.
    fn wait(&self) -> Due {
        let mut orders = self.wake.orders();
        let began = Instant::now();
        let mut gone_since = None;
        loop {
            if orders.later {
                gone_since = gone_since.or_else(|| Some(Instant::now()));
            }
            // After a failure everything waits for the next try, but for the last one.
            let at = if self.failing { Some(began + AGAIN) } else { gone_since.map(|since| since + LINGER) };
            let rest = at.map(|at| at.saturating_duration_since(Instant::now()));
            let due = orders.served && (!self.failing && orders.soon || rest == Some(Duration::ZERO));
            if due || orders.stop {
                (orders.soon, orders.later) = (false, false);
                let whole = orders.served
                    && (std::mem::take(&mut orders.renew)
                        || self.file.as_ref().is_none_or(|file| file.length > LONG && file.length > 3 * file.first));
                let strangers = if whole { orders.strangers.clone() } else { Waiting::new() };
                return Due { outboxes: orders.outboxes.clone(), strangers, whole, stop: orders.stop };
            }
            let woken = &self.wake.0.woken;
            orders = match rest.filter(|_| orders.served) {
                Some(rest) => woken.wait_timeout(orders, rest).unwrap_or_else(PoisonError::into_inner).0,
                None => woken.wait(orders).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn write(&mut self, due: &Due) {
        let mut batch = Batch::default();
        for outbox in &due.outboxes {
            outbox.collect(&mut batch, due.whole);
        }
        let result = if due.whole {
            for (channel, letters) in &due.strangers {
                letters.iter().for_each(|(&number, kept)| batch.add(channel, number, kept));
            }
            self.create(&batch)
        } else if batch.is_empty() {
            Ok(())
        } else {
            self.file.as_mut().map_or(Ok(()), |file| file.append(&batch))
        };
        self.said(result);
        for outbox in &due.outboxes {
            outbox.written(!self.failing);
        }
    }

    fn create(&mut self, batch: &Batch) -> io::Result<()> {
        if self.lock.is_none() {
            // It could not be had at the start, and what is there was not read.
            self.lock = Some(take(&self.folder).map_err(io::Error::other)?);
            file::keep_aside(&self.folder)?;
        }
        self.file = Some(File::create(&self.folder, batch)?);
        Ok(())
    }

    /// Takes up how a write went, and says it when that is new.
    fn said(&mut self, result: io::Result<()>) {
        let failing = result.is_err();
        let was = std::mem::replace(&mut self.failing, failing);
        match result {
            Ok(()) if was => tracing::info!("what waits is on the disk again"),
            Ok(()) => {}
            Err(error) => {
                self.file = None;
                if !was {
                    tracing::error!(
                        folder = %self.folder.display(), %error,
                        "cannot write what waits: it is in memory only, and a crash would lose it"
                    );
                }
            }
        }
        self.wake.0.durable.store(!failing, Ordering::Release);
        let mut orders = self.wake.orders();
        orders.standing.failures += u64::from(failing);
        orders.standing.bytes = self.file.as_ref().map_or(0, |file| file.length);
    }
}
