//! Frames as they are, onto a cable: what no socket but a packet socket would send.

use crate::lab::Namespace;
use anyhow::{Result, ensure};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Sends a frame through `eth0`, so many times. The receiving kernel takes the outer tag off it; the sending one does not.
///
/// # Errors
/// What the packet socket says, or that the frame has no Ethernet header.
pub fn send_frames(namespace: &Namespace, times: usize, frame: &[u8]) -> Result<()> {
    let Some(&[high, low]) = frame.get(12..14) else { anyhow::bail!("no Ethernet header") };
    namespace.inside(|| {
        // SAFETY: socket takes no pointers; the descriptor it gives is nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0)) };
        // SAFETY: sockaddr_ll is plain memory, for which zeros are valid.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET)?;
        // SAFETY: the name is a C string.
        address.sll_ifindex = i32::try_from(unsafe { libc::if_nametoindex(c"eth0".as_ptr()) })?;
        address.sll_protocol = u16::from_ne_bytes([high, low]);
        let length = u32::try_from(size_of_val(&address))?;
        let to = (&raw const address).cast();
        for _ in 0..times {
            // SAFETY: the frame and the address are as long as they are said to be.
            let sent = unsafe { libc::sendto(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0, to, length) };
            ensure!(sent == isize::try_from(frame.len())?, "{}", io::Error::last_os_error());
        }
        Ok(())
    })
}

/// The Ethernet frame under no tag, an 802.1Q tag, or one of those inside an 802.1ad tag.
///
/// # Panics
/// When it has no Ethernet header, or is to have more tags.
#[must_use]
pub fn tagged(tags: usize, frame: &[u8]) -> Vec<u8> {
    let outer: &[u8] = &[0x88, 0xA8, 0, 5];
    let inner: &[u8] = &[0x81, 0x00, 0, 9];
    let tags = [&[][..], inner, &[outer, inner].concat()][tags].to_vec();
    [&frame[..12], &tags, &frame[12..]].concat()
}
