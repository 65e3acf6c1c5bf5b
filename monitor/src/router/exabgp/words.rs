//! ExaBGP's words: its commands in both dialects, and its answers read into values.

use crate::router::announcement::Announcement;
use ipnet::IpNet;
use std::fmt::Write as _;

/// What the commands are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `neighbor ... announce route`: 4.x and 5.x.
    Four,
    /// `peer ... announce route`: 6.x, unless it is told to speak the other.
    Six,
}

impl Dialect {
    /// As it is written in the configuration.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Four => 4,
            Self::Six => 6,
        }
    }

    /// Asks for everything that is announced, to whom.
    pub(super) fn show(self) -> &'static str {
        match self {
            Self::Four => "show adj-rib out extensive",
            Self::Six => "rib show out extensive",
        }
    }

    /// A question that changes nothing, with lines in its answer or with none.
    pub(super) fn question(self, speaks: bool) -> &'static str {
        match (self, speaks) {
            (Self::Four, true) => "show neighbor summary",
            (Self::Four, false) => "show adj-rib in 0.0.0.0",
            (Self::Six, true) => "peer show summary",
            (Self::Six, false) => "rib show in 0.0.0.0",
        }
    }

    /// Whether a line ends an answer, and whether all went well.
    pub(super) fn end(line: &str) -> Option<bool> {
        let json = || serde_json::from_str::<serde_json::Value>(line).ok()?["answer"].as_str().map(str::to_owned);
        let word = if line.starts_with('{') { json()? } else { line.to_owned() };
        match word.as_str() {
            "done" => Some(true),
            "error" | "shutdown" => Some(false),
            _ => None,
        }
    }
}

/// What one neighbour is told of one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) prefix: IpNet,
    /// The neighbour's address.
    neighbor: String,
    /// What else tells it from others: `local-ip`, `local-as`, `peer-as`, `router-id`, each with its value.
    which: String,
    local_as: u32,
    /// The path begins with our own AS number by itself.
    is_external: bool,
    path: Vec<String>,
    med: Option<u32>,
    communities: Vec<String>,
    /// All the rest, to be said again as it is.
    rest: String,
}

impl Said {
    /// Reads a line of the answer to [`Dialect::show`].
    pub(super) fn read(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().peekable();
        words.next_if_eq(&"neighbor").or_else(|| words.next_if_eq(&"peer"))?;
        let neighbor = words.next()?.to_owned();
        let (mut which, mut local_as, mut peer_as) = (String::new(), None, None);
        while let Some(key) = words.next_if(|word| !["ipv4", "ipv6"].contains(word)) {
            let value = words.next()?;
            match key {
                "local-as" => local_as = value.parse::<u32>().ok(),
                "peer-as" => peer_as = value.parse::<u32>().ok(),
                _ => {}
            }
            if ["local-ip", "local-as", "peer-as", "router-id"].contains(&key) {
                let _ = write!(which, " {key} {value}");
            }
        }
        words.next()?;
        words.next_if_eq(&"unicast")?;
        let prefix = words.next()?.parse().ok()?;
        let local_as = local_as?;
        let is_external = local_as != peer_as?;
        let (path, communities, rest) = (Vec::new(), Vec::new(), String::new());
        let mut said = Self { prefix, neighbor, which, local_as, is_external, path, med: None, communities, rest };
        while let Some(word) = words.next() {
            match word {
                "as-path" => said.path = group(&mut words)?,
                "med" => said.med = Some(words.next()?.parse().ok()?),
                "community" => said.communities = group(&mut words)?,
                _ => {
                    let _ = write!(said.rest, " {word}");
                }
            }
        }
        Some(said)
    }

    /// Whether a line is of an answer to [`Dialect::show`] but of nothing that is unicast.
    pub(super) fn is_of_another_family(line: &str) -> bool {
        let mut words = line.split_whitespace();
        ["neighbor", "peer"].map(Some).contains(&words.next())
            && words.any(|word| ["ipv4", "ipv6", "l2vpn", "bgp-ls"].contains(&word))
            && !words.any(|word| word == "unicast")
    }

    /// What it says, as far as actions change it; `None` if the path is not of our own AS number alone.
    pub(super) fn announcement(&self) -> Option<Announcement> {
        let own = self.local_as.to_string();
        let foreign = ["as-set", "confederation-path", "confederation-set"];
        if self.path.iter().any(|asn| *asn != own) || self.rest.split(' ').any(|word| foreign.contains(&word)) {
            return None;
        }
        let communities: Option<Vec<_>> = self.communities.iter().map(|text| community(text)).collect();
        let prepends = self.path.len().saturating_sub(usize::from(self.is_external));
        Some(Announcement { prepends, med: self.med, communities: communities? })
    }

    pub(super) fn path_as_said(&self) -> String {
        format!("as-path [ {} ], {}", self.path.join(" "), self.rest.trim())
    }

    /// The command that says `made` in its place, or `None` where a longer path would be dropped as a loop: within an AS.
    pub(super) fn command(&self, dialect: Dialect, made: &Announcement) -> Option<String> {
        if !self.is_external && made.prepends > 0 {
            return None;
        }
        let Self { prefix, neighbor, which, local_as, rest, .. } = self;
        let mut text = match dialect {
            Dialect::Four => format!("neighbor {neighbor}{which} announce route {prefix}{rest}"),
            Dialect::Six => format!("peer {neighbor} announce route {prefix}{rest}"),
        };
        if made.prepends > 0 {
            // The whole path: ExaBGP puts nothing in front of one that is given.
            let path = vec![local_as.to_string(); made.prepends + 1];
            let _ = write!(text, " as-path [ {} ]", path.join(" "));
        }
        if let Some(med) = made.med {
            let _ = write!(text, " med {med}");
        }
        if !made.communities.is_empty() {
            let communities: Vec<String> = made.communities.iter().map(|(of, value)| format!("{of}:{value}")).collect();
            let _ = write!(text, " community [ {} ]", communities.join(" "));
        }
        Some(text)
    }
}

