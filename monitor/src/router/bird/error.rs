//! Why BIRD does not announce as it should, and what to do about it. What is wrong with the socket or the file is said by those.

use super::constants::{Family, SUM};
use super::{ControlError, IncludeError, fragment};
use engine::Action;
use ipnet::IpNet;
use std::path::PathBuf;
use thiserror::Error;

/// Why BIRD does not announce as it should.
#[derive(Debug, Error)]
pub enum Error {
    /// BIRD, or its socket.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The file.
    #[error(transparent)]
    Include(#[from] IncludeError),
    /// No constant of ours is known to BIRD.
    #[error("BIRD knows no {SUM}: bird.conf has to include {}; `oopsd check` prints the lines", include.display())]
    NotIncluded {
        /// The file.
        include: PathBuf,
    },
    /// It took a configuration, with other constants.
    #[error("BIRD took its configuration, but not the constants of {}: does bird.conf include that file?", include.display())]
    NotTaken {
        /// The file.
        include: PathBuf,
    },
    /// The file was there a moment ago.
    #[error("{}: somebody took it away or damaged it", include.display())]
    Vanished {
        /// The file.
        include: PathBuf,
    },
    /// There is no such BGP protocol.
    #[error("BIRD has no BGP protocol {protocol}, so that no step up is made: correct `protocols`")]
    NoProtocol {
        /// Its name.
        protocol: String,
    },
    /// BIRD knows it, and the filter does nothing about it.
    #[error(
        "{protocol} exports {prefix} without {action}: its export filter has to call {}(), as `oopsd check` prints it",
        fragment::function(Family::of(*prefix))
    )]
    NotExported {
        /// The protocol.
        protocol: String,
        /// The prefix.
        prefix: IpNet,
        /// The action.
        action: Action,
    },
    /// No constant stands for it.
    #[error(
        "{prefix}: {action} is nothing that an include file may hold: nothing would take it back if oopsd died; a kernel table can"
    )]
    Level {
        /// The prefix.
        prefix: IpNet,
        /// The action.
        action: Action,
    },
}
