//! What an answer means, and how much of it is read.

mod golden;

use super::*;
use crate::channel::letter::tests::letter;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[test]
fn only_2xx_is_yes_and_only_410_is_for_good() {
    let now = Timestamp::UNIX_EPOCH;
    let of = |code| answer(StatusCode::from_u16(code).unwrap(), Some("3"), now);
    assert_eq!([200, 202, 204].map(of), [Answer::Yes, Answer::Yes, Answer::Yes]);
    assert_eq!(of(410), Answer::Gone);
    let slowed = |code| match of(code) {
        Answer::No { retry_after, overloaded, .. } => (retry_after, overloaded),
        Answer::Yes | Answer::Gone => panic!("{code}"),
    };
    let three = Some(Duration::from_secs(3));
    assert_eq!([301, 302, 307, 400, 401, 404, 413, 500].map(slowed), [(three, false); 8]);
    assert_eq!([429, 502, 503, 504].map(slowed), [(three, true); 4]);
}

#[test]
fn plain_http_is_for_loopback_only() {
    let safe = |url: &str| is_safe(&Url::parse(url).unwrap());
    for url in ["https://siem.example.net/dns", "http://127.0.0.1:8080/", "http://[::1]/", "http://localhost/x"] {
        assert!(safe(url), "{url}");
    }
    for url in ["http://siem.example.net/", "http://192.0.2.1/", "ftp://127.0.0.1/", "http://127.0.0.1.nip.io/"] {
        assert!(!safe(url), "{url}");
    }
}

#[tokio::test]
async fn the_answer_of_a_collector_says_what_became_of_it() {
    let attempt = async |answer: &str| {
        let peer = Raw::start(answer.to_owned());
        let answer = peer.attempt(Payload::SplunkHec, Duration::from_secs(20)).await;
        assert!(peer.request().contains("\r\nauthorization: Splunk t0ken\r\n"), "{}", peer.request());
        answer
    };
    assert_eq!(attempt(&http("200 OK", "", r#"{"text":"Success","code":0}"#)).await, Answer::Yes);
    assert_eq!(attempt(&http("200 OK", "", r#"{"text":"No data","code":5}"#)).await, Answer::no("No data (code 5)"));
    let busy = r#"{"text":"Server is busy","code":9}"#;
    assert_eq!(
        attempt(&http("503 Service Unavailable", "Retry-After: 7\r\n", busy)).await,
        Answer::No {
            why: "503 Service Unavailable: Server is busy (code 9)".into(),
            retry_after: Some(Duration::from_secs(7)),
            overloaded: true
        }
    );
    assert_eq!(
        attempt(&http("403 Forbidden", "", r#"{"text":"Invalid token","code":4}"#)).await,
        Answer::no("403 Forbidden: Invalid token (code 4)")
    );
    assert_eq!(attempt(&http("401 Unauthorized", "", "go \u{1b}[31m away")).await, Answer::no("401 Unauthorized"));
}

#[tokio::test]
async fn what_alertmanager_refuses_is_said_in_its_words() {
    for (said, why) in [
        (r#""start time must be before end time""#, "400 Bad Request: start time must be before end time"),
        (r#"{"code":601,"message":"alerts in body\tis required"}"#, "400 Bad Request: alerts in bodyis required"),
        ("<html>", "400 Bad Request"),
    ] {
        let payload = Payload::Alertmanager { repeat: Duration::from_secs(60), generator: None };
        let peer = Raw::start(http("400 Bad Request", "", said));
        assert_eq!(peer.attempt(payload, Duration::from_secs(20)).await, Answer::no(why));
    }
}

#[tokio::test]
async fn an_answer_is_read_to_a_limit_and_waited_for_to_a_time() {
    let short = Duration::from_secs(1);
    // Of some nothing but the head is read, of the others the beginning.
    let endless = Raw::endless("HTTP/1.1 200 OK\r\n\r\n", "and so on ");
    assert_eq!(endless.attempt(Payload::CloudEvents, short).await, Answer::Yes);
    let endless = Raw::endless("HTTP/1.1 200 OK\r\n\r\n", "and so on ");
    assert_eq!(endless.attempt(Payload::SplunkHec, short).await, Answer::Yes);
    let why = async |peer: Raw| match peer.attempt(Payload::CloudEvents, short).await {
        Answer::No { why, .. } => why.strip_prefix(&format!("{}: ", peer.address)).unwrap().to_owned(),
        other @ (Answer::Yes | Answer::Gone) => panic!("{other:?}"),
    };
    let headers = why(Raw::endless("HTTP/1.1 200 OK\r\n", "and: so on\r\n")).await;
    assert!(headers.contains("message head is too large"), "{headers}");
    let silent = why(Raw::start(String::new())).await;
    assert!(silent.contains("timed out"), "{silent}");
}

#[tokio::test]
async fn retry_after_may_be_a_date() {
    let then = Timestamp::now() + Duration::from_secs(90);
    let date = then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let answer = http("429 Too Many Requests", &format!("Retry-After: {date}\r\n"), "");
    let Answer::No { retry_after: Some(wait), overloaded: true, .. } =
        Raw::start(answer).attempt(Payload::CloudEvents, Duration::from_secs(20)).await
    else {
        panic!("no wait");
    };
    assert!((Duration::from_secs(80)..=Duration::from_secs(90)).contains(&wait), "{wait:?}");
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// A server for one request, which it answers with bytes.
struct Raw {
    address: SocketAddr,
    request: Arc<Mutex<String>>,
}

impl Raw {
    /// Then says nothing, until it is hung up on.
    fn start(answer: String) -> Self {
        Self::serve(move |stream| stream.write_all(answer.as_bytes()))
    }

    fn endless(head: &'static str, rest: &'static str) -> Self {
        Self::serve(move |stream| {
            stream.write_all(head.as_bytes())?;
            loop {
                stream.write_all(rest.as_bytes())?;
            }
        })
    }

    fn serve(answer: impl FnOnce(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = Self { address: listener.local_addr().unwrap(), request: Arc::default() };
        let request = Arc::clone(&peer.request);
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 65_536];
            let mut got = String::new();
            while !got.ends_with(['}', ']']) {
                let length = stream.read(&mut buffer).unwrap();
                got.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            }
            *request.lock().unwrap() = got;
            let _ = answer(&mut stream);
            let _ = stream.read(&mut buffer);
        });
        peer
    }

    fn request(&self) -> String {
        self.request.lock().unwrap().clone()
    }

    async fn attempt(&self, payload: Payload, timeout: Duration) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "t0ken\n").unwrap();
        let config = Config {
            url: format!("http://{}/", self.address),
            payload,
            severity: Severity::default(),
            secret_files: Vec::new(),
            token_file: Some(token),
            tls: tls::Config::default(),
            timeout,
        };
        Settings::load("siem", &config).unwrap().attempt(&letter(1)).await
    }
}
