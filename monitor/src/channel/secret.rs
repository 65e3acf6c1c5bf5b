//! Files that hold secrets; the secrets of webhooks and what is signed with them (Standard Webhooks, symmetric signatures
//! `v1`).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// More than any secret file needs.
const MOST: u64 = 64 << 10;

/// The text of a file that holds a secret, wiped when dropped. From here on this process leaves no core dump.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    crate::privileges::leave_no_core();
    // As large as it may become: a text that grows leaves its old places behind.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MOST).unwrap_or(0) + 1));
    std::fs::File::open(path)?.take(MOST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too large for a secret"));
    }
    Ok(text)
}

/// A key that signs. Nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The secret of a text like `whsec_...`: the base64 of 24 to 64 bytes; white space around it is left out.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let base64 = text.trim().strip_prefix("whsec_")?.trim_end_matches('=');
        let key = STANDARD_NO_PAD.decode(base64).ok()?;
        (24..=64).contains(&key.len()).then(|| Self(Zeroizing::new(key)))
    }

    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// The header `webhook-signature`: one signature for each secret, so that receivers can change theirs one by one.
pub(super) fn signatures(secrets: &[Secret], id: &str, timestamp: i64, body: &str) -> String {
    secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn the_published_example_is_signed_as_published() {
        let secret = Secret::parse(WHSEC).unwrap();
        assert_eq!(
            signatures(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn each_secret_signs() {
        let secrets = [Secret::parse(WHSEC).unwrap(), Secret(vec![7; 24].into())];
        let both = signatures(&secrets, "a-1", 1, "{}");
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(first, signatures(&secrets[..1], "a-1", 1, "{}"));
        assert_eq!(second, signatures(&secrets[1..], "a-1", 1, "{}"));
    }

    #[test]
    fn only_whole_secrets_are_taken() {
        assert!(Secret::parse(&format!(" {WHSEC}\n")).is_some());
        assert!(Secret::parse(&format!("whsec_{}", STANDARD.encode([1; 25]))).is_some(), "padded");
        for broken in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_c2hvcnQ=",
            "whsec_MfKQ9r8G!YqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert!(Secret::parse(broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::parse(WHSEC).unwrap();
        assert_eq!(format!("{secret:?} {:#?}", [&secret]), "Secret(..) [\n    Secret(..),\n]");
    }
}
