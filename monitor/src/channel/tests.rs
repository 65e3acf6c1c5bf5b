//! Channels as `run` uses them, against receivers that speak HTTP and TLS.

use super::outbox::tests::signal;
use super::*;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode};
use rustls::pki_types::PrivatePkcs8KeyDer;
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;
use std::time::Duration;
use tokio::runtime::Runtime;

const KEY: [u8; 24] = *b"twenty-four bytes of key";
const WHSEC: &str = "whsec_dHdlbnR5LWZvdXIgYnl0ZXMgb2Yga2V5";
/// How long a receiver that says nothing is waited for: nobody else is to wait nearly as long.
const SLOW: Duration = Duration::from_secs(20);

#[test]
fn a_signal_is_posted_signed_and_posted_again_under_the_same_id() {
    let lab = Lab::new();
    let receiver = Receiver::start(&lab, [(503, Some("retry-after: 0")), (200, None)]);
    let channels = lab.start(&[lab.webhook("siem", &receiver.url)]);
    channels.send(&signal(1), Instant::now());
    let [first, second] = receiver.requests(2).try_into().unwrap();
    assert_eq!(first.id, "b00t-1");
    assert_eq!((&second.id, &second.body), (&first.id, &first.body));
    for request in [&first, &second] {
        let signed = format!("{}.{}.{}", request.id, request.timestamp, request.body);
        assert_eq!(request.signature, format!("v1,{}", base64(&hmac_sha256(&KEY, signed.as_bytes()))));
        assert_eq!(request.agent, concat!("oopsd/", env!("CARGO_PKG_VERSION")));
        assert_eq!(request.kind, "application/cloudevents+json; charset=UTF-8");
    }
    let status = settled(&channels, "siem");
    assert_eq!((status.sent, status.failed, status.dropped, status.failed_attempts), (1, 0, 0, 1));
    assert_eq!(status.delay.len(), 1);
}

#[test]
fn a_redirect_is_not_followed() {
    let lab = Lab::new();
    let elsewhere = Receiver::start(&lab, []);
    let location = format!("location: {}", elsewhere.url);
    let receiver = Receiver::start(&lab, [(307, Some(location.as_str())), (307, Some(&location)), (200, None)]);
    let channels = lab.start(&[lab.webhook("siem", &receiver.url)]);
    channels.send(&signal(1), Instant::now());
    assert_eq!(receiver.requests(2).len(), 2);
    assert_eq!(elsewhere.requests(0).len(), 0);
}

#[test]
fn a_receiver_that_is_gone_disables_its_channel_until_a_reload() {
    let lab = Lab::new();
    let receiver = Receiver::start(&lab, [(410, None), (200, None)]);
    let config = [lab.webhook("siem", &receiver.url)];
    let mut channels = lab.start(&config);
    channels.send(&signal(1), Instant::now());
    assert!(settled(&channels, "siem").disabled);
    channels.send(&signal(2), Instant::now());
    assert_eq!(settled(&channels, "siem").dropped, 1);
    channels.reload(&config).unwrap();
    channels.send(&signal(3), Instant::now());
    let status = settled(&channels, "siem");
    assert_eq!((status.sent, status.failed, status.dropped, status.disabled), (1, 1, 1, false));
}

#[test]
fn a_slow_channel_delays_neither_the_others_nor_the_sender() {
    let lab = Lab::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let log = lab.path("signals.jsonl");
    let slow = lab.webhook("slow", &format!("http://{}/", silent.local_addr().unwrap()));
    let channels = lab.start(&[slow, log_to("log", &log)]);
    let start = Instant::now();
    for seq in 1..=100 {
        channels.send(&signal(seq), start);
    }
    assert!(start.elapsed() < SLOW / 4);
    assert_eq!(settled(&channels, "log").sent, 100);
    let slow = status(&channels, "slow");
    // Eight wait; and the one that is being sent, if it was taken before the queue was full.
    assert!((8..=9).contains(&slow.waiting), "{slow:?}");
    assert_eq!(slow.dropped + slow.waiting, 100);
    let start = Instant::now();
    assert_eq!(channels.close(start + Duration::from_millis(300)), slow.waiting);
    assert!(start.elapsed() < SLOW / 4);
    assert_eq!(std::fs::read_to_string(log).unwrap().lines().count(), 100);
}

