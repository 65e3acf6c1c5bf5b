//! The CoAP messages (RFC 7252) that DOTS takes. What is in their bodies is `scope`'s, when they are sent `session`'s.

use std::time::Duration;

/// Options, and the format of what DOTS sends.
const URI_PATH: u16 = 11;
const CONTENT_FORMAT: u16 = 12;
const MAX_AGE: u16 = 14;
const DOTS_CBOR: u16 = 271;

/// Codes of answers.
pub(super) const CHANGED: u8 = code(2, 4);
pub(super) const ALTERNATE: u8 = code(3, 0);
pub(super) const NOT_FOUND: u8 = code(4, 4);
pub(super) const CONFLICT: u8 = code(4, 9);
pub(super) const TOO_MANY: u8 = code(4, 29);
pub(super) const UNAVAILABLE: u8 = code(5, 3);

const fn code(class: u8, detail: u8) -> u8 {
    class << 5 | detail
}

/// A code as people write it.
pub(super) fn shown(code: u8) -> String {
    format!("{}.{:02}", code >> 5, code & 31)
}

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get = 1,
    Put = 3,
    Delete = 4,
}

/// How a message is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Until there is a receipt.
    Confirmable = 0,
    /// Once.
    Once = 1,
    /// The receipt.
    Receipt = 2,
    /// What it was cannot be used.
    Reset = 3,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) code: u8,
    pub(super) id: u16,
    pub(super) token: Vec<u8>,
    /// In the order of their numbers.
    pub(super) options: Vec<(u16, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// A confirmable request, without number and token; what has a body is CBOR.
    pub(super) fn request(method: Method, path: &[&str], body: Option<Vec<u8>>) -> Self {
        let mut options: Vec<_> = path.iter().map(|part| (URI_PATH, part.as_bytes().to_vec())).collect();
        if body.is_some() {
            options.push((CONTENT_FORMAT, DOTS_CBOR.to_be_bytes().to_vec()));
        }
        let body = body.unwrap_or_default();
        Self { kind: Kind::Confirmable, code: method as u8, id: 0, token: Vec::new(), options, body }
    }

    /// A message that says nothing but this of another.
    pub(super) fn bare(kind: Kind, code: u8, id: u16, token: &[u8]) -> Self {
        Self { kind, code, id, token: token.to_vec(), options: Vec::new(), body: Vec::new() }
    }

    /// As it goes out.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let length = u8::try_from(self.token.len()).unwrap_or_default();
        let mut bytes = vec![0x40 | (self.kind as u8) << 4 | length, self.code];
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(&self.token);
        let mut before = 0;
        for (number, value) in &self.options {
            let (step, length) = (number - before, u16::try_from(value.len()).unwrap_or(u16::MAX));
            let ((step, more_step), (length, more_length)) = (nibble(step), nibble(length));
            bytes.push(step << 4 | length);
            bytes.extend(more_step);
            bytes.extend(more_length);
            bytes.extend(value);
            before = *number;
        }
        if !self.body.is_empty() {
            bytes.push(0xff);
            bytes.extend(&self.body);
        }
        bytes
    }

    /// What bytes say; nothing if they are no message.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [first, code, high, low, rest @ ..] = bytes else { return None };
        let kind = match first >> 4 & 3 {
            0 => Kind::Confirmable,
            1 => Kind::Once,
            2 => Kind::Receipt,
            _ => Kind::Reset,
        };
        let length = usize::from(first & 15);
        if first >> 6 != 1 || length > 8 {
            return None;
        }
        let (token, mut rest) = rest.split_at_checked(length)?;
        let mut options = Vec::new();
        let mut number = 0_u16;
        while let [head, after @ ..] = rest {
            if *head == 0xff {
                rest = after;
                // A marker with nothing behind it is no message.
                if rest.is_empty() {
                    return None;
                }
                break;
            }
            rest = after;
            number = number.checked_add(extended(head >> 4, &mut rest)?)?;
            let length = extended(head & 15, &mut rest)?;
            let (value, after) = rest.split_at_checked(usize::from(length))?;
            options.push((number, value.to_vec()));
            rest = after;
        }
        let id = u16::from_be_bytes([*high, *low]);
        Some(Self { kind, code: *code, id, token: token.to_vec(), options, body: rest.to_vec() })
    }

    /// Whether it answers a request with yes.
    pub(super) const fn is_success(&self) -> bool {
        self.code >> 5 == 2
    }

    /// Whether it answers a request.
    pub(super) const fn is_answer(&self) -> bool {
        self.code >> 5 >= 2
    }

    /// Whether it asks us for something under this path.
    pub(super) fn is_for(&self, path: &[&str]) -> bool {
        let own = self.options.iter().filter(|(number, _)| *number == URI_PATH).map(|(_, value)| value.as_slice());
        self.code == Method::Put as u8 && own.eq(path.iter().map(|part| part.as_bytes()))
    }

    /// How long an answer holds.
    pub(super) fn max_age(&self) -> Option<Duration> {
        let (_, value) = self.options.iter().find(|(number, _)| *number == MAX_AGE)?;
        let seconds = value.iter().try_fold(0_u32, |sum, byte| sum.checked_mul(256)?.checked_add(u32::from(*byte)))?;
        Some(Duration::from_secs(seconds.into()))
    }

    /// What a refusal says for people (RFC 7252 section 5.5.2), if it does.
    pub(super) fn diagnosis(&self) -> String {
        if self.options.iter().any(|(number, _)| *number == CONTENT_FORMAT) {
            return String::new();
        }
        match std::str::from_utf8(&self.body) {
            Ok(text) if !text.is_empty() => format!(": {}", text.chars().take(200).collect::<String>().escape_debug()),
            Ok(_) | Err(_) => String::new(),
        }
    }
}

