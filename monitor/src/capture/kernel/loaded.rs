//! The programs and maps in the kernel, by their file descriptors: loaded from the object, or taken from their pins.

use super::Error;
use super::room::{Room, VALUES};
use super::sys;
use super::told::Told;
use aya::maps::{Map, MapError, ProgramArray};
use aya::programs::{Program, ProgramError, ProgramFd};
use aya::{Ebpf, EbpfLoader};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

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
    /// Loads `object`, with maps of this size.
    pub(super) fn new(object: &[u8], room: &Room) -> Result<Self, Error> {
        let (object, values) = fresh(object, room)?;
        Self::of(object, values)
    }

    /// Loads `object` upon maps that are there already, by their files.
    pub(super) fn upon(object: &[u8], maps: &[(String, PathBuf)]) -> Result<Self, Error> {
        let mut loader = EbpfLoader::new();
        for (map, path) in maps.iter().filter(|(map, _)| !VALUES.contains(&map.as_str())) {
            loader.map_pin_path(map.as_str(), path);
        }
        let pinned = |map: &'static str| {
            let path = maps.iter().find(|(name, _)| name == map).map_or(Path::new(map), |(_, path)| path);
            sys::pinned(path).map_err(|source| Error::Map { map, source })
        };
        let [state, totals] = VALUES.map(pinned);
        let values = [state?, totals?];
        Self::of(load(&mut loader, object, &values)?, values)
    }

    fn of(mut object: Ebpf, values: [OwnedFd; 2]) -> Result<Self, Error> {
        let mut owned = |program| {
            let fd = program_fd(&mut object, program)?.as_fd().try_clone_to_owned();
            fd.map_err(|source| failed(program, source.into()))
        };
        let [ingress_xdp, ingress_tc, egress_tc] = PROGRAMS;
        let programs = [owned(ingress_xdp)?, owned(ingress_tc)?, owned(egress_tc)?];
        let mut maps: Vec<_> = VALUES.map(str::to_owned).into_iter().zip(values).collect();
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

/// How much the verifier looked at in each program of `object`.
pub(super) fn verified(object: &[u8], room: &Room) -> Result<Vec<(String, u32)>, Error> {
    let (object, _) = fresh(object, room)?;
    let count = |program: &Program| program.info().ok()?.verified_instruction_count();
    Ok(object.programs().map(|(name, program)| (name.to_owned(), count(program).unwrap_or(u32::MAX))).collect())
}

/// Loads all programs of `object`, with maps of this size; and the maps of [`VALUES`].
fn fresh(object: &[u8], room: &Room) -> Result<(Ebpf, [OwnedFd; 2]), Error> {
    let mut loader = EbpfLoader::new();
    for (map, entries) in room.entries() {
        loader.map_max_entries(map, entries);
    }
    let made = |(map, size)| sys::one_value(map, size).map_err(|source| Error::Map { map, source });
    let [state, totals] = room.values().map(made);
    let values = [state?, totals?];
    Ok((load(&mut loader, object, &values)?, values))
}

/// Loads all programs, each where it is called.
fn load(loader: &mut EbpfLoader<'_>, object: &[u8], values: &[OwnedFd; 2]) -> Result<Ebpf, Error> {
    let told = Told::new(object, values)?;
    let mut object = loader.load(told.bytes()).map_err(|error| Error::Load(Box::new(error)))?;
    for layout::Called { map, index, program } in layout::CALLED {
        let failed = |source: MapError| Error::Map { map, source: io::Error::other(source) };
        let program = program_fd(&mut object, program)?;
        let program = program.try_clone().map_err(|source| Error::Map { map, source })?;
        let map = object.map_mut(map).ok_or_else(|| failed(MapError::InvalidName { name: map.to_owned() }))?;
        ProgramArray::try_from(map).and_then(|mut map| map.set(index, &program, 0)).map_err(failed)?;
    }
    for program in PROGRAMS {
        program_fd(&mut object, program)?;
    }
    Ok(object)
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
