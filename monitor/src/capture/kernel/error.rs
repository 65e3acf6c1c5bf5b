//! Why the kernel does not count.

use aya::EbpfError;
use aya::programs::ProgramError;
use std::error::Error as _;
use std::io;
use std::path::PathBuf;

/// Why the kernel does not count.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was built without the toolchain for BPF.
    #[error("this binary has no kernel capture")]
    NoObject,
    /// Names can only be learned where frames are seen whole.
    #[error("names are to be learned, which the kernel does not")]
    Learning,
    /// An interface is not there at the start, so that its name is likely misspelt.
    #[error("{0}: there is no such interface{here}", here = crate::capture::interface::here())]
    NoInterface(String),
    /// Its frames have no Ethernet header: loopback, tunnels.
    #[error("{0} is no Ethernet interface")]
    NotEthernet(String),
    /// The process may not do it.
    #[error("missing: {0} ({SETCAP})", SETCAP = crate::privileges::SETCAP)]
    Capability(String),
    /// The kernel or the object is not as expected.
    #[error("the programs cannot be loaded")]
    Load(#[source] Box<EbpfError>),
    /// The verifier, mostly.
    #[error("the program {program} cannot be loaded")]
    Program {
        /// Its name.
        program: &'static str,
        /// What the kernel says.
        #[source]
        source: Box<ProgramError>,
    },
    /// The object lacks a map, or it cannot be made, mapped into memory, or told to the programs.
    #[error("the map {map} cannot be used")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not known how many CPUs there can be.
    #[error("{path}: {why}")]
    Processors {
        /// Where the kernel says it.
        path: &'static str,
        /// Why not.
        why: String,
    },
    /// No hook that may be used is free, or fit.
    #[error("{interface}: {hook} is not to be had")]
    Attach {
        /// The interface.
        interface: String,
        /// The last hook that was tried.
        hook: &'static str,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// Nothing can be pinned.
    #[error("pin: {path}: {why}")]
    Pin {
        /// The folder.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The counters would take more than they may.
    #[error("its counters need {needed}, and [capture] kernel-memory allows {limit}")]
    Memory {
        /// How much, with its unit.
        needed: String,
        /// How much is allowed, with its unit.
        limit: String,
    },
    /// A reload brings more than there is room for.
    #[error("{wanted} {what} are more than the {room} that there is room for until the next start")]
    Room {
        /// Of what.
        what: &'static str,
        /// How many.
        wanted: usize,
        /// How many can be.
        room: usize,
    },
}

impl Error {
    /// Whether it is no reason to count by packet sockets in place of the kernel: they would fail too, or nobody would
    /// want them to.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::NoInterface(_) | Self::Pin { .. })
    }

    /// Whether another interface might do.
    #[must_use]
    pub const fn is_about_an_interface(&self) -> bool {
        matches!(self, Self::NotEthernet(_) | Self::Attach { .. })
    }

    /// It and what is behind it, in one line. Of what the verifier says, the end: there is the reason.
    #[must_use]
    pub fn whole(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let said = error.to_string();
            let mut lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            if lines.len() > 3 {
                lines.drain(1..lines.len() - 2);
            }
            text = format!("{text}: {}", lines.join(" "));
            source = error.source();
        }
        text
    }
}
