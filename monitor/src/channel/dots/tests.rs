//! What a server of DOTS may say, by one that says it; libcoap's are asked by the tests of the workspace.

use super::coap::Kind;
use super::*;
use crate::channel::letter::tests::letter;
use dimpl::{Dtls, Output, PskResolver};
use engine::Signal;
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, Sender, channel};

const KEY: &str = "the key of both sides";
/// `{1: {2: [{14: 4}]}}`: four seconds are granted.
const GRANTED: &[u8] = b"\xa1\x01\xa1\x02\x81\xa1\x0e\x04";

#[tokio::test]
async fn an_answer_that_comes_later_is_waited_for_and_gets_its_receipt() {
    let fake = Fake::start(|request| match request.kind {
        Kind::Confirmable => {
            let later =
                Message { body: GRANTED.to_vec(), ..Message::bare(Kind::Confirmable, CREATED, 7, &request.token) };
            vec![Message::bare(Kind::Receipt, 0, request.id, &[]), later]
        }
        Kind::Once | Kind::Receipt | Kind::Reset => Vec::new(),
    });
    let settings = fake.settings();
    let began = Instant::now();
    assert_eq!(settings.attempt(&of(State::Met)).await, Answer::Yes);
    let again = settings.again().unwrap() - began;
    assert!(again < Duration::from_secs(4), "half of what is granted, not of what was asked for: {again:?}");
    let [request, receipt] = [(); 2].map(|()| fake.came.recv().unwrap());
    assert_eq!((request.code, receipt), (Method::Put as u8, Message::bare(Kind::Receipt, 0, 7, &[])));
    assert_eq!(request.options.last().map(|(_, mid)| mid.as_slice()), Some(&271_u16.to_be_bytes()[..]));
}

#[tokio::test]
async fn a_refusal_says_when_to_come_again() {
    // {1: {2: [{17: {20: 120}}]}}
    let conflict = b"\xa1\x01\xa1\x02\x81\xa1\x11\xa1\x14\x18\x78";
    for (code, options, body, why, wait) in [
        (coap::UNAVAILABLE, vec![(14, vec![7])], &b"busy"[..], "5.03: busy", Some(7)),
        (coap::UNAVAILABLE, vec![], b"", "5.03", Some(60)),
        (coap::CONFLICT, vec![(12, vec![1, 15])], conflict, "4.09", Some(120)),
        (0x80, vec![], b"\x1b[31m", "4.00: \\u{1b}[31m", None),
        (coap::ALTERNATE, vec![], b"", "3.00", None),
    ] {
        let fake = Fake::start(move |request| {
            let answer = Message::bare(Kind::Receipt, code, request.id, &request.token);
            vec![Message { options: options.clone(), body: body.to_vec(), ..answer }]
        });
        let settings = fake.settings();
        let Answer::No { why: said, retry_after, overloaded } = settings.attempt(&of(State::Met)).await else {
            panic!("{why} is no yes");
        };
        println!("{said}, {retry_after:?}");
        assert!(said.contains(why) && overloaded, "{said}");
        assert_eq!((retry_after, settings.again()), (wait.map(Duration::from_secs), None));
    }
}

#[tokio::test]
async fn both_sides_say_that_they_are_there_and_silence_is_not_for_ever() {
    let fake = Fake::start(|message| match message.kind {
        // Its own heartbeat comes with the first answer to ours.
        Kind::Once if message.code == Method::Put as u8 && message.body.ends_with(b"\xf5") => {
            let ours = Message::request(Method::Put, &[".well-known", "dots", "hb"], Some(scope::heartbeat(true)));
            let ours = Message { kind: Kind::Once, id: 9, token: vec![9], ..ours };
            vec![Message::bare(Kind::Once, coap::CHANGED, 8, &message.token), ours]
        }
        Kind::Confirmable | Kind::Once | Kind::Receipt | Kind::Reset => Vec::new(),
    });
    let settings = fake.settings();
    let within = Instant::now() + Duration::from_secs(20);
    let mut session = Session::open(settings.config.server, &settings.key, within).await.unwrap();
    session.look(Duration::ZERO, 3).await.unwrap();
    let beat = fake.came.recv().unwrap();
    assert!(beat.is_for(&[".well-known", "dots", "hb"]) && beat.kind == Kind::Once, "{beat:?}");
    // Until its heartbeat is here and answered.
    while fake.came.try_recv().ok().is_none_or(|message| message.code != coap::CHANGED || message.token != [9]) {
        session.look(Duration::from_hours(1), 3).await.unwrap();
        tokio::task::yield_now().await;
    }
    fake.silence.send(()).unwrap();
    let mut beats = 0;
    let error = loop {
        match session.look(Duration::ZERO, 3).await {
            Ok(()) => beats += 1,
            Err(error) => break error,
        }
    };
    println!("after {beats} heartbeats: {error}");
    assert!((2..=5).contains(&beats) && error.to_string().contains("nothing is heard of it"), "{beats}: {error}");
}

/// 2.01.
const CREATED: u8 = 2 << 5 | 1;

/// A server of one session, which answers as told until it is to be silent.
struct Fake {
    address: SocketAddr,
    came: Receiver<Message>,
    silence: Sender<()>,
    _folder: tempfile::TempDir,
    key_file: PathBuf,
}

struct Shared;

impl PskResolver for Shared {
    fn resolve(&self, identity: &[u8]) -> Option<Vec<u8>> {
        (identity == b"ams1").then(|| KEY.as_bytes().to_vec())
    }
}

impl Fake {
    fn start(answers: impl Fn(&Message) -> Vec<Message> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let ((to, came), (silence, is_silent)) = (channel(), channel());
        // It ends when nobody has said anything for so long.
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        std::thread::spawn(move || {
            let config = dimpl::Config::builder().with_psk_server(None, Arc::new(Shared)).build().unwrap();
            let now = std::time::Instant::now;
            let mut dtls = Dtls::new_12_psk(Arc::new(config), now());
            let mut silent = false;
            let (mut packet, mut out) = (vec![0; 4096], vec![0; 4096]);
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                dtls.handle_timeout(now()).unwrap();
                if dtls.handle_packet(&packet[..length]).is_err() {
                    break;
                }
                loop {
                    match dtls.poll_output(&mut out) {
                        Output::Packet(packet) => _ = socket.send_to(packet, from),
                        Output::ApplicationData(bytes) => {
                            let message = Message::read(bytes).unwrap();
                            silent |= is_silent.try_recv().is_ok();
                            if !silent {
                                for answer in answers(&message) {
                                    dtls.send_application_data(&answer.bytes()).unwrap();
                                }
                            }
                            let _ = to.send(message);
                        }
                        Output::Timeout(_) => break,
                        Output::Connected | Output::CloseNotify | _ => {}
                    }
                }
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("key");
        std::fs::write(&key_file, KEY).unwrap();
        Self { address, came, silence, _folder: folder, key_file }
    }

    fn settings(&self) -> Settings {
        let config = Config {
            server: self.address,
            identity: "ams1".into(),
            key_file: self.key_file.clone(),
            condition: "surge".into(),
            prefixes: vec!["192.0.2.0/24".parse().unwrap()],
            lifetime: Duration::from_hours(1),
            timeout: Duration::from_secs(20),
        };
        Settings::load("dots", &config).unwrap()
    }
}

fn of(state: State) -> Letter {
    let signal = Signal { kind: "query-rate", condition: "surge".into(), state, ..(*letter(1).signal).clone() };
    Letter { signal: Arc::new(signal), ..letter(1) }
}
