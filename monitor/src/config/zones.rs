//! `[zones]`: the names, from the configuration and from a file, and their groups.

use super::document::{At, Document, Table};
use super::finding::Finding;
use super::{defaults, word};
use crate::name;
use engine::plan::Group;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::path::Path;
use wire::name::DEPTH;

/// The zones, in the order of their slots, and the groups.
#[derive(Debug, Default)]
pub(super) struct Zones {
    pub(super) list: List,
    pub(super) groups: Vec<Group>,
}

impl Zones {
    /// Reads `[zones]`.
    pub(super) fn read<'i>(document: &mut Document<'i>, mut table: Table<'i>) -> Self {
        let mut zones = Self::default();
        if let Some(names) = table.take("names") {
            for value in names.list(document, "a list of names, such as [\"nl.\", \"example.org.\"]") {
                let key = value.at.clone();
                if let Some(name) = value.text(document, "a name, such as \"example.org.\"")
                    && let Err(what) = zones.list.add(&name.it)
                {
                    document.error(&key, what);
                }
            }
        }
        if let Some(file) = table.take("file").and_then(|file| file.text(document, "the name of a file")) {
            zones.list.load(document, &file);
        }
        if let Some(groups) = table.table(document, "groups") {
            for (name, members) in groups.rest() {
                word::checked(document, "group", &name);
                let at = members.at.clone();
                let members = members.list(document, "a list of zones, such as [\"example.org.\"]");
                let mut slots = Vec::with_capacity(members.len());
                for member in members {
                    let Some(member) = member.text(document, "a zone, such as \"example.org.\"") else { continue };
                    match zones.list.find(&member.it) {
                        Ok(slot) if slots.contains(&slot) => {
                            document.error(&member.at, format!("`{}` is in this group twice; remove one", member.it));
                        }
                        Ok(slot) => slots.push(slot),
                        Err(what) => document.error(&member.at, what),
                    }
                }
                if slots.is_empty() {
                    document.error(&at, format!("group `{}` has no zones; name one or remove it", name.it));
                }
                slots.sort_unstable();
                zones.groups.push(Group { name: name.it, slots });
            }
        }
        table.close(document);
        zones
    }
}

/// Names by slot and slots by name: one text, and an open hash table of slots over it.
#[derive(Debug)]
pub(super) struct List {
    text: String,
    ends: Vec<u32>,
    /// Slots, 0 where empty; a power of two of them, at least twice as many as there are names.
    table: Vec<u32>,
    hasher: RandomState,
}

impl Default for List {
    fn default() -> Self {
        Self { text: String::new(), ends: Vec::new(), table: vec![0; 16], hasher: RandomState::new() }
    }
}

