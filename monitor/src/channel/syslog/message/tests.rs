//! Messages taken apart as a receiver does it.

use super::*;
use crate::channel::escaping::hostile_letter;
use crate::channel::letter::tests::letter;
use crate::channel::syslog::Address;
use engine::{Arguments, Signal};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_message_has_its_fields_as_structured_data() {
    let process = std::process::id();
    assert_eq!(
        remote(&letter(7), &config(Format::Rfc5424)),
        format!(
            "<28>1 2026-01-01T00:00:03.200Z ns1_ams oopsd {process} query-rate [oopsd@32473 id=\"b00t-7\" seq=\"7\" \
             condition=\"nl-overload\" state=\"met\" scope=\"zone\" name=\"nl.\" value=\"120345\" threshold=\"100000\" \
             window=\"1\"] nl-overload met: query-rate 120345 against 100000 of zone nl."
        )
    );
    assert_eq!(
        local(&cleared(), &config(Format::Rfc5424)),
        format!(
            "<29>oopsd[{process}]: nl-overload cleared: query-rate 120345 against 100000 of zone nl. [oopsd@32473 \
             id=\"b00t-1\" seq=\"1\" condition=\"nl-overload\" state=\"cleared\" scope=\"zone\" name=\"nl.\" \
             value=\"120345\" threshold=\"100000\" window=\"1\" codes=\"22=3\" zones=\"a.=2; b.=1\" lost=\"4\"]"
        )
    );
}

#[test]
fn cef_is_the_text_of_one() {
    let version = env!("CARGO_PKG_VERSION");
    let message = remote(&letter(7), &config(Format::Cef));
    let (head, cef) = message.split_once(" query-rate - ").unwrap();
    assert!(head.starts_with("<28>1 2026-01-01T00:00:03.200Z ns1_ams oopsd "), "{head}");
    assert_eq!(
        cef,
        format!(
            "CEF:0|oopsd|oopsd|{version}|query-rate|nl-overload met|6|externalId=b00t-7 rt=1767225603200 dvchost=ns1 ams \
             cn1Label=seq cn1=7 cs1Label=condition cs1=nl-overload cs2Label=state cs2=met cs3Label=zone cs3=nl. \
             cfp1Label=value cfp1=120345 cfp2Label=threshold cfp2=100000 cfp3Label=window cfp3=1"
        )
    );
    let (_, besides) = local(&cleared(), &config(Format::Cef))
        .split_once(" cfp3=1 ")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(besides, "cs4Label=codes cs4=22\\=3 cs5Label=zones cs5=a.\\=2; b.\\=1 cn3Label=lost cn3=4");
}

#[test]
fn a_text_that_is_not_ascii_says_that_it_is_utf_8() {
    let signal = Signal { condition: "ü".into(), ..(*letter(1).signal).clone() };
    let message = remote(&Letter { signal: Arc::new(signal), ..letter(1) }, &config(Format::Rfc5424));
    assert!(message.contains("] \u{feff}ü met: "), "{message}");
}

#[test]
fn a_long_text_is_cut_between_letters() {
    assert_eq!(escaped(&"a".repeat(252), &[]), "a".repeat(252));
    assert_eq!(escaped(&"a".repeat(254), &[]), format!("{}…", "a".repeat(252)));
    let cut = escaped(&"\"".repeat(300), &['"']);
    assert_eq!(cut, format!("{}…", "\\\"".repeat(126)));
}

