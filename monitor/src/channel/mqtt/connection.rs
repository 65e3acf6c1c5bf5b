//! One connection to a broker, from CONNECT to its end. What the protocol wants is `mqtt-protocol-core`'s, which does no I/O;
//! when to connect, and what to say, is `link`'s.
//!
//! Everything here may be dropped at any await: what was begun to be written is written on by the next call.

use super::Access;
use super::reason::{self, Refusal};
use crate::channel::tls;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{ConnectionOptions, Event, TimerKind};
use mqtt_protocol_core::mqtt::packet::v5_0::{Connack, Connect, Disconnect, Publish};
use mqtt_protocol_core::mqtt::packet::{
    ContentType, GenericPacketTrait as _, Packet, PayloadFormat, PayloadFormatIndicator, Property, Qos,
    SessionExpiryInterval, WillDelayInterval,
};
use mqtt_protocol_core::mqtt::result_code::{ConnectReasonCode, DisconnectReasonCode, MqttError};
use mqtt_protocol_core::mqtt::{Connection as Protocol, Version, role::Client};
use socket2::SockRef;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is published and not acknowledged yet, at most. Order is kept: brokers pass messages on as they come.
pub(super) const WINDOW: usize = 16;
/// No packet that is of use to us is larger.
const LARGEST: u32 = 64 << 10;

/// A message to be published, with QoS 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) retain: bool,
}

/// Connected, and let in.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    talk: Talk,
}

/// A byte stream to a broker.
trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Stream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

impl Connection {
    /// Connects as `id` and is let in; `will` is published by the broker should the connection be lost.
    pub(super) async fn open(access: &Access, id: &str, will: Option<&Message>) -> Result<Self, Refusal> {
        let at = || format!("{}:{}", access.host, access.port);
        let io = |error: &io::Error| {
            tls::reason(error).map_or_else(
                || Refusal::new(format!("{}: {error}", at())),
                |why| Refusal::new(format!("{}: {why}", at())),
            )
        };
        let stream = TcpStream::connect((access.host.as_str(), access.port)).await.map_err(|error| io(&error))?;
        // Small packets, each of which is waited for; without it they are only slower.
        let _ = stream.set_nodelay(true);
        let stream: Box<dyn Stream> = match &access.tls {
            None => Box::new(stream),
            Some((name, client)) => {
                let connector = TlsConnector::from(Arc::clone(client));
                Box::new(connector.connect(name.clone(), stream).await.map_err(|error| io(&error))?)
            }
        };
        let mut new = Self { stream, talk: Talk::new() };
        new.talk.begin(access, id, will)?;
        loop {
            new.flush().await?;
            if new.talk.connack.is_some() {
                return Ok(new);
            }
            new.read().await?;
        }
    }

    /// Whether the broker still has what an earlier connection left.
    pub(super) fn session_present(&self) -> bool {
        self.talk.connack.as_ref().is_some_and(Connack::session_present)
    }

    /// What the broker calls us, where that was left to it.
    pub(super) fn assigned_id(&self) -> Option<&str> {
        self.talk.property(
            |property| if let Property::AssignedClientIdentifier(id) = property { Some(id.val()) } else { None },
        )
    }

    /// The size of `message` as a packet, and what the broker takes at most, if it is more than that.
    pub(super) fn is_over(&self, message: &Message) -> Option<(usize, u32)> {
        let largest = self
            .talk
            .property(|it| if let Property::MaximumPacketSize(size) = it { Some(size.val()) } else { None })?;
        let size = publish(message, 1).map_or(usize::MAX, |packet| packet.size());
        (size > usize::try_from(largest).unwrap_or(usize::MAX)).then_some((size, largest))
    }

    /// Publishes all of them in this order, and returns what the broker says of each once it has answered for all; a no is
    /// about that message, an error about the connection.
    pub(super) async fn publish(&mut self, messages: &[Message]) -> Result<Vec<Option<Refusal>>, Refusal> {
        let mut answers: Vec<Option<Refusal>> = vec![None; messages.len()];
        let mut waiting: Vec<(u16, usize)> = Vec::new();
        let mut next = 0;
        self.talk.answers.clear();
        loop {
            while next < messages.len() && waiting.len() < WINDOW && self.talk.has_room() {
                waiting.push((self.talk.publish(&messages[next])?, next));
                next += 1;
            }
            self.flush().await?;
            if waiting.is_empty() {
                return Ok(answers);
            }
            self.read().await?;
            for (id, answer) in self.talk.answers.drain(..) {
                if let Some(at) = waiting.iter().position(|&(waiting, _)| waiting == id) {
                    answers[waiting.swap_remove(at).1] = answer;
                }
            }
            if !waiting.is_empty() {
                // A broker's system may hold the next answer back until it has our acknowledgement of this one (RFC 896), and
                // ours that until we have something to say (RFC 1122 section 4.2.3.2). Without it they are only slower.
                let _ = SockRef::from(self.stream.tcp()).set_tcp_quickack(true);
            }
        }
    }

