//! Reading TOML with the place of every value: tables whose unknown keys are refused. Values, in `value`, say what would be right.
//!
//! Not serde: its internally tagged enums (`type = "webhook"`) lose the place of what is wrong, and it stops at the first
//! error. Here every error of a file is found in one reading. What the keys mean is decided in the sections' own files.

pub(super) use super::value::Value;

use super::Purpose;
use super::finding::{Errors, Finding};
use super::nearest::suggestion;
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

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
            Ok(root) => Some(Table::new(String::from("the file"), 0..0, root.into_inner())),
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
    pub(super) fn new(name: String, at: Range<usize>, entries: DeTable<'i>) -> Self {
        Self { name, at, entries, known: Vec::new() }
    }

    /// The value of `key`, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'i>> {
        self.known.push(key);
        let value = self.entries.remove(key)?;
        Some(Value::new(key, value))
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
        if !value.is_list() {
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
                let value = Value::new(&key.it, value);
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
