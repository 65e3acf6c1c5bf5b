//! What is said to a peer, as bytes. A listener announces nothing, so UPDATE is here only for the decoder's own tests.

use super::message::Open;

/// KEEPALIVE.
#[must_use]
pub fn keepalive() -> Vec<u8> {
    message(4, &[])
}

/// OPEN with the capabilities for unicast of `open.families` and, if it is `wide`, AS numbers of four bytes.
#[must_use]
pub fn open(open: &Open, id: [u8; 4]) -> Vec<u8> {
    let mut capabilities = Vec::new();
    for family in &open.families {
        let [high, low] = family.to_be_bytes();
        capabilities.extend([1, 4, high, low, 0, 1]);
    }
    if open.wide {
        capabilities.extend([65, 4]);
        capabilities.extend(open.asn.to_be_bytes());
    }
    // AS_TRANS where the number does not fit (RFC 6793).
    let narrow = u16::try_from(open.asn).unwrap_or(23456);
    let mut body = vec![4];
    body.extend(narrow.to_be_bytes());
    body.extend(open.hold.to_be_bytes());
    body.extend(id);
    body.extend([byte(capabilities.len() + 2), 2, byte(capabilities.len())]);
    body.extend(capabilities);
    message(1, &body)
}

/// A message of a type, with its header.
pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 19).expect("a short message");
    [&[0xFF; 16][..], &length.to_be_bytes(), &[kind], body].concat()
}

fn byte(length: usize) -> u8 {
    u8::try_from(length).expect("a short message")
}

#[cfg(test)]
pub(super) mod test {
    use super::byte;
    use crate::bgp::message::Update;
    use ipnet::IpNet;
    use std::net::IpAddr;

    /// The body of an UPDATE. Prefixes of both families can be in it; IPv4 goes where RFC 4271 has it.
    pub(in crate::bgp) fn update(update: &Update, wide: bool) -> Vec<u8> {
        let [withdrawn4, withdrawn6] = by_family(&update.withdrawn);
        let [announced4, announced6] = by_family(&update.announced);
        let mut attributes = Vec::new();
        if !update.announced.is_empty() {
            attributes.extend(path(&update.attributes.path, wide));
            attributes.extend(update.attributes.med.map(|med| attribute(4, &med.to_be_bytes())).unwrap_or_default());
            let communities = update.attributes.communities.iter();
            let communities: Vec<u8> =
                communities.flat_map(|(of, value)| [of.to_be_bytes(), value.to_be_bytes()].concat()).collect();
            attributes.extend(attribute(8, &communities));
        }
        match update.attributes.next_hop {
            Some(IpAddr::V4(address)) => attributes.extend(attribute(3, &address.octets())),
            Some(IpAddr::V6(address)) => {
                attributes.extend(attribute(14, &[&[0, 2, 1, 16][..], &address.octets(), &[0], &announced6].concat()));
            }
            None => {}
        }
        if !withdrawn6.is_empty() {
            attributes.extend(attribute(15, &[&[0, 2, 1][..], &withdrawn6].concat()));
        }
        [&counted(&withdrawn4)[..], &counted(&attributes), &announced4].concat()
    }

    fn counted(bytes: &[u8]) -> Vec<u8> {
        [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
    }

    /// In segments of at most 255.
    fn path(path: &[u32], wide: bool) -> Vec<u8> {
        let number = |asn: &u32| if wide { asn.to_be_bytes().to_vec() } else { asn.to_be_bytes()[2..].to_vec() };
        let segment = |asns: &[u32]| [vec![2, byte(asns.len())], asns.iter().flat_map(number).collect()].concat();
        attribute(2, &path.chunks(255).flat_map(segment).collect::<Vec<_>>())
    }

    /// With the length in two bytes where it needs them.
    fn attribute(kind: u8, value: &[u8]) -> Vec<u8> {
        match u8::try_from(value.len()) {
            Ok(length) => [&[0x40, kind, length][..], value].concat(),
            Err(_) => [&[0x50, kind][..], &counted(value)].concat(),
        }
    }

    fn by_family(prefixes: &[IpNet]) -> [Vec<u8>; 2] {
        [false, true].map(|v6| {
            let of_family = prefixes.iter().filter(|prefix| prefix.addr().is_ipv6() == v6);
            of_family.flat_map(prefix).collect()
        })
    }

    fn prefix(prefix: &IpNet) -> Vec<u8> {
        let address = match prefix.network() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let bits = prefix.prefix_len();
        [&[bits][..], &address[..usize::from(bits).div_ceil(8)]].concat()
    }
}
