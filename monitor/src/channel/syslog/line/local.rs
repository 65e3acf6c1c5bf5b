//! A socket of this host, as `/dev/log`: each message is a datagram.
//!
//! Its system tells how much of what went into it nobody has read (unix(7), `SIOCOUTQ`). What was there when its reader ended
//! counts as read, so that it takes a second look: whether the same socket is still bound there.

use socket2::SockRef;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tokio::net::UnixDatagram;

/// Such a socket, connected.
#[derive(Debug)]
pub(super) struct Local {
    path: PathBuf,
    socket: UnixDatagram,
    bound: Bound,
}

/// What is bound at a path: device, inode, and when that was changed last, for numbers are given again.
type Bound = (u64, u64, i64, i64);

impl Local {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let socket = connected(path)?;
        Ok(Self { path: path.to_owned(), socket, bound: bound(path)? })
    }

    /// Sends the first of these counted messages, and says how many bytes that was.
    pub(super) async fn write(&self, messages: &[u8]) -> io::Result<usize> {
        let counted = messages.split(|&byte| byte == b' ').next().unwrap_or_default();
        let length: Option<usize> = std::str::from_utf8(counted).ok().and_then(|length| length.parse().ok());
        let start = counted.len() + 1;
        let end = length.and_then(|length| start.checked_add(length)).ok_or(io::ErrorKind::InvalidData)?;
        self.socket.send(messages.get(start..end).ok_or(io::ErrorKind::InvalidData)?).await?;
        Ok(end)
    }

    /// Why there is nobody any more who has read what was sent, if so.
    pub(super) fn end(&self) -> Option<io::Error> {
        match connected(&self.path).and_then(|_| bound(&self.path)) {
            Ok(bound) if bound == self.bound => None,
            Ok(_) => Some(io::Error::new(io::ErrorKind::UnexpectedEof, "another program reads the socket now")),
            Err(error) => Some(error),
        }
    }

    pub(super) fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.socket)
    }
}

/// Fails if nobody reads there.
fn connected(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(socket)
}

fn bound(path: &Path) -> io::Result<Bound> {
    let file = fs::metadata(path)?;
    Ok((file.dev(), file.ino(), file.ctime(), file.ctime_nsec()))
}
