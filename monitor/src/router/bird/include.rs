//! The file of constants: read without hanging, replaced whole, and put back if BIRD does not take what it is among.
//!
//! BIRD reads it when it starts, whether or not oopsd runs. So at every instant it is a whole file that BIRD takes: a new one is written beside
//! it and renamed. The names beside it begin with a dot, so that no `*.conf` finds them. A FIFO there would freeze all of BIRD, and who may
//! write the file decides what BIRD does: neither is used. All of this blocks; `bird.rs` keeps it off the threads that others wait on.

#[cfg(test)]
mod tests;

use super::constants::{Constants, Level};
use std::collections::BTreeSet;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// A first file is for everybody to read: BIRD's user has to.
const MODE: u32 = 0o644;
/// More than 256 prefixes in a file of oopsd's ever come to.
const MOST: u64 = 1 << 20;

/// One writes at a time, also while a reload replaces who writes.
static WRITING: Mutex<()> = Mutex::new(());

/// Why the file was left alone.
#[derive(Debug, Error)]
pub enum Error {
    /// It is not what BIRD should read.
    #[error("{}: {what}", file.display())]
    Hazard {
        /// The file, or its folder.
        file: PathBuf,
        /// What it is, and what it should be.
        what: String,
    },
    /// It could not be read or written.
    #[error("{}: cannot {verb} it", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What failed.
        verb: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// What was found in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Constants, maybe edited by hand.
    Constants(Constants),
    /// Nothing.
    Nothing,
    /// Something else, from this line on.
    Damaged(usize),
}

/// The file, by its name.
#[derive(Clone, Debug)]
pub(super) struct Include {
    file: PathBuf,
}

impl Include {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned() }
    }

    pub(super) fn read(&self) -> Result<Found, Error> {
        let Some(_) = self.sound()? else { return Ok(Found::Nothing) };
        // It may have become something else since; to open a FIFO so does not wait for a writer.
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(&self.file);
        let mut text = Vec::new();
        let read = opened.and_then(|file| {
            check(&self.file, &file.metadata()?).map_err(io::Error::other)?;
            file.take(MOST).read_to_end(&mut text)
        });
        read.map_err(|source| self.failed("read", source))?;
        let parsed = str::from_utf8(&text).map_or(Err(1), Constants::parse);
        Ok(parsed.map_or_else(Found::Damaged, Found::Constants))
    }

    /// Writes it, with these levels and no prefix in them, if it is not there.
    pub(super) fn create(&self, levels: &BTreeSet<Level>) -> Result<bool, Error> {
        let absent = self.sound()?.is_none();
        if absent {
            let mut constants = Constants::default();
            constants.define(levels);
            self.replace(&constants)?;
        }
        Ok(absent)
    }

    /// Replaces it, with the owner and mode that it has. The former one is kept until [`Self::restore`] or [`Self::settle`].
    pub(super) fn replace(&self, constants: &Constants) -> Result<(), Error> {
        let _one = writing();
        let former = self.sound()?;
        let new = self.beside("new");
        let written = self.write(&new, &constants.render(), former.as_ref()).and_then(|()| {
            if former.is_some() {
                // A second name, not a copy: to put it back takes no room on a full disk.
                forget(&self.beside("old")).map_err(|source| self.failed("keep", source))?;
                fs::hard_link(&self.file, self.beside("old")).map_err(|source| self.failed("keep", source))?;
            }
            fs::rename(&new, &self.file).map_err(|source| self.failed("replace", source))
        });
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written.and_then(|()| self.sync_folder())
    }

    /// Puts the former one back.
    pub(super) fn restore(&self) -> Result<(), Error> {
        let _one = writing();
        fs::rename(self.beside("old"), &self.file).map_err(|source| self.failed("restore", source))?;
        self.sync_folder()
    }

    /// Forgets the former one.
    pub(super) fn settle(&self) -> Result<(), Error> {
        let _one = writing();
        forget(&self.beside("old")).map_err(|source| self.failed("forget the former one of", source))
    }

    fn write(&self, new: &Path, text: &str, former: Option<&Metadata>) -> Result<(), Error> {
        let written = || {
            forget(new)?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
            file.write_all(text.as_bytes())?;
            file.set_permissions(Permissions::from_mode(former.map_or(MODE, |former| former.mode() & 0o7777)))?;
            let ours = file.metadata()?;
            if let Some(former) = former.filter(|former| (former.uid(), former.gid()) != (ours.uid(), ours.gid())) {
                fchown(&file, Some(former.uid()), Some(former.gid()))?;
            }
            file.sync_all()
        };
        written().map_err(|source| Error::File { file: new.to_owned(), verb: "write", source })
    }

    /// What is there, if anything, if it and its folder are what BIRD may read from.
    fn sound(&self) -> Result<Option<Metadata>, Error> {
        let folder = self.folder();
        let there =
            fs::metadata(folder).map_err(|source| Error::File { file: folder.to_owned(), verb: "use", source })?;
        if there.mode() & 0o002 != 0 {
            let what = "everybody may write to this folder, and so decide what BIRD does: chmod o-w".to_owned();
            return Err(Error::Hazard { file: folder.to_owned(), what });
        }
        match fs::symlink_metadata(&self.file) {
            Ok(there) => check(&self.file, &there).map(|()| Some(there)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.failed("look at", source)),
        }
    }

    /// Makes sure that the name leads to the new file after a loss of power, too.
    fn sync_folder(&self) -> Result<(), Error> {
        File::open(self.folder()).and_then(|folder| folder.sync_all()).map_err(|source| self.failed("sync", source))
    }

    fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("/"))
    }

    fn beside(&self, what: &str) -> PathBuf {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        self.folder().join(format!(".{name}.{what}"))
    }

    fn failed(&self, verb: &'static str, source: io::Error) -> Error {
        Error::File { file: self.file.clone(), verb, source }
    }
}

fn writing() -> MutexGuard<'static, ()> {
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn forget(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn check(file: &Path, there: &Metadata) -> Result<(), Error> {
    let what = if !there.is_file() {
        "not a regular file: remove it, and oopsd writes one"
    } else if there.mode() & 0o002 != 0 {
        "everybody may write to it, and so decide what BIRD does: chmod o-w"
    } else {
        return Ok(());
    };
    Err(Error::Hazard { file: file.to_owned(), what: what.to_owned() })
}
