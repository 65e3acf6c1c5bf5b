//! The value of a key, of any type until somebody asks for one. Its place in the file is `document`'s.

use super::document::{At, Document, Table};
use super::nearest::{listed, suggestion};
use super::units;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// The value of a key, not yet read.
#[derive(Debug)]
pub(super) struct Value<'i> {
    pub(super) key: String,
    pub(super) at: Range<usize>,
    value: DeValue<'i>,
}

impl<'i> Value<'i> {
    pub(super) fn new(key: &str, value: Spanned<DeValue<'i>>) -> Self {
        Self { key: key.to_owned(), at: value.span(), value: value.into_inner() }
    }

    /// Refuses this value, which is of the right type: says what is wrong and what would be right.
    pub(super) fn refuse(&self, document: &mut Document<'i>, what: impl Display) {
        document.error(&self.at, format!("`{}`: {what}", self.key));
    }

    /// A string.
    pub(super) fn text(self, document: &mut Document<'i>, right: &str) -> Option<At<String>> {
        self.parse(document, right, |text| Ok(text.to_owned()))
    }

    /// A string that `parse` understands.
    pub(super) fn parse<T>(
        self,
        document: &mut Document<'i>,
        right: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        let DeValue::String(text) = &self.value else { return self.mistyped(document, right) };
        let parsed = parse(text);
        self.checked(document, parsed)
    }

    /// One of a few words.
    pub(super) fn word(self, document: &mut Document<'i>, words: &[&'static str]) -> Option<At<&'static str>> {
        let right = listed(words.iter().copied());
        self.parse(document, &right, |text| {
            let known = words.iter().find(|&&word| word == text).copied();
            known.ok_or_else(|| {
                format!("`{text}` is not known; write {right}{}", suggestion(text, words.iter().copied()))
            })
        })
    }

    /// True or false.
    pub(super) fn truth(self, document: &mut Document<'i>) -> Option<At<bool>> {
        let DeValue::Boolean(truth) = self.value else { return self.mistyped(document, "true or false") };
        self.checked(document, Ok(truth))
    }

    /// A whole number within limits.
    pub(super) fn whole(self, document: &mut Document<'i>, limits: RangeInclusive<u64>) -> Option<At<u64>> {
        let right = format!("a whole number from {} to {}", limits.start(), limits.end());
        let DeValue::Integer(integer) = &self.value else { return self.mistyped(document, &right) };
        let value = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        let value = value.and_then(|value| u64::try_from(value).ok()).filter(|value| limits.contains(value));
        let checked = value.ok_or_else(|| format!("{integer} is out of range; write {right}"));
        self.checked(document, checked)
    }

    /// A number, 0 to 1e15: `50`, `0.5`, `"50"`, `"1.5M"`.
    pub(super) fn number(self, document: &mut Document<'i>, right: &str) -> Option<At<f64>> {
        #[expect(clippy::cast_precision_loss, reason = "a threshold past 2^53 is over the limit anyway")]
        let number = match &self.value {
            DeValue::String(text) => units::number(text),
            DeValue::Float(float) => units::checked(float.as_str().replace('_', "").parse().unwrap_or(f64::NAN)),
            DeValue::Integer(integer) => {
                let value = i128::from_str_radix(integer.as_str(), integer.radix());
                units::checked(value.map_or(f64::NAN, |value| value as f64))
            }
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return self.mistyped(document, right);
            }
        };
        self.checked(document, number)
    }

    /// A share, 0 to 1.
    pub(super) fn share(self, document: &mut Document<'i>) -> Option<At<f64>> {
        const RIGHT: &str = "a share from 0 to 1, such as 0.05";
        let share = match &self.value {
            DeValue::Float(float) => float.as_str().parse().unwrap_or(f64::NAN),
            DeValue::Integer(integer) => integer.as_str().parse().unwrap_or(f64::NAN),
            DeValue::String(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return self.mistyped(document, RIGHT);
            }
        };
        let sound = (0.0..=1.0).contains(&share);
        self.checked(document, sound.then_some(share).ok_or_else(|| format!("{share} is no share; write {RIGHT}")))
    }

    /// A duration within limits.
    pub(super) fn duration(
        self,
        document: &mut Document<'i>,
        limits: &RangeInclusive<Duration>,
    ) -> Option<At<Duration>> {
        let (least, most) = (units::show_duration(*limits.start()), units::show_duration(*limits.end()));
        let right = format!("a duration from \"{least}\" to \"{most}\"");
        if let DeValue::Integer(integer) = &self.value {
            let unitless = format!("{integer} has no unit; write {right}");
            return self.checked(document, Err(unitless));
        }
        self.parse(document, &right, |text| {
            let duration = units::duration(text)?;
            limits
                .contains(&duration)
                .then_some(duration)
                .ok_or_else(|| format!("\"{text}\" is out of range; write {right}"))
        })
    }

    /// A size within limits, in bytes; a plain number is one of bytes.
    pub(super) fn size(self, document: &mut Document<'i>, limits: &RangeInclusive<u64>) -> Option<At<u64>> {
        let (least, most) = (units::show_size(*limits.start()), units::show_size(*limits.end()));
        let right = format!("a size from \"{least}\" to \"{most}\"");
        if matches!(self.value, DeValue::Integer(_)) {
            return self.whole(document, limits.clone());
        }
        self.parse(document, &right, |text| {
            let size = units::size(text)?;
            limits.contains(&size).then_some(size).ok_or_else(|| format!("\"{text}\" is out of range; write {right}"))
        })
    }

    /// The values of an array, each of which is called as the array is.
    pub(super) fn list(self, document: &mut Document<'i>, right: &str) -> Vec<Self> {
        let DeValue::Array(array) = self.value else {
            self.mistyped::<()>(document, right);
            return Vec::new();
        };
        array.into_iter().map(|value| Self::new(&self.key, value)).collect()
    }

    /// The values of an array, or this value alone if it is none.
    pub(super) fn one_or_list(self, document: &mut Document<'i>) -> Vec<Self> {
        if self.is_list() { self.list(document, "") } else { vec![self] }
    }

    /// A table, which `name` stands for in errors.
    pub(super) fn table(self, document: &mut Document<'i>, name: &str) -> Option<Table<'i>> {
        let DeValue::Table(entries) = self.value else {
            return self.mistyped(document, &format!("a table, {name}"));
        };
        Some(Table::new(name.to_owned(), self.at, entries))
    }

    /// Whether this is a table.
    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Whether this is an array.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    fn checked<T>(self, document: &mut Document<'i>, checked: Result<T, String>) -> Option<At<T>> {
        match checked {
            Ok(it) => Some(At { it, at: self.at }),
            Err(what) => {
                self.refuse(document, what);
                None
            }
        }
    }

    fn mistyped<T>(self, document: &mut Document<'i>, right: &str) -> Option<T> {
        document.error(&self.at, format!("`{}` is {}; write {right}", self.key, self.kind()));
        None
    }

    /// What this is, as a person would say.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        }
    }
}
