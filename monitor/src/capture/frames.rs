//! Frames for tests, built by hand.

use crate::name;
use std::net::Ipv4Addr;

/// An Ethernet frame with a query for an A record, or a response to it, over IPv4 and UDP. Nobody looks at the checksums.
pub(super) fn message(qname: &str, response: bool, source: &str, destination: &str) -> Vec<u8> {
    let question = [name::to_wire(qname), vec![0, 1, 0, 1]].concat();
    let header = [0, 7, if response { 0x84 } else { 0 }, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let length = u8::try_from(header.len() + question.len()).unwrap();
    let ports = if response { [0, 53, 0x80, 0] } else { [0x80, 0, 0, 53] };
    let udp = [&ports[..], &[0, 8 + length, 0, 0]].concat();
    let [source, destination] = [source, destination].map(|address| address.parse::<Ipv4Addr>().unwrap().octets());
    let ip = [&[0x45, 0, 0, 28 + length, 0, 0, 0, 0, 64, 17, 0, 0], &source[..], &destination].concat();
    let ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    [&ethernet[..], &ip, &udp, &header, &question].concat()
}
