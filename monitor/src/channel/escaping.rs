//! Texts that would break a format, in every place of a signal that holds text, through every channel's format.

use super::Sender;
use super::cloud_event::cloud_event;
use super::letter::{Letter, tests::letter};
use super::webhook::Severity;
use super::webhook::alertmanager::Alertmanager;
use super::webhook::payload::Format;
use super::webhook::template::Template;
use engine::signal::Named;
use engine::{Arguments, Signal};
use proptest::prelude::*;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Texts made of what one format or another gives a meaning to.
pub(super) fn hostile() -> impl Strategy<Value = String> {
    let pieces = proptest::sample::select(vec![
        "\0",
        "\u{1}",
        "\u{8}",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "\r\n\r\n",
        "\u{1b}[31m",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\"",
        "'",
        "\\",
        "\\\"",
        "|",
        "=",
        "/",
        "+",
        "#",
        "%",
        "{",
        "}",
        "[",
        "]",
        "<34>1 ",
        "CEF:0|",
        "\\010",
        "nl.",
        "a.b",
        " ",
        "ü",
        "\u{202e}",
        "\u{10ffff}",
    ]);
    prop_oneof![4 => proptest::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat()), 1 => ".{0,20}"]
}

/// A letter that has such texts wherever it has texts.
pub(super) fn hostile_letter() -> impl Strategy<Value = Letter> {
    (proptest::array::uniform5(hostile()), 0..4_u8).prop_map(|([condition, name, zone, reason, node], place)| {
        let signal = Signal {
            condition,
            scope: [Named::Node, Named::Zone(name.clone()), Named::Prefix(name.clone()), Named::Group(name)]
                [usize::from(place)]
            .clone(),
            arguments: Arguments { codes: [(22, 1)].into(), zones: vec![(zone, 2)], reasons: vec![reason] },
            ..(*letter(1).signal).clone()
        };
        Letter { signal: Arc::new(signal), sender: Arc::new(Sender { node, boot: "b00t".into() }), ..letter(1) }
    })
}

proptest! {
    #[test]
    fn a_line_of_the_log_is_one_line_and_says_the_same(letter in hostile_letter()) {
        let line = letter.json();
        prop_assert!(!line.contains(|c: char| c < ' '), "{}", line);
        says_the_same(&serde_json::from_str(&line).unwrap(), &letter)?;
    }

    #[test]
    fn a_cloud_event_is_one_object_and_says_the_same(letter in hostile_letter()) {
        let body = cloud_event(&letter);
        prop_assert!(!body.contains(|c: char| c < ' '), "{}", body);
        let event: Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(&event["subject"], letter.signal.condition.as_str());
        let source = event["source"].as_str().unwrap();
        let node = source.strip_prefix("/oopsd/").unwrap();
        prop_assert!(node.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{}", source);
        says_the_same(&event["data"], &letter)?;
    }
}

/// Bodies that are one object of JSON each, without a control character, whose texts are the letter's.
const TEMPLATE: &str = r#"{"{{node}}": "{{message}}\\{{condition}}\"", "scope": {{scope}}, "name": "<{{scope-name}}>", "signal": {{signal}}, "text": "{{signal}}"}"#;

proptest! {
    #[test]
    fn a_payload_is_json_and_says_the_same(letter in hostile_letter()) {
        let mut alertmanager = Alertmanager::new(Duration::from_mins(1), None, Severity::Warning);
        alertmanager.begin(None, "b00t");
        alertmanager.accepted(&letter);
        let again = alertmanager.all().pop().unwrap().1;
        let template = Template::parse(TEMPLATE).unwrap();
        let bodies = [
            Format::SplunkHec.body(&letter),
            Format::Ecs(Severity::Info).body(&letter),
            Format::Ocsf(Severity::Critical).body(&letter),
            alertmanager.body(&letter),
            again,
            template.body(&letter, Severity::Info),
        ];
        for body in &bodies {
            prop_assert!(!body.contains(|c: char| c < ' '), "{}", body);
        }
        let [splunk, ecs, ocsf, alert, again, own] = bodies.map(|body| serde_json::from_str::<Value>(&body).unwrap());
        let signal = &letter.signal;
        for flat in [&splunk["event"], &ecs["oopsd"], &ocsf["unmapped"]["signal"]] {
            prop_assert_eq!(&flat["condition"], signal.condition.as_str());
            prop_assert_eq!(&flat["arguments"]["zones"][0]["name"], signal.arguments.zones[0].0.as_str());
            prop_assert_eq!(&flat["arguments"]["reasons"][0], signal.arguments.reasons[0].as_str());
        }
        for alert in [&alert[0], &again[0]] {
            prop_assert_eq!(&alert["labels"]["alertname"], signal.condition.as_str());
            prop_assert_eq!(&alert["labels"]["node"], letter.sender.node.as_str());
            let labels: Vec<&String> = alert["labels"].as_object().unwrap().keys().collect();
            prop_assert!(labels.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase())), "{:?}", labels);
        }
        says_the_same(&own["signal"], &letter)?;
        says_the_same(&serde_json::from_str(own["text"].as_str().unwrap()).unwrap(), &letter)?;
        prop_assert!(own["scope"] == signal.scope.to_string());
        let said = own[letter.sender.node.as_str()].as_str();
        prop_assert!(said.is_none_or(|said| said.ends_with(&format!("\\{}\"", signal.condition))), "{:?}", said);
    }

    #[test]
    fn a_template_of_noise_is_refused_or_gives_json(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "{{value}}", "{{signal}}", "{{scope}}", "{{met ? 1 : 2}}", "\"", "\\", "{", "}", "[", "]", ":", ",", "1", "-", "a", " ", "\n", "\\u00", "{{", "}}", "ü",
        ]), 0..12),
        letter in hostile_letter(),
    ) {
        if let Ok(template) = Template::parse(&pieces.concat()) {
            let body = template.body(&letter, Severity::Info);
            prop_assert!(serde_json::from_str::<Value>(&body).is_ok(), "{} gives {}", pieces.concat(), body);
        }
    }
}

fn says_the_same(object: &Value, letter: &Letter) -> Result<(), TestCaseError> {
    let signal = &letter.signal;
    prop_assert_eq!(&object["condition"], signal.condition.as_str());
    let (key, name) = match &signal.scope {
        Named::Node => ("node", Value::Bool(true)),
        Named::Prefix(name) => ("prefix", name.as_str().into()),
        Named::Zone(name) => ("zone", name.as_str().into()),
        Named::Group(name) => ("group", name.as_str().into()),
        Named::Channel(name) => ("channel", name.as_str().into()),
    };
    prop_assert_eq!(&object["scope"][key], &name);
    prop_assert_eq!(&object["arguments"]["zones"][&signal.arguments.zones[0].0], 2);
    prop_assert_eq!(&object["arguments"]["reasons"][0], signal.arguments.reasons[0].as_str());
    Ok(())
}
