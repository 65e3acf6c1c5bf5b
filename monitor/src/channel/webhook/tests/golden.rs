//! Each payload whole, and what its receiver asks of it.

use super::super::*;
use crate::channel::letter::tests::letter;
use engine::{Arguments, State};
use serde_json::{Value, json};
use std::sync::Arc;

#[test]
fn what_splunk_takes() {
    insta::assert_snapshot!(pretty(&Format::SplunkHec));
}

#[test]
fn what_elastic_takes() {
    let body = Format::Ecs(Severity::Warning).body(&full());
    insta::assert_snapshot!(pretty(&Format::Ecs(Severity::Warning)));
    let document: Value = serde_json::from_str(&body).unwrap();
    // Of the schema's core, and of the categories and types that go together.
    for path in ["/@timestamp", "/ecs/version", "/message", "/event/id", "/event/severity", "/host/name", "/rule/name"]
    {
        assert!(!document.pointer(path).unwrap().is_null(), "{path}");
    }
    assert_eq!((&document["event"]["kind"], &document["event"]["category"]), (&json!("alert"), &json!(["network"])));
    let keys = keys(&document["oopsd"]);
    assert!(keys.iter().all(|key| !key.contains('.')), "a name is a field: {keys:?}");
    let cleared = Format::Ecs(Severity::Warning).body(&cleared());
    assert!(cleared.contains(r#""type":["end"]"#), "{cleared}");
}

#[test]
fn what_takes_a_finding() {
    let format = Format::Ocsf(Severity::Critical);
    insta::assert_snapshot!(pretty(&format));
    let [created, closed]: [Value; 2] =
        [full(), cleared()].map(|letter| serde_json::from_str(&format.body(&letter)).unwrap());
    for (finding, activity) in [(&created, 1), (&closed, 3)] {
        // What version 1.3.0 requires of the class, and of its objects.
        for path in [
            "/activity_id",
            "/category_uid",
            "/class_uid",
            "/finding_info",
            "/finding_info/title",
            "/finding_info/uid",
            "/metadata",
            "/metadata/product",
            "/metadata/product/vendor_name",
            "/metadata/version",
            "/severity_id",
            "/time",
            "/type_uid",
            "/finding_info/analytic/type_id",
            "/device/type_id",
        ] {
            assert!(finding.pointer(path).is_some_and(|value| !value.is_null()), "{path}");
        }
        assert_eq!(finding["activity_id"], activity);
        assert_eq!(finding["type_uid"], 200_400 + activity);
    }
    assert_eq!(created["finding_info"]["uid"], closed["finding_info"]["uid"]);
    assert_ne!(created["metadata"]["uid"], closed["metadata"]["uid"]);
}

#[tokio::test(start_paused = true)]
async fn alertmanager_is_told_again_what_is_met_until_it_is_cleared() {
    let mut alertmanager =
        Alertmanager::new(Duration::from_secs(60), Some("https://graphs.example.net/".into()), Severity::Critical);
    alertmanager.begin(None, "b00t");
    let body: Value = serde_json::from_str(&alertmanager.body(&full())).unwrap();
    let mut known = body.clone();
    let ends: Timestamp = known[0]["endsAt"].take().as_str().unwrap().parse().unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&known).unwrap());
    let holds = Duration::try_from(ends.duration_since(Timestamp::now())).unwrap();
    assert!((Duration::from_secs(235)..=Duration::from_secs(240)).contains(&holds), "{holds:?}");

    assert_eq!(alertmanager.again(), None, "nothing was accepted");
    alertmanager.accepted(&full());
    assert_eq!(alertmanager.again(), Some(Instant::now() + Duration::from_secs(60)));
    tokio::time::advance(Duration::from_secs(60)).await;
    let [(id, again)] = alertmanager.all().try_into().unwrap();
    assert_eq!((id.as_str(), alertmanager.again()), ("b00t-again-1", Some(Instant::now() + Duration::from_secs(60))));
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!((&again[0]["labels"], &again[0]["startsAt"]), (&body[0]["labels"], &body[0]["startsAt"]));

    // A reload goes on with it, at once.
    let mut after = Alertmanager::new(Duration::from_secs(10), None, Severity::Critical);
    after.begin(Some(&alertmanager), "b00t");
    assert_eq!(after.again(), Some(Instant::now()));
    let over: Value = serde_json::from_str(&after.body(&cleared())).unwrap();
    assert_eq!(over[0]["labels"], body[0]["labels"]);
    assert_eq!((&over[0]["startsAt"], &over[0]["endsAt"]), (&body[0]["startsAt"], &json!("2026-01-01T00:01:03.200Z")));
    after.accepted(&cleared());
    assert_eq!((after.again(), alertmanager.again()), (None, None));
}

