//! The protocol, with a socket that says whatever a test wants.

use super::*;
use std::os::unix::net::UnixListener;
use tokio::task::spawn_blocking;

#[test]
fn a_reply_is_its_lines_and_their_codes() {
    let mut reply = Reply(Vec::new());
    let lines = ["2002-Name", "1002-up4  BGP", " \tmore of it", "+something else", "0000 "];
    let last: Vec<_> = lines.iter().map(|line| reply.take(line)).collect();
    assert_eq!(last, [Some(false), Some(false), Some(false), Some(false), Some(true)]);
    assert_eq!(reply.texts(1002).collect::<Vec<_>>(), ["up4  BGP", "more of it"]);
    assert_eq!(reply.code(), 0);
}

#[test]
fn what_is_no_line_of_a_reply_is_refused() {
    for line in ["HTTP/1.1 400", "12", "1002", "+123x", " first", "10é2-x", "-123 x"] {
        let taken = Reply(Vec::new()).take(line);
        let fine = [("1002", Some(true)), ("+123x", Some(false))];
        assert_eq!(taken, fine.iter().find(|(known, _)| *known == line).and_then(|(_, taken)| *taken), "{line}");
    }
}

#[tokio::test]
async fn the_version_is_in_the_greeting() {
    for (greeting, fine) in [
        ("0001 BIRD 2.0.12 ready.\n", true),
        ("0001 BIRD 2.0.11 ready.\n", true),
        ("0001 BIRD 3.3.0 ready.\n", true),
        ("0001 BIRD 2.0.10 ready.\n", false),
        ("0001 BIRD 1.6.8 ready.\n", false),
    ] {
        let bird = Fake::saying(&[greeting]);
        let control = Control::open(&bird.socket).await.unwrap();
        assert_eq!(control.knows_empty_sets().is_ok(), fine, "{greeting}");
    }
}

#[tokio::test]
async fn a_configuration_that_is_under_way_is_waited_for() {
    let bird = Fake::saying(&[
        "0001 BIRD 2.0.12 ready.\n",
        "0002-Reading configuration from bird.conf\n0004 Reconfiguration in progress\n",
        "0004-Reconfiguration in progress\n0000 \n",
        "0005 Reconfiguration already in progress, queueing new config\n",
        "0003-Daemon is up and running\n0000 \n",
    ]);
    Control::open(&bird.socket).await.unwrap().configure().await.unwrap();
}

#[tokio::test]
async fn what_bird_says_of_a_broken_file_is_passed_on() {
    let bird = Fake::saying(&["0001 BIRD 2.0.12 ready.\n", "0002-Reading\n8002 bird.conf:5:1 syntax error\n"]);
    let error = Control::open(&bird.socket).await.unwrap().configure().await.unwrap_err();
    assert_eq!(error.to_string(), "BIRD cannot take its configuration: bird.conf:5:1 syntax error");
}

#[tokio::test]
async fn a_restricted_socket_and_a_shutdown_are_errors() {
    for (said, right) in [("8007 Access denied\n", "restricted"), ("0006 Shutting down\n", "0006")] {
        let bird = Fake::saying(&["0001 BIRD 2.0.12 ready.\n", said]);
        let error = Control::open(&bird.socket).await.unwrap().configure().await.unwrap_err().to_string();
        assert!(error.contains(right), "{error}");
    }
}

#[tokio::test]
async fn who_is_not_bird_or_hangs_up_is_named() {
    let bird = Fake::saying(&["HTTP/1.1 400 Bad Request\n"]);
    assert!(Control::open(&bird.socket).await.unwrap_err().to_string().contains("not BIRD"));
    let bird = Fake::saying(&["0001 BIRD 2.0.12 ready.\n", "0002-Reading\n0003 Reco"]);
    let error = Control::open(&bird.socket).await.unwrap().configure().await.unwrap_err();
    assert!(error.to_string().contains("hung up before it answered \"configure\""), "{error}");
}

/// A socket that says its next piece after every line that it hears, then hangs up.
struct Fake {
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Fake {
    fn saying(pieces: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("bird.ctl");
        let door = UnixListener::bind(&socket).unwrap();
        let pieces: Vec<String> = pieces.iter().map(|piece| (*piece).to_owned()).collect();
        spawn_blocking(move || {
            use std::io::{BufRead, Write};
            let (mut stream, _) = door.accept().unwrap();
            let mut lines = io::BufReader::new(stream.try_clone().unwrap()).lines();
            for (index, piece) in pieces.iter().enumerate() {
                if index > 0 {
                    lines.next();
                }
                stream.write_all(piece.as_bytes()).unwrap();
            }
        });
        Self { socket, _folder: folder }
    }
}
