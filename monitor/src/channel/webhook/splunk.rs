//! The envelope of Splunk's HTTP Event Collector, `/services/collector/event`, and what it answers.

use super::flat::{flat, milliseconds};
use crate::channel::letter::Letter;
use serde::Deserialize;
use serde_json::json;

#[expect(clippy::cast_precision_loss, reason = "milliseconds of this age are exact in 53 bits")]
pub(super) fn body(letter: &Letter) -> String {
    json!({
        "time": milliseconds(letter) as f64 / 1e3,
        "host": letter.sender.node,
        "source": "oopsd",
        "sourcetype": "oopsd:signal",
        "event": flat(letter),
    })
    .to_string()
}

#[derive(Deserialize)]
struct Said {
    text: String,
    code: i64,
}

/// Its words, if it did not take it; its code is 0 when it did.
pub(super) fn complaint(body: &str) -> Option<String> {
    let said: Said = serde_json::from_str(body).ok()?;
    (said.code != 0).then(|| format!("{} (code {})", said.text, said.code))
}
