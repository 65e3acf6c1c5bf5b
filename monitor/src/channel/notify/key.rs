//! TSIG keys from files: a `key` clause as BIND, Knot DNS or NSD write it, or `algorithm:name:base64`, as `kdig -y` takes it.
//!
//! One reading for all three clauses: what they differ in is punctuation. Nothing of a file is said when it is wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::tsig::{self, Algorithm, KeyName};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A key that signs and verifies. Its secret is not printed.
#[derive(Clone, Debug)]
pub(super) struct Key(pub(super) Arc<tsig::Key>);

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Neither a clause nor a line.
    #[error("holds no key; write a key clause of BIND, Knot DNS or NSD, or algorithm:name:base64")]
    Shape,
    /// More than one.
    #[error("holds more than one key; leave the one that the server knows")]
    Several,
    /// An algorithm that is none, or is none any more.
    #[error("its algorithm is none of hmac-sha256, hmac-sha384 and hmac-sha512")]
    Algorithm,
    /// A name that is none.
    #[error("the name of its key is not a domain name")]
    Name,
    /// Not base64, or of fewer than 16 bytes.
    #[error("its secret is not the base64 of 16 bytes or more")]
    Secret,
}

impl Key {
    pub(super) fn parse(text: &str) -> Result<Self, BadKey> {
        let is_comment = |line: &&str| line.trim_start().starts_with('#') || line.trim_start().starts_with("//");
        let lines = || text.lines().filter(|line| !is_comment(line));
        let words = lines().flat_map(|line| line.split(|c: char| c.is_whitespace() || "{};:\"'".contains(c)));
        // The `-` before an item of YAML is none.
        let words: Vec<&str> = words.filter(|word| !word.is_empty() && *word != "-").collect();
        let [name, algorithm, secret] = match words.as_slice() {
            [algorithm, name, secret] => [*name, *algorithm, *secret],
            ["key", "id" | "name", rest @ ..] | ["key", rest @ ..] => clause(rest)?,
            _ => return Err(BadKey::Shape),
        };
        let algorithm = match algorithm.trim_end_matches('.').to_ascii_lowercase().as_str() {
            "hmac-sha256" => Algorithm::Sha256,
            "hmac-sha384" => Algorithm::Sha384,
            "hmac-sha512" => Algorithm::Sha512,
            _ => return Err(BadKey::Algorithm),
        };
        let wire = crate::name::parse(name).map_err(|_| BadKey::Name)?;
        let name = wire.as_slice().try_into().ok().and_then(|octets| KeyName::from_octets(octets).ok());
        let secret = STANDARD.decode(secret).map(Zeroizing::new).map_err(|_| BadKey::Secret)?;
        if secret.len() < 16 {
            return Err(BadKey::Secret);
        }
        tsig::Key::new(algorithm, &secret, name.ok_or(BadKey::Name)?, None, None)
            .map(|key| Self(Arc::new(key)))
            .map_err(|_| BadKey::Algorithm)
    }
}

/// Name, algorithm and secret of what is behind `key`.
fn clause<'t>(words: &[&'t str]) -> Result<[&'t str; 3], BadKey> {
    let [name, rest @ ..] = words else { return Err(BadKey::Shape) };
    match rest {
        ["algorithm", algorithm, "secret", secret] | ["secret", secret, "algorithm", algorithm] => {
            Ok([name, algorithm, secret])
        }
        _ if rest.iter().filter(|word| **word == "secret").count() > 1 => Err(BadKey::Several),
        _ => Err(BadKey::Shape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0ISEhIQ==";

    #[test]
    fn a_key_is_read_as_bind_knot_and_nsd_write_it_and_as_one_line() {
        for text in [
            format!("key \"oopsd.\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{SECRET}\";\n}};\n"),
            format!(
                "# hmac-sha256:oopsd:{SECRET}\nkey:\n  - id: oopsd\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"
            ),
            format!("key:\n    name: \"oopsd\"\n    secret: \"{SECRET}\"\n    algorithm: HMAC-SHA256\n"),
            format!("hmac-sha256:oopsd:{SECRET}\n"),
        ] {
            let key = Key::parse(&text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((key.0.name().to_string().as_str(), key.0.algorithm()), ("oopsd", Algorithm::Sha256));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_a_word_of_it() {
        let clause =
            |algorithm: &str, secret: &str| format!("key a {{ algorithm {algorithm}; secret \"{secret}\"; }};");
        for (text, why) in [
            (String::new(), BadKey::Shape),
            (String::from("hunter2"), BadKey::Shape),
            (String::from("key a { secret \"abc\"; };"), BadKey::Shape),
            (format!("a:b:{SECRET}"), BadKey::Algorithm),
            (clause("hmac-md5", SECRET), BadKey::Algorithm),
            (clause("hmac-sha256", "c2hvcnQ="), BadKey::Secret),
            (clause("hmac-sha256", "!"), BadKey::Secret),
            (format!("hmac-sha256:a..b:{SECRET}"), BadKey::Name),
            ([clause("hmac-sha256", SECRET), clause("hmac-sha256", SECRET)].concat(), BadKey::Several),
        ] {
            assert_eq!(Key::parse(&text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        let printed = format!("{:?}", Key::parse(&format!("hmac-sha256:oopsd:{SECRET}")).unwrap());
        assert!(!printed.contains("c2Vj") && !printed.contains("secret") && !printed.contains("115, 101"), "{printed}");
    }
}
