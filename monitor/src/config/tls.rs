//! The keys of a channel that speaks TLS: `ca-file`, `certificate-file`, `key-file`.

use super::Purpose;
use super::channel::warn_of_readers;
use super::document::{At, Document, Table};
use crate::channel::tls::{self, Config, Identity};
use std::path::PathBuf;

/// Takes them, and looks into the files.
pub(super) fn read<'i>(document: &mut Document<'i>, table: &mut Table<'i>) -> Config {
    let mut file = |key| table.take(key).and_then(|file| file.text(document, "the name of a file"));
    let (authorities, certificate, key) = (file("ca-file"), file("certificate-file"), file("key-file"));
    let path = |document: &Document<'i>, file: &At<String>| -> PathBuf { document.beside(&file.it) };
    let identity = match (&certificate, &key) {
        (Some(certificate), Some(key)) => {
            Some(Identity { certificate_file: path(document, certificate), key_file: path(document, key) })
        }
        (None, None) => None,
        (Some(alone), None) => {
            document.error(&alone.at, "`certificate-file` is without a `key-file`; write both");
            None
        }
        (None, Some(alone)) => {
            document.error(&alone.at, "`key-file` is without a `certificate-file`; write both");
            None
        }
    };
    let config = Config { ca_file: authorities.as_ref().map(|file| path(document, file)), identity };
    if document.purpose == Purpose::Judge {
        return config;
    }
    // One after the other, so that each error of them is found in one reading.
    let of_ca = Config { identity: None, ..config.clone() };
    let of_us = Config { ca_file: None, ..config.clone() };
    for unusable in [of_ca, of_us].iter().filter_map(|part| tls::check(part).err()) {
        let named = match unusable.key {
            "ca-file" => &authorities,
            "certificate-file" => &certificate,
            _ => &key,
        };
        if let Some(named) = named {
            document.error(&named.at, format!("`{}`: {}", unusable.key, unusable.why));
        }
    }
    if let (Some(key), Some(identity)) = (&key, &config.identity) {
        warn_of_readers(document, key, &identity.key_file);
    }
    config
}
