//! The channel against brokers that are told what to say, byte by byte; against real ones it is tested elsewhere.

use super::connection::{Connection, Message};
use super::*;
use crate::channel::escaping::hostile_letter;
use crate::channel::letter::tests::letter;
use mqtt_protocol_core::mqtt::packet::v5_0::Publish;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A CONNACK that says yes with these properties.
fn welcome(properties: &[u8]) -> Vec<u8> {
    let length = u8::try_from(properties.len()).unwrap();
    [&[0x20, 3 + length, 0, 0, length], properties].concat()
}

const NOTHING: &[u8] = &[];
const QUOTA_EXCEEDED: u8 = 0x97;
const NOT_AUTHORIZED: u8 = 0x87;
const NO_MATCHING_SUBSCRIBERS: u8 = 0x10;

#[tokio::test]
async fn yes_is_a_puback_that_says_so() {
    for (code, expected) in
        [(0, true), (NO_MATCHING_SUBSCRIBERS, true), (NOT_AUTHORIZED, false), (QUOTA_EXCEEDED, false)]
    {
        let broker = Broker::new(welcome(NOTHING), vec![code]).await;
        let answer = broker.settings(|_| {}).once(&letter(1)).await;
        assert_eq!(answer == Answer::Yes, expected, "{code:#x}: {answer:?}");
        if let Answer::No { why, overloaded, .. } = answer {
            assert!(why.contains(if code == NOT_AUTHORIZED { "not authorized" } else { "quota" }), "{why}");
            assert_eq!(overloaded, code == QUOTA_EXCEEDED);
        }
    }
}

#[tokio::test]
async fn no_more_is_in_flight_than_the_broker_takes() {
    for (most, properties) in [(1, &[0x21, 0, 1][..]), (3, &[0x21, 0, 3]), (16, NOTHING)] {
        let broker = Broker::new(welcome(properties), Vec::new()).await;
        let settings = broker.settings(|_| {});
        let mut connection = Connection::open(&settings.access, "a", None).await.unwrap();
        let messages: Vec<Message> = (0..40).map(|number| message(&number.to_string())).collect();
        let answers = connection.publish(&messages).await.unwrap();
        assert!(answers.iter().all(Option::is_none) && answers.len() == 40);
        let seen = broker.seen();
        assert_eq!(seen.most_in_flight, most);
        let expected: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        assert_eq!(seen.payloads, expected, "in order");
    }
}