proptest! {
    #[test]
    fn no_text_breaks_out_of_its_field(letter in hostile_letter(), long in 0..400_usize) {
        let signal = Signal { condition: letter.signal.condition.clone() + &"x".repeat(long), ..(*letter.signal).clone() };
        let letter = Letter { signal: Arc::new(signal), ..letter };
        for format in [Format::Rfc5424, Format::Cef] {
            for message in [remote(&letter, &config(format)), local(&letter, &config(format))] {
                let text = message.replace('\u{feff}', "");
                prop_assert!(!text.chars().any(steers), "{:?}", message);
                prop_assert!(message.len() < 4096, "{}", message.len());
            }
        }
        let (_, name) = scope(&letter);
        let data = data(&letter);
        let (values, rest) = structured(&data).unwrap();
        prop_assert_eq!(rest, "");
        let at = |key: &str| values.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        prop_assert_eq!(values.iter().filter(|(name, _)| name == "condition").count(), 1);
        let names = ["id", "seq", "condition", "state", "scope", "name", "value", "threshold", "window", "codes", "zones", "reasons"];
        let names: Vec<&str> = names.into_iter().filter(|&key| key != "name" || name.is_some()).collect();
        prop_assert_eq!(values.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
        prop_assert!(is_shown(&letter.signal.condition, at("condition").unwrap()));
        if let Some(name) = name {
            prop_assert!(is_shown(name, at("name").unwrap()));
        }
        prop_assert!(is_shown(&letter.signal.arguments.reasons[0], at("reasons").unwrap()));

        let cef = cef(&letter, &config(Format::Cef));
        let (header, values) = extension(&cef).unwrap();
        prop_assert_eq!(&header[4], "query-rate");
        prop_assert!(is_shown(&letter.signal.condition, header[5].strip_suffix(" met").unwrap()));
        let keys: Vec<&str> = values.iter().map(|(key, _)| key.as_str()).collect();
        prop_assert_eq!(keys, ["externalId", "rt", "dvchost", "cn1Label", "cn1", "cs1Label", "cs1", "cs2Label", "cs2",
            "cs3Label", "cs3", "cfp1Label", "cfp1", "cfp2Label", "cfp2", "cfp3Label", "cfp3", "cs4Label", "cs4",
            "cs5Label", "cs5", "cs6Label", "cs6"]);
        prop_assert!(is_shown(&letter.sender.node, &values[2].1));
        prop_assert!(is_shown(&letter.signal.condition, &values[6].1));
    }
}

/// Whether a receiver has the text, or as much of it as there is room for.
fn is_shown(text: &str, got: &str) -> bool {
    let shown: String = text.chars().map(|letter| if steers(letter) { '\u{fffd}' } else { letter }).collect();
    got == shown || got.strip_suffix('…').is_some_and(|got| shown.starts_with(got) && got.len() > 100)
}

fn cleared() -> Letter {
    let arguments =
        Arguments { codes: [(22, 3)].into(), zones: vec![("a.".into(), 2), ("b.".into(), 1)], reasons: Vec::new() };
    let signal = Signal { state: State::Cleared, arguments, ..(*letter(1).signal).clone() };
    Letter { signal: Arc::new(signal), lost: 4, ..letter(1) }
}

fn config(format: Format) -> Config {
    Config {
        address: Address::Local("/dev/log".into()),
        format,
        facility: 3,
        severity: 4,
        severity_cleared: 5,
        timeout: Duration::from_secs(5),
    }
}

type Values = Vec<(String, String)>;

/// The values of structured data, and what is behind it.
fn structured(data: &str) -> Option<(Values, &str)> {
    let mut letters = data.strip_prefix("[oopsd@32473")?.chars();
    let mut values = Vec::new();
    loop {
        match letters.next()? {
            ']' => return Some((values, letters.as_str())),
            ' ' => {}
            _ => return None,
        }
        let name: String = letters.by_ref().take_while(|&letter| letter != '=').collect();
        if letters.next()? != '"' {
            return None;
        }
        let mut value = String::new();
        loop {
            match letters.next()? {
                '"' => break,
                '\\' => value.push(letters.next()?),
                ']' => return None,
                other => value.push(other),
            }
        }
        values.push((name, value));
    }
}

/// The header of CEF and its extension: a key begins behind a space and ends before an equals sign without a backslash.
fn extension(line: &str) -> Option<(Vec<String>, Values)> {
    let mut header = vec![String::new()];
    let mut letters = line.chars();
    while header.len() < 8 {
        match letters.next()? {
            '|' => header.push(String::new()),
            '\\' => header.last_mut()?.push(letters.next()?),
            other => header.last_mut()?.push(other),
        }
    }
    let mut values: Values = Vec::new();
    // What was read since the last equals sign: a value and, behind its last space, the next key.
    let mut text = String::new();
    loop {
        match letters.next() {
            Some('\\') => text.push(letters.next()?),
            Some('=') => {
                let (before, key) = match text.rsplit_once(' ') {
                    Some((before, key)) => (before.to_owned(), key.to_owned()),
                    None => (String::new(), text.clone()),
                };
                if let Some((_, value)) = values.last_mut() {
                    *value = before;
                }
                values.push((key, String::new()));
                text.clear();
            }
            Some(other) => text.push(other),
            None => {
                values.last_mut()?.1 = text;
                return Some((header, values));
            }
        }
    }
}
