//! Reading TOML with the place of every value: tables whose unknown keys are refused, values that say what would be right.
//!
//! Not serde: its internally tagged enums (`type = "webhook"`) lose the place of what is wrong, and it stops at the first
//! error. Here every error of a file is found in one reading. What the keys mean is decided in the sections' own files.

use super::Purpose;
use super::finding::{Errors, Finding};
use super::nearest::{listed, suggestion};
use super::units;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// How many errors are kept: a file that is wrong a million times has one cause.
const MOST: usize = 200;

/// A value and its bytes in the file.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) it: T,
    pub(super) at: Range<usize>,
}

/// The file being read, and what was found in it so far.
#[derive(Debug)]
pub(super) struct Document<'i> {
    path: &'i Path,
    text: &'i str,
    pub(super) purpose: Purpose,
    errors: Vec<(usize, Finding)>,
    warnings: Vec<(usize, Finding)>,
}

impl<'i> Document<'i> {
    pub(super) fn new(path: &'i Path, text: &'i str, purpose: Purpose) -> Self {
        Self { path, text, purpose, errors: Vec::new(), warnings: Vec::new() }
    }

    /// The whole file as a table; `None`, and an error, if it is not TOML.
    pub(super) fn root(&mut self) -> Option<Table<'i>> {
        match DeTable::parse(self.text) {
            Ok(root) => {
                Some(Table { name: String::from("the file"), at: 0..0, entries: root.into_inner(), known: Vec::new() })
            }
            Err(error) => {
                let at = error.span().unwrap_or(self.text.len()..self.text.len());
                self.error(&at, format!("not TOML: {}", error.message()));
                None
            }
        }
    }

    /// Something at `at` that cannot be.
    pub(super) fn error(&mut self, at: &Range<usize>, what: impl Display) {
        if self.errors.len() < MOST {
            let finding = self.finding(at, &what);
            self.errors.push((at.start, finding));
        }
    }

    /// Something at `at` that an operator should look at.
    pub(super) fn warn(&mut self, at: &Range<usize>, what: impl Display) {
        let finding = self.finding(at, &what);
        self.warnings.push((at.start, finding));
    }

    /// An error in another file, which the value at `at` names.
    pub(super) fn error_elsewhere(&mut self, at: &Range<usize>, finding: Finding) {
        if self.errors.len() < MOST {
            self.errors.push((at.start, finding));
        }
    }

    /// Where a part of a string is in the file: there, if the string is written without escapes, else where it begins.
    pub(super) fn inside(&self, string: &At<String>, part: Range<usize>) -> Range<usize> {
        let written = self.text.get(string.at.clone()).unwrap_or_default();
        match written.find(string.it.as_str()) {
            Some(begins) if !string.it.is_empty() => {
                let from = string.at.start + begins;
                from + part.start..from + part.end
            }
            Some(_) | None => string.at.clone(),
        }
    }

    /// `file` as seen from the folder of this one.
    pub(super) fn beside(&self, file: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(file)
    }

    /// The warnings, in the order of the file; or the errors, if there are any.
    pub(super) fn close(mut self) -> Result<Vec<Finding>, Errors> {
        let in_order = |findings: &mut Vec<(usize, Finding)>| {
            findings.sort_by_key(|&(offset, _)| offset);
            std::mem::take(findings).into_iter().map(|(_, finding)| finding).collect::<Vec<_>>()
        };
        if self.errors.is_empty() { Ok(in_order(&mut self.warnings)) } else { Err(Errors(in_order(&mut self.errors))) }
    }

    fn finding(&self, at: &Range<usize>, what: &impl Display) -> Finding {
        Finding::at(self.path.to_owned(), self.text, at.start, what.to_string())
    }
}

/// A table of which each known key is taken once, and the rest is refused.
#[derive(Debug)]
pub(super) struct Table<'i> {
    /// As it is written: `[capture]`.
    pub(super) name: String,
    pub(super) at: Range<usize>,
    entries: DeTable<'i>,
    known: Vec<&'static str>,
}

impl<'i> Table<'i> {
    /// The value of `key`, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'i>> {
        self.known.push(key);
        let value = self.entries.remove(key)?;
        Some(Value { key: key.to_owned(), at: value.span(), value: value.into_inner() })
    }

    /// The value of `key`; an error that says to write `right` if it is not there.
    pub(super) fn need(&mut self, document: &mut Document<'i>, key: &'static str, right: &str) -> Option<Value<'i>> {
        let value = self.take(key);
        if value.is_none() {
            document.error(&self.at, format!("{} has no `{key}`; write {right}", self.name));
        }
        value
    }

    /// The table under `key`, if there is one.
    pub(super) fn table(&mut self, document: &mut Document<'i>, key: &'static str) -> Option<Self> {
        let above = self.name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let name = above.map_or_else(|| format!("[{key}]"), |above| format!("[{above}.{key}]"));
        self.take(key)?.table(document, &name)
    }

    /// The tables under `[[key]]`.
    pub(super) fn tables(&mut self, document: &mut Document<'i>, key: &'static str) -> Vec<Self> {
        let name = format!("[[{key}]]");
        let Some(value) = self.take(key) else { return Vec::new() };
        if !matches!(value.value, DeValue::Array(_)) {
            document.error(&value.at, format!("`{key}` is {}; write {name} above its keys", value.kind()));
            return Vec::new();
        }
        value.list(document, "").into_iter().filter_map(|value| value.table(document, &name)).collect()
    }

    /// All that was not taken, with the keys as they are written.
    pub(super) fn rest(self) -> Vec<(At<String>, Value<'i>)> {
        let mut rest: Vec<_> = self
            .entries
            .into_iter()
            .map(|(key, value)| {
                let key = At { at: key.span(), it: key.into_inner().into_owned() };
                let value = Value { key: key.it.clone(), at: value.span(), value: value.into_inner() };
                (key, value)
            })
            .collect();
        rest.sort_by_key(|(key, _)| key.at.start);
        rest
    }

    /// Refuses every key that was not taken.
    pub(super) fn close(mut self, document: &mut Document<'i>) {
        let known = std::mem::take(&mut self.known);
        let name = self.name.clone();
        for (key, _) in self.rest() {
            let suggestion = suggestion(&key.it, known.iter().copied());
            let known: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
            let known = known.join(", ");
            document.error(&key.at, format!("unknown key `{}` in {name}; known: {known}{suggestion}", key.it));
        }
    }
}

/// The value of a key, not yet read.
#[derive(Debug)]
pub(super) struct Value<'i> {
    pub(super) key: String,
    pub(super) at: Range<usize>,
    value: DeValue<'i>,
}

impl<'i> Value<'i> {
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
        let key = self.key;
        array.into_iter().map(|value| Self { key: key.clone(), at: value.span(), value: value.into_inner() }).collect()
    }

    /// The values of an array, or this value alone if it is none.
    pub(super) fn one_or_list(self, document: &mut Document<'i>) -> Vec<Self> {
        if matches!(self.value, DeValue::Array(_)) { self.list(document, "") } else { vec![self] }
    }

    /// A table, which `name` stands for in errors.
    pub(super) fn table(self, document: &mut Document<'i>, name: &str) -> Option<Table<'i>> {
        let DeValue::Table(entries) = self.value else {
            return self.mistyped(document, &format!("a table, {name}"));
        };
        Some(Table { name: name.to_owned(), at: self.at, entries, known: Vec::new() })
    }

    /// Whether this is a table.
    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
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

    fn kind(&self) -> &'static str {
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
