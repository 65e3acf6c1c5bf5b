//! The programs and maps in the kernel, by their file descriptors: loaded from the object, or taken from their pins.

use super::Error;
use aya::maps::{Map, MapError, ProgramArray};
use aya::programs::{Program, ProgramError, ProgramFd};
use aya::{Ebpf, EbpfLoader};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

/// The programs that the kernel calls itself; all others are called by these.
pub(super) const PROGRAMS: [&str; 3] = ["ingress_xdp", "ingress_tc", "egress_tc"];

/// A program that the kernel calls: an index of [`PROGRAMS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    IngressXdp,
    IngressTc,
    EgressTc,
}

/// What is in the kernel. The maps of programs forget these when nobody holds the maps any more.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) programs: [OwnedFd; 3],
    pub(super) maps: Vec<(String, OwnedFd)>,
}

impl Loaded {
    /// Loads `object`, with this many entries in the maps that are named.
    pub(super) fn new(object: &[u8], entries: &[(&str, u32)]) -> Result<Self, Error> {
        let mut loader = EbpfLoader::new();
        for (map, entries) in entries {
            loader.map_max_entries(map, *entries);
        }
        Self::load(&mut loader, object)
    }

    /// Loads `object` upon maps that are there already, by their files.
    pub(super) fn upon<'a>(object: &[u8], maps: impl IntoIterator<Item = (&'a str, &'a Path)>) -> Result<Self, Error> {
        let mut loader = EbpfLoader::new();
        for (map, path) in maps {
            loader.map_pin_path(map, path);
        }
        Self::load(&mut loader, object)
    }

    fn load(loader: &mut EbpfLoader<'_>, object: &[u8]) -> Result<Self, Error> {
        let mut object = loader.load(object).map_err(|error| Error::Load(Box::new(error)))?;
        for layout::Called { map, index, program } in layout::CALLED {
            let failed = |source: MapError| Error::Map { map, source: io::Error::other(source) };
            let program = program_fd(&mut object, program)?;
            let program = program.try_clone().map_err(|source| Error::Map { map, source })?;
            let map = object.map_mut(map).ok_or_else(|| failed(MapError::InvalidName { name: map.to_owned() }))?;
            ProgramArray::try_from(map).and_then(|mut map| map.set(index, &program, 0)).map_err(failed)?;
        }
        let mut owned = |program| {
            let fd = program_fd(&mut object, program)?.as_fd().try_clone_to_owned();
            fd.map_err(|source| failed(program, source.into()))
        };
        let [ingress_xdp, ingress_tc, egress_tc] = PROGRAMS;
        let programs = [owned(ingress_xdp)?, owned(ingress_tc)?, owned(egress_tc)?];
        let mut maps = Vec::new();
        for (name, map) in object.maps() {
            if let Map::Array(map) | Map::PerCpuArray(map) | Map::ProgramArray(map) = map {
                let owned = map.fd().as_fd().try_clone_to_owned();
                maps.push((name.to_owned(), owned.map_err(|source| Error::Map { map: "any", source })?));
            }
        }
        Ok(Self { programs, maps })
    }

    pub(super) fn program(&self, entry: Entry) -> BorrowedFd<'_> {
        self.programs[entry as usize].as_fd()
    }

    pub(super) fn map(&self, name: &'static str) -> Result<BorrowedFd<'_>, Error> {
        let map = self.maps.iter().find(|(known, _)| known == name);
        map.map(|(_, fd)| fd.as_fd()).ok_or(Error::Map { map: name, source: io::ErrorKind::NotFound.into() })
    }
}

/// The program of this name, loaded if it is not yet.
#[expect(clippy::wildcard_enum_match_arm, reason = "the object has programs of two kinds, and the library knows all")]
fn program_fd<'o>(object: &'o mut Ebpf, name: &'static str) -> Result<&'o ProgramFd, Error> {
    let program = object.program_mut(name).ok_or_else(|| failed(name, ProgramError::NotLoaded))?;
    if program.fd().is_err() {
        match program {
            Program::Xdp(program) => program.load(),
            Program::SchedClassifier(program) => program.load(),
            _ => Err(ProgramError::UnexpectedProgramType),
        }
        .map_err(|source| failed(name, source))?;
    }
    let program = object.program(name).ok_or_else(|| failed(name, ProgramError::NotLoaded))?;
    match program {
        Program::Xdp(program) => program.fd(),
        Program::SchedClassifier(program) => program.fd(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
    .map_err(|source| failed(name, source))
}

fn failed(program: &'static str, source: ProgramError) -> Error {
    Error::Program { program, source: Box::new(source) }
}