#[tokio::test]
async fn a_signal_that_is_too_large_goes_without_its_arguments() {
    let mut large = letter(1);
    let mut signal = (*large.signal).clone();
    signal.arguments.reasons = vec!["x".repeat(2_000)];
    large.signal = Arc::new(signal);
    // Maximum Packet Size 1000.
    let broker = Broker::new(welcome(&[0x27, 0, 0, 3, 0xe8]), Vec::new()).await;
    assert_eq!(broker.settings(|_| {}).once(&large).await, Answer::Yes);
    assert!(broker.seen().payloads[0].contains(r#""arguments":{}"#));
    // 200: not even then.
    let broker = Broker::new(welcome(&[0x27, 0, 0, 0, 200]), Vec::new()).await;
    let Answer::No { why, .. } = broker.settings(|_| {}).once(&large).await else { panic!("too large") };
    assert!(why.contains("packets of 200 bytes at most"), "{why}");
}

#[tokio::test]
async fn what_the_broker_calls_us_is_what_we_come_back_as() {
    let assigned = [&[0x12, 0, 3][..], b"you"].concat();
    let broker = Broker::new(welcome(&assigned), Vec::new()).await;
    let mut settings = broker.settings(|config| config.client_id = Some(String::new()));
    settings.begin(None, &sender(), &Handle::current());
    assert_eq!(settings.attempt(&letter(1)).await, Answer::Yes);
    broker.hang_up();
    while broker.seen().ids.len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(broker.seen().ids, ["", "you"]);
}

#[tokio::test]
async fn the_broker_is_asked_as_often_as_it_says_and_left_when_it_is_silent() {
    // Server Keep Alive 1 s; it never answers a ping.
    let broker = Broker::new(welcome(&[0x13, 0, 1]), Vec::new()).await;
    let settings = broker.settings(|config| {
        config.keep_alive = Duration::from_mins(10);
        config.timeout = Duration::from_millis(2_500);
    });
    let mut connection = Connection::open(&settings.access, "a", None).await.unwrap();
    let began = std::time::Instant::now();
    assert_eq!(connection.idle().await.why, "the broker does not answer");
    assert!((Duration::from_millis(900)..Duration::from_secs(20)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert!((2..10).contains(&broker.seen().pings), "{}", broker.seen().pings);
}

#[tokio::test]
async fn a_broker_that_says_no_or_nothing_is_an_answer_with_its_reason() {
    for (said, why) in [
        (vec![0x20, 3, 0, 0x86, 0], "the broker does not take this user or password"),
        (vec![0x20, 3, 0, 0x89, 0], "the broker is busy"),
        (vec![0x20, 5, 0, 0, 2, 0x24, 0], "the broker does not take QoS 1"),
        (vec![0x20, 2, 0, 0], "does not speak MQTT 5 as it should"),
        (b"HTTP/1.1 400 Bad Request\r\n".repeat(4), "does not speak MQTT 5 as it should"),
        (vec![0xe0, 2, 0x8b, 0], "the broker is shutting down"),
        (Vec::new(), "the broker does not answer"),
    ] {
        let broker = Broker::new(said, Vec::new()).await;
        let answer = broker.settings(|config| config.timeout = Duration::from_secs(2)).once(&letter(1)).await;
        let Answer::No { why: said, .. } = answer else { panic!("{why}") };
        assert!(said.contains(why), "{said} is not {why}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn noise_is_no_panic(
        first in any::<bool>(),
        noise in proptest::collection::vec(prop_oneof![any::<u8>(), 0..5_u8, Just(0x20), Just(0x40), Just(0xe0)], 0..80),
    ) {
        let mut talk = connection::Talk::new();
        if first {
            talk.came(&welcome(NOTHING)).ok();
        }
        let _ = talk.came(&noise);
    }
}

proptest! {
    #[test]
    fn a_signal_is_whole_after_a_packet(letter in hostile_letter()) {
        let topics = Topics::new("oopsd/v1", &letter.sender.node);
        let topic = topics.state(&letter.signal.condition, &letter.signal.scope);
        let sent = Message { topic, payload: letter.json(), retain: true };
        let packet = connection::publish(&sent, 7).unwrap().to_continuous_buffer();
        // Type and flags, then the length: 7 bits a byte.
        let length = 1 + packet[1..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        let (came, _) = Publish::parse(packet[0] & 0xf, packet[length..].into()).unwrap();
        prop_assert_eq!(came.topic_name(), &sent.topic);
        prop_assert_eq!(came.payload().as_slice(), sent.payload.as_bytes());
        prop_assert_eq!((came.packet_id(), came.retain(), packet[0] >> 4), (Some(7), true, 3));
    }
}

fn message(payload: &str) -> Message {
    Message { topic: "oopsd/v1/a/signal".into(), payload: payload.into(), retain: false }
}

fn sender() -> Sender {
    Sender { node: "ns1".into(), boot: "b00t".into() }
}

/// What a broker has seen.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// Who came.
    ids: Vec<String>,
    payloads: Vec<String>,
    most_in_flight: usize,
    pings: usize,
}

/// Says one thing to whoever comes, and answers what is published with these codes, then with yes.
struct Broker {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    hang_up: tokio::sync::watch::Sender<u32>,
}

impl Broker {
    async fn new(welcome: Vec<u8>, codes: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (hang_up, mut told) = tokio::sync::watch::channel(0);
        let (all, own) = (codes, Arc::clone(&seen));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                told.mark_unchanged();
                let served = serve(stream, &welcome, &all, &own);
                tokio::select! {
                    _ = served => {}
                    _ = told.changed() => {}
                }
            }
        });
        Self { port, seen, hang_up }
    }

    fn settings(&self, change: impl FnOnce(&mut Config)) -> Settings {
        let mut config = Config {
            broker: super::Broker { host: "127.0.0.1".into(), port: self.port, tls: None },
            topic: "oopsd/v1".into(),
            client_id: None,
            user: None,
            password_file: None,
            keep_alive: Duration::from_secs(10),
            will_delay: Duration::ZERO,
            timeout: Duration::from_secs(5),
            stated: Vec::new(),
        };
        change(&mut config);
        Settings::load("mqtt", &config).unwrap()
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    fn hang_up(&self) {
        self.hang_up.send_modify(|times| *times += 1);
    }
}

/// Reads packets until that is quiet, answers for what it got, and so on.
async fn serve(mut stream: TcpStream, welcome: &[u8], codes: &[u8], seen: &Mutex<Seen>) -> std::io::Result<()> {
    let mut codes = codes.iter().copied();
    let mut waiting: Vec<[u8; 2]> = Vec::new();
    loop {
        let patience = if waiting.is_empty() { Duration::from_secs(60) } else { Duration::from_millis(50) };
        let Ok(first) = tokio::time::timeout(patience, stream.read_u8()).await else {
            let mut answers = Vec::new();
            for [high, low] in waiting.drain(..) {
                answers.extend([0x40, 3, high, low, codes.next().unwrap_or(0)]);
            }
            stream.write_all(&answers).await?;
            continue;
        };
        let kind = first? >> 4;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = stream.read_u8().await?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let text = |from: usize| -> (String, usize) {
            let length = usize::from(u16::from_be_bytes([body[from], body[from + 1]]));
            (String::from_utf8_lossy(&body[from + 2..from + 2 + length]).into_owned(), from + 2 + length)
        };
        match kind {
            1 => {
                // Protocol, version, flags, keep-alive, properties; then the client's id.
                let properties = usize::from(body[10]);
                seen.lock().unwrap().ids.push(text(11 + properties).0);
                stream.write_all(welcome).await?;
            }
            3 => {
                let (topic, at) = text(0);
                waiting.push([body[at], body[at + 1]]);
                let properties = usize::from(body[at + 2]);
                let mut seen = seen.lock().unwrap();
                if topic.ends_with("/signal") {
                    seen.payloads.push(String::from_utf8_lossy(&body[at + 3 + properties..]).into_owned());
                }
                seen.most_in_flight = seen.most_in_flight.max(waiting.len());
            }
            12 => seen.lock().unwrap().pings += 1,
            _ => {}
        }
    }
}