impl List {
    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The names, by slot from 1 on.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (1..).take(self.len()).map(|slot| self.get(slot))
    }

    /// The slot of the zone that `text` names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn find(&self, text: &str) -> Result<u32, String> {
        let name = name::canonical(text).map_err(|bad| bad.to_string())?;
        match self.table[self.place(&name)] {
            0 => Err(format!("`{name}` is not a zone of this configuration; add it to `names` in [zones]")),
            slot => Ok(slot),
        }
    }

    /// Adds the zone that `text` names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn add(&mut self, text: &str) -> Result<(), String> {
        let canonical;
        let (plain, dot) = if is_plain(text) {
            (text, if text.ends_with('.') { "" } else { "." })
        } else {
            canonical = name::canonical(text).map_err(|bad| bad.to_string())?;
            (canonical.as_str(), "")
        };
        if self.len() == defaults::MOST_ZONES {
            return Err(format!("more than {} zones; leave out those that may be counted together", self.len()));
        }
        if self.table.len() < (self.len() + 1) * 2 {
            self.grow();
        }
        // The name is put at the end of the text first, and taken away again if it is there already.
        let start = self.text.len();
        self.text.push_str(plain);
        self.text.push_str(dot);
        let place = self.place(&self.text[start..]);
        if self.table[place] != 0 {
            let twice = format!("`{}` is there twice; remove one", &self.text[start..]);
            self.text.truncate(start);
            return Err(twice);
        }
        let full = |_| String::from("the names are too long together; leave some out");
        self.ends.push(u32::try_from(self.text.len()).map_err(full)?);
        self.table[place] = u32::try_from(self.ends.len()).map_err(full)?;
        Ok(())
    }

    /// Adds the names of a file, one a line, `#` beginning a comment.
    fn load(&mut self, document: &mut Document<'_>, file: &At<String>) {
        let path = document.beside(&file.it);
        match std::fs::read_to_string(&path) {
            Ok(text) => self.lines(document, &file.at, &path, &text),
            Err(error) => document.error(&file.at, format!("`file`: cannot read {}: {error}", path.display())),
        }
    }

    fn lines(&mut self, document: &mut Document<'_>, at: &Range<usize>, path: &Path, text: &str) {
        let lines = text.bytes().filter(|&byte| byte == b'\n').count() + 1;
        self.text.reserve(text.len() + lines);
        self.ends.reserve(lines);
        for (number, line) in text.lines().enumerate() {
            let content = line.split_once('#').map_or(line, |(content, _)| content);
            let name = content.trim();
            if name.is_empty() {
                continue;
            }
            let added = match name.find(char::is_whitespace) {
                Some(_) => Err(String::from("more than a name; write one name a line")),
                None => self.add(name),
            };
            if let Err(what) = added {
                let before = &line[..content.len() - content.trim_start().len()];
                let place = Some((number + 1, before.chars().count() + 1));
                document.error_elsewhere(at, Finding { file: path.to_owned(), place, what });
            }
        }
    }

    fn get(&self, slot: u32) -> &str {
        let index = slot as usize;
        let start = index.checked_sub(2).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[index - 1] as usize]
    }

    /// Where in the table `name` is, or would be.
    fn place(&self, name: &str) -> usize {
        let mask = self.table.len() - 1;
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are as good as any")]
        let mut place = self.hasher.hash_one(name) as usize & mask;
        while self.table[place] != 0 && self.get(self.table[place]) != name {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        self.table = vec![0; self.table.len() * 4];
        for slot in (1..).take(self.len()) {
            let place = self.place(self.get(slot));
            self.table[place] = slot;
        }
    }
}

/// Whether `text` is a name that is printed as it is written, but for the last dot: what a million names should cost.
fn is_plain(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let mut length = 0_u32;
    let mut labels = 1_usize;
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' if length < 63 => length += 1,
            b'.' if length > 0 => (labels, length) = (labels + 1, 0),
            _ => return false,
        }
    }
    length > 0 && labels <= DEPTH && name.len() <= 253
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_found_however_it_is_written() {
        let mut list = List::default();
        list.add("nl").unwrap();
        list.add("Example.ORG.").unwrap();
        assert_eq!((list.find("NL."), list.find("example.org")), (Ok(1), Ok(2)));
        assert_eq!(list.iter().collect::<Vec<_>>(), ["nl.", "example.org."]);
    }

    #[test]
    fn a_name_that_is_there_already_is_refused() {
        let mut list = List::default();
        list.add("nl.").unwrap();
        assert_eq!(list.add("NL").unwrap_err(), "`nl.` is there twice; remove one");
        assert_eq!(list.len(), 1);
    }

    #[test]
    fn ten_thousand_names_are_all_found() {
        let mut list = List::default();
        for number in 0..10_000 {
            list.add(&format!("zone{number}.example.")).unwrap();
        }
        for number in 0..10_000 {
            assert_eq!(list.find(&format!("zone{number}.example")), Ok(number + 1));
        }
    }

    proptest! {
        #[test]
        fn a_plain_name_is_canonical_but_for_the_dot(text in "[a-zA-Z0-9_.-]{0,80}(\\.[a-z]{0,70}){0,20}") {
            if is_plain(&text) {
                let dotted = if text.ends_with('.') { text.clone() } else { format!("{text}.") };
                prop_assert_eq!(name::canonical(&text), Ok(dotted));
            }
        }
    }
}
