//! Numbers, durations and sizes as operators write them, and back.

use std::time::Duration;

/// Over this no number means anything: a petaquery a second.
const MOST: f64 = 1e15;
/// Over this no duration means anything.
const LONGEST_MILLIS: f64 = 365.0 * 86_400_000.0;

const SCALES: [(&str, f64); 4] = [("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9)];
const SPANS: [(&str, f64); 5] = [("ms", 1.0), ("s", 1e3), ("m", 6e4), ("h", 3.6e6), ("d", 8.64e7)];
const SIZES: [(&str, f64); 4] = [("B", 1.0), ("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0)];

/// A number, 0 to 1e15: `50`, `100k`, `1.5M`.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn number(text: &str) -> Result<f64, String> {
    const RIGHT: &str = "write a number such as \"50\", \"100k\" or \"1.5M\"";
    let (value, unit, rest) = quantity(text).ok_or_else(|| format!("\"{text}\" is not a number; {RIGHT}"))?;
    let scale = SCALES.iter().find(|(name, _)| *name == unit).filter(|_| rest.is_empty());
    let (_, scale) = scale.ok_or_else(|| format!("\"{text}\" ends in no scale that is known (k, M, G); {RIGHT}"))?;
    checked(value * scale)
}

/// The number itself, if it can be one: finite and 0 to 1e15.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn checked(value: f64) -> Result<f64, String> {
    if value.is_finite() && (0.0..=MOST).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{value} is out of range; write a number from 0 to 1000000G"))
    }
}

/// A duration, 0 to 365 days: `100ms`, `2s`, `1h30m`.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    const RIGHT: &str = "write a number and ms, s, m, h or d, such as \"100ms\", \"2s\" or \"5m\"";
    let mut millis = 0.0;
    let mut rest = text;
    loop {
        let (value, unit, after) = quantity(rest).ok_or_else(|| format!("\"{text}\" is not a duration; {RIGHT}"))?;
        let (_, span) = SPANS.iter().find(|(name, _)| *name == unit).ok_or_else(|| match unit {
            "" => format!("\"{text}\" has no unit; {RIGHT}"),
            _ => format!("\"{text}\" has an unknown unit `{unit}`; {RIGHT}"),
        })?;
        millis += value * span;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    if millis > LONGEST_MILLIS {
        return Err(format!("\"{text}\" is too long; write 365d at most"));
    }
    // Whole milliseconds apart, for they are exact.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 365 days, checked above")]
    let (whole, nanos) = (millis as u64, (millis.fract() * 1e6).round() as u64);
    Ok(Duration::from_millis(whole) + Duration::from_nanos(nanos))
}

/// A size in bytes, up to 1024 GiB: `65536`, `512KiB`, `16MiB`.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn size(text: &str) -> Result<u64, String> {
    const RIGHT: &str = "write a number and KiB, MiB or GiB, such as \"16MiB\"";
    let (value, unit, rest) = quantity(text).ok_or_else(|| format!("\"{text}\" is not a size; {RIGHT}"))?;
    let known = SIZES.iter().find(|(name, _)| *name == unit || unit.is_empty()).filter(|_| rest.is_empty());
    let (_, scale) = known.ok_or_else(|| format!("\"{text}\" has an unknown unit `{unit}`; {RIGHT}"))?;
    let bytes = value * scale;
    if bytes > 1_099_511_627_776.0 {
        return Err(format!("\"{text}\" is too large; write 1024GiB at most"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^40, checked above")]
    let bytes = bytes as u64;
    Ok(bytes)
}

/// The number, as the configuration writes it.
#[must_use]
pub fn show_number(value: f64) -> String {
    let (unit, scale) = SCALES.iter().rev().find(|(_, scale)| value >= *scale).unwrap_or(&("", 1.0));
    // Twelve digits: 0.7 times something is not to be shown with what binary makes of it.
    let rounded = |value: f64| format!("{value:.11e}").parse().unwrap_or(value);
    let scaled: f64 = rounded(value / scale);
    // A number that would need many digits is better read unscaled.
    if (scaled * 1000.0).fract() == 0.0 { format!("{scaled}{unit}") } else { format!("{}", rounded(value)) }
}

/// The duration, as the configuration writes it.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if !duration.subsec_nanos().is_multiple_of(1_000_000) {
        return format!("{}ms", duration.as_secs_f64() * 1000.0);
    }
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let whole = units.iter().find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit));
    whole.map_or_else(|| String::from("0s"), |(unit, name)| format!("{}{name}", millis / unit))
}

/// The size, as the configuration writes it.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let whole = units.iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{bytes}B"), |(unit, name)| format!("{}{name}", bytes / unit))
}

/// The digits in front (with at most one point), the letters after them, and the rest.
fn quantity(text: &str) -> Option<(f64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (value, rest) = text.split_at(digits);
    let starts_and_ends_in_digits = !value.starts_with('.') && !value.ends_with('.') && !value.is_empty();
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    starts_and_ends_in_digits.then(|| value.parse().ok())?.map(|value| (value, unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_a_scale() {
        assert_eq!(number("100k"), Ok(100_000.0));
        assert_eq!(number("1.5M"), Ok(1_500_000.0));
        assert_eq!(number("50"), Ok(50.0));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "k", "-1", "1.5.2", ".5", "5.", "NaN", "inf", "1e5", "100K", "5 k", "1k5", "9999999G", "٣"] {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "s", "-1s", "5 s", "5S", "1h30", "366d", "99999999999999999999999d", "5us"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size("16MiB"), Ok(16 << 20));
        assert_eq!(size("4096"), Ok(4096));
        assert!(size("16MB").is_err());
        assert!(size("99999GiB").is_err());
    }

    #[test]
    fn what_is_shown_reads_as_it_is_written() {
        assert_eq!(show_number(100_000.0), "100k");
        assert_eq!(show_number(0.7 * 0.1), "0.07");
        assert_eq!(show_duration(Duration::from_secs(300)), "5m");
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        assert_eq!(show_size(16 << 20), "16MiB");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,20}") {
            let _ = (number(&text), duration(&text), size(&text));
        }

        #[test]
        fn a_shown_duration_is_read_back(millis in 0_u64..31_536_000_000) {
            let written = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show_duration(written)), Ok(written));
        }

        #[test]
        fn a_shown_number_is_read_back(value in 0_u32..) {
            prop_assert_eq!(number(&show_number(f64::from(value))), Ok(f64::from(value)));
        }
    }
}
