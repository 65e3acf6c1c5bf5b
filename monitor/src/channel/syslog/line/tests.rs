//! A line against receivers that are slow, silent, hang up or are killed.

use super::*;
use socket2::{Domain, Socket, Type};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UnixDatagram};
use tokio::time::timeout;

#[tokio::test]
async fn messages_come_in_order_and_counted() {
    let (listener, mut line) = pair().await;
    for number in 0..100 {
        line.send(None, &[message(&number.to_string(), &format!("number {number}"))]).await.unwrap();
    }
    let mut peer = listener.accept().await.unwrap().0;
    assert_eq!(frames(&mut peer, 100).await, (0..100).map(|number| format!("number {number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_killed_receiver_had_not_read_comes_again() {
    let (listener, mut line) = pair().await;
    line.send(None, &[message("1", "one")]).await.unwrap();
    line.send(None, &[message("2", "two")]).await.unwrap();
    // Nothing of it was read: so a system says that a program is gone.
    drop(listener.accept().await.unwrap());
    // Though there is nothing new.
    assert!(line.look_at().is_some());
    line.look(None).await.unwrap();
    let mut peer = listener.accept().await.unwrap().0;
    assert_eq!(frames(&mut peer, 2).await, ["one", "two"]);
    line.send(None, &[message("3", "three")]).await.unwrap();
    assert_eq!(frames(&mut peer, 1).await, ["three"]);
}

#[tokio::test]
async fn of_an_orderly_end_what_was_sent_just_before_comes_again_and_no_more() {
    let (listener, mut line) = pair().await;
    line.send(None, &[message("1", "one")]).await.unwrap();
    line.send(None, &[message("2", "two")]).await.unwrap();
    line.sent[0].at -= UNDER_WAY;
    let mut peer = listener.accept().await.unwrap().0;
    assert_eq!(frames(&mut peer, 2).await, ["one", "two"]);
    drop(peer);
    line.send(None, &[message("3", "three")]).await.unwrap();
    let mut peer = listener.accept().await.unwrap().0;
    assert_eq!(frames(&mut peer, 2).await, ["two", "three"]);
}

#[tokio::test]
async fn while_nobody_listens_nothing_is_forgotten() {
    let (listener, mut line) = pair().await;
    let address = listener.local_addr().unwrap();
    line.send(None, &[message("1", "one")]).await.unwrap();
    drop(listener.accept().await.unwrap());
    drop(listener);
    for _ in 0..3 {
        let error = line.send(None, &[message("2", "two")]).await.unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::ConnectionRefused), "{error}");
        assert!(line.look(None).await.is_err());
    }
    let listener = listening(address).await;
    line.send(None, &[message("2", "two")]).await.unwrap();
    let mut peer = listener.accept().await.unwrap().0;
    assert_eq!(frames(&mut peer, 2).await, ["one", "two"]);
}

#[tokio::test]
async fn a_receiver_that_does_not_read_gets_each_once_when_it_does() {
    let (listener, mut line) = pair().await;
    let long = "x".repeat(10_000);
    let mut sent = 0;
    // Until neither system takes more.
    let numbered = |number: usize| message(&number.to_string(), &format!("{number} {long}"));
    while timeout(Duration::from_secs(1), line.send(None, &[numbered(sent)])).await.is_ok() {
        sent += 1;
        assert!(sent < 10_000);
    }
    for _ in 0..3 {
        let again = [numbered(sent)];
        let attempt = line.send(None, &again);
        assert!(timeout(Duration::from_millis(20), attempt).await.is_err());
    }
    assert!(line.bytes <= MOST + 20_000, "{}", line.bytes);
    let mut peer = listener.accept().await.unwrap().0;
    let got = tokio::join!(frames(&mut peer, sent + 1), async {
        line.send(None, &[numbered(sent)]).await.unwrap();
    });
    let numbers: Vec<usize> = got.0.iter().map(|text| text.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (0..=sent).collect::<Vec<_>>());
}

#[tokio::test]
async fn several_go_together_and_who_comes_to_them_later_repeats_none() {
    let (listener, mut line) = pair().await;
    line.send(None, &[message("1", "one"), message("2", "two")]).await.unwrap();
    let mut peer = listener.accept().await.unwrap().0;
    assert_eq!(frames(&mut peer, 2).await, ["one", "two"]);
    // Nobody reads, until neither system takes more, and the attempt is given up.
    let all: Vec<_> =
        (0..=40).map(|number| message(&format!("x{number}"), &format!("{number} {}", "z".repeat(1_000_000)))).collect();
    assert!(timeout(Duration::from_secs(1), line.send(None, &all[..40])).await.is_err());
    // The next one is about the first of them, and gets the answer for all: they are under way until then.
    line.sent.iter_mut().for_each(|sent| sent.at -= UNDER_WAY);
    let mut got = tokio::join!(frames(&mut peer, 40), async { line.send(None, &all[..1]).await.unwrap() }).0;
    assert_eq!(line.early.len(), 39);
    assert!(line.sent.iter().all(|sent| sent.at.elapsed() < UNDER_WAY));
    line.send(None, &all[1..]).await.unwrap();
    got.extend(frames(&mut peer, 1).await);
    assert!(got.iter().eq(all.iter().map(|(_, text)| text)));
    assert!(line.asked.is_empty() && line.early.is_empty() && line.bytes <= MOST + 1_100_000);
}

#[tokio::test]
async fn what_was_asked_for_together_and_broke_comes_again_from_the_queue_alone() {
    let (listener, mut line) = pair().await;
    line.send(None, &[message("1", "one")]).await.unwrap();
    let mut peer = listener.accept().await.unwrap().0;
    assert_eq!(frames(&mut peer, 1).await, ["one"]);
    line.sent[0].at -= UNDER_WAY;
    drop((peer, listener));
    let three = [message("2", "two"), message("3", "three"), message("4", "four")];
    line.send(None, &three).await.unwrap_err();
    assert!(line.asked.is_empty() && line.sent.iter().all(|sent| sent.frame == b"3 one"), "{line:?}");
    assert_eq!(line.bytes, line.sent.iter().map(|sent| sent.frame.len()).sum::<usize>());
}

#[tokio::test]
async fn what_never_went_out_is_not_sent_unless_it_is_asked_for_again() {
    let (listener, mut line) = pair().await;
    let two = [message("1", "one"), message("2", "two")];
    // Given up while it connects.
    {
        let mut attempt = pin!(line.send(None, &two));
        assert!(poll_fn(|context| Poll::Ready(attempt.as_mut().poll(context).is_pending())).await);
    }
    assert_eq!((line.asked.len(), line.link.is_none()), (2, true));
    drop(listener.accept().await.unwrap());
    // An operator has dropped both.
    line.send(None, &[message("3", "three")]).await.unwrap();
    let mut peer = listener.accept().await.unwrap().0;
    assert_eq!(frames(&mut peer, 1).await, ["three"]);
    assert_eq!((line.sent.len(), line.bytes), (1, "5 three".len()));
}

#[tokio::test]
async fn no_more_is_kept_than_a_system_takes() {
    let (listener, mut line) = pair().await;
    let reader = tokio::spawn(async move {
        let mut peer = listener.accept().await.unwrap().0;
        let mut buffer = vec![0; 1 << 16];
        while peer.read(&mut buffer).await.unwrap() > 0 {}
    });
    for number in 0..600 {
        line.send(None, &[message(&number.to_string(), &"y".repeat(1000))]).await.unwrap();
    }
    assert!(line.bytes <= MOST && line.sent.len() > 200, "{} {}", line.bytes, line.sent.len());
    assert_eq!(line.bytes, line.sent.iter().map(|sent| sent.frame.len()).sum::<usize>());
    for sent in &mut line.sent {
        sent.at -= KEPT;
    }
    line.look(None).await.unwrap();
    assert_eq!((line.bytes, line.sent.len(), line.look_at()), (0, 0, None));
    drop(line);
    reader.await.unwrap();
}

#[tokio::test]
async fn the_reader_of_a_socket_has_a_message_once_it_has_read_it() {
    let (folder, reader, mut line) = socket();
    let path = folder.path().join("log");
    let numbers: Vec<_> = (0..30).map(|number| message(&number.to_string(), &format!("number {number}"))).collect();
    // Nobody reads.
    for _ in 0..3 {
        assert!(timeout(Duration::from_millis(50), line.send(None, &numbers)).await.is_err());
    }
    let mut got = Vec::new();
    tokio::join!(async { line.send(None, &numbers).await.unwrap() }, async {
        while got.len() < numbers.len() {
            got.push(datagram(&reader).await);
        }
    });
    assert!(got.iter().eq(numbers.iter().map(|(_, text)| text)), "{got:?}");
    // One that it has not read is lost with it, and comes again to the next.
    assert!(timeout(Duration::from_millis(50), line.send(None, &[message("x", "unread")])).await.is_err());
    line.sent.iter_mut().for_each(|sent| sent.at -= UNDER_WAY);
    drop(reader);
    let error = line.send(None, &[message("x", "unread")]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = line.send(None, &[message("x", "unread")]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn another_reader_of_a_socket_gets_again_what_the_one_before_may_not_have_dealt_with() {
    let (folder, reader, mut line) = socket();
    for number in ["one", "two", "three"] {
        let sends = [message(number, number)];
        let (sent, got) = tokio::join!(line.send(None, &sends), datagram(&reader));
        assert_eq!((sent.unwrap(), got.as_str()), ((), number));
        if number == "one" {
            line.sent[0].at -= UNDER_WAY;
        }
    }
    assert!(line.look_at().is_some());
    line.look(None).await.unwrap();
    drop(reader);
    std::fs::remove_file(folder.path().join("log")).unwrap();
    let reader = UnixDatagram::bind(folder.path().join("log")).unwrap();
    // Though there is nothing new.
    let (looked, got) = tokio::join!(line.look(None), async { [datagram(&reader).await, datagram(&reader).await] });
    looked.unwrap();
    assert_eq!(got, ["two", "three"]);
    line.sent.iter_mut().for_each(|sent| sent.at -= UNDER_WAY);
    line.look(None).await.unwrap();
    assert_eq!((line.bytes, line.look_at()), (0, None));
}

fn socket() -> (tempfile::TempDir, UnixDatagram, Line) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    (folder, UnixDatagram::bind(&path).unwrap(), Line::new(To::Socket(path)))
}

async fn datagram(reader: &UnixDatagram) -> String {
    let mut buffer = [0; 64];
    let length = reader.recv(&mut buffer).await.unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

async fn pair() -> (TcpListener, Line) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, Line::new(To::Host(Place { host: "127.0.0.1".into(), port })))
}

/// A message with its id.
fn message(id: &str, text: &str) -> (String, String) {
    (id.to_owned(), text.to_owned())
}

/// Where somebody has listened before.
async fn listening(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(16).unwrap();
    TcpListener::from_std(socket.into()).unwrap()
}

/// So many messages.
async fn frames(peer: &mut TcpStream, count: usize) -> Vec<String> {
    let mut got = Vec::new();
    for _ in 0..count {
        let mut length = 0;
        loop {
            match peer.read_u8().await.unwrap() {
                b' ' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
        let mut message = vec![0; length];
        peer.read_exact(&mut message).await.unwrap();
        got.push(String::from_utf8(message).unwrap());
    }
    got
}
