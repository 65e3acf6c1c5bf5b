//! `[[router]]`: who announces prefixes. What is long to read has a file of its own.

use super::document::{Document, Table};
use super::nearest::listed;
use super::{bird, speaker, word};
use crate::router::{Config, kernel_table};
use std::path::PathBuf;

const TYPES: [&str; 4] = ["kernel-table", "bird", "exabgp", "gobgp"];

/// What routers have that no two may share.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Their names, whether or not the rest is sound.
    pub(super) names: Vec<String>,
    /// Kernel tables.
    pub(super) tables: Vec<u32>,
    /// Sockets, and files that oopsd writes.
    pub(super) files: Vec<PathBuf>,
}

/// Reads one `[[router]]`.
pub(super) fn read<'i>(document: &mut Document<'i>, mut table: Table<'i>, taken: &mut Taken) -> Option<Config> {
    let name = table.need(document, "name", "a name for routes to refer to");
    let name = name.and_then(|name| name.text(document, "a name"));
    if let Some(name) = &name {
        word::checked(document, "router", name);
        word::unique(document, "router", name, taken.names.iter().map(String::as_str));
        taken.names.push(name.it.clone());
    }
    let kind = table.need(document, "type", &listed(TYPES))?.word(document, &TYPES)?;
    let name = name.map(|name| name.it);
    match kind.it {
        "kernel-table" => kernel_table(document, table, name, taken).map(Config::KernelTable),
        "bird" => bird::read(document, table, name, taken).map(Config::Bird),
        "exabgp" => speaker::exabgp(document, table, name).map(Config::Exabgp),
        _ => speaker::gobgp(document, table, name).map(Config::Gobgp),
    }
}

fn kernel_table<'i>(
    document: &mut Document<'i>,
    mut table: Table<'i>,
    name: Option<String>,
    taken: &mut Taken,
) -> Option<kernel_table::Config> {
    let number = table.need(document, "table", "the number of an unused kernel table, such as 5353");
    let number = number.and_then(|number| number.whole(document, 1..=u64::from(u32::MAX)));
    table.close(document);
    let number = number?;
    let table = u32::try_from(number.it).ok()?;
    if (253..=255).contains(&table) {
        document.error(&number.at, format!("`table`: {table} is the kernel's own; write another, such as 5353"));
    } else if taken.tables.contains(&table) {
        document.error(&number.at, format!("`table`: another router has {table}; write a table for each"));
    }
    taken.tables.push(table);
    Some(kernel_table::Config { name: name?, table })
}
