//! Questions to the kernel over NETLINK_ROUTE, one at a time and in order: a few messages, no runtime.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

const HEADER: usize = 16;
const ATTRIBUTE: usize = 4;

/// A request, as it is built up.
#[derive(Debug)]
pub(super) struct Request {
    bytes: Vec<u8>,
    flags: libc::c_int,
}

impl Request {
    /// Of this type (`RTM_*`) and with these flags beside `NLM_F_REQUEST`; `head` is what this type begins with.
    pub(super) fn new(kind: u16, flags: libc::c_int, head: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(head);
        Self { bytes, flags: flags | libc::NLM_F_REQUEST }
    }

    /// Appends an attribute.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        append(&mut self.bytes, kind, value);
        self
    }

    /// Appends an attribute that holds others.
    pub(super) fn with_nested(self, kind: u16, inner: &[(u16, &[u8])]) -> Self {
        let mut value = Vec::new();
        for (kind, inner) in inner {
            append(&mut value, *kind, inner);
        }
        self.with(kind, &value)
    }

    /// Asks, and gives the bodies of all messages that answer.
    ///
    /// # Errors
    /// The one that the kernel answers with.
    pub(super) fn ask(mut self) -> io::Result<Vec<Vec<u8>>> {
        let length = u32::try_from(self.bytes.len()).map_err(io::Error::other)?;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        // The end of a dump is said anyway. NLM_F_EXCL is one of its two bits.
        if self.flags & libc::NLM_F_DUMP != libc::NLM_F_DUMP {
            self.flags |= libc::NLM_F_ACK;
        }
        let flags = u16::try_from(self.flags).map_err(io::Error::other)?;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        let socket = open()?;
        // SAFETY: the bytes are as many as said.
        let sent = unsafe { libc::send(socket.as_raw_fd(), self.bytes.as_ptr().cast(), self.bytes.len(), 0) };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut bodies = Vec::new();
        let mut buffer = vec![0_u8; 64 << 10];
        loop {
            // SAFETY: the kernel writes no more than there is room for.
            let got = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            let Ok(got) = usize::try_from(got) else { return Err(io::Error::last_os_error()) };
            if read(&buffer[..got], &mut bodies)? {
                return Ok(bodies);
            }
        }
    }
}

/// Takes messages apart; true at the end of the answer.
fn read(mut bytes: &[u8], bodies: &mut Vec<Vec<u8>>) -> io::Result<bool> {
    while let Some(header) = bytes.first_chunk::<HEADER>() {
        let length = word(header, 0) as usize;
        let kind = i32::from(u16::from_ne_bytes([header[4], header[5]]));
        let Some(body) = bytes.get(HEADER..length) else { break };
        match kind {
            libc::NLMSG_ERROR => {
                return match word(body, 0).cast_signed() {
                    0 => Ok(true),
                    error => Err(io::Error::from_raw_os_error(-error)),
                };
            }
            libc::NLMSG_DONE => return Ok(true),
            _ => bodies.push(body.to_vec()),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// The attributes in `bytes`, by type.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const TYPE: u16 = 0x3FFF;
    std::iter::from_fn(move || {
        let [low, high, kind @ ..] = *bytes.first_chunk::<ATTRIBUTE>()?;
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let value = bytes.get(ATTRIBUTE..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes(kind) & TYPE, value))
    })
}

/// The 32-bit number at this place, 0 if there is none.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

fn append(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(ATTRIBUTE + value.len()).expect("attributes are short");
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn open() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: socket takes no pointers.
    match unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the kernel has just given this descriptor, and nobody else has it.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_out_as_they_went_in() {
        let mut bytes = Vec::new();
        append(&mut bytes, 3, b"lo\0");
        append(&mut bytes, 0x8000 | 7, &[1, 2, 3, 4, 5]);
        let all: Vec<_> = attributes(&bytes).collect();
        assert_eq!(all, [(3, &b"lo\0"[..]), (7, &[1, 2, 3, 4, 5])]);
        assert_eq!(attributes(&bytes[..9]).count(), 1);
    }

    #[test]
    fn the_kernel_answers_and_refuses() {
        let mut head = [0; 16];
        head[4..8].copy_from_slice(&1_u32.to_ne_bytes());
        let bodies = Request::new(libc::RTM_GETLINK, 0, &head).ask().unwrap();
        let name = attributes(&bodies[0][16..]).find(|(kind, _)| *kind == libc::IFLA_IFNAME);
        assert_eq!(name, Some((libc::IFLA_IFNAME, &b"lo\0"[..])));
        head[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert!(Request::new(libc::RTM_GETLINK, 0, &head).ask().is_err());
    }
}