/// One word, or those between brackets.
fn group<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Vec<String>> {
    let first = words.next()?;
    if !["[", "("].contains(&first) {
        return Some(vec![first.to_owned()]);
    }
    let mut group = Vec::new();
    loop {
        match words.next()? {
            "]" | ")" => return Some(group),
            word => group.push(word.to_owned()),
        }
    }
}

/// A community, also by the name that ExaBGP has for it.
fn community(text: &str) -> Option<(u16, u16)> {
    let named = [
        ("no-export", 0xFF01),
        ("no-advertise", 0xFF02),
        ("no-export-subconfed", 0xFF03),
        ("no-peer", 0xFF04),
        ("nopeer", 0xFF04),
        ("blackhole", 666),
    ];
    let known = named.iter().find(|(name, _)| *name == text).map(|(_, value)| (0xFFFF, *value));
    known.or_else(|| {
        let (of, value) = text.split_once(':')?;
        Some((of.parse().ok()?, value.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str =
        "neighbor 10.53.0.2 local-ip 10.53.0.1 local-as 64999 peer-as 64998 router-id 192.0.2.1 family-allowed in-open";
    const WHICH: &str = "neighbor 10.53.0.2 local-ip 10.53.0.1 local-as 64999 peer-as 64998 router-id 192.0.2.1";

    #[test]
    fn a_plain_route_is_read() {
        let said = said("ipv4 unicast 192.0.2.0/24 next-hop self");
        assert_eq!(said.prefix.to_string(), "192.0.2.0/24");
        assert_eq!(said.announcement(), Some(Announcement::default()));
    }

    #[test]
    fn the_path_is_read_as_4_and_as_5_print_it() {
        for path in ["[ 64999 64999 64999 ]", "( 64999 64999 64999 )"] {
            let said =
                said(&format!("ipv6 unicast 2001:db8::/48 next-hop fd53::1 as-path {path} med 0 community 65535:0"));
            let expected = Announcement { prepends: 2, med: Some(0), communities: vec![(65535, 0)] };
            assert_eq!(said.announcement(), Some(expected));
        }
    }

    #[test]
    fn a_path_of_others_is_none() {
        assert_eq!(said("ipv4 unicast 192.0.2.0/24 next-hop self as-path [ 64999 64501 ]").announcement(), None);
        assert_eq!(said("ipv4 unicast 192.0.2.0/24 next-hop self as-path [ 64999 ] as-set [ 1 ]").announcement(), None);
    }

    #[test]
    fn what_no_action_is_about_is_said_again() {
        let said = said(
            "ipv4 unicast 192.0.2.0/24 next-hop self origin incomplete med 5 local-preference 200 atomic-aggregate aggregator ( 64999:10.0.0.1 ) community [ 64999:1 65535:0 no-export ] extended-community target:64999:7 large-community 1:2:3",
        );
        let made = Announcement { prepends: 1, med: Some(5), communities: vec![(64999, 1), (65535, 65281)] };
        let rest = "next-hop self origin incomplete local-preference 200 atomic-aggregate aggregator ( 64999:10.0.0.1 ) extended-community target:64999:7 large-community 1:2:3";
        let ours = "as-path [ 64999 64999 ] med 5 community [ 64999:1 65535:65281 ]";
        let expected = format!("{WHICH} announce route 192.0.2.0/24 {rest} {ours}");
        assert_eq!(said.command(Dialect::Four, &made), Some(expected));
        let expected = format!("peer 10.53.0.2 announce route 192.0.2.0/24 {rest} {ours}");
        assert_eq!(said.command(Dialect::Six, &made), Some(expected));
    }

    #[test]
    fn within_an_as_no_path_is_lengthened() {
        let line = format!("{} ipv4 unicast 192.0.2.0/24 next-hop self", PEER.replace("64998", "64999"));
        let said = Said::read(&line).unwrap();
        assert!(said.command(Dialect::Four, &Announcement { prepends: 1, ..Announcement::default() }).is_none());
        assert!(said.command(Dialect::Four, &Announcement { med: Some(1), ..Announcement::default() }).is_some());
    }

    #[test]
    fn other_families_are_passed_over_and_noise_is_not() {
        assert!(Said::is_of_another_family(&format!("{PEER} ipv4 flow flow destination-ipv4 192.0.2.0/24")));
        assert!(!Said::is_of_another_family("exabgp 4.2.21"));
        assert_eq!(Said::read("exabgp 4.2.21"), None);
        assert_eq!(Said::read(""), None);
    }

    #[test]
    fn an_answer_ends_as_text_or_json() {
        assert_eq!(Dialect::end("done"), Some(true));
        assert_eq!(Dialect::end("error"), Some(false));
        assert_eq!(Dialect::end(r#"{ "answer": "done", "message": "command completed" }"#), Some(true));
        assert_eq!(Dialect::end("exabgp 4.2.21"), None);
    }

    fn said(what: &str) -> Said {
        Said::read(&format!("{PEER} {what}")).unwrap()
    }
}
