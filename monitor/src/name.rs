//! Zone names as people write them (RFC 1035 section 5.1) and as messages carry them (section 3.1).
//!
//! Which of several names a message belongs to is decided in `wire::zones`.

use std::fmt::Write as _;
use wire::name::DEPTH;

/// Why a text is not the name of a zone that can be counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// The text is empty.
    #[error("a zone needs a name; the root zone is \".\"")]
    Empty,
    /// Two dots in a row, or a dot at the start.
    #[error("\"{0}\" has an empty label")]
    EmptyLabel(String),
    /// A label of more than 63 bytes.
    #[error("the label \"{label}\" has {length} bytes; 63 are allowed")]
    LongLabel {
        /// The label, printed.
        label: String,
        /// Its length in bytes.
        length: usize,
    },
    /// A name of more than 255 bytes in wire format.
    #[error("the name has {0} bytes in a message; 255 are allowed")]
    Long(usize),
    /// A name with more than [`DEPTH`] labels.
    #[error("the name has {0} labels; {DEPTH} can be counted")]
    Deep(usize),
    /// Something outside ASCII.
    #[error("\"{0}\" is not ASCII: write it in punycode (xn--...)")]
    NotAscii(String),
    /// A space or a control character that is not escaped.
    #[error("{0:?} cannot stand in a name; if it is meant, write it as \\{code:03}", code = u32::from(*.0))]
    Unprintable(char),
    /// A backslash with nothing, or not three digits up to 255, behind it.
    #[error("\"{0}\": after a backslash comes one character, or three digits from 000 to 255")]
    Escape(String),
}

/// The one way to print the name that `text` means: lowercase, with the trailing dot, escaped only where it must be.
///
/// # Errors
/// What is wrong with it.
pub fn canonical(text: &str) -> Result<String, BadName> {
    parse(text).map(|wire| print(&wire))
}

/// The wire format, uncompressed and lowercase, of the name that `text` means; the trailing dot may be missing.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Vec<u8>, BadName> {
    let mut wire = Vec::with_capacity(text.len().saturating_add(2));
    append(text, &mut wire).map(|()| wire)
}

/// Appends what [`parse`] gives to `wire`; if there is an error, maybe a part of it.
fn append(text: &str, wire: &mut Vec<u8>) -> Result<(), BadName> {
    match text {
        "" => return Err(BadName::Empty),
        "." => {
            wire.push(0);
            return Ok(());
        }
        _ if !text.is_ascii() => return Err(BadName::NotAscii(text.to_owned())),
        _ => {}
    }
    let first = wire.len();
    let mut labels = 0_usize;
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let start = wire.len();
        wire.push(0);
        rest = label(text, rest, wire)?;
        let content = wire.get(start + 1..).unwrap_or_default();
        match u8::try_from(content.len()) {
            Ok(0) => return Err(BadName::EmptyLabel(text.to_owned())),
            Ok(length @ ..=63) => wire[start] = length,
            _ => {
                let mut printed = String::new();
                print_label(content, &mut printed);
                return Err(BadName::LongLabel { label: printed, length: content.len() });
            }
        }
        labels += 1;
    }
    wire.push(0);
    match wire.len() - first {
        length @ 256.. => Err(BadName::Long(length)),
        _ if labels > DEPTH => Err(BadName::Deep(labels)),
        _ => Ok(()),
    }
}

/// Appends the first label of `rest` to `wire` and gives what follows its dot.
fn label<'a>(text: &str, mut rest: &'a [u8], wire: &mut Vec<u8>) -> Result<&'a [u8], BadName> {
    let escape = || BadName::Escape(text.to_owned());
    loop {
        let byte = match rest {
            [] => return Ok(rest),
            [b'.', behind @ ..] => return Ok(behind),
            [b'\\', a @ b'0'..=b'9', behind @ ..] => {
                let [b @ b'0'..=b'9', c @ b'0'..=b'9', behind @ ..] = behind else { return Err(escape()) };
                rest = behind;
                let code = [a, b, c].into_iter().fold(0_u16, |code, digit| code * 10 + u16::from(digit - b'0'));
                u8::try_from(code).map_err(|_| escape())?
            }
            [b'\\', byte @ b'!'..=b'~', behind @ ..] => {
                rest = behind;
                *byte
            }
            [b'\\', ..] => return Err(escape()),
            [byte @ b'!'..=b'~', behind @ ..] => {
                rest = behind;
                *byte
            }
            [byte, ..] => return Err(BadName::Unprintable(char::from(*byte))),
        };
        wire.push(byte.to_ascii_lowercase());
    }
}

