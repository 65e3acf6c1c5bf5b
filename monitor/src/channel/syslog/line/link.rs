//! One connection: what is written, what the other system has acknowledged, and whether it is over.

use super::local::Local;
use super::{Place, To};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion};
use socket2::{SockRef, TcpKeepalive};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// After so much silence, or so long with nothing taken, the system gives the connection up.
const SILENCE: Duration = Duration::from_secs(30);

/// How long the other side may take to hang up on us.
const LISTEN: Duration = Duration::from_millis(300);

/// A connection to a syslog.
pub(super) struct Link {
    way: Way,
    /// With what it was made.
    client: Option<Arc<ClientConfig>>,
}

enum Way {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Local(Local),
}

impl Link {
    pub(super) async fn open(to: &To, client: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let way = match to {
            To::Host(place) => Self::to_host(place, client).await?,
            To::Socket(path) => Way::Local(Local::open(path)?),
        };
        Ok(Self { way, client: client.cloned() })
    }

    async fn to_host(place: &Place, client: Option<&Arc<ClientConfig>>) -> io::Result<Way> {
        let tcp = TcpStream::connect((place.host.as_str(), place.port)).await?;
        tcp.set_nodelay(true)?;
        let socket = SockRef::from(&tcp);
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 3))?;
        socket.set_tcp_user_timeout(Some(SILENCE))?;
        Ok(match client {
            None => Way::Plain(tcp),
            Some(client) => {
                let name = ServerName::try_from(place.host.clone()).map_err(io::Error::other)?;
                let mut tls = TlsConnector::from(Arc::clone(client)).connect(name, tcp).await?;
                is_taken(&mut tls).await?;
                Way::Tls(Box::new(tls))
            }
        })
    }

    /// Whether it was made with this.
    pub(super) fn is_of(&self, client: Option<&Arc<ClientConfig>>) -> bool {
        self.client.as_ref().map(Arc::as_ptr) == client.map(Arc::as_ptr)
    }

    /// Whether it is to a socket of this host.
    pub(super) const fn is_local(&self) -> bool {
        matches!(self.way, Way::Local(_))
    }

    /// Takes some of it: counted messages, one behind the other.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.way {
            Way::Plain(tcp) => tcp.write(bytes).await,
            Way::Tls(tls) => tls.write(bytes).await,
            Way::Local(local) => local.write(bytes).await,
        }
    }

    /// Until this system has all of it.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        match &mut self.way {
            Way::Plain(tcp) => tcp.flush().await,
            Way::Tls(tls) => tls.flush().await,
            Way::Local(_) => Ok(()),
        }
    }

    /// Bytes that the other system has not said it has, or that the reader of a socket of this host has not read.
    pub(super) fn unacknowledged(&self) -> io::Result<libc::c_int> {
        let socket = self.socket();
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        let mut bytes: libc::c_int = 0;
        // SAFETY: the descriptor is open as long as the link, and this request (SIOCOUTQ) writes one int.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
        if result == 0 { Ok(bytes) } else { Err(io::Error::last_os_error()) }
    }

    /// Why it is over, if it is; `UnexpectedEof` if the other side has hung up in good order. What is said there is not
    /// looked at: syslog says nothing.
    pub(super) async fn end(&mut self) -> Option<io::Error> {
        if let Way::Local(local) = &self.way {
            return local.end();
        }
        let mut buffer = [0; 1024];
        if let Way::Tls(tls) = &mut self.way {
            let mut read = ReadBuf::new(&mut buffer);
            let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut **tls).poll_read(context, &mut read))).await;
            match polled {
                Poll::Ready(Ok(())) if read.filled().is_empty() => return Some(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(Err(error)) => return Some(error),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        // Of the socket itself: what the runtime knows of it may be older.
        let socket = self.socket();
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let got = match self.way {
            Way::Tls(_) => socket.peek(&mut buffer),
            Way::Plain(_) | Way::Local(_) => socket.recv(&mut buffer),
        };
        match got {
            Ok(0) => Some(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => None,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => None,
            Err(error) => Some(error),
        }
    }

    fn socket(&self) -> SockRef<'_> {
        match &self.way {
            Way::Plain(tcp) => SockRef::from(tcp),
            Way::Tls(tls) => SockRef::from(tls.get_ref().0),
            Way::Local(local) => local.socket(),
        }
    }
}

/// In TLS 1.3 a handshake is over for us before the other side has looked at our certificate: it has a moment to say no.
async fn is_taken(tls: &mut TlsStream<TcpStream>) -> io::Result<()> {
    if tls.get_ref().1.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return Ok(());
    }
    match timeout(LISTEN, tls.read(&mut [0; 64])).await {
        Ok(Err(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        Ok(Ok(0) | Err(_)) => {
            Err(io::Error::other("it hung up after the handshake: it may not take our certificate, or want one"))
        }
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

impl Drop for Link {
    /// RFC 5425 section 4.4: the end is said. If there is no room to say it, that is no loss.
    fn drop(&mut self) {
        if let Way::Tls(tls) = &mut self.way {
            let (tcp, session) = tls.get_mut();
            session.send_close_notify();
            let mut last = Vec::new();
            while session.wants_write() && session.write_tls(&mut last).is_ok_and(|written| written > 0) {}
            let _ = tcp.try_write(&last);
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Link").field("is_tls", &self.client.is_some()).finish_non_exhaustive()
    }
}
