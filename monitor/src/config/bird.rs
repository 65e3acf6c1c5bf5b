//! `[[router]]` with `type = "bird"`: a socket, a file that bird.conf includes, and the BGP protocols that are looked at.

use super::defaults;
use super::document::{At, Document, Table};
use super::router::Taken;
use crate::router::bird::Config;
use std::path::{Component, Path, PathBuf};

/// What the address of a socket holds.
const SOCKET: usize = 107;
/// What BIRD takes as the name of a symbol.
const NAME: usize = 63;

pub(super) fn read<'i>(
    document: &mut Document<'i>,
    mut table: Table<'i>,
    name: Option<String>,
    taken: &mut Taken,
) -> Option<Config> {
    let socket = path(document, &mut table, ("socket", defaults::BIRD_SOCKET), taken, |path| {
        let long = path.as_os_str().len() > SOCKET;
        long.then(|| format!("it is longer than a socket's name may be; write {SOCKET} bytes at most"))
    });
    let include = path(document, &mut table, ("include", defaults::BIRD_INCLUDE), taken, |path| {
        let what = "BIRD includes files by pattern: a path has no `*`, `?`, `[`, `]`, `{`, `}`, `\\`, `\"` and no control character";
        let special = |byte: char| byte.is_control() || r#"*?[]{}\""#.contains(byte);
        path.to_string_lossy().contains(special).then(|| what.to_owned())
    });
    const RIGHT: &str = "the names of the BGP protocols that announce the prefixes, such as [\"up4\", \"up6\"]";
    let protocols = table.need(document, "protocols", RIGHT).map(|protocols| {
        let at = protocols.at.clone();
        let written = protocols.list(document, RIGHT);
        if written.is_empty() {
            document.error(&at, format!("`protocols` has none; write {RIGHT}"));
        }
        let mut names: Vec<String> = Vec::new();
        for value in written {
            if let Some(name) = value.parse(document, RIGHT, |text| protocol(text, &names)) {
                names.push(name.it);
            }
        }
        names
    });
    table.close(document);
    Some(Config { name: name?, socket: socket?, include: include?, protocols: protocols? })
}

/// An absolute path, for BIRD takes it from elsewhere, that no other router has.
fn path<'i>(
    document: &mut Document<'i>,
    table: &mut Table<'i>,
    (key, default): (&'static str, &str),
    taken: &mut Taken,
    wrong: impl Fn(&Path) -> Option<String>,
) -> Option<PathBuf> {
    const RIGHT: &str = "an absolute path";
    let path = match table.take(key) {
        None => At { it: default.into(), at: table.at.clone() },
        Some(value) => value.parse(document, RIGHT, |text| {
            let path = PathBuf::from(text);
            let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
            if !path.is_absolute() || !plain || path.file_name().is_none() {
                return Err(format!("\"{text}\" is not {RIGHT}; write one, such as \"{default}\""));
            }
            wrong(&path).map_or(Ok(path), Err)
        })?,
    };
    if taken.files.contains(&path.it) {
        document.error(&path.at, format!("`{key}`: another router has {}; write one for each", path.it.display()));
    }
    taken.files.push(path.it.clone());
    Some(path.it)
}

fn protocol(text: &str, names: &[String]) -> Result<String, String> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if names.iter().any(|name| name == text) {
        Err(format!("`{text}` is there twice; remove one"))
    } else if text.is_empty() || text.len() > NAME || !text.bytes().all(fine) || text.as_bytes()[0].is_ascii_digit() {
        Err(format!("\"{text}\" is not a name that BIRD takes without quotes; write letters, digits and `_`"))
    } else {
        Ok(text.to_owned())
    }
}
