//! The Prometheus text format 0.0.4: families, series, escapes. Knows no metric.

use std::fmt::{Display, Write};

/// What a family's values are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    Counter,
    Gauge,
    Histogram,
}

/// Families, one after the other.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a family. All its series come before the next family.
    pub(super) fn family(&mut self, name: &'static str, kind: Type, help: &str) -> Family<'_> {
        let kind = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        let text = &mut self.0;
        put(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { text, name }
    }

    /// Families that another crate printed.
    pub(super) fn append(&mut self, families: &str) {
        self.0.push_str(families);
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// A family whose series are being written.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Family<'_> {
    /// One series. The labels come in the same order in all of a family.
    pub(super) fn put(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.put_suffixed("", labels, value)
    }

    /// One series of a histogram: `_bucket`, `_sum` or `_count`.
    pub(super) fn put_suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let mut before = '{';
        for (label, value) in labels {
            self.text.push(before);
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(self.text, value);
            self.text.push('"');
            before = ',';
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        put(self.text, format_args!(" {value}\n"));
        self
    }
}

/// Appends a label's value: backslash, quote and newline are escaped.
fn escape(text: &mut String, value: &str) {
    if !value.bytes().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        text.push_str(value);
        return;
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            _ => text.push(character),
        }
    }
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_help_its_type_and_its_series() {
        let mut text = Text::default();
        text.family("queries_total", Type::Counter, "Queries.").put(&[("zone", "nl."), ("qr", "query")], 7_u64);
        text.family("blind", Type::Gauge, "Blindness.").put(&[], 0.5);
        assert_eq!(
            text.into_string(),
            "# HELP queries_total Queries.\n# TYPE queries_total counter\nqueries_total{zone=\"nl.\",qr=\"query\"} 7\n\
             # HELP blind Blindness.\n# TYPE blind gauge\nblind 0.5\n"
        );
    }

    #[test]
    fn label_values_are_escaped() {
        let mut text = Text::default();
        text.family("x", Type::Gauge, "X.").put(&[("zone", "a\\.b\"c\nd.")], 1);
        assert!(text.into_string().ends_with("x{zone=\"a\\\\.b\\\"c\\nd.\"} 1\n"));
    }
}
