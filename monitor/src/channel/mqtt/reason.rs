//! What brokers say no with (MQTT 5.0 section 2.4), in an operator's words.

use super::super::delivery::Answer;
use mqtt_protocol_core::mqtt::packet::Property;
use mqtt_protocol_core::mqtt::result_code::{ConnectReasonCode, DisconnectReasonCode, MqttError, PubackReasonCode};
use std::time::Duration;

/// Why something did not come to pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: String,
    /// The broker has too much to do.
    pub(super) overloaded: bool,
}

impl Refusal {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), overloaded: false }
    }

    /// As the answer to a signal, which is tried again after `wait`, or when its channel thinks fit.
    pub(super) fn answer(self, wait: Option<Duration>) -> Answer {
        let wait = wait.filter(|_| !self.overloaded);
        Answer::No { why: self.why, retry_after: wait, overloaded: self.overloaded }
    }

    fn busy(why: impl Into<String>) -> Self {
        Self { why: why.into(), overloaded: true }
    }
}

/// Of a CONNACK that is not a yes.
pub(super) fn of_connack(code: ConnectReasonCode, properties: &[Property]) -> Refusal {
    use ConnectReasonCode as Code;
    let base = match code {
        Code::BadUserNameOrPassword => Refusal::new("the broker does not take this user or password"),
        Code::NotAuthorized => {
            Refusal::new("the broker does not let us in (not authorized): are user and password right?")
        }
        Code::Banned => Refusal::new("the broker has banned this user"),
        Code::UnsupportedProtocolVersion => Refusal::new("the broker does not speak MQTT 5"),
        Code::ClientIdentifierNotValid => Refusal::new("the broker does not take this `client-id`"),
        Code::RetainNotSupported => Refusal::new("the broker keeps no retained messages"),
        Code::QosNotSupported => Refusal::new("the broker does not take QoS 1"),
        Code::UseAnotherServer | Code::ServerMoved => Refusal::new("the broker says to use another one"),
        Code::ServerBusy => Refusal::busy("the broker is busy"),
        Code::ServerUnavailable => Refusal::busy("the broker is unavailable"),
        Code::QuotaExceeded => Refusal::busy("the broker's quota is exceeded"),
        Code::ConnectionRateExceeded => Refusal::busy("the broker gets connections too often"),
        Code::Success
        | Code::UnspecifiedError
        | Code::MalformedPacket
        | Code::ProtocolError
        | Code::ImplementationSpecificError
        | Code::BadAuthenticationMethod
        | Code::TopicNameInvalid
        | Code::PacketTooLarge
        | Code::PayloadFormatInvalid => Refusal::new(format!("the broker does not let us in ({code:?})")),
    };
    with_words(base, properties)
}

/// Of a DISCONNECT that the broker sent.
pub(super) fn of_disconnect(code: Option<DisconnectReasonCode>, properties: &[Property]) -> Refusal {
    use DisconnectReasonCode as Code;
    let base = match code {
        None | Some(Code::NormalDisconnection) => Refusal::new("the broker hung up"),
        Some(Code::SessionTakenOver) => {
            Refusal::new("another client has come with our `client-id`; give each node its own")
        }
        Some(Code::ServerShuttingDown) => Refusal::new("the broker is shutting down"),
        Some(Code::NotAuthorized) => Refusal::new("the broker hung up (not authorized)"),
        Some(Code::ServerBusy) => Refusal::busy("the broker hung up (busy)"),
        Some(Code::QuotaExceeded) => Refusal::busy("the broker hung up (quota exceeded)"),
        Some(Code::MessageRateTooHigh) => Refusal::busy("the broker hung up (message rate too high)"),
        Some(Code::ConnectionRateExceeded) => Refusal::busy("the broker hung up (connection rate exceeded)"),
        Some(
            code @ (Code::DisconnectWithWillMessage
            | Code::UnspecifiedError
            | Code::MalformedPacket
            | Code::ProtocolError
            | Code::ImplementationSpecificError
            | Code::KeepAliveTimeout
            | Code::TopicFilterInvalid
            | Code::TopicNameInvalid
            | Code::ReceiveMaximumExceeded
            | Code::TopicAliasInvalid
            | Code::PacketTooLarge
            | Code::AdministrativeAction
            | Code::PayloadFormatInvalid
            | Code::RetainNotSupported
            | Code::QosNotSupported
            | Code::UseAnotherServer
            | Code::ServerMoved
            | Code::SharedSubscriptionsNotSupported
            | Code::MaximumConnectTime
            | Code::SubscriptionIdentifiersNotSupported
            | Code::WildcardSubscriptionsNotSupported),
        ) => Refusal::new(format!("the broker hung up ({code:?})")),
    };
    with_words(base, properties)
}

