//! One oopsd at a time: a lock that the kernel lets go of when its process ends, however it ends.

use super::Error;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The name of the file in the directory.
const NAME: &str = "lock";
/// How long a lock is waited for whose process is gone: one that is killed as it starts a program leaves it to that until it runs.
const LEFT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(5);

/// Held until dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the lock of the directory, and writes in it who has it.
    ///
    /// # Errors
    /// When another process has it, or there can be none.
    pub fn take(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(NAME);
        let writable = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        // Where nothing can be written an old one does: what counts is the lock, not what it says.
        let file = match writable {
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => File::open(&path),
            opened => opened,
        };
        let failed = |source| Error::Directory { directory: directory.to_owned(), source };
        let file = file.map_err(failed)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    let pid = pid(&file);
                    if began.elapsed() > LEFT || pid.is_none_or(is_there) {
                        return Err(Error::Taken { directory: directory.to_owned(), pid });
                    }
                    thread::sleep(LOOK);
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        let mut lock = Self(file);
        if let Err(error) = lock.sign() {
            tracing::debug!("the lock does not say whose it is: {error}");
        }
        Ok(lock)
    }

    fn sign(&mut self) -> std::io::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()?;
        writeln!(self.0, "{}", std::process::id())
    }
}

fn is_there(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn pid(mut file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    let _ = file.rewind();
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_second_is_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
        assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
        drop(first);
        Lock::take(folder.path()).unwrap();
    }

    #[test]
    fn what_a_killed_process_left_to_its_child_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let mut left = File::create(folder.path().join(NAME)).unwrap();
        left.lock().unwrap();
        writeln!(left, "{}", gone.id()).unwrap();
        let began = Instant::now();
        let error = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("pid {}", gone.id())) && began.elapsed() >= LEFT, "{error}");
        thread::scope(|scope| {
            let taken = scope.spawn(|| Lock::take(folder.path()).map(drop));
            thread::sleep(LOOK);
            drop(left);
            taken.join().unwrap().unwrap();
        });
    }
}
