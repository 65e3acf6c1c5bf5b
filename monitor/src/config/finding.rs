//! What is wrong, or doubtful, in a configuration, and where.

use std::fmt;
use std::path::PathBuf;

/// How many errors are told at once; a broken list of a million names has one cause.
const MOST: usize = 50;

/// Something found at a place: prints as `file:line:column: what`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Line and column, both from 1, the column in characters; `None` if it concerns the file as a whole.
    pub place: Option<(usize, usize)>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl Finding {
    /// A finding at byte `offset` of `text`, which is what `file` holds.
    #[must_use]
    pub fn at(file: PathBuf, text: &str, offset: usize, what: String) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Self { file, place: Some((line, column)), what }
    }

    /// A finding about a file as a whole.
    #[must_use]
    pub fn whole(file: PathBuf, what: String) -> Self {
        Self { file, place: None, what }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name in the file must not be able to write to the reader's terminal.
        let what: String =
            self.what.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {what}", self.file.display()),
            None => write!(f, "{}: {what}", self.file.display()),
        }
    }
}

/// Why a configuration cannot be used: every error that was found, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, Default, thiserror::Error)]
pub struct Errors(pub Vec<Finding>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().take(MOST).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        match self.0.len().checked_sub(MOST) {
            Some(more @ 1..) => write!(f, "\nand {more} more"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let finding = Finding::at("f.toml".into(), "a\né = x", 7, "bad".into());
        assert_eq!(finding.to_string(), "f.toml:2:5: bad");
    }

    #[test]
    fn a_name_cannot_write_to_the_terminal() {
        let finding = Finding::whole("f.toml".into(), "\u{1b}[2J".into());
        assert_eq!(finding.to_string(), "f.toml: \u{fffd}[2J");
    }
}
