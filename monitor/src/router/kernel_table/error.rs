//! Why a kernel table is not as it should be, and what to do about it.

use super::{lease, message};
use engine::Action;
use ipnet::IpNet;
use std::io;
use thiserror::Error;

/// What the kernel refused, and what to do about it.
#[derive(Debug, Error)]
pub enum Error {
    /// No route netlink socket.
    #[error("table {table}: cannot open a route netlink socket")]
    Open {
        /// The table.
        table: u32,
        /// Why.
        source: io::Error,
    },
    /// The table could not be read.
    #[error("table {table}: cannot read its routes")]
    Read {
        /// The table.
        table: u32,
        /// Why.
        source: io::Error,
    },
    /// A route could not be added or deleted.
    #[error(
        "cannot {verb} the route {prefix} table {table} proto {} metric {metric}{}",
        message::PROTOCOL,
        advice(source)
    )]
    Change {
        /// `add` or `delete`.
        verb: &'static str,
        /// The prefix.
        prefix: IpNet,
        /// The table.
        table: u32,
        /// The metric.
        metric: u32,
        /// Why.
        source: io::Error,
    },
    /// An action that no metric stands for.
    #[error("table {table}: no metric stands for {action} of {prefix}")]
    Level {
        /// The prefix.
        prefix: IpNet,
        /// The table.
        table: u32,
        /// The action.
        action: Action,
    },
    /// No interface that goes with this process.
    #[error("cannot make the interface {} that ends with oopsd{}", lease::name(*table), lease_advice(source))]
    Lease {
        /// The table.
        table: u32,
        /// Why.
        source: io::Error,
    },
    /// Somebody else's route comes before ours.
    #[error(
        "table {table}: {foreign} is not oopsd's and hides what oopsd says of it: delete it, or give oopsd a table of its own"
    )]
    Hidden {
        /// The table.
        table: u32,
        /// The route, as `ip route` prints it.
        foreign: String,
    },
}

fn advice(source: &io::Error) -> &'static str {
    let refused = source.kind() == io::ErrorKind::PermissionDenied;
    if refused { " (oopsd needs CAP_NET_ADMIN)" } else { "" }
}

fn lease_advice(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => " (oopsd needs CAP_NET_ADMIN and /dev/net/tun)",
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => " (there is no /dev/net/tun: modprobe tun)",
        Some(libc::EBUSY) => " (another oopsd has it)",
        Some(_) | None => "",
    }
}