#[test]
fn closing_sends_what_waits() {
    let lab = Lab::new();
    let receiver = Receiver::start(&lab, []);
    let channels = lab.start(&[lab.webhook("siem", &receiver.url)]);
    for seq in 1..=5 {
        channels.send(&signal(seq), Instant::now());
    }
    assert_eq!(channels.close(Instant::now() + Duration::from_secs(10)), 0);
    let ids: Vec<String> = receiver.requests(5).into_iter().map(|request| request.id).collect();
    assert_eq!(ids, ["b00t-1", "b00t-2", "b00t-3", "b00t-4", "b00t-5"]);
}

#[test]
fn a_reload_that_fails_changes_nothing_and_one_that_succeeds_reads_the_secrets_again() {
    let lab = Lab::new();
    let receiver = Receiver::start(&lab, []);
    let config = [lab.webhook("siem", &receiver.url)];
    let mut channels = lab.start(&config);
    std::fs::write(lab.path("secret"), "hunter2").unwrap();
    let error = channels.reload(&config).unwrap_err();
    assert!(matches!(&error, Error::Secret { path, .. } if *path == lab.path("secret")), "{error}");
    channels.send(&signal(1), Instant::now());
    let before = receiver.requests(1).pop().unwrap().signature;
    std::fs::write(lab.path("secret"), format!("whsec_{}", base64(&[9; 32]))).unwrap();
    channels.reload(&config).unwrap();
    channels.send(&signal(2), Instant::now());
    let request = receiver.requests(2).pop().unwrap();
    let signed = format!("{}.{}.{}", request.id, request.timestamp, request.body);
    assert_eq!(request.signature, format!("v1,{}", base64(&hmac_sha256(&[9; 32], signed.as_bytes()))));
    assert_ne!(before, request.signature);
    assert_eq!(settled(&channels, "siem").sent, 2, "counts go on");
}

#[test]
fn a_peer_is_verified_against_the_authorities_of_the_file() {
    let lab = Lab::new();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let address = tls_peer(&certified);
    std::fs::write(lab.path("ca.pem"), certified.cert.pem()).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(lab.path("other.pem"), other.cert.pem()).unwrap();

    let url = format!("https://localhost:{}/dns", address.port());
    let with = |ca: &str| match lab.webhook(ca, &url) {
        Config { to: To::Webhook(config), name, waits } => {
            Config { to: To::Webhook(webhook::Config { tls: trusting(lab.path(ca)), ..config }), name, waits }
        }
        other => panic!("{other:?}"),
    };
    let channels = lab.start(&[with("ca.pem"), with("other.pem")]);
    channels.send(&signal(1), Instant::now());
    assert_eq!(settled(&channels, "ca.pem").sent, 1);
    wait_until(|| status(&channels, "other.pem").failed_attempts > 0);
    assert_eq!(status(&channels, "other.pem").sent, 0);
}

#[test]
fn a_channel_that_cannot_work_is_an_error_that_says_why() {
    let lab = Lab::new();
    let error = |config: Config| {
        Channels::start(&[config], sender(), lab.runtime.handle().clone(), None).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(
        error(lab.webhook("siem", "http://siem.example.net/")),
        "channel siem: the URL must begin with https:// (http:// only to a loopback address)"
    );
    std::fs::remove_file(lab.path("secret")).unwrap();
    assert_eq!(
        error(lab.webhook("siem", "https://siem.example.net/")),
        format!("channel siem: cannot read {}", lab.path("secret").display())
    );
}

#[test]
fn no_secret_is_printed_with_the_channels() {
    let lab = Lab::new();
    let channels = lab.start(&[lab.webhook("siem", "http://127.0.0.1:9/")]);
    let printed = format!("{channels:#?} {channels:?}");
    assert!(printed.contains("Secret(..)"));
    for form in [WHSEC, &WHSEC[6..], "twenty-four", &format!("{KEY:?}"), &format!("{KEY:#?}")] {
        assert!(!printed.contains(form), "{form}");
    }
}

/// A folder with a secret, and a runtime.
struct Lab {
    folder: tempfile::TempDir,
    runtime: Runtime,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), format!("{WHSEC}\n")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { folder, runtime }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, configs: &[Config]) -> Channels {
        Channels::start(configs, sender(), self.runtime.handle().clone(), None).unwrap()
    }

    fn webhook(&self, name: &str, url: &str) -> Config {
        Config {
            name: name.into(),
            waits: Waits { count: 8, age: Duration::from_mins(1), ..Waits::default() },
            to: To::Webhook(webhook::Config {
                url: url.into(),
                payload: webhook::Payload::CloudEvents,
                severity: webhook::Severity::default(),
                token_file: None,
                secret_files: vec![self.path("secret")],
                tls: tls::Config::default(),
                timeout: SLOW,
            }),
        }
    }
}