/// Of a PUBACK; nothing if it is a yes. That nobody has subscribed is one.
pub(super) fn of_puback(code: Option<PubackReasonCode>, properties: &[Property]) -> Option<Refusal> {
    use PubackReasonCode as Code;
    let base = match code {
        None | Some(Code::Success | Code::NoMatchingSubscribers) => return None,
        Some(Code::NotAuthorized) => Refusal::new("the broker does not let this user write there (not authorized)"),
        Some(Code::QuotaExceeded) => Refusal::busy("the broker's quota is exceeded"),
        Some(
            code @ (Code::UnspecifiedError
            | Code::ImplementationSpecificError
            | Code::TopicNameInvalid
            | Code::PacketIdentifierInUse
            | Code::PayloadFormatInvalid),
        ) => Refusal::new(format!("the broker does not take it ({code:?})")),
    };
    Some(with_words(base, properties))
}

/// Of what is not MQTT, or goes against it.
pub(super) fn of_error(error: MqttError) -> Refusal {
    Refusal::new(format!("the broker does not speak MQTT 5 as it should ({error:?})"))
}

/// With what the broker says of it, which goes to logs and terminals.
fn with_words(base: Refusal, properties: &[Property]) -> Refusal {
    let words =
        properties.iter().find_map(|it| if let Property::ReasonString(words) = it { Some(words.val()) } else { None });
    let Some(words) = words.filter(|words| !words.is_empty()) else { return base };
    let words: String = words.chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect();
    Refusal { why: format!("{}: {words}", base.why), ..base }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_protocol_core::mqtt::packet::ReasonString;

    #[test]
    fn that_nobody_has_subscribed_is_a_yes() {
        assert_eq!(of_puback(Some(PubackReasonCode::NoMatchingSubscribers), &[]), None);
        assert_eq!(of_puback(Some(PubackReasonCode::Success), &[]), None);
        assert_eq!(of_puback(None, &[]), None);
    }

    #[test]
    fn a_no_says_which_and_whether_to_go_slow() {
        let denied = of_puback(Some(PubackReasonCode::NotAuthorized), &[]).unwrap();
        assert!(denied.why.contains("not authorized") && !denied.overloaded);
        assert!(of_puback(Some(PubackReasonCode::QuotaExceeded), &[]).unwrap().overloaded);
        assert!(of_connack(ConnectReasonCode::ServerBusy, &[]).overloaded);
        assert!(of_disconnect(Some(DisconnectReasonCode::QuotaExceeded), &[]).overloaded);
        let answer = of_connack(ConnectReasonCode::ServerBusy, &[]).answer(Some(Duration::ZERO));
        assert_eq!(
            answer,
            Answer::No { why: "the broker is busy".into(), retry_after: None, overloaded: true },
            "a broker that is busy is given time"
        );
    }

    #[test]
    fn the_brokers_words_are_told_without_what_a_terminal_obeys() {
        let words = Property::ReasonString(ReasonString::new("no\u{1b}[31m\r\nfor you").unwrap());
        let refusal = of_connack(ConnectReasonCode::NotAuthorized, &[words]);
        assert!(refusal.why.ends_with(": no?[31m??for you"), "{}", refusal.why);
    }
}
