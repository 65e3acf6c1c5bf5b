//! The token that a receiver knows us by: one header, from a file.

use reqwest::header::HeaderValue;

/// The value of `Authorization`. Nothing prints it.
#[derive(Clone, Debug)]
pub(crate) struct Token(pub(super) HeaderValue);

/// As long as servers take a header.
const MOST: usize = 4096;

impl Token {
    /// Of a text that is a token, to be given with `scheme`, or a scheme and a token; white space around it is left out.
    pub(crate) fn parse(text: &str, scheme: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let value = match words.as_slice() {
            [token] => zeroize::Zeroizing::new(format!("{scheme} {token}")),
            [scheme, token] => zeroize::Zeroizing::new(format!("{scheme} {token}")),
            _ => return None,
        };
        let is_one = value.len() <= MOST && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let mut value = HeaderValue::from_str(&value).ok().filter(|_| is_one)?;
        value.set_sensitive(true);
        Some(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gets_its_scheme_unless_it_brings_one() {
        let value = |text| Token::parse(text, "Splunk").map(|token| token.0);
        assert_eq!(value("abc\n").unwrap(), "Splunk abc");
        assert_eq!(value(" ApiKey\tabc== \r\n").unwrap(), "ApiKey abc==");
        for neither in ["", " \n", "a b c", "ü", "a\u{7f}b", "a\0b", &"a".repeat(5_000)] {
            assert!(value(neither).is_none(), "{neither:?}");
        }
    }

    #[test]
    fn a_token_is_never_printed() {
        let token = Token::parse("hunter2", "Bearer").unwrap();
        assert_eq!(format!("{token:?}"), "Token(Sensitive)");
    }
}
