//! `[[channel]]`: where signals go.

use super::Purpose;
use super::condition::Draft;
use super::document::{At, Document, Table};
#[cfg(feature = "dots")]
use super::dots;
use super::nearest::listed;
use super::{buses, defaults, mqtt, syslog, webhook, word};
use crate::channel::{Config, Deliver, To, Waits, exec, log};
use std::path::Path;

const TYPES: [&str; 8] = ["dbus", "dots", "exec", "log", "mqtt", "notify", "syslog", "webhook"];

/// What a channel may refer to: the names of all conditions, and those that are sound.
#[cfg_attr(not(feature = "dots"), expect(dead_code, reason = "only DOTS refers to conditions"))]
pub(super) struct Conditions<'a> {
    pub(super) names: &'a [String],
    pub(super) drafts: &'a [Draft],
}

/// Reads one `[[channel]]`. Its name goes to `names`, whether or not the rest is sound.
#[cfg_attr(not(feature = "dots"), expect(unused_variables, reason = "only DOTS refers to conditions"))]
pub(super) fn read<'i>(
    document: &mut Document<'i>,
    mut table: Table<'i>,
    names: &mut Vec<String>,
    conditions: &Conditions<'_>,
) -> Option<Config> {
    let kind = table.need(document, "type", &listed(TYPES))?.word(document, &TYPES)?;
    let name = table.take("name").and_then(|name| name.text(document, "a name"));
    let name = name.unwrap_or_else(|| At { it: kind.it.to_owned(), at: kind.at.clone() });
    word::checked(document, "channel", &name);
    word::unique(document, "channel", &name, names.iter().map(String::as_str));
    names.push(name.it.clone());
    let waits = waits(document, &mut table);
    let to = match kind.it {
        "exec" => exec(document, &mut table).map(To::Exec),
        "log" => Some(To::Log(log(document, &mut table))),
        "dbus" => Some(To::Dbus(buses::dbus(document, &mut table))),
        "notify" => buses::notify(document, &mut table).map(To::Notify),
        "syslog" => syslog::read(document, &mut table).map(To::Syslog),
        #[cfg(feature = "dots")]
        "dots" => dots::read(document, &mut table, conditions).map(To::Dots),
        #[cfg(not(feature = "dots"))]
        "dots" => {
            document.error(&kind.at, "`type`: this oopsd is built without DOTS; build it with `--features dots`");
            return None;
        }
        "mqtt" => mqtt::read(document, &mut table).map(To::Mqtt),
        _ => webhook::read(document, &mut table).map(To::Webhook),
    };
    table.close(document);
    Some(Config { name: name.it, waits, to: to? })
}

/// What every channel has: what may wait for it.
fn waits<'i>(document: &mut Document<'i>, table: &mut Table<'i>) -> Waits {
    let deliver = table.take("deliver").and_then(|deliver| deliver.word(document, &["every", "latest"]));
    let count = table.take("queue").and_then(|queue| queue.whole(document, 1..=defaults::MOST_QUEUE));
    let bytes = table.take("queue-size").and_then(|size| size.size(document, &defaults::QUEUE_SIZES));
    let age = table.take("give-up").and_then(|give_up| give_up.duration(document, &defaults::GIVE_UPS));
    Waits {
        deliver: deliver.filter(|word| word.it == "latest").map_or(Deliver::Every, |_| Deliver::Latest),
        count: count.and_then(|count| usize::try_from(count.it).ok()).unwrap_or(defaults::QUEUE),
        bytes: bytes.and_then(|bytes| usize::try_from(bytes.it).ok()).unwrap_or(defaults::QUEUE_SIZE),
        age: age.map_or(defaults::GIVE_UP, |age| age.it),
    }
}

fn exec<'i>(document: &mut Document<'i>, table: &mut Table<'i>) -> Option<exec::Config> {
    const RIGHT: &str = "a program and its arguments, such as [\"/usr/local/bin/on-signal\", \"--quiet\"]";
    let timeout = table.take("timeout").and_then(|timeout| timeout.duration(document, &defaults::EXEC_TIMEOUTS));
    let command = table.need(document, "command", RIGHT)?;
    let at = command.at.clone();
    let words: Vec<At<String>> =
        command.one_or_list(document).into_iter().filter_map(|word| word.text(document, "a word")).collect();
    match words.first() {
        None => document.error(&at, format!("`command` is empty; write {RIGHT}")),
        Some(program) if !program.it.starts_with('/') => {
            document.error(&program.at, format!("`command`: {} is no absolute path; write {RIGHT}", program.it));
        }
        Some(program) if document.purpose == Purpose::Run && !Path::new(&program.it).is_file() => {
            document.error(&program.at, format!("`command`: {} is no file; write {RIGHT}", program.it));
        }
        Some(_) => {}
    }
    Some(exec::Config {
        command: words.into_iter().map(|word| word.it).collect(),
        timeout: timeout.map_or(defaults::EXEC_TIMEOUT, |timeout| timeout.it),
    })
}

fn log<'i>(document: &mut Document<'i>, table: &mut Table<'i>) -> log::Config {
    let file = table.take("file").and_then(|file| file.text(document, "the name of a file"));
    let file = file.map(|file| {
        let path = document.beside(&file.it);
        if path.is_dir() || !path.parent().is_some_and(|folder| folder == Path::new("") || folder.is_dir()) {
            let what = format!("`file`: {} cannot be a file; write one in a folder that is there", path.display());
            document.error(&file.at, what);
        }
        path
    });
    log::Config { file }
}

/// Says that a secret is none.
pub(super) fn warn_of_readers(document: &mut Document<'_>, file: &At<String>, path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o004 != 0) {
        document.warn(&file.at, format!("everybody can read {}; chmod o-r it", path.display()));
    }
}