    /// Keeps the connection alive, and returns when it has ended.
    pub(super) async fn idle(&mut self) -> Refusal {
        loop {
            if let Err(refusal) = self.flush().await {
                return refusal;
            }
            if let Err(refusal) = self.read().await {
                return refusal;
            }
        }
    }

    /// Says good-bye: the broker forgets the will.
    pub(super) async fn leave(mut self) -> Result<(), Refusal> {
        self.talk.end()?;
        self.flush().await?;
        self.stream.shutdown().await.map_err(|error| broken(&error))
    }

    async fn flush(&mut self) -> Result<(), Refusal> {
        let Self { stream, talk } = self;
        while !talk.out.is_empty() {
            let written = stream.write(&talk.out).await.map_err(|error| broken(&error))?;
            talk.out.drain(..written);
        }
        stream.flush().await.map_err(|error| broken(&error))
    }

    /// Takes what comes next: from the broker, or from the clock.
    async fn read(&mut self) -> Result<(), Refusal> {
        let Self { stream, talk } = self;
        let mut buffer = [0; 4096];
        let timer = talk.next_timer();
        tokio::select! {
            read = stream.read(&mut buffer) => match read {
                Ok(0) => Err(Refusal::new("the broker hung up")),
                Ok(length) => talk.came(&buffer[..length]),
                Err(error) => Err(broken(&error)),
            },
            () = at(timer.map(|(_, at)| at)) => timer.map_or(Ok(()), |(kind, _)| talk.fired(kind)),
        }
    }
}

/// A packet that publishes `message`.
pub(super) fn publish(message: &Message, id: u16) -> Result<Publish, MqttError> {
    let mut properties = Vec::new();
    if !message.payload.is_empty() {
        properties.extend(of_json()?);
    }
    Publish::builder()
        .topic_name(message.topic.as_str())?
        .qos(Qos::AtLeastOnce)
        .retain(message.retain)
        .packet_id(id)
        .props(properties)
        .payload(message.payload.as_str())
        .build()
}

fn of_json() -> Result<[Property; 2], MqttError> {
    let format = PayloadFormatIndicator::new(PayloadFormat::String)?;
    Ok([Property::PayloadFormatIndicator(format), Property::ContentType(ContentType::new("application/json")?)])
}

/// MQTT has whole ones: at least as long.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn broken(error: &io::Error) -> Refusal {
    Refusal::new(tls::reason(error).unwrap_or_else(|| format!("the connection is lost: {error}")))
}

/// What is said, on its way from and to the stream.
pub(super) struct Talk {
    protocol: Protocol<Client>,
    out: Vec<u8>,
    connack: Option<Connack>,
    /// By packet: what the broker said of it.
    answers: Vec<(u16, Option<Refusal>)>,
    /// When the next ping is due, and when its answer is overdue.
    timers: [Option<Instant>; 2],
}

impl Talk {
    pub(super) fn new() -> Self {
        let options = ConnectionOptions::new().maximum_packet_size_recv(LARGEST).receive_maximum(1);
        let protocol = Protocol::with_options(Version::V5_0, options);
        Self { protocol, out: Vec::new(), connack: None, answers: Vec::new(), timers: [None; 2] }
    }

    fn begin(&mut self, access: &Access, id: &str, will: Option<&Message>) -> Result<(), Refusal> {
        let keep_alive = u16::try_from(seconds(access.keep_alive)).unwrap_or(u16::MAX);
        let patience = u64::try_from(access.timeout.as_millis()).unwrap_or(u64::MAX);
        self.protocol.set_pingresp_recv_timeout(patience);
        let connect = connect(access, id, will, keep_alive)
            .map_err(|error| Refusal::new(format!("what is configured cannot be said in MQTT ({error:?})")))?;
        let events = self.protocol.checked_send(connect);
        self.take(events)
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let disconnect = Disconnect::builder().reason_code(DisconnectReasonCode::NormalDisconnection).build();
        let events = self.protocol.checked_send(disconnect.map_err(reason::of_error)?);
        for event in events {
            // It asks for the end of the connection too, which is coming.
            if let Event::RequestSendPacket { packet, .. } = event {
                self.out.extend(packet.to_continuous_buffer());
            }
        }
        Ok(())
    }

    /// Whether the broker takes one more before it answers for those it has.
    fn has_room(&self) -> bool {
        self.protocol.get_receive_maximum_vacancy_for_send().is_none_or(|room| room > 0)
    }

    fn publish(&mut self, message: &Message) -> Result<u16, Refusal> {
        let id = self.protocol.acquire_packet_id().map_err(reason::of_error)?;
        let packet = publish(message, id).map_err(reason::of_error)?;
        let events = self.protocol.checked_send(packet);
        self.take(events).map(|()| id)
    }

