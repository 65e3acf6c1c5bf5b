//! The families of channels, with the delays of signals as a histogram.

use crate::channel;
use crate::metrics::text::{Text, Type};
use hdrhistogram::Histogram;

pub(super) fn put(text: &mut Text, channels: &[channel::Status]) {
    if channels.is_empty() {
        return;
    }
    let mut family = text.family(
        "oopsd_signals_total",
        Type::Counter,
        "Signals that were accepted by the other side (sent), given up after failed attempts (failed), never tried (dropped), or left to a newer one of the same condition (superseded).",
    );
    for status in channels {
        for (outcome, total) in [
            ("sent", status.sent),
            ("failed", status.failed),
            ("dropped", status.dropped),
            ("superseded", status.superseded),
        ] {
            family.put(&[("channel", &status.channel), ("outcome", outcome)], total);
        }
    }
    let mut family =
        text.family("oopsd_signal_failed_attempts_total", Type::Counter, "Attempts to send a signal that failed.");
    for status in channels {
        family.put(&[("channel", &status.channel)], status.failed_attempts);
    }
    let mut family = text.family("oopsd_signals_waiting", Type::Gauge, "Signals that wait to be accepted.");
    for status in channels {
        family.put(&[("channel", &status.channel)], status.waiting);
    }
    let mut family = text.family(
        "oopsd_channel_disabled",
        Type::Gauge,
        "Whether the other side said that it is gone, so that nothing is sent until the next reload, or `oopsd outbox retry`.",
    );
    for status in channels {
        family.put(&[("channel", &status.channel)], u8::from(status.disabled));
    }
    let mut family = text.family(
        "oopsd_signal_delay_seconds",
        Type::Histogram,
        "From the tick that crossed a threshold to the other side's yes.",
    );
    for status in channels {
        for (bound, count) in cumulative(&status.delay) {
            family.put_suffixed("_bucket", &[("channel", &status.channel), ("le", bound)], count);
        }
        family.put_suffixed("_sum", &[("channel", &status.channel)], sum_seconds(&status.delay));
        family.put_suffixed("_count", &[("channel", &status.channel)], status.delay.len());
    }
}

/// How what waits is kept on the disk.
pub(super) fn put_outbox(text: &mut Text, standing: &channel::Standing) {
    let mut one = |name, kind, help, value: u64| {
        text.family(name, kind, help).put(&[], value);
    };
    one(
        "oopsd_outbox_durable",
        Type::Gauge,
        "Whether the last write of what waits succeeded.",
        standing.durable.into(),
    );
    let unwritten = "Signals, once for each channel, that the disk does not have yet.";
    one("oopsd_outbox_unwritten", Type::Gauge, unwritten, standing.unwritten);
    one("oopsd_outbox_bytes", Type::Gauge, "Size of the file that what waits is kept in.", standing.bytes);
    one("oopsd_outbox_failures_total", Type::Counter, "Writes of what waits that failed.", standing.failures);
    one(
        "oopsd_outbox_broken_lines_total",
        Type::Counter,
        "Lines of what waited that were found damaged at the start.",
        standing.broken_lines,
    );
}

/// Bounds of buckets in seconds, as printed and in nanoseconds.
const BOUNDS: [(&str, u64); 16] = [
    ("0.001", 1_000_000),
    ("0.0025", 2_500_000),
    ("0.005", 5_000_000),
    ("0.01", 10_000_000),
    ("0.025", 25_000_000),
    ("0.05", 50_000_000),
    ("0.1", 100_000_000),
    ("0.25", 250_000_000),
    ("0.5", 500_000_000),
    ("1", 1_000_000_000),
    ("2.5", 2_500_000_000),
    ("5", 5_000_000_000),
    ("10", 10_000_000_000),
    ("60", 60_000_000_000),
    ("600", 600_000_000_000),
    ("3600", 3_600_000_000_000),
];

/// How many values lie at or under each bound; the histogram knows them to two digits.
fn cumulative(delay: &Histogram<u64>) -> impl Iterator<Item = (&'static str, u64)> {
    BOUNDS.iter().map(|&(printed, bound)| (printed, delay.count_between(0, bound))).chain([("+Inf", delay.len())])
}

fn sum_seconds(delay: &Histogram<u64>) -> f64 {
    delay
        .iter_recorded()
        .map(|step| {
            let value = std::time::Duration::from_nanos(delay.median_equivalent(step.value_iterated_to()));
            value.as_secs_f64() * step.count_at_value() as f64
        })
        .sum()
}
