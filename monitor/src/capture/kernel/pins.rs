//! Programs, links and counters that outlive the process: files on a BPF file system.
//!
//! ```text
//! maps/NAME  programs/NAME  links/INTERFACE-RUNG-in  links/INTERFACE-RUNG-out  about -> VERSION-OBJECT
//! ```
//!
//! Interfaces are numbers. The symbolic link says what the maps look like and which object the programs are from.

use super::Error;
use super::hooks::{Hold, Hooks, Rung};
use super::loaded::{Loaded, PROGRAMS};
use super::sys;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// A folder of pins, which this process has for itself.
#[derive(Debug)]
pub(super) struct Pins {
    folder: PathBuf,
    _lock: File,
}

const MAPS: &str = "maps";
const PROGRAMS_FOLDER: &str = "programs";
const LINKS: &str = "links";
const ABOUT: &str = "about";
const WAYS: [&str; 2] = ["in", "out"];

impl Pins {
    /// The folder at `path`; where it is not there, it is made if that is `wanted`.
    ///
    /// # Errors
    /// It is `wanted` and cannot be had, or another oopsd has it.
    pub(super) fn open(path: &Path, wanted: bool) -> Result<Option<Self>, Error> {
        let failed = |why: String| Error::Pin { path: path.to_owned(), why };
        let text = |error: io::Error| failed(error.to_string());
        if wanted {
            let parent = path.parent().unwrap_or(path);
            if !is_bpf(parent) {
                let parent = parent.display();
                return Err(failed(format!("{parent} is no BPF file system: mount -t bpf bpf {parent}")));
            }
            for folder in ["", MAPS, PROGRAMS_FOLDER, LINKS] {
                match fs::create_dir(path.join(folder)) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(text(error)),
                    _ => {}
                }
            }
        } else if !is_bpf(path) {
            return Ok(None);
        }
        let lock = File::open(path).map_err(text)?;
        // SAFETY: the descriptor is open.
        if unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            return Err(failed(String::from("another oopsd has it")));
        }
        Ok(Some(Self { folder: path.to_owned(), _lock: lock }))
    }

    /// Whether the maps are laid out as this program would; and whether the programs are this object's. `None` where
    /// nothing is pinned.
    pub(super) fn fits(&self, object: &[u8]) -> Option<(bool, bool)> {
        let said = about(&self.folder)?;
        Some((said.starts_with(&version()), said == format!("{}{:016x}", version(), fingerprint(object))))
    }

    /// What is pinned, as it is.
    pub(super) fn loaded(&self) -> io::Result<Loaded> {
        let program = |name| sys::pinned(&self.folder.join(PROGRAMS_FOLDER).join(name));
        let [ingress_xdp, ingress_tc, egress_tc] = PROGRAMS;
        let programs = [program(ingress_xdp)?, program(ingress_tc)?, program(egress_tc)?];
        let mut maps = Vec::new();
        for (name, path) in self.files(MAPS) {
            maps.push((name, sys::pinned(&path)?));
        }
        Ok(Loaded { programs, maps })
    }

    /// New programs upon the maps that are pinned.
    pub(super) fn upgraded(&self, object: &[u8]) -> Result<Loaded, Error> {
        Loaded::upon(object, &self.files(MAPS))
    }

    /// Pins programs and maps in place of those that were.
    pub(super) fn keep(&self, loaded: &Loaded, object: &[u8]) -> io::Result<()> {
        let _ = fs::remove_file(self.folder.join(ABOUT));
        for folder in [PROGRAMS_FOLDER, MAPS] {
            for (_, path) in self.files(folder) {
                fs::remove_file(path)?;
            }
        }
        // The maps of compilers have dots in their names, which these file systems do not allow.
        for (name, map) in loaded.maps.iter().filter(|(name, _)| !name.contains('.')) {
            sys::pin(map.as_fd(), &self.folder.join(MAPS).join(name))?;
        }
        for (name, program) in PROGRAMS.iter().zip(&loaded.programs) {
            sys::pin(program.as_fd(), &self.folder.join(PROGRAMS_FOLDER).join(name))?;
        }
        let about = format!("{}{:016x}", version(), fingerprint(object));
        std::os::unix::fs::symlink(about, self.folder.join(ABOUT))
    }

    /// The links on an interface that were pinned, if they are still there.
    pub(super) fn link(&self, index: u32, rung: Rung, way: usize) -> Option<OwnedFd> {
        let link = sys::pinned(&self.folder.join(LINKS).join(name(index, rung, way))).ok()?;
        (sys::link(link.as_fd()).ok()?.interface == index).then_some(link)
    }

    /// Pins the links of these, and no others.
    pub(super) fn keep_links<'h>(&self, hooks: impl Iterator<Item = &'h Hooks>) -> io::Result<()> {
        let mut wanted = Vec::new();
        for hooks in hooks {
            for (way, hold) in hooks.holds.iter().enumerate() {
                if let Hold::Link(link) = hold {
                    wanted.push((name(hooks.index, hooks.rung, way), link));
                }
            }
        }
        for (name, path) in self.files(LINKS) {
            let same = |link: &OwnedFd| {
                let number = |link: &OwnedFd| sys::link(link.as_fd()).map_or(0, |link| link.id);
                sys::pinned(&path).is_ok_and(|pinned| number(&pinned) == number(link))
            };
            match wanted.iter().position(|(known, link)| *known == name && same(link)) {
                Some(index) => drop(wanted.swap_remove(index)),
                None => fs::remove_file(path)?,
            }
        }
        wanted.iter().try_for_each(|(name, link)| sys::pin(link.as_fd(), &self.folder.join(LINKS).join(name)))
    }

    /// Removes all of it; what somebody holds stays for as long.
    pub(super) fn clear(self) {
        for folder in [LINKS, PROGRAMS_FOLDER, MAPS] {
            for (_, path) in self.files(folder) {
                let _ = fs::remove_file(path);
            }
            let _ = fs::remove_dir(self.folder.join(folder));
        }
        let _ = fs::remove_file(self.folder.join(ABOUT));
        let _ = fs::remove_dir(&self.folder);
    }

    fn files(&self, folder: &str) -> Vec<(String, PathBuf)> {
        let entries = fs::read_dir(self.folder.join(folder)).into_iter().flatten().flatten();
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect()
    }
}

/// The map of this name that is pinned in `folder`, if the maps there are laid out as this program would.
pub(super) fn map(folder: &Path, name: &str) -> Option<OwnedFd> {
    about(folder)?.starts_with(&version()).then(|| sys::pinned(&folder.join(MAPS).join(name)).ok())?
}

fn about(folder: &Path) -> Option<String> {
    Some(fs::read_link(folder.join(ABOUT)).ok()?.to_string_lossy().into_owned())
}

fn version() -> String {
    format!("{}-", layout::VERSION)
}

fn name(index: u32, rung: Rung, way: usize) -> String {
    format!("{index}-{}-{}", rung.as_str(), WAYS[way])
}

/// Tells objects apart (FNV-1a).
fn fingerprint(object: &[u8]) -> u64 {
    object.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3))
}

/// Whether a path is there and on a BPF file system.
fn is_bpf(path: &Path) -> bool {
    const BPF_FS_MAGIC: i64 = 0xCAFE_4A11;
    let Ok(folder) = File::open(path) else { return false };
    // SAFETY: statfs is plain memory, for which zeros are valid.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and there is room for the answer.
    unsafe { libc::fstatfs(folder.as_raw_fd(), &raw mut stat) == 0 && stat.f_type == BPF_FS_MAGIC }
}
