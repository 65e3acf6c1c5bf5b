//! One thread's work: reading an interface in batches, noticing that it went away, and opening it again.

use super::Error;
use super::handle::{self, BLOCK_TIMEOUT, Handle, Orders, said};
use super::stop::{Stop, poll};
use crate::capture::collector::Desk;
use crate::capture::interface::{DOWN, GONE, Interface, look};
use crate::privileges;
use caps::Capability;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many frames are counted under one lock.
const BATCH: usize = 1024;

/// How often an interface is looked up, and one that is away is tried again.
const LOOK: Duration = Duration::from_millis(500);

/// How long a stop may take to count what is still there.
const LAST: Duration = Duration::from_millis(500);

/// How old the numbers of frames and losses may get while frames come.
const STALE: Duration = Duration::from_millis(50);

/// What one thread says of its interface.
#[derive(Debug, Default)]
pub(super) struct Seen {
    frames: AtomicU64,
    dropped: AtomicU64,
    blind: Mutex<Option<String>>,
}

impl Seen {
    pub(super) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn blind(&self) -> Option<String> {
        self.blind.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, blind: Option<String>) {
        *self.blind.lock().unwrap_or_else(PoisonError::into_inner) = blind;
    }
}

/// A thread's work, before and while it runs.
pub(super) struct Watch {
    orders: Orders,
    desk: Arc<Mutex<Desk>>,
    stop: Arc<Stop>,
    seen: Arc<Seen>,
    open: Option<Open>,
}

struct Open {
    interface: Interface,
    handles: Vec<Handle>,
}

/// Why a thread no longer reads.
#[derive(PartialEq, Eq)]
enum End {
    Stopped,
    Lost(String),
}

impl Watch {
    /// Opens the interface for the first time.
    pub(super) fn new(orders: Orders, desk: Arc<Mutex<Desk>>, stop: Arc<Stop>) -> Result<Self, Error> {
        let name = &orders.interface;
        let interface = look(name).ok_or_else(|| Error::NoInterface(name.clone()))?;
        let seen = Arc::new(Seen::default());
        let open = if interface.up {
            let handles =
                Handle::open(&orders, interface).map_err(|why| Error::Open { interface: name.clone(), why })?;
            Some(Open { interface, handles })
        } else {
            seen.set(Some(String::from(DOWN)));
            None
        };
        Ok(Self { orders, desk, stop, seen, open })
    }

    pub(super) fn interface(&self) -> &str {
        &self.orders.interface
    }

    pub(super) fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen)
    }

    /// Counts until told to stop.
    pub(super) fn run(mut self) {
        // To open the interface again.
        privileges::keep(&[Capability::CAP_NET_RAW]);
        loop {
            let end = match self.open.take() {
                Some(open) => self.read(open),
                None => self.try_again(),
            };
            match end {
                End::Stopped => return,
                End::Lost(why) => self.blind(why),
            }
        }
    }

    fn blind(&self, why: String) {
        if self.seen.blind().as_ref() != Some(&why) {
            tracing::warn!(interface = self.orders.interface, why, "capture is blind");
            self.seen.set(Some(why));
        }
    }

    fn try_again(&mut self) -> End {
        if poll([self.stop.fd()], milliseconds(LOOK)) != [0] {
            return End::Stopped;
        }
        let interface = match present(&self.orders.interface) {
            Ok(interface) => interface,
            Err(why) => return End::Lost(why),
        };
        match Handle::open(&self.orders, interface) {
            Err(why) => End::Lost(why),
            Ok(handles) => {
                tracing::info!(interface = self.orders.interface, "capture sees again");
                self.seen.set(None);
                self.read(Open { interface, handles })
            }
        }
    }

    fn read(&self, mut open: Open) -> End {
        let end = self.batches(&mut open);
        if end == End::Stopped {
            self.empty(&mut open.handles);
        }
        self.publish(&mut open.handles);
        end
    }

    /// Counts what the rings still hold, and nothing that comes from now on.
    fn empty(&self, handles: &mut [Handle]) {
        let closed = handles.iter().try_for_each(Handle::close);
        handle::settle();
        let fd = |index: usize| handles.get(index).map_or(-1, Handle::fd);
        let fds = [fd(0), fd(1)];
        let last = Instant::now() + LAST;
        while closed.is_ok() && Instant::now() < last {
            // A block that is not full is handed over when its time has come.
            let ready = poll(fds, 2 * i32::from(BLOCK_TIMEOUT));
            if ready == [0, 0] {
                return;
            }
            for (handle, ready) in handles.iter_mut().zip(ready) {
                if ready & libc::POLLIN != 0 && self.batch(handle).is_err() {
                    return;
                }
            }
        }
    }

    fn batches(&self, open: &mut Open) -> End {
        let fd = |index: usize| open.handles.get(index).map_or(-1, Handle::fd);
        let fds = [self.stop.fd(), fd(0), fd(1)];
        let (mut looked, mut published, mut stale) = (Instant::now(), Instant::now(), false);
        loop {
            let [stop, first, second] = poll(fds, milliseconds(if stale { STALE } else { LOOK }));
            if stop != 0 {
                return End::Stopped;
            }
            let failed = (first | second) & !libc::POLLIN != 0;
            if failed || looked.elapsed() >= LOOK {
                looked = Instant::now();
                match present(&self.orders.interface) {
                    Ok(interface) if interface.index != open.interface.index => {
                        return End::Lost(String::from("the interface was made anew"));
                    }
                    Ok(_) if failed => return End::Lost(String::from("the packet socket failed")),
                    Ok(_) => {}
                    Err(why) => return End::Lost(why),
                }
            }
            for (handle, ready) in open.handles.iter_mut().zip([first, second]) {
                if ready & libc::POLLIN != 0 {
                    stale = true;
                    if let Err(error) = self.batch(handle) {
                        return End::Lost(said(&self.orders.interface, &error));
                    }
                }
            }
            if stale && published.elapsed() >= STALE {
                (published, stale) = (Instant::now(), false);
                self.publish(&mut open.handles);
            }
        }
    }

    fn batch(&self, handle: &mut Handle) -> Result<(), pcap::Error> {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let Desk { attribution, tally, batch } = &mut *desk;
        let mut frames = || {
            for _ in 0..BATCH {
                let frame = handle.capture.next_packet()?.data;
                batch.count_frame(attribution, self.orders.ports, handle.link, frame, handle.known, tally);
            }
            Ok(())
        };
        let end = frames();
        batch.settle(attribution, tally);
        match end {
            Ok(()) | Err(pcap::Error::TimeoutExpired | pcap::Error::NoMorePackets) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn publish(&self, handles: &mut [Handle]) {
        for [frames, dropped] in handles.iter_mut().map(Handle::grown) {
            // One thread writes them, and they wrap.
            self.seen.frames.fetch_add(frames, Ordering::Relaxed);
            self.seen.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.blind(String::from("the capturing thread has failed"));
        }
    }
}

/// The interface if it is there and up, else why it is not.
fn present(name: &str) -> Result<Interface, String> {
    match look(name) {
        None => Err(String::from(GONE)),
        Some(interface) if !interface.up => Err(String::from(DOWN)),
        Some(interface) => Ok(interface),
    }
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