/// A number in four bits, and the bytes that go on with it (RFC 7252 section 3.1).
fn nibble(number: u16) -> (u8, Vec<u8>) {
    match number {
        0..13 => (u8::try_from(number).unwrap_or_default(), Vec::new()),
        13..269 => (13, vec![u8::try_from(number - 13).unwrap_or_default()]),
        _ => (14, (number - 269).to_be_bytes().to_vec()),
    }
}

fn extended(nibble: u8, rest: &mut &[u8]) -> Option<u16> {
    match (nibble, *rest) {
        (0..13, _) => Some(nibble.into()),
        (13, [byte, after @ ..]) => {
            *rest = after;
            Some(u16::from(*byte) + 13)
        }
        (14, [high, low, after @ ..]) => {
            *rest = after;
            u16::from_be_bytes([*high, *low]).checked_add(269)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_what_the_standard_shows() {
        let mut request = Message::request(Method::Put, &[".well-known", "dots", "hb"], Some(vec![0xa0]));
        (request.id, request.token) = (0x1234, vec![7, 8]);
        let meant = b"\x42\x03\x12\x34\x07\x08\xbb.well-known\x04dots\x02hb\x12\x01\x0f\xff\xa0";
        assert_eq!(request.bytes(), meant);
        assert!(request.is_for(&[".well-known", "dots", "hb"]) && !request.is_for(&["hb"]));
    }

    #[test]
    fn an_answer_says_how_long_to_wait_and_why() {
        let answer = Message::read(b"\x60\xa3\x00\x01\xd2\x01\x01\x2c\xffbusy\n").unwrap();
        assert_eq!((shown(answer.code).as_str(), answer.max_age()), ("5.03", Some(Duration::from_secs(300))));
        assert_eq!(answer.diagnosis(), ": busy\\n");
    }

    #[test]
    fn what_is_no_message_is_none() {
        for bytes in [
            &b""[..],
            b"\x40\x01\0",
            b"\x00\x01\0\0",
            b"\x49\x01\0\0aaaaaaaaa",
            b"\x40\x01\0\0\xff",
            b"\x40\x01\0\0\xf0",
            b"\x40\x01\0\0\x05ab",
        ] {
            assert_eq!(Message::read(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            id: u16, token in proptest::collection::vec(any::<u8>(), 0..8), body in proptest::collection::vec(any::<u8>(), 0..40),
            options in proptest::collection::vec((0_u16..2_000, proptest::collection::vec(any::<u8>(), 0..400)), 0..6),
        ) {
            let mut options = options;
            options.sort_by_key(|(number, _)| *number);
            let message = Message { kind: Kind::Once, code: CHANGED, id, token, options, body };
            prop_assert_eq!(Message::read(&message.bytes()), Some(message));
        }

        #[test]
        fn noise_is_no_panic(noise in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Message::read(&noise).map(|message| (message.max_age(), message.diagnosis()));
        }
    }
}
