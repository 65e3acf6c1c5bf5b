//! Syslog by UDP, which says yes once a datagram is on its way.
//!
//! That nobody listens there is known only if the other host says so (ICMP), and it is given a moment for that after the first
//! datagram and after each that was refused.

use super::Place;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, timeout};

/// How long the other host may take to say that nobody listens.
const LISTEN: Duration = Duration::from_millis(300);
/// How long a name stands for the same address.
const KEPT: Duration = Duration::from_secs(60);

/// Where datagrams go.
#[derive(Debug)]
pub(super) struct Udp {
    place: Place,
    /// And since when.
    socket: Option<(UdpSocket, Instant)>,
}

impl Udp {
    pub(super) const fn new(place: Place) -> Self {
        Self { place, socket: None }
    }

    pub(super) async fn send(&mut self, message: &str) -> io::Result<()> {
        if let Some((socket, since)) = self.socket.take().filter(|(_, since)| since.elapsed() < KEPT) {
            // An error of a datagram before this one ends this, too.
            socket.send(message.as_bytes()).await?;
            self.socket = Some((socket, since));
            return Ok(());
        }
        let socket = self.open().await?;
        socket.send(message.as_bytes()).await?;
        // What is said there is not looked at: syslog says nothing.
        if let Ok(Err(error)) = timeout(LISTEN, socket.recv(&mut [0; 64])).await {
            return Err(error);
        }
        self.socket = Some((socket, Instant::now()));
        Ok(())
    }

    async fn open(&self) -> io::Result<UdpSocket> {
        let mut error = io::Error::other("its name has no address");
        for to in lookup_host((self.place.host.as_str(), self.place.port)).await? {
            let any: SocketAddr =
                if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
            let socket = UdpSocket::bind(any).await?;
            match socket.connect(to).await {
                Ok(()) => return Ok(socket),
                Err(why) => error = why,
            }
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_is_said_at_the_first_datagram_and_later_at_the_next() {
        let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut udp = Udp::new(Place { host: "localhost".into(), port: receiver.local_addr().unwrap().port() });
        udp.place.host = "127.0.0.1".into();
        udp.send("one").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(receiver.recv(&mut buffer).await.unwrap(), 3);
        drop(receiver);
        // This one is lost, and nobody can know before it is sent.
        udp.send("two").await.unwrap();
        assert_eq!(udp.send("three").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(udp.send("three").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
