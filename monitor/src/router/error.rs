//! Why a route is not as wanted, or the routers could not start. What a daemon has to say is its own.

use super::{announcement, bird, exabgp, gobgp, kernel_table};
use engine::Action;
use ipnet::IpNet;
use thiserror::Error;

/// Why a route is not as wanted, or the routers could not start.
#[derive(Debug, Error)]
pub enum Error {
    /// A route names a router that is not configured.
    #[error("route {prefix}: there is no router {router:?}")]
    UnknownRouter {
        /// The route's prefix.
        prefix: String,
        /// The name it gives.
        router: String,
    },
    /// A route's prefix has no meaning, has host bits set, or is a default route.
    #[error("route {prefix:?}: not a prefix that may be announced, such as 192.0.2.0/24 (never a default route)")]
    Prefix {
        /// As it was given.
        prefix: String,
    },
    /// Applied without complaint, and read back as something else.
    #[error(
        "{prefix} on router {router:?} was set to {wanted} and reads back as {seen}: is another program changing it?"
    )]
    NotKept {
        /// The router.
        router: String,
        /// The prefix.
        prefix: IpNet,
        /// What was applied.
        wanted: Action,
        /// What was read back.
        seen: Action,
    },
    /// The kernel table refused.
    #[error(transparent)]
    KernelTable(#[from] kernel_table::Error),
    /// BIRD did not.
    #[error(transparent)]
    Bird(#[from] bird::Error),
    /// ExaBGP did not.
    #[error(transparent)]
    Exabgp(#[from] exabgp::Error),
    /// GoBGP did not.
    #[error(transparent)]
    Gobgp(#[from] gobgp::Error),
    /// An announcement is left alone.
    #[error(transparent)]
    Announcement(#[from] announcement::Error),
}
