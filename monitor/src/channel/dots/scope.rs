//! The CBOR of DOTS: what is asked for, by the numbers that RFC 9132 table 5 gives to its names, and what is read of answers.

use ciborium::Value;
use ipnet::IpNet;
use std::time::Duration;

const MITIGATION_SCOPE: u8 = 1;
const SCOPE: u8 = 2;
const MID: u8 = 5;
const TARGET_PREFIX: u8 = 6;
const LIFETIME: u8 = 14;
const CONFLICT: u8 = 17;
const RETRY_TIMER: u8 = 20;
const HEARTBEAT: u8 = 49;
const PEER_HB_STATUS: u8 = 51;

/// Asks for these prefixes to be protected for so long.
pub(super) fn request(prefixes: &[IpNet], lifetime: Duration) -> Vec<u8> {
    let prefixes = prefixes.iter().map(|prefix| Value::Text(prefix.to_string())).collect();
    let scope = map([(TARGET_PREFIX, Value::Array(prefixes)), (LIFETIME, lifetime.as_secs().into())]);
    bytes(&map([(MITIGATION_SCOPE, map([(SCOPE, Value::Array(vec![scope]))]))]))
}

/// Says that we are there, and whether the other side is heard.
pub(super) fn heartbeat(is_heard: bool) -> Vec<u8> {
    bytes(&map([(HEARTBEAT, map([(PEER_HB_STATUS, Value::Bool(is_heard))]))]))
}

/// For how long an answer grants what was asked for, if it says so.
pub(super) fn granted(body: &[u8]) -> Option<Duration> {
    let value = read(body)?;
    seconds(at(scopes(&value)?.first()?, LIFETIME)?)
}

/// How long an answer that speaks of a conflict asks us to wait.
pub(super) fn retry_timer(body: &[u8]) -> Option<Duration> {
    let value = read(body)?;
    seconds(at(at(scopes(&value)?.first()?, CONFLICT)?, RETRY_TIMER)?)
}

/// The numbers of what is asked for, as far as it is for nothing but these prefixes; nothing if that cannot be read.
pub(super) fn ours(body: &[u8], prefixes: &[IpNet]) -> Option<Vec<u32>> {
    let value = read(body)?;
    let is_ours = |scope: &&Value| {
        let targets = at(scope, TARGET_PREFIX).and_then(Value::as_array);
        let is_one = |target: &Value| {
            target.as_text().and_then(|text| text.parse().ok()).is_some_and(|it| prefixes.contains(&it))
        };
        targets.is_some_and(|targets| !targets.is_empty() && targets.iter().all(is_one))
    };
    let number = |scope: &Value| u32::try_from(at(scope, MID)?.as_integer()?).ok();
    scopes(&value)?.iter().filter(is_ours).map(number).collect()
}

fn map<const N: usize>(entries: [(u8, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn bytes(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("a vector takes all");
    bytes
}

fn read(body: &[u8]) -> Option<Value> {
    ciborium::from_reader(body).ok()
}

fn scopes(value: &Value) -> Option<&Vec<Value>> {
    at(at(value, MITIGATION_SCOPE)?, SCOPE)?.as_array()
}

fn at(value: &Value, key: u8) -> Option<&Value> {
    value.as_map()?.iter().find(|(found, _)| *found == key.into()).map(|(_, value)| value)
}

fn seconds(value: &Value) -> Option<Duration> {
    u64::try_from(value.as_integer()?).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_has_the_numbers_of_the_standard() {
        let prefixes: Vec<IpNet> = ["192.0.2.0/24", "2001:db8::/48"].map(|it| it.parse().unwrap()).into();
        // {1: {2: [{6: ["192.0.2.0/24", "2001:db8::/48"], 14: 3600}]}}
        let meant = b"\xa1\x01\xa1\x02\x81\xa2\x06\x82\x6c192.0.2.0/24\x6d2001:db8::/48\x0e\x19\x0e\x10";
        assert_eq!(request(&prefixes, Duration::from_hours(1)), meant);
        assert_eq!(heartbeat(true), b"\xa1\x18\x31\xa1\x18\x33\xf5");
    }

    #[test]
    fn an_answer_grants_or_names_a_conflict() {
        // {1: {2: [{5: 9, 14: 600, 17: {20: 120}}]}}
        let body = b"\xa1\x01\xa1\x02\x81\xa3\x05\x09\x0e\x19\x02\x58\x11\xa1\x14\x18\x78";
        assert_eq!((granted(body), retry_timer(body)), (Some(Duration::from_mins(10)), Some(Duration::from_mins(2))));
        // -1: for ever.
        assert_eq!(granted(b"\xa1\x01\xa1\x02\x81\xa1\x0e\x20"), None);
        assert_eq!((granted(b""), retry_timer(b"\xa0")), (None, None));
    }

    #[test]
    fn only_what_is_for_our_prefixes_alone_is_ours() {
        let prefix: IpNet = "192.0.2.0/24".parse().unwrap();
        // {1: {2: [{5: 7, 6: ["192.0.2.0/24"]}, {5: 8, 6: ["192.0.2.0/24", "198.51.100.0/24"]}, {5: 9, 6: []}]}}
        let body = b"\xa1\x01\xa1\x02\x83\xa2\x05\x07\x06\x81\x6c192.0.2.0/24\xa2\x05\x08\x06\x82\x6c192.0.2.0/24\x6f198.51.100.0/24\xa2\x05\x09\x06\x80";
        assert_eq!(ours(body, &[prefix]), Some(vec![7]));
        assert_eq!(ours(b"\xff", &[prefix]), None);
    }

    proptest! {
        #[test]
        fn noise_is_no_panic(noise in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (granted(&noise), retry_timer(&noise), ours(&noise, &[]));
        }
    }
}
