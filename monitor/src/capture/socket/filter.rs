//! What the kernel passes on, in libpcap's language.

use wire::Ports;

/// Matches frames with these ports at either end, under up to two VLAN tags; and, so that they are counted by reason or
/// read behind their headers, later IPv4 fragments and IPv6 packets whose first next header is an extension header, but
/// not ICMPv6 behind one: multicast listeners report that way on every link.
///
/// `vlan` moves the offsets of all that is written behind it, so the plain case stands first. libpcap looks for the outer
/// tag where the kernel puts it, beside the frame or in it.
pub(super) fn filter(ports: Ports) -> String {
    let ports = (1..=u16::MAX).filter(|&port| ports.contains(port)).map(|port| format!("port {port}"));
    let ports = ports.collect::<Vec<_>>().join(" or ");
    let plain = format!(
        "((udp or tcp) and ({ports})) or (ip[6:2] & 0x1fff != 0 and (ip proto 17 or ip proto 6)) \
         or ((ip6 proto 0 or ip6 proto 43 or ip6 proto 60) and ip6[40] != 58) or ip6 proto 44"
    );
    format!("{plain} or (vlan and ({plain} or (vlan and ({plain}))))")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::frames;
    use pcap::{BpfProgram, Capture, Linktype};

    #[test]
    fn all_that_may_be_dns_passes_under_up_to_two_tags() {
        let program = program(Ports::DNS);
        for frame in [
            frames::message("nl.", false, "192.0.2.1", "203.0.113.9"),
            frames::message("nl.", true, "192.0.2.1", "203.0.113.9"),
            later_fragment(17),
            extended(0),
            extended(44),
        ] {
            for tags in 0..=2 {
                assert!(program.filter(&tagged(&frame, tags)), "{frame:x?} under {tags} tags");
            }
            assert!(!program.filter(&tagged(&frame, 3)));
        }
    }

    #[test]
    fn nothing_else_passes() {
        let program = program(Ports::new(&[5353, 853]).unwrap());
        for frame in
            [frames::message("nl.", false, "192.0.2.1", "203.0.113.9"), later_fragment(1), extended(58), report()]
        {
            for tags in 0..=2 {
                assert!(!program.filter(&tagged(&frame, tags)), "{frame:x?} under {tags} tags");
            }
        }
    }

    fn program(ports: Ports) -> BpfProgram {
        Capture::dead(Linktype::ETHERNET).unwrap().compile(&filter(ports), true).unwrap()
    }

    fn tagged(frame: &[u8], tags: usize) -> Vec<u8> {
        let tag = |outer: usize| {
            [if outer == 0 && tags > 1 { 0x88 } else { 0x81 }, if outer == 0 && tags > 1 { 0xA8 } else { 0 }, 0, 7]
        };
        let tags: Vec<u8> = (0..tags).flat_map(tag).collect();
        [&frame[..12], &tags, &frame[12..]].concat()
    }

    fn later_fragment(protocol: u8) -> Vec<u8> {
        let mut frame = frames::message("nl.", false, "192.0.2.1", "203.0.113.9");
        frame[14 + 7] = 185;
        frame[14 + 9] = protocol;
        frame
    }

    fn report() -> Vec<u8> {
        let mut frame = extended(0);
        frame[14 + 40] = 58;
        frame
    }

    fn extended(next_header: u8) -> Vec<u8> {
        let mut frame = vec![0; 80];
        frame[12..15].copy_from_slice(&[0x86, 0xDD, 0x60]);
        frame[14 + 6] = next_header;
        frame
    }
}