    pub(super) fn came(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut cursor = Cursor::new(bytes);
        while usize::try_from(cursor.position()).is_ok_and(|at| at < bytes.len()) {
            let events = self.protocol.recv(&mut cursor);
            self.take(events)?;
        }
        Ok(())
    }

    fn fired(&mut self, kind: TimerKind) -> Result<(), Refusal> {
        if kind == TimerKind::PingrespRecv {
            return Err(Refusal::new("the broker does not answer"));
        }
        self.timers[0] = None;
        let events = self.protocol.notify_timer_fired(kind);
        self.take(events)
    }

    fn next_timer(&self) -> Option<(TimerKind, Instant)> {
        let [ping, answer] = self.timers;
        let all = [(TimerKind::PingreqSend, ping), (TimerKind::PingrespRecv, answer)];
        all.into_iter().filter_map(|(kind, at)| Some((kind, at?))).min_by_key(|&(_, at)| at)
    }

    fn timer(&mut self, kind: TimerKind) -> Option<&mut Option<Instant>> {
        match kind {
            TimerKind::PingreqSend => Some(&mut self.timers[0]),
            TimerKind::PingrespRecv => Some(&mut self.timers[1]),
            TimerKind::PingreqRecv => None,
        }
    }

    /// What the broker said of it when it let us in.
    fn property<'a, T>(&'a self, of: impl FnMut(&'a Property) -> Option<T>) -> Option<T> {
        self.connack.as_ref()?.props().iter().find_map(of)
    }

    fn take(&mut self, events: Vec<Event>) -> Result<(), Refusal> {
        let mut end = None;
        for event in events {
            match event {
                Event::RequestSendPacket { packet, .. } => self.out.extend(packet.to_continuous_buffer()),
                Event::NotifyPacketReceived(packet) => self.received(packet)?,
                Event::RequestTimerReset { kind, duration_ms } => {
                    let at = Instant::now() + Duration::from_millis(duration_ms);
                    // The first ping that is not answered counts: others may follow before its time is over.
                    let first = self.timers[1].filter(|_| kind == TimerKind::PingrespRecv);
                    if let Some(timer) = self.timer(kind) {
                        *timer = Some(first.unwrap_or(at));
                    }
                }
                Event::RequestTimerCancel(kind) => {
                    if let Some(timer) = self.timer(kind) {
                        *timer = None;
                    }
                }
                Event::NotifyError(error) => return Err(reason::of_error(error)),
                Event::RequestClose => end = Some(Refusal::new("the broker hung up")),
                Event::NotifyPacketIdReleased(_) => {}
            }
        }
        end.map_or(Ok(()), Err)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all that a client of nothing is never sent")]
    fn received(&mut self, packet: Packet) -> Result<(), Refusal> {
        match packet {
            Packet::V5_0Connack(connack) => {
                if connack.reason_code() != ConnectReasonCode::Success {
                    return Err(reason::of_connack(connack.reason_code(), connack.props()));
                }
                let no_qos = |property: &Property| matches!(property, Property::MaximumQos(most) if most.val() == 0);
                if connack.props().iter().any(no_qos) {
                    return Err(Refusal::new("the broker does not take QoS 1"));
                }
                self.connack = Some(connack);
            }
            Packet::V5_0Puback(puback) => {
                let properties = puback.props().as_deref().unwrap_or_default();
                self.answers.push((puback.packet_id(), reason::of_puback(puback.reason_code(), properties)));
            }
            Packet::V5_0Disconnect(disconnect) => {
                let properties = disconnect.props().as_deref().unwrap_or_default();
                return Err(reason::of_disconnect(disconnect.reason_code(), properties));
            }
            _ => {}
        }
        Ok(())
    }
}

fn connect(access: &Access, id: &str, will: Option<&Message>, keep_alive: u16) -> Result<Connect, MqttError> {
    let mut connect = Connect::builder().client_id(id)?.keep_alive(keep_alive);
    if let Some(will) = will {
        let delay = u32::try_from(seconds(access.will_delay)).unwrap_or(u32::MAX);
        let mut of_will: Vec<Property> = of_json()?.into();
        if delay > 0 {
            // The will waits for as long as the session lives, and for no longer than its delay. What we had in flight is in
            // the outbox, so that a session that was found again is whole.
            connect = connect.clean_start(false);
            connect = connect.props(vec![Property::SessionExpiryInterval(SessionExpiryInterval::new(delay)?)]);
            of_will.push(Property::WillDelayInterval(WillDelayInterval::new(delay)?));
        }
        connect = connect.will_message(
            will.topic.as_str(),
            will.payload.as_bytes().to_vec(),
            Qos::AtLeastOnce,
            will.retain,
        )?;
        connect = connect.will_props(of_will);
    }
    if let Some(user) = &access.user {
        connect = connect.user_name(user.as_str())?;
    }
    if let Some(password) = &access.password {
        connect = connect.password(password.expose())?;
    }
    connect.build()
}
