//! The topics of a node, and names made safe to be a level of one.

use engine::signal::{Named, OVER_BUDGET};
use engine::trouble::{CONTESTED, NOT_APPLIED};
use sha2::{Digest as _, Sha256};

/// Of the names that a topic is made of, each is at most so long: all of them, and what the broker adds, are far from the
/// 65,535 bytes that MQTT has for a topic.
const LONGEST: usize = 512;

/// What has one state for each prefix of a route, as others have one for each channel; all that are configured have one.
pub(super) const OF_ROUTES: [&str; 3] = [OVER_BUDGET, NOT_APPLIED, CONTESTED];

/// The topics of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topics {
    base: String,
}

impl Topics {
    /// Under `prefix`, which is a topic itself.
    pub(super) fn new(prefix: &str, node: &str) -> Self {
        Self { base: format!("{prefix}/{}", level(node)) }
    }

    /// Whether the monitor is there; retained.
    pub(super) fn status(&self) -> String {
        format!("{}/status", self.base)
    }

    /// Every signal.
    pub(super) fn signal(&self) -> String {
        format!("{}/signal", self.base)
    }

    /// How a condition is now; retained.
    pub(super) fn state(&self, condition: &str, scope: &Named) -> String {
        let Self { base } = self;
        let name = level(condition);
        let of = match scope {
            Named::Prefix(prefix) if OF_ROUTES.contains(&condition) => Some(prefix),
            Named::Channel(channel) => Some(channel),
            Named::Prefix(_) | Named::Node | Named::Zone(_) | Named::Group(_) => None,
        };
        match of {
            Some(of) => format!("{base}/condition/{name}/{}/state", level(of)),
            None => format!("{base}/condition/{name}/state"),
        }
    }
}

/// A text as one level of a topic: letters, digits and `-._~:` as they are, all else as `%` and two hexadecimal digits for
/// each byte. Different texts are different levels, and none is empty.
fn level(text: &str) -> String {
    let mut level = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => level.push(char::from(byte)),
            _ => level.push_str(&format!("%{byte:02X}")),
        }
    }
    if level.is_empty() {
        level.push('%');
    }
    if level.len() > LONGEST {
        // Its beginning for people, and what tells it from others with the same beginning.
        let digest = Sha256::digest(text.as_bytes());
        level.truncate(LONGEST - 18);
        level.push_str("%~");
        for byte in &digest[..8] {
            level.push_str(&format!("{byte:02x}"));
        }
    }
    level
}

#[cfg(test)]
mod tests {
    use super::super::super::escaping::hostile;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn topics_are_made_of_the_prefix_the_node_and_the_condition() {
        let topics = Topics::new("oopsd/v1", "ams1");
        assert_eq!(topics.status(), "oopsd/v1/ams1/status");
        assert_eq!(topics.signal(), "oopsd/v1/ams1/signal");
        let zone = Named::Zone("nl.".into());
        assert_eq!(topics.state("nl-overload", &zone), "oopsd/v1/ams1/condition/nl-overload/state");
        let prefix = Named::Prefix("2001:db8::/48".into());
        assert_eq!(topics.state("surge", &prefix), "oopsd/v1/ams1/condition/surge/state");
        assert_eq!(
            topics.state("route-contested", &prefix),
            "oopsd/v1/ams1/condition/route-contested/2001:db8::%2F48/state"
        );
    }

    proptest! {
        #[test]
        fn a_level_is_one_level_and_says_which_text_it_is_of(one in hostile(), other in hostile()) {
            let level = level(&one);
            let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:%".contains(&byte);
            prop_assert!(!level.is_empty() && level.bytes().all(fine), "{}", level);
            prop_assert_eq!(one == other, level == super::level(&other));
            if one.len() < LONGEST / 3 && !one.is_empty() {
                prop_assert_eq!(plain(&level), one.into_bytes());
            }
        }

        #[test]
        fn a_topic_is_never_too_long(name in "[a/+#\u{0}ü]{0,40000}", node in "[a/+#]{0,40000}") {
            let topics = Topics::new("oopsd/v1", &node);
            let topic = topics.state(&name, &Named::Prefix(name.clone()));
            prop_assert!(topic.len() < 4 * LONGEST);
            prop_assert_eq!(topic.matches('/').count(), 5);
            prop_assert!(!topic.contains(['+', '#', '\0']));
            let longer = format!("{name}a");
            prop_assert_ne!(topic, topics.state(&longer, &Named::Prefix(longer.clone())));
        }
    }

    /// The bytes that a level stands for.
    fn plain(level: &str) -> Vec<u8> {
        let mut parts = level.split('%');
        let mut bytes = parts.next().unwrap().as_bytes().to_vec();
        for part in parts {
            bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
            bytes.extend_from_slice(&part.as_bytes()[2..]);
        }
        bytes
    }
}
