//! The `[[router]]` types that are BGP speakers themselves, `exabgp` and `gobgp`: how to reach them, and what they announce without oopsd.

use super::defaults;
use super::document::{Document, Table};
use crate::router::announcement::Plain;
use crate::router::exabgp::{self, Dialect};
use crate::router::gobgp;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Reads the keys that a router of type `exabgp` has beside its name.
pub(super) fn exabgp<'i>(
    document: &mut Document<'i>,
    mut table: Table<'i>,
    name: Option<String>,
) -> Option<exabgp::Config> {
    let pipes = table.take("pipes").and_then(|pipes| pipes.parse(document, PIPES, self::pipes));
    let dialect = table.take("dialect").and_then(|dialect| dialect.whole(document, 4..=6));
    if let Some(five) = dialect.as_ref().filter(|dialect| dialect.it == 5) {
        document.error(&five.at, "`dialect`: 5.x speaks that of 4.x; write 4 or 6");
    }
    let plain = plain(document, &mut table);
    table.close(document);
    let dialect = if dialect.is_some_and(|dialect| dialect.it == 6) { Dialect::Six } else { Dialect::Four };
    let pipes = pipes.map_or_else(|| PathBuf::from(defaults::EXABGP_PIPES), |pipes| pipes.it);
    Some(exabgp::Config { name: name?, pipes, dialect, plain })
}

/// Reads the keys that a router of type `gobgp` has beside its name.
pub(super) fn gobgp<'i>(
    document: &mut Document<'i>,
    mut table: Table<'i>,
    name: Option<String>,
) -> Option<gobgp::Config> {
    let address = table.take("address").and_then(|address| address.parse(document, ADDRESS, self::address));
    let plain = plain(document, &mut table);
    table.close(document);
    let address = address.map_or(defaults::GOBGP_ADDRESS, |address| address.it);
    Some(gobgp::Config { name: name?, address, plain })
}

const ADDRESS: &str = "a loopback address and a port, such as \"127.0.0.1:50051\"";

fn address(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() && address.port() > 0 => Ok(address),
        Ok(_) => Err(format!(
            "\"{text}\" is not {ADDRESS}: whoever reaches that API can announce anything, and nothing encrypts it"
        )),
        Err(_) => Err(format!("\"{text}\" is not {ADDRESS}")),
    }
}

const PIPES: &str = "the path of ExaBGP's pipes without .in and .out, such as \"/run/exabgp/exabgp\"";

fn pipes(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let named = path.file_name().is_some() && !text.ends_with('/');
    let ended = [".in", ".out"].iter().any(|end| text.ends_with(end));
    if path.is_absolute() && named && !ended { Ok(path) } else { Err(format!("\"{text}\" is not {PIPES}")) }
}

/// What the announcements are without oopsd.
fn plain<'i>(document: &mut Document<'i>, table: &mut Table<'i>) -> Plain {
    let med = table.take("med").and_then(|med| med.whole(document, 0..=u64::from(u32::MAX)));
    let med = med.and_then(|med| u32::try_from(med.it).ok());
    let listed = table.take("communities").map(|list| list.list(document, "a list, such as [\"64999:1\"]"));
    let read = |value: super::document::Value<'i>| value.parse(document, "a community, such as \"64999:1\"", community);
    let communities = listed.into_iter().flatten().filter_map(read).map(|community| community.it).collect();
    Plain { med, communities, ..Plain::default() }
}

fn community(text: &str) -> Result<(u16, u16), String> {
    let read = || {
        let (of, value) = text.split_once(':')?;
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
        Some((number(of)?, number(value)?))
    };
    match read() {
        None => Err(format!("\"{text}\" is not a community; write two numbers from 0 to 65535, such as \"64999:1\"")),
        Some((65535, 0)) => Err(String::from("\"65535:0\" is graceful shutdown, which only a step may say; remove it")),
        Some(community) => Ok(community),
    }
}
