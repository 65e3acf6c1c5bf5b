//! `[[channel]]` of type `dbus` and of type `notify`.

use super::channel::warn_of_readers;
use super::document::{Document, Table};
use super::{Purpose, defaults};
use crate::channel::{dbus, notify};
use std::net::{IpAddr, SocketAddr};

/// Of DNS.
const PORT: u16 = 53;

pub(super) fn dbus<'i>(document: &mut Document<'i>, table: &mut Table<'i>) -> dbus::Config {
    let address = table.take("address").and_then(|address| address.parse(document, "the address of a bus", bus));
    dbus::Config { address: address.map(|address| address.it) }
}

fn bus(text: &str) -> Result<String, String> {
    let right = "not the address of a bus; write one such as \"unix:path=/run/dbus/system_bus_socket\"";
    text.parse::<zbus::Address>().map(|_| text.to_owned()).map_err(|_| String::from(right))
}

pub(super) fn notify<'i>(document: &mut Document<'i>, table: &mut Table<'i>) -> Option<notify::Config> {
    let right = "who is told, such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"";
    let server = table.need(document, "server", right);
    let server = server.and_then(|server| {
        server.parse(document, right, |text| {
            let address = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, PORT));
            let address = address.or_else(|_| text.parse()).ok().filter(|address| address.port() != 0);
            address.ok_or_else(|| format!("\"{text}\" is no address; write {right}"))
        })
    });
    let key_file = table.take("key-file").and_then(|file| file.text(document, "the name of a file"));
    let key_file = key_file.map(|file| {
        let path = document.beside(&file.it);
        if document.purpose != Purpose::Judge {
            match notify::key_file(&path) {
                Ok(()) => warn_of_readers(document, &file, &path),
                Err(why) => document.error(&file.at, format!("`key-file`: {why}")),
            }
        }
        path
    });
    let timeout = table.take("timeout").and_then(|timeout| timeout.duration(document, &defaults::TIMEOUTS));
    Some(notify::Config {
        server: server?.it,
        key_file,
        timeout: timeout.map_or(defaults::TIMEOUT, |timeout| timeout.it),
    })
}
