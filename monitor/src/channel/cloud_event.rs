//! A signal as a CloudEvent: version 1.0, structured mode, JSON.

use super::letter::Letter;
use crate::json;
use serde::Serialize;

/// The body of a signal: the same at every attempt.
pub(super) fn cloud_event(letter: &Letter) -> String {
    let (signal, sender) = (&letter.signal, &letter.sender);
    let subject = if signal.kind == "blind" { "blind" } else { "condition" };
    let event = CloudEvent {
        specversion: "1.0",
        id: &letter.id(),
        source: format!("/oopsd/{}", path_segment(&sender.node)),
        r#type: format!("oopsd.{subject}.{}", signal.state.as_str()),
        subject: &signal.condition,
        time: json::at(signal.wall),
        datacontenttype: "application/json",
        data: json::letter(signal, letter.delivery()),
    };
    serde_json::to_string(&event).expect("a signal has only text for keys")
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
    use crate::channel::letter::tests::letter;
    use engine::Signal;
    use std::sync::Arc;

    #[test]
    fn the_body_is_a_structured_cloud_event() {
        let body = cloud_event(&letter(7));
        let data = serde_json::to_string(&json::letter(&letter(7).signal, letter(7).delivery())).unwrap();
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
        let blind = Signal { kind: "blind", state: engine::State::Cleared, ..(*letter(1).signal).clone() };
        let blind = Letter { signal: Arc::new(blind), ..letter(1) };
        assert!(cloud_event(&blind).contains(r#""type":"oopsd.blind.cleared""#));
    }

    #[test]
    fn what_it_stands_for_is_said() {
        let letter = Letter { superseded: 3, lost: 2, ..letter(1) };
        assert!(cloud_event(&letter).ends_with(r#""id":"b00t-1","superseded":3,"lost":2}}"#));
    }
}
