//! `[[channel]]` of type `syslog`.

use super::document::{Document, Table, Value};
use super::{defaults, tls};
use crate::channel::syslog::{Address, Config, FACILITIES, Format, Place, SEVERITIES};
use rustls::pki_types::ServerName;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

/// Of syslog, and of syslog under TLS.
const PORT: u16 = 514;
const TLS_PORT: u16 = 6514;
/// `daemon`, `warning`, `notice`.
const FACILITY: u8 = 3;
const SEVERITY: u8 = 4;
const SEVERITY_CLEARED: u8 = 5;

const RIGHT: &str = "where it listens, such as \"tls://logs.example.net\", \"tcp://192.0.2.5:514\", \"udp://[2001:db8::5]\" or \"/dev/log\"";

pub(super) fn read<'i>(document: &mut Document<'i>, table: &mut Table<'i>) -> Option<Config> {
    let address = match table.take("address") {
        None => Some(Address::Local(defaults::SYSLOG_SOCKET.into())),
        Some(value) => value.parse(document, RIGHT, address).map(|address| address.it),
    };
    let format = table.take("format").and_then(|format| format.word(document, &["rfc5424", "cef"]));
    let facilities = FACILITIES.map(|(name, _)| name);
    let facility = table.take("facility").and_then(|facility| facility.word(document, &facilities));
    let facility = facility.and_then(|named| FACILITIES.iter().find(|(name, _)| *name == named.it));
    let mut severity = |key| table.take(key).and_then(|value| severity(document, value));
    let (met, cleared) = (severity("severity"), severity("severity-cleared"));
    let at = table.at.clone();
    let files = tls::read(document, table);
    let is_tls = matches!(address, Some(Address::Tls(..)));
    let timeouts = if is_tls { defaults::SYSLOG_TLS_TIMEOUTS } else { defaults::TIMEOUTS };
    let timeout = table.take("timeout").and_then(|timeout| timeout.duration(document, &timeouts));
    let address = match address? {
        Address::Tls(place, _) => Address::Tls(place, files),
        other @ (Address::Local(_) | Address::Udp(_) | Address::Tcp(_)) => {
            if files != crate::channel::tls::Config::default() {
                let what = "[[channel]] has files for TLS, and an `address` without; remove them or write tls://";
                document.error(&at, what);
            }
            other
        }
    };
    Some(Config {
        address,
        format: format.filter(|format| format.it == "cef").map_or(Format::Rfc5424, |_| Format::Cef),
        facility: facility.map_or(FACILITY, |(_, number)| *number),
        severity: met.unwrap_or(SEVERITY),
        severity_cleared: cleared.unwrap_or(SEVERITY_CLEARED),
        timeout: timeout.map_or(defaults::TIMEOUT, |timeout| timeout.it),
    })
}

fn severity<'i>(document: &mut Document<'i>, value: Value<'i>) -> Option<u8> {
    let named = value.word(document, &SEVERITIES)?;
    SEVERITIES.iter().position(|name| *name == named.it).and_then(|number| u8::try_from(number).ok())
}

fn address(text: &str) -> Result<Address, String> {
    let wrong = || format!("\"{text}\" is no address; write {RIGHT}");
    if text.starts_with('/') && !text.ends_with('/') {
        return Ok(Address::Local(PathBuf::from(text)));
    }
    let (scheme, place) = text.split_once("://").ok_or_else(wrong)?;
    match scheme {
        "udp" => parse(place, PORT).map(Address::Udp),
        "tcp" => parse(place, PORT).map(Address::Tcp),
        "tls" => parse(place, TLS_PORT).map(|place| Address::Tls(place, Default::default())),
        _ => None,
    }
    .ok_or_else(wrong)
}

/// A host with or without a port: `a.example`, `a.example:514`, `192.0.2.5`, `[2001:db8::5]:514`.
fn parse(text: &str, port: u16) -> Option<Place> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let address: Ipv6Addr = address.parse().ok()?;
            let port = if rest.is_empty() { port } else { rest.strip_prefix(':')?.parse().ok()? };
            (address.to_string(), port)
        }
        None => match text.split_once(':') {
            Some((host, number)) => (host.to_owned(), number.parse().ok()?),
            None => (text.to_owned(), port),
        },
    };
    let is_host = host.parse::<IpAddr>().is_ok() || ServerName::try_from(host.as_str()).is_ok();
    (is_host && port != 0).then_some(Place { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_and_where() {
        for (text, shown) in [
            ("/dev/log", "/dev/log"),
            ("udp://192.0.2.5", "udp://192.0.2.5:514"),
            ("tcp://logs.example.net:601", "tcp://logs.example.net:601"),
            ("tls://logs.example.net", "tls://logs.example.net:6514"),
            ("tls://[2001:db8::5]", "tls://[2001:db8::5]:6514"),
            ("udp://[::1]:5514", "udp://[::1]:5514"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "/",
            "logs.example.net",
            "syslog://a",
            "tcp://",
            "tcp://a:0",
            "tcp://a:70000",
            "udp://::1",
            "tls://a b",
            "tls://user@a",
            "tcp://[a]:1",
            "tcp://[::1]1",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
