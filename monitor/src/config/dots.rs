//! `[[channel]]` of type `dots`.

use super::channel::{Conditions, warn_of_readers};
use super::document::{At, Document, Table, Value};
use super::nearest::suggestion;
use super::{Purpose, defaults, prefixes};
use crate::channel::dots::{self, Config};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Of DOTS.
const PORT: u16 = 4646;

pub(super) fn read<'i>(
    document: &mut Document<'i>,
    table: &mut Table<'i>,
    conditions: &Conditions<'_>,
) -> Option<Config> {
    let right = "who mitigates, such as \"192.0.2.1\" or \"[2001:db8::1]:4646\"";
    let server = table.need(document, "server", right).and_then(|server| {
        server.parse(document, right, |text| {
            let address = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, PORT));
            let address = address.or_else(|_| text.parse()).ok().filter(|address| address.port() != 0);
            address.ok_or_else(|| format!("\"{text}\" is no address; write {right}"))
        })
    });
    let right = "who we are to it: what its operator has given the key to";
    let identity = table.need(document, "identity", right).and_then(|identity| {
        identity.parse(document, right, |text| match text.len() {
            1..=128 if !text.contains(char::is_control) => Ok(text.to_owned()),
            _ => Err(String::from("write 1 to 128 bytes without control characters")),
        })
    });
    let key_file = table.need(document, "key-file", "the file that holds the key that both have");
    let key_file = key_file.and_then(|file| file.text(document, "the name of a file")).map(|file| {
        let path = document.beside(&file.it);
        if document.purpose != Purpose::Judge {
            match dots::key_file(&path) {
                Ok(()) => warn_of_readers(document, &file, &path),
                Err(why) => document.error(&file.at, format!("`key-file`: {why}")),
            }
        }
        path
    });
    let condition = table.need(document, "condition", "the name of the condition that asks for mitigation");
    let condition = condition.and_then(|condition| condition.text(document, "the name of a condition"));
    let written = table.take("prefixes").map(|value| targets(document, value));
    let lifetime = table.take("lifetime").and_then(|lifetime| lifetime.duration(document, &defaults::DOTS_LIFETIMES));
    let timeout = table.take("timeout").and_then(|timeout| timeout.duration(document, &defaults::TIMEOUTS));
    let condition = condition?;
    let targets = protected(document, &condition, written, conditions);
    Some(Config {
        server: server?.it,
        identity: identity?.it,
        key_file: key_file?,
        condition: condition.it,
        prefixes: targets?,
        lifetime: lifetime.map_or(defaults::DOTS_LIFETIME, |lifetime| lifetime.it),
        timeout: timeout.map_or(defaults::DOTS_TIMEOUT, |timeout| timeout.it),
    })
}

/// The prefixes that are written.
fn targets<'i>(document: &mut Document<'i>, value: Value<'i>) -> Vec<IpNet> {
    let at = value.at.clone();
    let right = "a prefix, such as \"192.0.2.0/24\"";
    let parsed = value.one_or_list(document).into_iter().map(|value| value.parse(document, right, target));
    let parsed: Vec<_> = parsed.collect();
    let list: Vec<IpNet> = parsed.iter().flatten().map(|prefix| prefix.it).collect();
    // More may not go into one datagram.
    if !(1..=defaults::DOTS_PREFIXES).contains(&parsed.len()) {
        document.error(&at, format!("`prefixes`: {} of them; write 1 to {}", parsed.len(), defaults::DOTS_PREFIXES));
    }
    list
}

/// RFC 9132 section 4.4.1 has no others.
fn target(text: &str) -> Result<IpNet, String> {
    let prefix = prefixes::parse(text)?;
    let address = prefix.network();
    if address.is_loopback() || address.is_multicast() {
        return Err(format!("\"{text}\" is nothing that others can protect; write one that is reached from outside"));
    }
    Ok(prefix)
}

/// What is written, or else what the condition watches.
fn protected(
    document: &mut Document<'_>,
    condition: &At<String>,
    written: Option<Vec<IpNet>>,
    conditions: &Conditions<'_>,
) -> Option<Vec<IpNet>> {
    if !conditions.names.contains(&condition.it) {
        let near = suggestion(&condition.it, conditions.names.iter().map(String::as_str));
        document.error(&condition.at, format!("`condition`: no condition is named `{}`{near}", condition.it));
        return None;
    }
    if written.is_some() {
        return written;
    }
    // One that is not sound has its own error.
    let draft = conditions.drafts.iter().find(|draft| draft.name() == condition.it)?;
    let Some(prefix) = draft.prefix() else {
        let what = format!(
            "`condition`: `{}` watches no prefix, and only addresses can be protected; write `prefixes` too",
            condition.it
        );
        document.error(&condition.at, what);
        return None;
    };
    Some(vec![prefix])
}

#[cfg(test)]
mod tests {
    use crate::channel::To;
    use crate::config::{Config, Purpose};
    use std::path::Path;

    const GOOD: &str = "[[condition]]\nname = 'surge'\nkind = 'query-rate'\nrising = 9\nscope = { prefix = '192.0.2.0/24' }\n\
        [[channel]]\ntype = 'dots'\nserver = '192.0.2.1'\nidentity = 'ams1'\nkey-file = 'k'\ncondition = 'surge'\n";

    #[test]
    fn what_the_condition_watches_is_protected_if_nothing_else_is_written() {
        let dots = |text: &str| {
            let config = Config::parse(Path::new("f"), text, Purpose::Judge).unwrap();
            let To::Dots(dots) = config.channels[0].to.clone() else { panic!("{:?}", config.channels) };
            dots
        };
        let read = dots(GOOD);
        assert_eq!((read.server.port(), read.lifetime.as_secs(), read.timeout.as_secs()), (4646, 3600, 10));
        assert_eq!(read.prefixes, ["192.0.2.0/24".parse().unwrap()]);
        assert_eq!(read.cuid(), "21_Xm4RSuq0ulhIGbOvwOg");
        let other = dots(&format!("{GOOD}prefixes = '2001:db8::/48'\n"));
        assert_eq!(other.prefixes, ["2001:db8::/48".parse().unwrap()]);
    }
}
