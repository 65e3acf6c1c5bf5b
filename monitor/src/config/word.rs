//! What conditions, channels, routers and groups may be called: words that need no quoting anywhere.

use super::document::{At, Document};
use super::nearest::suggestion;

const RIGHT: &str = "write 1 to 63 of a-z, 0-9 and -";

/// Refuses a name that is not 1 to 63 of `a-z`, `0-9` and `-`.
pub(super) fn checked(document: &mut Document<'_>, what: &str, name: &At<String>) {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.it.is_empty() || name.it.len() > 63 || !name.it.bytes().all(fine) {
        document.error(&name.at, format!("\"{}\" cannot be the name of a {what}; {RIGHT}", name.it));
    }
}

/// Refuses a name that another of its kind has.
pub(super) fn unique<'a>(
    document: &mut Document<'_>,
    what: &str,
    name: &At<String>,
    others: impl IntoIterator<Item = &'a str>,
) {
    if others.into_iter().any(|other| other == name.it) {
        document.error(&name.at, format!("there are two {what}s `{}`; give each its own name", name.it));
    }
}

/// Refuses a name that nothing of its kind has.
pub(super) fn known<'a>(
    document: &mut Document<'_>,
    what: &str,
    name: &At<String>,
    there: impl IntoIterator<Item = &'a str> + Clone,
) {
    if !there.clone().into_iter().any(|other| other == name.it) {
        let suggestion = suggestion(&name.it, there);
        document
            .error(&name.at, format!("no [[{what}]] has the name `{}`; write the name of one{suggestion}", name.it));
    }
}
