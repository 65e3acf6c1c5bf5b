//! `[[channel]]` of type `webhook`.

use super::channel::warn_of_readers;
use super::document::{At, Document, Table, Value};
use super::{Finding, Purpose, defaults, tls};
use crate::channel::secret::{self, Secret};
use crate::channel::webhook::template::{Template, Wrong};
use crate::channel::webhook::token::Token;
use crate::channel::webhook::{Config, Payload, Severity, scheme};
use reqwest::Url;
use std::net::IpAddr;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// What the bodies of webhooks may be.
const PAYLOADS: [&str; 6] = ["alertmanager", "cloudevents", "ecs", "ocsf", "splunk-hec", "template"];

/// Reads its keys.
pub(super) fn read<'i>(document: &mut Document<'i>, table: &mut Table<'i>) -> Option<Config> {
    let url = table.need(document, "url", "where to POST, such as \"https://siem.example.net/dns\"");
    let url = url.and_then(|url| url.parse(document, "a URL", url_checked));
    let word = table.take("payload").and_then(|payload| payload.word(document, &PAYLOADS));
    let word = word.map_or("cloudevents", |word| word.it);
    let payload = payload(document, table, word);
    let severity = only(document, table, word, "severity", &["alertmanager", "ecs", "ocsf", "template"]);
    let severity = severity.and_then(|severity| severity.word(document, &Severity::WORDS));
    let secret_files = secret_files(document, table, word == "cloudevents");
    let right = "a file with the token of the HTTP Event Collector";
    let token_file =
        if word == "splunk-hec" { table.need(document, "token-file", right) } else { table.take("token-file") };
    let token_file = token_file.and_then(|file| token_file_checked(document, file, payload.as_ref()));
    let tls = tls::read(document, table);
    let timeout = table.take("timeout").and_then(|timeout| timeout.duration(document, &defaults::TIMEOUTS));
    Some(Config {
        url: url?.it,
        payload: payload?,
        severity: severity.map_or_else(Severity::default, |word| Severity::of(word.it)),
        secret_files,
        token_file,
        tls,
        timeout: timeout.map_or(defaults::TIMEOUT, |timeout| timeout.it),
    })
}

/// The payload of this word, with the keys that are its own.
fn payload<'i>(document: &mut Document<'i>, table: &mut Table<'i>, word: &str) -> Option<Payload> {
    let repeat = only(document, table, word, "repeat", &["alertmanager"]);
    let repeat = repeat.and_then(|repeat| repeat.duration(document, &defaults::REPEATS));
    let generator = only(document, table, word, "generator-url", &["alertmanager"]);
    let generator = generator.and_then(|url| {
        url.parse(document, "a URL", |text| {
            let url = Url::parse(text).map(|_| text.to_owned());
            url.map_err(|error| format!("not a URL ({error}); write where people look next"))
        })
    });
    let template = only(document, table, word, "template-file", &["template"]);
    Some(match word {
        "alertmanager" => Payload::Alertmanager {
            repeat: repeat.map_or(defaults::REPEAT, |repeat| repeat.it),
            generator: generator.map(|generator| generator.it),
        },
        "ecs" => Payload::Ecs,
        "ocsf" => Payload::Ocsf,
        "splunk-hec" => Payload::SplunkHec,
        "template" => {
            if template.is_none() {
                document.error(&table.at, format!("{} has no `template-file`; write the file of the body", table.name));
            }
            Payload::Template(template_checked(document, template?)?)
        }
        _ => Payload::CloudEvents,
    })
}

/// The value of a key that only some payloads have.
fn only<'i>(
    document: &mut Document<'i>,
    table: &mut Table<'i>,
    payload: &str,
    key: &'static str,
    payloads: &[&str],
) -> Option<Value<'i>> {
    let value = table.take(key)?;
    if payloads.contains(&payload) {
        return Some(value);
    }
    value.refuse(
        document,
        format!("only for payload = {}; remove it", super::nearest::listed(payloads.iter().copied())),
    );
    None
}

