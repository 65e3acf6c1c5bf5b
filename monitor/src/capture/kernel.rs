//! The kernel counts: programs at XDP or TC, which leave every frame alone, and counters that both sides have in memory.
//!
//! How the programs get to an interface is in `attach`, the memory in `mapped`, what a half of it holds in `half`. The
//! programs themselves are the package `oopsd-ebpf`.

mod attach;
mod half;
mod mapped;

use super::Status;
use super::attribution::Attribution;
use super::collector;
use crate::cli;
use attach::{Links, Rung};
use aya::{Ebpf, EbpfError, EbpfLoader};
use engine::{Sample, Sight, Time, Wall};
use half::{Maps, Read};
use std::io;
use wire::Ports;

#[cfg(kernel_object)]
static OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/kernel.o")));
#[cfg(not(kernel_object))]
static OBJECT: Option<&[u8]> = None;

/// Why the kernel does not count.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was built without the toolchain for BPF.
    #[error("this binary has no kernel capture")]
    NoObject,
    /// Names can only be learned where frames are seen whole.
    #[error("names are to be learned, which the kernel does not")]
    Learning,
    /// The kernel or the object is not as expected.
    #[error("the programs cannot be loaded")]
    Load(#[source] Box<EbpfError>),
    /// The verifier or a missing capability.
    #[error("the program {program} cannot be loaded")]
    Program {
        /// Its name.
        program: &'static str,
        /// What the kernel says.
        #[source]
        source: Box<aya::programs::ProgramError>,
    },
    /// The object lacks a map, or it cannot be mapped.
    #[error("the map {map} cannot be mapped into memory")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No hook that may be used is free, or fit.
    #[error("{interface}: {rung}: {source}")]
    Attach {
        /// The interface.
        interface: String,
        /// The last hook that was tried.
        rung: &'static str,
        /// What the kernel says.
        source: io::Error,
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

/// A running capture on one or several interfaces.
#[derive(Debug)]
pub struct Kernel {
    /// The programs' file descriptors.
    _programs: Ebpf,
    links: Vec<Links>,
    maps: Maps,
    ports: Ports,
    read: Read,
    generation: u64,
}

impl Kernel {
    /// Loads the programs and attaches them to `interfaces`, on the rung that is asked for or the best that is free.
    ///
    /// # Errors
    /// What stands in the way; nothing is left behind then.
    pub fn start(
        interfaces: &[String],
        ports: Ports,
        wanted: cli::Capture,
        attribution: &Attribution,
    ) -> Result<Self, Error> {
        let object = OBJECT.ok_or(Error::NoObject)?;
        let (_, buckets) = attribution.table().ok_or(Error::Learning)?;
        let room = half::Room::of(attribution.slots(), buckets.len());
        let mut loader = EbpfLoader::new();
        for (map, entries) in room.entries() {
            loader.map_max_entries(map, entries);
        }
        let mut programs = loader.load(object).map_err(|error| Error::Load(Box::new(error)))?;
        let mut maps = Maps::new(&mut programs, room)?;
        maps.fill(attribution, ports)?;
        maps.flip();
        let rungs: &[Rung] = match wanted {
            cli::Capture::Xdp => &[Rung::Xdp],
            cli::Capture::Tc => &[Rung::Tcx],
            cli::Capture::Auto | cli::Capture::Socket => &[Rung::Xdp, Rung::Tcx],
        };
        let links = interfaces.iter().map(|interface| attach::attach(&mut programs, interface, rungs));
        let links = links.collect::<Result<_, _>>()?;
        let read = Read::new(&maps);
        Ok(Self { _programs: programs, links, maps, ports, read, generation: collector::generation() })
    }

    /// The totals of all interfaces now.
    #[must_use]
    pub fn sample(&mut self, at: Time, wall: Wall) -> Sample {
        let sight = self.sight();
        self.read.sample(&self.maps, self.generation, at, wall, sight)
    }

    /// What each interface says of itself, in the order they were given.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        let frames = self.maps.frames();
        let status = |(index, links): (usize, &Links)| Status {
            interface: links.interface.clone(),
            kind: links.rung.as_str(),
            frames: if index == 0 { frames } else { 0 },
            dropped: 0,
            blind: links.blind(),
        };
        self.links.iter().enumerate().map(status).collect()
    }

    /// Fills the half that is not in force, for [`Kernel::replace`].
    ///
    /// # Errors
    /// [`Error::Room`], and all stays as it was.
    pub fn prepare(&mut self, attribution: &Attribution) -> Result<(), Error> {
        self.maps.fill(attribution, self.ports)
    }

    /// Turns to the half that was prepared: gives the last sample of the old generation and begins a new one.
    #[must_use]
    pub fn replace(&mut self, at: Time, wall: Wall) -> Sample {
        let sight = self.sight();
        self.maps.flip();
        let last = self.read.sample(&self.maps, self.generation, at, wall, sight);
        self.read = Read::new(&self.maps);
        self.generation = collector::generation();
        last
    }

    /// Takes the programs off the interfaces; what they counted can still be sampled.
    pub fn stop(&mut self) {
        for links in &mut self.links {
            links.detach();
        }
        mapped::until_all_programs_have_ended();
    }

    fn sight(&self) -> Sight {
        let blind = |links: &Links| links.blind().map(|why| format!("{}: {why}", links.interface));
        Sight { blind: self.links.iter().filter_map(blind).collect(), frames: self.maps.frames(), dropped: 0 }
    }
}
