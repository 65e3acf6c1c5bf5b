//! Who may take frames before TC and packet sockets see them: a server that uses AF_XDP.
//!
//! Such a server has an XDP program on the interface and AF_XDP sockets. Which socket is on which interface is only said by
//! a module that kernels may lack; how many there are in this network namespace is said by all, to everybody.

use super::netlink::{Request, attributes, word};

/// Why nothing of such a server's traffic is seen.
pub(super) const BYPASSED: &str = "an AF_XDP server is on the interface, and takes its traffic past this capture";

const IFLA_XDP: u16 = 43;
/// In `IFLA_XDP`: the programs, by mode.
const PROGRAMS: [u16; 4] = [4, 5, 6, 7];

/// Whether a server on the interface of this number may take frames past everything but XDP.
pub(super) fn is_bypassed(index: u32) -> bool {
    program(index).is_some() && sockets() > 0
}

/// The XDP program on the interface of this number, by the kernel's number of it.
pub(super) fn program(index: u32) -> Option<u32> {
    let mut head = [0; 16];
    head[4..8].copy_from_slice(&index.to_ne_bytes());
    let bodies = Request::new(libc::RTM_GETLINK, 0, &head).ask().ok()?;
    let body = bodies.first()?.get(16..)?;
    let (_, xdp) = attributes(body).find(|(kind, _)| *kind == IFLA_XDP)?;
    attributes(xdp)
        .find(|(kind, value)| PROGRAMS.contains(kind) && word(value, 0) != 0)
        .map(|(_, value)| word(value, 0))
}

/// AF_XDP sockets in this network namespace.
fn sockets() -> u64 {
    let protocols = std::fs::read_to_string("/proc/thread-self/net/protocols").unwrap_or_default();
    in_use(&protocols)
}

/// The sockets column of the line that begins with `XDP`.
fn in_use(protocols: &str) -> u64 {
    let mut lines = protocols.lines().map(str::split_ascii_whitespace);
    let line = lines.find_map(|mut words| (words.next() == Some("XDP")).then_some(words));
    line.and_then(|mut words| words.nth(1)).and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_in_use_are_read_by_protocol() {
        let text = "protocol  size sockets  memory press maxhdr  slab module     cl co di\n\
                    PACKET    1408      3      -1   NI       0   no   kernel      n  n\n\
                    XDP       1088      2      -1   NI       0   no   kernel      n  n\n";
        assert_eq!(in_use(text), 2);
        assert_eq!(in_use("XDP 1088 -1 -1"), 0);
        assert_eq!(in_use(""), 0);
    }

    #[test]
    fn no_program_is_on_the_loopback_interface() {
        assert_eq!(program(1), None);
    }
}
