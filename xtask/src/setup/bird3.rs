//! BIRD 3, which Debian 12 does not have: from the Debian after it, with the libraries that it needs there, in a folder of its
//! own. The tests run it beside the installed BIRD 2.

use crate::command::{output, succeeds};
use crate::debian::Source;
use anyhow::Result;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// The first Debian that has it.
const RELEASE: &str = "trixie";

/// BIRD, and the libraries of `bird` itself; `birdc` needs more.
#[rustfmt::skip]
const PACKAGES: [&str; 12] = [
    "bird3", "libc6", "libcom-err2", "libgssapi-krb5-2", "libk5crypto3", "libkeyutils1", "libkrb5-3", "libkrb5support0",
    "libssh-4", "libssl3t64", "libzstd1", "zlib1g",
];

/// Runs it as it stands in this folder, with the libraries beside it and none of the machine's.
const BIRD: &str = r#"#!/bin/sh
here=$(dirname "$(readlink -f "$0")")/root
exec "$here"/usr/lib*/ld-linux-*.so.* --library-path "$(echo "$here"/usr/lib/*-linux-gnu)" "$here/usr/sbin/bird" "$@"
"#;

/// Where it is, and the script that runs it.
const FOLDER: &str = "target/bird3";

pub(super) fn is_here() -> bool {
    succeeds(Command::new(Path::new(FOLDER).join("bird")).arg("--version"))
}

pub(super) fn fetch() -> Result<()> {
    println!("setup: BIRD 3 and its libraries, of Debian {RELEASE}, into {FOLDER}");
    let folder = Path::new(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let apt = folder.join("apt");
    fs::create_dir_all(&apt)?;
    Source::of_release(RELEASE, &apt)?.unpack(&PACKAGES, &folder.join("root"))?;
    fs::remove_dir_all(apt)?;
    let bird = folder.join("bird");
    fs::write(&bird, BIRD)?;
    fs::set_permissions(&bird, Permissions::from_mode(0o755))?;
    output(Command::new(bird).arg("--version")).map(drop)
}
