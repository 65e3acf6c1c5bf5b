//! A signal as a CloudEvent: version 1.0, structured mode, JSON.

use super::Sender;
use crate::json;
use engine::Signal;
use serde::Serialize;

/// The id and the body of a signal: the same at every attempt.
pub(super) fn cloud_event(signal: &Signal, sender: &Sender) -> (String, String) {
    let id = format!("{}-{}", sender.boot, signal.seq);
    let subject = if signal.kind == "blind" { "blind" } else { "condition" };
    let event = CloudEvent {
        specversion: "1.0",
        id: &id,
        source: format!("/oopsd/{}", path_segment(&sender.node)),
        r#type: format!("oopsd.{subject}.{}", signal.state.as_str()),
        subject: &signal.condition,
        time: json::at(signal.wall),
        datacontenttype: "application/json",
        data: json::signal(signal),
    };
    let body = serde_json::to_string(&event).expect("a signal has only text for keys");
    (id, body)
}

#[derive(Serialize)]
struct CloudEvent<'a, D> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    r#type: String,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    data: D,
}

/// A text as one segment of a URI's path (RFC 3986 section 3.3).
fn path_segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::outbox::tests::signal;

    #[test]
    fn the_body_is_a_structured_cloud_event() {
        let (id, body) = cloud_event(&signal(7), &sender());
        assert_eq!(id, "b00t-7");
        let data = serde_json::to_string(&json::signal(&signal(7))).unwrap();
        assert_eq!(
            body,
            r#"{"specversion":"1.0","id":"b00t-7","source":"/oopsd/ns1%20ams","type":"oopsd.condition.met","#
                .to_owned()
                + r#""subject":"nl-overload","time":"2026-01-01T00:00:03.200Z","datacontenttype":"application/json","data":"#
                + &data
                + "}"
        );
    }

    #[test]
    fn blindness_has_a_type_of_its_own() {
        let blind = Signal { kind: "blind", state: engine::State::Cleared, ..signal(1) };
        assert!(cloud_event(&blind, &sender()).1.contains(r#""type":"oopsd.blind.cleared""#));
    }

    fn sender() -> Sender {
        Sender { node: "ns1 ams".into(), boot: "b00t".into() }
    }
}
