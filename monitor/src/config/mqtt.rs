//! `[[channel]]` of type `mqtt`.

use super::channel::warn_of_readers;
use super::document::{At, Document, Table};
use super::webhook::is_here;
use super::{Purpose, defaults, tls};
use crate::channel::mqtt::{Broker, Config, password_file};
use reqwest::Url;
use std::path::PathBuf;

/// Of MQTT, and of MQTT in TLS.
const PORTS: [u16; 2] = [1883, 8883];

pub(super) fn read<'i>(document: &mut Document<'i>, table: &mut Table<'i>) -> Option<Config> {
    const WHERE: &str = "where the broker is, such as \"mqtts://mqtt.example.net\"";
    let broker = table.need(document, "broker", WHERE);
    let broker = broker.and_then(|broker| broker.parse(document, WHERE, address));
    let topic = table.take("topic").and_then(|topic| topic.parse(document, "a topic, such as \"oopsd/v1\"", above));
    let client_id = table.take("client-id").and_then(|id| id.parse(document, "a text", |id| plain(id, 128)));
    let user = table.take("user").and_then(|user| user.parse(document, "a name", |user| plain(user, 1024)));
    let password_file = table.take("password-file").and_then(|file| file.text(document, "the name of a file"));
    let password_file = password_file.map(|file| {
        if user.is_none() {
            document.error(&file.at, "`password-file` is without a `user`; write both");
        }
        password(document, &file)
    });
    let tls = tls::read(document, table);
    let mut time = |key, limits| table.take(key).and_then(|time| time.duration(document, limits)).map(|time| time.it);
    let keep_alive = time("keep-alive", &defaults::KEEP_ALIVES);
    let will_delay = time("will-delay", &defaults::WILL_DELAYS);
    let timeout = time("timeout", &defaults::TIMEOUTS);
    let At { it: Address { host, port, is_secret }, at } = broker?;
    if !is_secret && tls != crate::channel::tls::Config::default() {
        document.error(&at, "`broker`: mqtt:// is without TLS, for which files are written; write mqtts://");
    }
    Some(Config {
        broker: Broker { host, port, tls: is_secret.then_some(tls) },
        topic: topic.map_or_else(|| defaults::MQTT_TOPIC.to_owned(), |topic| topic.it),
        client_id: client_id.map(|id| id.it),
        user: user.map(|user| user.it),
        password_file,
        keep_alive: keep_alive.unwrap_or(defaults::KEEP_ALIVE),
        will_delay: will_delay.unwrap_or(defaults::WILL_DELAY),
        timeout: timeout.unwrap_or(defaults::TIMEOUT),
        stated: Vec::new(),
    })
}

struct Address {
    host: String,
    port: u16,
    is_secret: bool,
}

/// Where a broker is. What is refused is not repeated: there may be a password in it.
fn address(text: &str) -> Result<Address, String> {
    const RIGHT: &str = "write one such as \"mqtts://mqtt.example.net\"";
    let url = Url::parse(text).map_err(|error| format!("not a URL ({error}); {RIGHT}"))?;
    let host = url.host_str().unwrap_or_default();
    if !url.username().is_empty() || url.password().is_some() {
        return Err(String::from("a user or password is in the URL; write `user` and `password-file`"));
    }
    let is_secret = match url.scheme() {
        "mqtts" => true,
        "mqtt" if is_here(host) => false,
        "mqtt" => return Err(String::from("mqtt is only for a loopback address; write mqtts")),
        other => return Err(format!("the scheme is {other}; {RIGHT}")),
    };
    let rest = (url.path(), url.query(), url.fragment());
    if host.is_empty() || !matches!(rest, ("" | "/", None, None)) {
        return Err(format!("there is more than a host and a port; {RIGHT}"));
    }
    let port = url.port().unwrap_or(PORTS[usize::from(is_secret)]);
    Ok(Address { host: host.trim_matches(['[', ']']).to_owned(), port, is_secret })
}

/// A topic that others can be under.
fn above(text: &str) -> Result<String, String> {
    let fine = |level: &str| !level.is_empty() && !level.contains(['+', '#']) && !level.contains(char::is_control);
    if text.len() <= 200 && !text.starts_with('$') && text.split('/').all(fine) {
        Ok(text.to_owned())
    } else {
        Err(String::from(
            "not a topic that others can be under; write 1 to 200 bytes such as \"oopsd/v1\", without `+`, `#` and a `$` first",
        ))
    }
}

/// What MQTT can say.
fn plain(text: &str, most: usize) -> Result<String, String> {
    if text.len() <= most && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!("write at most {most} bytes without control characters"))
    }
}

/// The path of a file that holds a password. That is looked at and forgotten.
fn password<'i>(document: &mut Document<'i>, file: &At<String>) -> PathBuf {
    let path = document.beside(&file.it);
    if document.purpose != Purpose::Judge {
        match password_file(&path) {
            Ok(()) => warn_of_readers(document, file, &path),
            Err(why) => document.error(&file.at, format!("`password-file`: {why}")),
        }
    }
    path
}