fn trusting(ca_file: PathBuf) -> tls::Config {
    tls::Config { ca_file: Some(ca_file), identity: None }
}

fn log_to(name: &str, file: &Path) -> Config {
    Config { name: name.into(), waits: Waits::default(), to: To::Log(log::Config { file: Some(file.to_owned()) }) }
}

fn sender() -> Sender {
    Sender { node: "ns1".into(), boot: "b00t".into() }
}

fn status(channels: &Channels, name: &str) -> Status {
    channels.status().into_iter().find(|status| status.channel == name).unwrap()
}

/// The status of a channel once nothing waits in it.
fn settled(channels: &Channels, name: &str) -> Status {
    wait_until(|| status(channels, name).waiting == 0);
    status(channels, name)
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[derive(Clone, Debug)]
struct Request {
    id: String,
    timestamp: String,
    signature: String,
    agent: String,
    kind: String,
    body: String,
}

/// An HTTP server that answers as told, then always 204, and keeps what it got.
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    fn start<'a>(lab: &Lab, answers: impl IntoIterator<Item = (u16, Option<&'a str>)>) -> Self {
        let got: Arc<Mutex<Vec<Request>>> = Arc::default();
        let answers: Vec<(u16, Option<String>)> =
            answers.into_iter().map(|(code, header)| (code, header.map(str::to_owned))).collect();
        let keep = Arc::clone(&got);
        let answer = move |method: Method, headers: HeaderMap, body: Bytes| {
            let header = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
            assert_eq!(method, Method::POST);
            let mut got = keep.lock().unwrap();
            let (code, extra) = answers.get(got.len()).cloned().unwrap_or((204, None));
            got.push(Request {
                id: header("webhook-id"),
                timestamp: header("webhook-timestamp"),
                signature: header("webhook-signature"),
                agent: header("user-agent"),
                kind: header("content-type"),
                body: String::from_utf8(body.to_vec()).unwrap(),
            });
            let mut headers = HeaderMap::new();
            if let Some((name, value)) = extra.as_deref().and_then(|extra| extra.split_once(": ")) {
                headers.insert(axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            }
            std::future::ready((StatusCode::from_u16(code).unwrap(), headers))
        };
        let listener = lab.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/dns", listener.local_addr().unwrap());
        lab.runtime.spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { url, got }
    }

    /// All requests, once there are `least`.
    fn requests(&self, least: usize) -> Vec<Request> {
        wait_until(|| self.got.lock().unwrap().len() >= least);
        self.got.lock().unwrap().clone()
    }
}

/// A TLS server that says 204 to whatever it gets.
fn tls_peer(certified: &rcgen::CertifiedKey<rcgen::KeyPair>) -> SocketAddr {
    install_tls();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())
        .unwrap();
    let (listener, config) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(config));
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::StreamOwned::new(connection, stream.unwrap());
            // A client that does not trust us hangs up here.
            if tls.read(&mut [0; 16_384]).is_ok() {
                let _ = tls.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    address
}

/// RFC 2104, spelt out, so that it is not what it verifies.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|index| key.get(index).unwrap_or(&0) ^ with).collect() };
    let inner = Sha256::digest([pad(0x36).as_slice(), message].concat());
    Sha256::digest([pad(0x5c).as_slice(), &inner].concat()).to_vec()
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}