fn secret_files<'i>(document: &mut Document<'i>, table: &mut Table<'i>, is_needed: bool) -> Vec<PathBuf> {
    let right = "the file that holds the secret (`whsec_` and the base64 of 24 bytes or more)";
    let value = if is_needed { table.need(document, "secret-file", right) } else { table.take("secret-file") };
    let Some(value) = value else { return Vec::new() };
    let at = value.at.clone();
    let files = value.one_or_list(document);
    if files.is_empty() {
        document.error(&at, format!("`secret-file` names none; write {right}"));
    }
    files.into_iter().filter_map(|value| secret_file(document, value)).collect()
}

/// The path of a token file that holds a token, which is looked at and forgotten.
fn token_file_checked<'i>(document: &mut Document<'i>, value: Value<'i>, payload: Option<&Payload>) -> Option<PathBuf> {
    let (file, text) = secret_text(document, value, "token-file")?;
    let path = document.beside(&file.it);
    let scheme = payload.map_or("Bearer", scheme);
    if text.is_some_and(|text| Token::parse(&text, scheme).is_none()) {
        let what = format!("`token-file`: {} holds no token; write one into it, or a scheme and one", path.display());
        document.error(&file.at, what);
        return None;
    }
    Some(path)
}

/// The path of a template that is one. There may be a key in it.
fn template_checked<'i>(document: &mut Document<'i>, value: Value<'i>) -> Option<PathBuf> {
    let file = value.text(document, "the name of a file")?;
    let path = document.beside(&file.it);
    if document.purpose == Purpose::Judge {
        return Some(path);
    }
    let text = match secret::read(&path) {
        Ok(text) => text,
        Err(error) => {
            document.error(&file.at, format!("`template-file`: cannot read {}: {error}", path.display()));
            return None;
        }
    };
    if let Err(Wrong { at, what }) = Template::parse(&text) {
        document.error_elsewhere(&file.at, Finding::at(path, &text, at, what));
        return None;
    }
    Some(path)
}

/// The URL, if signals may go there. What is refused is not repeated: there may be a password in it.
fn url_checked(text: &str) -> Result<String, String> {
    const RIGHT: &str = "write one such as \"https://siem.example.net/dns\"";
    let url = Url::parse(text).map_err(|error| format!("not a URL ({error}); {RIGHT}"))?;
    let host = url.host_str().unwrap_or_default();
    let is_here = is_here(host);
    if !url.username().is_empty() || url.password().is_some() {
        Err(String::from("a user or password is in the URL; remove it, the signature says who sends"))
    } else if url.fragment().is_some() {
        Err(String::from("a fragment (#...) is in the URL and would not be sent; remove it"))
    } else {
        match url.scheme() {
            "https" => Ok(url.into()),
            "http" if is_here => Ok(url.into()),
            "http" => Err(String::from("http is only for a loopback address; write https")),
            other => Err(format!("the scheme is {other}; {RIGHT}")),
        }
    }
}

/// Whether the host of a URL is this one.
pub(super) fn is_here(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The path of a secret file that holds a secret. The secret itself is looked at and forgotten.
fn secret_file<'i>(document: &mut Document<'i>, value: Value<'i>) -> Option<PathBuf> {
    const RIGHT: &str = "write `whsec_` and the base64 of 24 to 64 random bytes into it";
    let (file, text) = secret_text(document, value, "secret-file")?;
    let path = document.beside(&file.it);
    if text.is_some_and(|text| Secret::parse(&text).is_none()) {
        document.error(&file.at, format!("`secret-file`: {} holds no secret; {RIGHT}", path.display()));
        return None;
    }
    Some(path)
}

/// A file that only oopsd should read, and what is in it; nothing when it is only judged.
fn secret_text<'i>(
    document: &mut Document<'i>,
    value: Value<'i>,
    key: &str,
) -> Option<(At<String>, Option<Zeroizing<String>>)> {
    let file = value.text(document, "the name of a file")?;
    if document.purpose == Purpose::Judge {
        return Some((file, None));
    }
    let path = document.beside(&file.it);
    match secret::read(&path) {
        Ok(text) => {
            warn_of_readers(document, &file, &path);
            Some((file, Some(text)))
        }
        Err(error) => {
            document.error(&file.at, format!("`{key}`: cannot read {}: {error}", path.display()));
            None
        }
    }
}