/// The wire format of a name that [`canonical`] gave.
///
/// # Panics
/// If it did not.
#[must_use]
pub fn to_wire(canonical: &str) -> Vec<u8> {
    parse(canonical).expect("canonical names parse")
}

/// Appends the wire format of a name that [`canonical`] gave to `wire`.
///
/// # Panics
/// If it did not.
pub(crate) fn append_wire(canonical: &str, wire: &mut Vec<u8>) {
    append(canonical, wire).expect("canonical names parse");
}

/// Prints a name in wire format, uncompressed: lowercase, with the trailing dot. What follows the root label, or is cut
/// off, is not looked at.
#[must_use]
pub fn print(wire: &[u8]) -> String {
    let mut text = String::with_capacity(wire.len());
    for label in labels(wire) {
        print_label(label, &mut text);
        text.push('.');
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

/// The labels of a name in wire format, without the root.
fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (&length, behind) = rest.split_first()?;
        if length == 0 {
            return None;
        }
        let (label, behind) = behind.split_at_checked(usize::from(length))?;
        rest = behind;
        Some(label)
    })
}

fn print_label(label: &[u8], text: &mut String) {
    for byte in label.iter().map(u8::to_ascii_lowercase) {
        match byte {
            b'.' | b'\\' => text.extend(['\\', char::from(byte)]),
            b'!'..=b'~' => text.push(char::from(byte)),
            _ => write!(text, "\\{byte:03}").expect("a String takes everything"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_become_lowercase_with_a_trailing_dot() {
        for (text, meant) in [
            ("NL", "nl."),
            ("example.Org.", "example.org."),
            (".", "."),
            (r"a\.b.nl", r"a\.b.nl."),
            (r"a\\b.nl", r"a\\b.nl."),
            (r"\065\098c.nl", "abc.nl."),
            (r"\000\255\032.nl", r"\000\255\032.nl."),
            (r"\(x\).nl", "(x).nl."),
            (r"\046.nl", r"\..nl."),
            ("_dmarc.*.nl", "_dmarc.*.nl."),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(meant), "{text}");
            assert_eq!(print(&to_wire(meant)), meant, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = "x".repeat(64);
        let many = "abcdefghijklmnopqrs.".repeat(13);
        let deep = "a.".repeat(DEPTH + 1);
        for (text, said) in [
            ("", "a zone needs a name; the root zone is \".\""),
            ("a..nl", "\"a..nl\" has an empty label"),
            (".nl", "\".nl\" has an empty label"),
            ("nl..", "\"nl..\" has an empty label"),
            (&long, &format!("the label \"{long}\" has 64 bytes; 63 are allowed")),
            (&many, "the name has 261 bytes in a message; 255 are allowed"),
            (&deep, "the name has 17 labels; 16 can be counted"),
            ("münchen.de", "\"münchen.de\" is not ASCII: write it in punycode (xn--...)"),
            ("a b.nl", r"' ' cannot stand in a name; if it is meant, write it as \032"),
            (r"a\25.nl", r#""a\25.nl": after a backslash comes one character, or three digits from 000 to 255"#),
            (r"a\256.nl", r#""a\256.nl": after a backslash comes one character, or three digits from 000 to 255"#),
            (r"a\", r#""a\": after a backslash comes one character, or three digits from 000 to 255"#),
        ] {
            assert_eq!(canonical(text).map_err(|bad| bad.to_string()), Err(String::from(said)));
        }
    }

    #[test]
    fn the_longest_labels_and_the_deepest_names_are_taken() {
        assert!(canonical(&"x".repeat(63)).is_ok());
        assert!(canonical(&"a.".repeat(DEPTH)).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same_bytes(
            labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..16), 0..DEPTH),
        ) {
            let mut wire = Vec::new();
            for label in &labels {
                wire.push(u8::try_from(label.len()).unwrap());
                wire.extend(label.iter().map(u8::to_ascii_lowercase));
            }
            wire.push(0);
            let text = print(&wire);
            prop_assert_eq!(parse(&text), Ok(wire));
            prop_assert_eq!(canonical(&text), Ok(text));
        }
    }
}
