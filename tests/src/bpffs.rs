//! A BPF file system of a test's own, for pins.

use crate::lab::run;
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Mounted, until it is dropped.
#[derive(Debug)]
pub struct Bpffs(TempDir);

impl Bpffs {
    /// Mounts it.
    ///
    /// # Errors
    /// What `mount` says.
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("oopsd-pins").tempdir()?;
        run(Command::new("mount").args(["-t", "bpf", "bpf"]).arg(folder.path()))?;
        Ok(Self(folder))
    }

    /// Where oopsd is to pin.
    #[must_use]
    pub fn pins(&self) -> PathBuf {
        self.0.path().join("oopsd")
    }

    /// What `[capture]` says of it.
    #[must_use]
    pub fn capture(&self, pin: bool) -> String {
        format!("pin = {pin}\npin-path = \"{}\"\n", self.pins().display())
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}
