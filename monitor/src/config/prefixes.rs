//! Service prefixes: canonical, never the default route, longest first.

use ipnet::IpNet;
use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr};

/// The prefix that `text` writes in full.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub(super) fn parse(text: &str) -> Result<IpNet, String> {
    const RIGHT: &str = "write one such as \"192.0.2.0/24\" or \"2001:db8::/48\"";
    let prefix: IpNet = text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => format!("\"{text}\" has no length; write \"{text}/32\" if one address is meant"),
        Ok(IpAddr::V6(_)) => format!("\"{text}\" has no length; write \"{text}/128\" if one address is meant"),
        Err(_) => format!("\"{text}\" is not a prefix; {RIGHT}"),
    })?;
    let canonical = prefix.trunc();
    if canonical.prefix_len() == 0 {
        return Err(format!("\"{text}\" is the default route, which oopsd never touches; {RIGHT}"));
    }
    if canonical != prefix {
        return Err(format!("\"{text}\" has bits set after its length; write \"{canonical}\""));
    }
    let mapped = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0);
    match prefix {
        IpNet::V6(six) if six.contains(&mapped) || six.network().to_ipv4_mapped().is_some() => {
            Err(format!("\"{text}\" holds IPv4 addresses written as IPv6; write the IPv4 prefix"))
        }
        IpNet::V4(_) | IpNet::V6(_) => Ok(canonical),
    }
}

/// Each prefix once, longest first, so that the first that holds an address is the longest that does.
pub(super) fn in_order(mut prefixes: Vec<IpNet>) -> Vec<IpNet> {
    prefixes.sort_by_key(|prefix| (Reverse(prefix.prefix_len()), *prefix));
    prefixes.dedup();
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_is_refused_in_every_spelling() {
        for text in ["0.0.0.0/0", "::/0", "192.0.2.1/0", "2001:db8::/0"] {
            assert!(parse(text).unwrap_err().contains("default route"), "{text}");
        }
    }

    #[test]
    fn host_bits_are_refused_with_the_canonical_form() {
        assert!(parse("192.0.2.1/24").unwrap_err().ends_with("write \"192.0.2.0/24\""));
    }

    #[test]
    fn a_mapped_prefix_is_refused() {
        assert!(parse("::ffff:192.0.2.0/120").is_err());
        assert!(parse("::/8").is_err());
    }

    #[test]
    fn longer_prefixes_come_first_and_each_once() {
        let texts = ["192.0.2.0/24", "2001:db8::/48", "192.0.2.0/24", "192.0.2.128/25"];
        let ordered = in_order(texts.map(|text| parse(text).unwrap()).to_vec());
        let printed: Vec<String> = ordered.iter().map(ToString::to_string).collect();
        assert_eq!(printed, ["2001:db8::/48", "192.0.2.128/25", "192.0.2.0/24"]);
    }
}