#[tokio::test]
async fn alertmanager_is_not_told_again_what_is_over_though_that_was_given_up() {
    let mut alertmanager = Alertmanager::new(Duration::from_secs(60), None, Severity::Info);
    alertmanager.begin(None, "b00t");
    alertmanager.note(&full().signal);
    alertmanager.note(&cleared().signal);
    alertmanager.accepted(&full());
    assert!(alertmanager.again().is_some() && alertmanager.all().is_empty());
    alertmanager.note(&full().signal);
    assert_eq!(alertmanager.all().len(), 1);
}

#[tokio::test]
async fn alertmanager_is_not_told_again_what_another_run_has_seen() {
    let mut alertmanager = Alertmanager::new(Duration::from_secs(60), None, Severity::Info);
    alertmanager.begin(None, "another");
    alertmanager.accepted(&full());
    assert_eq!(alertmanager.again(), None);
}

#[test]
fn a_template_has_the_words_of_the_signal_in_its_places() {
    let text = r#"{
  "routing_key": "k", "event_action": "{{met ? trigger : resolve}}", "dedup_key": "{{subject}}", "ü{{node}}": 1,
  "color": {{met ? 15158332 : 3066993}}, "value": {{value}}, "scope": {{scope}}, "arguments": {{ arguments }},
  "text": "[{{severity}}] {{scope-type}} {{scope-name}}: {{value}} over {{threshold}} in {{window}} s; {{arguments}}"
}"#;
    let template = Template::parse(text).unwrap();
    let rendered = |letter| serde_json::from_str::<Value>(&template.body(&letter, Severity::Info)).unwrap();
    assert_eq!(
        rendered(full()),
        json!({
            "routing_key": "k", "event_action": "trigger", "dedup_key": "ns1 ams/nl-overload/zone nl.", "üns1 ams": 1,
            "color": 15_158_332, "value": 120_345.0, "scope": "zone nl.",
            "arguments": { "codes": { "22": 7 }, "zones": { "nl.": 120 }, "reasons": ["a \"quoted\"\r\nreason"] },
            "text": "[info] zone nl.: 120345.0 over 100000.0 in 1.0 s; {\"codes\":{\"22\":7},\"reasons\":[\"a \\\"quoted\\\"\\r\\nreason\"],\"zones\":{\"nl.\":120}}",
        })
    );
    assert_eq!(rendered(cleared())["event_action"], "resolve");
    assert_eq!(rendered(cleared())["color"], 3_066_993);
    assert_eq!(format!("{template:?}"), "Template(..)");
}

#[test]
fn what_is_wrong_with_a_template_is_said_with_its_place_and_without_its_text() {
    for (text, place, what) in [
        ("", 0, "not JSON: EOF while parsing a value"),
        ("{\n  \"a\": {{value}}\n  \"b\": 1\n}", 21, "not JSON: expected `,` or `}`"),
        ("{\"a\": \"{{value}\"}", 7, "`{{` without `}}`"),
        ("{{{value}}: 1}", 0, "not a name; known: "),
        ("{ {{value}}: 1}", 2, "not JSON: key must be a string"),
        ("[1{{value}}]", 2, "not JSON: expected `,` or `]`"),
        ("[\"\\{{value}}\"]", 3, "a name behind a backslash; remove the backslash"),
        ("[\"\\u00{{value}}\"]", 7, "not JSON: invalid escape"),
        ("[\"ü\", {{hunter2}}]", 7, "not a name; known: "),
        ("[{{met ? yes : no}}]", 1, "outside a string, `met ? a : b` chooses between two JSON values"),
        ("[{{met ? 1}}]", 1, "not a name; known: "),
    ] {
        let Wrong { at, what: said } = Template::parse(text).unwrap_err();
        assert!(said.starts_with(what) && !said.contains("hunter2"), "{text}: {said}");
        assert_eq!(at, place, "{text}: {said}");
    }
}

/// A met one with everything.
fn full() -> Letter {
    let mut signal = (*letter(7).signal).clone();
    signal.arguments = Arguments {
        codes: [(22, 7)].into(),
        zones: vec![("nl.".into(), 120)],
        reasons: vec!["a \"quoted\"\r\nreason".into()],
    };
    Letter { signal: Arc::new(signal), superseded: 2, ..letter(7) }
}

/// Its end, a minute later.
fn cleared() -> Letter {
    let mut signal = (*letter(8).signal).clone();
    signal.state = State::Cleared;
    signal.wall.0 += 60_000_000_000;
    Letter { signal: Arc::new(signal), ..letter(8) }
}

fn pretty(format: &Format) -> String {
    let body: Value = serde_json::from_str(&format.body(&full())).unwrap();
    serde_json::to_string_pretty(&body).unwrap().replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

/// All keys, however deep.
fn keys(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => map.iter().flat_map(|(key, value)| [vec![key.clone()], keys(value)].concat()).collect(),
        Value::Array(list) => list.iter().flat_map(keys).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
