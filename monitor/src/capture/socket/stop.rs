//! One way to wake every thread of a capture at once, for good.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// An eventfd that nobody reads: once set, it stays readable.
#[derive(Debug)]
pub(super) struct Stop(OwnedFd);

impl Stop {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers.
        match unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: the kernel has just given this descriptor, and nobody else has it.
            fd => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })),
        }
    }

    pub(super) fn set(&self) {
        // SAFETY: the descriptor is open as long as self is.
        unsafe { libc::eventfd_write(self.0.as_raw_fd(), 1) };
    }

    /// To be polled for reading.
    pub(super) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Waits until one of `fds` can be read or is in error, at most `milliseconds` (-1: forever); which ones, as poll's revents.
pub(super) fn poll<const N: usize>(fds: [RawFd; N], milliseconds: i32) -> [i16; N] {
    let mut polled = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    // SAFETY: the array is valid and has N entries. On error, a signal say, no revents are set.
    unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, milliseconds) };
    polled.map(|fd| fd.revents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_set_it_wakes_everyone() {
        let stop = Stop::new().unwrap();
        assert_eq!(poll([stop.fd()], 0), [0]);
        stop.set();
        assert_eq!((poll([stop.fd()], -1), poll([stop.fd()], -1)), ([libc::POLLIN], [libc::POLLIN]));
    }
}
