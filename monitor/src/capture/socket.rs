//! Packet sockets through libpcap: what this host receives and sends, as it does.
//!
//! Each interface has its own threads, which read batches and count them (`watch`); what a handle sees is chosen in the
//! kernel (`filter`, `handle`). Opening a handle again after its interface went away is `watch`'s too.

mod filter;
mod handle;
mod stop;
mod watch;

use super::Status;
use super::attribution::Attribution;
use super::collector::Collector;
use super::interface;
use engine::{Sample, Sight, Time, Wall};
use std::sync::Arc;
use std::thread::JoinHandle;
use stop::Stop;
use watch::{Seen, Watch};
use wire::Ports;

/// Why nothing can be counted, or not where it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The process may not open packet sockets.
    #[error("packet sockets need CAP_NET_RAW: run as root or setcap cap_net_raw+ep")]
    Permission,
    /// An interface is not there at the start, so that its name is likely misspelt.
    #[error("{0}: there is no such interface{here}", here = crate::capture::interface::here())]
    NoInterface(String),
    /// libpcap or the kernel refuses.
    #[error("{interface}: {why}")]
    Open {
        /// The interface.
        interface: String,
        /// What libpcap or the kernel says.
        why: String,
    },
}

/// A running capture on one or several interfaces.
#[derive(Debug)]
pub struct Socket {
    collector: Collector,
    interfaces: Vec<(String, Vec<Arc<Seen>>)>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<Stop>,
}

impl Socket {
    /// Starts `threads` threads for each of `interfaces`. What goes over `ports` counts from the return on. Each thread
    /// has a ring buffer of `buffer` bytes for each direction.
    ///
    /// An interface that is there but down makes the capture blind, as one that goes away later does.
    ///
    /// # Errors
    /// A missing permission, an interface that does not exist, or one whose frames `wire` does not read.
    pub fn start(
        interfaces: &[String],
        ports: Ports,
        buffer: usize,
        threads: usize,
        attribution: &Arc<Attribution>,
    ) -> Result<Self, Error> {
        if !interface::may_open_packet_sockets() {
            return Err(Error::Permission);
        }
        let threads = threads.max(1);
        let open = |why: std::io::Error| Error::Open { interface: String::from("eventfd"), why: why.to_string() };
        let mut socket = Self {
            collector: Collector::new(interfaces.len() * threads, attribution),
            interfaces: Vec::new(),
            threads: Vec::new(),
            stop: Arc::new(Stop::new().map_err(open)?),
        };
        let desks = socket.collector.desks().to_vec();
        let mut watches = Vec::new();
        for (name, desks) in interfaces.iter().zip(desks.chunks(threads)) {
            let group = (threads > 1).then(handle::fanout_groups);
            let mut seen = Vec::new();
            for desk in desks {
                let orders = handle::Orders { interface: name.clone(), ports, buffer, group };
                let watch = Watch::new(orders, Arc::clone(desk), Arc::clone(&socket.stop))?;
                seen.push(watch.seen());
                watches.push(watch);
            }
            socket.interfaces.push((name.clone(), seen));
        }
        for watch in watches {
            let interface = watch.interface().to_owned();
            let thread = std::thread::Builder::new().name(format!("capture {interface}"));
            let open = |error: std::io::Error| Error::Open { interface, why: error.to_string() };
            socket.threads.push(thread.spawn(|| watch.run()).map_err(open)?);
        }
        Ok(socket)
    }

    /// The totals of all interfaces now.
    #[must_use]
    pub fn sample(&mut self, at: Time, wall: Wall) -> Sample {
        let sight = self.sight();
        self.collector.sample(at, wall, sight)
    }

    /// What each interface says of itself, in the order they were given.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        let status = |(interface, seen): &(String, Vec<Arc<Seen>>)| {
            let sum = |totals: fn(&Seen) -> u64| seen.iter().fold(0, |sum: u64, seen| sum.wrapping_add(totals(seen)));
            Status {
                interface: interface.clone(),
                kind: "socket",
                frames: sum(Seen::frames),
                dropped: sum(Seen::dropped),
                blind: seen.iter().find_map(|seen| seen.blind()),
            }
        };
        self.interfaces.iter().map(status).collect()
    }

    /// Attributes by `attribution` from here on: gives the last sample of the old generation and begins a new one.
    #[must_use]
    pub fn replace(&mut self, attribution: &Arc<Attribution>, at: Time, wall: Wall) -> Sample {
        let sight = self.sight();
        self.collector.replace(attribution, at, wall, sight)
    }

    /// Ends all threads and waits for them; what they counted can still be sampled.
    pub fn stop(&mut self) {
        self.stop.set();
        for thread in self.threads.drain(..) {
            // Its panic, if it had one, was reported and has made the capture blind.
            drop(thread.join());
        }
    }

    fn sight(&self) -> Sight {
        let mut sight = Sight::default();
        for status in self.status() {
            sight.frames = sight.frames.wrapping_add(status.frames);
            sight.dropped = sight.dropped.wrapping_add(status.dropped);
            sight.blind.extend(status.blind.map(|why| format!("{}: {why}", status.interface)));
        }
        sight
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.stop();
    }
}
