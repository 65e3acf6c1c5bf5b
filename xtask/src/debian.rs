//! Debian packages that are fetched and unpacked into a folder of this workspace, and not installed: nothing of the machine changes.
//!
//! apt fetches them from where it fetches all else, and verifies them as it does all else: a release signed by Debian, its lists
//! by their sums in it, a package by its sum in those.

use crate::command::{output, run};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Debian's keys. Debian 12 has those of its successor, too.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What apt fetches from.
pub(crate) struct Source {
    /// Before the command.
    options: Vec<String>,
}

impl Source {
    /// What this machine's packages are from.
    pub(crate) const fn of_this_machine() -> Self {
        Self { options: Vec::new() }
    }

    /// Another release of Debian, from the same mirror. apt keeps what it has to know of it in `folder`.
    pub(crate) fn of_release(release: &str, folder: &Path) -> Result<Self> {
        let folder = folder.canonicalize()?;
        let targets = ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"];
        // Not that of security fixes, whose releases have longer names.
        let archive = [&targets[..], &["Label: Debian", "Component: main"]].concat();
        let mirrors = output(Command::new("apt-get").args(archive))?;
        let mirror = mirrors.lines().next().context("apt knows no mirror of Debian; apt-get update")?;
        let list = folder.join("sources.list");
        fs::write(&list, format!("deb [signed-by={KEYS}] {mirror} {release} main\n"))?;
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let at = |name: &str| folder.join(name).display().to_string();
        let settings = [
            ("Dir::Etc::SourceList", list.display().to_string()),
            ("Dir::Etc::SourceParts", "/dev/null".to_owned()),
            ("Dir::Etc::Preferences", "/dev/null".to_owned()),
            ("Dir::Etc::PreferencesParts", "/dev/null".to_owned()),
            ("Dir::State::Lists", at("lists")),
            ("Dir::Cache", at("cache")),
            ("Acquire::Languages", "none".to_owned()),
            ("Acquire::Retries", "3".to_owned()),
            // Its own user cannot write there.
            ("APT::Sandbox::User", String::new()),
        ];
        let options = settings.into_iter().flat_map(|(name, value)| ["-o".to_owned(), format!("{name}={value}")]);
        let source = Self { options: options.collect() };
        output(source.apt().arg("update"))?;
        Ok(source)
    }

    /// Unpacks these packages into one folder, which is there only once all of them are in it.
    pub(crate) fn unpack(&self, packages: &[&str], into: &Path) -> Result<()> {
        let partly = into.with_added_extension("unpacking");
        if partly.exists() {
            fs::remove_dir_all(&partly)?;
        }
        let files = partly.join("packages");
        fs::create_dir_all(&files)?;
        output(self.apt().arg("download").args(packages).current_dir(&files))?;
        let root = partly.join("root");
        for file in fs::read_dir(&files)? {
            run(Command::new("dpkg-deb").arg("-x").arg(file?.path()).arg(&root))?;
        }
        fs::rename(root, into)?;
        Ok(fs::remove_dir_all(partly)?)
    }

    fn apt(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.arg("-qq").args(&self.options);
        command
    }
}
