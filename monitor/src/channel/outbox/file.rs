//! The file that what waits is kept in: lines that are only ever added, each with a digest.
//!
//! All that waits is in memory too, so the file is read once, at a start, and whenever there is anything wrong with it, it is
//! written anew beside itself and then takes its own place. That is also how it gets shorter. No database does less.
//!
//! After the line with the version each line is `DIGEST {"to":...}` TAB letter, which adds a letter for some channels, or
//! `DIGEST {"gone":...}`, which takes letters away. A line that was not written to its end is what a crash leaves.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// In a folder of its own.
const NAME: &str = "signals";
const VERSION: &[u8] = b"oopsd outbox 1\n";
/// No line of ours is so long.
const LONGEST: u64 = 1 << 20;
/// So many numbers are taken away by one line.
const GONE: usize = 10_000;

/// A letter as a channel has it: its text, how many it stands for, how many were given up before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Kept {
    pub(in super::super) text: Arc<[u8]>,
    pub(in super::super) superseded: u64,
    pub(in super::super) lost: u64,
}

impl Kept {
    /// How many signals are not sent if it is not.
    pub(super) const fn stands_for(&self) -> u64 {
        self.lost + self.superseded + 1
    }
}

/// What waits, by channel and number.
pub(in super::super) type Waiting = BTreeMap<String, BTreeMap<u64, Kept>>;

/// A channel that a letter is for, how many it stands for there, how many were given up before it.
type Share = (String, u64, u64);

/// What is to be added and taken away in one piece.
#[derive(Debug, Default)]
pub(super) struct Batch {
    letters: BTreeMap<u64, (Arc<[u8]>, Vec<Share>)>,
    gone: Vec<(String, Vec<u64>)>,
}

impl Batch {
    pub(super) fn add(&mut self, channel: &str, number: u64, kept: &Kept) {
        let (_, to) = self.letters.entry(number).or_insert_with(|| (Arc::clone(&kept.text), Vec::new()));
        to.push((channel.to_owned(), kept.superseded, kept.lost));
    }

    pub(super) fn remove(&mut self, channel: &str, numbers: &[u64]) {
        // No line may be longer than is read.
        self.gone.extend(numbers.chunks(GONE).map(|piece| (channel.to_owned(), piece.to_vec())));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.letters.is_empty() && self.gone.is_empty()
    }

    fn lines(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        for (&number, (text, to)) in &self.letters {
            push_line(&mut lines, &Head::To(number, to.clone()), Some(text));
        }
        for (channel, numbers) in &self.gone {
            push_line(&mut lines, &Head::Gone(channel.clone(), numbers.clone()), None);
        }
        lines
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Head {
    To(u64, Vec<Share>),
    Gone(String, Vec<u64>),
}

fn push_line(lines: &mut Vec<u8>, head: &Head, letter: Option<&[u8]>) {
    let mut line = serde_json::to_vec(head).expect("text and numbers");
    if let Some(letter) = letter {
        line.push(b'\t');
        line.extend_from_slice(letter);
    }
    lines.extend_from_slice(digest(&line).as_bytes());
    lines.push(b' ');
    lines.append(&mut line);
    lines.push(b'\n');
}

fn digest(line: &[u8]) -> String {
    Sha256::digest(line).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What was found at a start.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) waiting: Waiting,
    /// Past every number in it.
    pub(super) next: u64,
    /// Why it was set aside, and where it is now.
    pub(super) aside: Option<Aside>,
}

/// A file that was not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Aside {
    /// Lines that are not what was written; what the others hold was taken.
    Broken(u64),
    /// Of another version: nothing was taken.
    Version(String),
}

/// Reads what the last run left.
pub(super) fn look(folder: &Path) -> io::Result<Found> {
    match fs::File::open(folder.join(NAME)) {
        Ok(file) => read_from(&mut BufReader::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::default()),
        Err(error) => Err(error),
    }
}

/// Takes letters of a channel away from a file that nobody has open. It stays whose it was.
pub(super) fn take_away(folder: &Path, channel: &str, numbers: &[u64]) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(folder.join(NAME))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    // What a crash tore off must not become the beginning of this.
    let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let mut batch = Batch::default();
    batch.remove(channel, numbers);
    file.set_len(end as u64)?;
    file.seek(SeekFrom::Start(end as u64))?;
    file.write_all(&batch.lines())?;
    file.sync_data()
}

/// Reads what the last run left, and sets it aside if there is anything wrong with it.
pub(super) fn read(folder: &Path) -> io::Result<Found> {
    let path = folder.join(NAME);
    let found = look(folder)?;
    let suffix = match &found.aside {
        None => return Ok(found),
        Some(Aside::Broken(_)) => "broken",
        Some(Aside::Version(_)) => "other-version",
    };
    // What was set aside before is replaced: a file that breaks at every start fills no disk.
    let aside = path.with_extension(suffix);
    let _ = fs::remove_file(&aside);
    // One name more for it: it stays what the next start reads, until a new one has taken its place.
    if let Err(error) = fs::hard_link(&path, &aside).or_else(|_| fs::rename(&path, &aside)) {
        tracing::error!(path = %path.display(), %error, "a file that is not as it should be cannot be set aside");
    }
    Ok(found)
}

/// Moves a file that was not read out of the way, if there is one.
pub(super) fn keep_aside(folder: &Path) -> io::Result<()> {
    let path = folder.join(NAME);
    if path.exists() {
        fs::rename(&path, path.with_extension("unread"))?;
        tracing::error!(folder = %folder.display(), "what waited there was not read; it is not sent, and is now signals.unread");
    }
    Ok(())
}

fn read_from(from: &mut impl BufRead) -> io::Result<Found> {
    let mut found = Found::default();
    let mut line = Vec::new();
    if !next_line(from, &mut line)? || line != VERSION {
        let version = line.strip_prefix(b"oopsd outbox ").and_then(|rest| rest.strip_suffix(b"\n"));
        let version = version.filter(|version| version.iter().all(u8::is_ascii_digit) && !version.is_empty());
        found.aside = Some(match version {
            Some(version) => Aside::Version(String::from_utf8_lossy(version).into_owned()),
            None => Aside::Broken(1),
        });
        if version.is_some() {
            return Ok(found);
        }
    }
    let mut broken = u64::from(found.aside.is_some());
    while next_line(from, &mut line)? {
        // Without its end it is the last: a crash tore it.
        if let Some(line) = line.strip_suffix(b"\n")
            && take(line, &mut found).is_none()
        {
            broken += 1;
        }
    }
    found.waiting.retain(|_, letters| !letters.is_empty());
    found.aside = (broken > 0).then_some(Aside::Broken(broken));
    Ok(found)
}

fn next_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    from.by_ref().take(LONGEST).read_until(b'\n', line)?;
    Ok(!line.is_empty())
}

fn take(line: &[u8], found: &mut Found) -> Option<()> {
    let (given, rest) = line.split_at_checked(16)?;
    let rest = rest.strip_prefix(b" ")?;
    if given != digest(rest).as_bytes() {
        return None;
    }
    let tab = rest.iter().position(|&byte| byte == b'\t').unwrap_or(rest.len());
    let (head, letter) = rest.split_at(tab);
    match serde_json::from_slice(head).ok()? {
        Head::To(number, to) => {
            let text: Arc<[u8]> = letter.strip_prefix(b"\t")?.into();
            super::super::letter::decode(&text)?;
            found.next = found.next.max(number.saturating_add(1));
            for (channel, superseded, lost) in to {
                let kept = Kept { text: Arc::clone(&text), superseded, lost };
                found.waiting.entry(channel).or_default().insert(number, kept);
            }
        }
        Head::Gone(channel, numbers) => {
            let letters = found.waiting.entry(channel).or_default();
            for number in numbers {
                letters.remove(&number);
            }
        }
    }
    Some(())
}

/// The file, open to add to.
#[derive(Debug)]
pub(super) struct File {
    file: fs::File,
    /// Bytes in it.
    pub(super) length: u64,
    /// Bytes that were in it when it was made.
    pub(super) first: u64,
}

impl File {
    /// Writes a new one with just this in it, which then takes the place of what is there.
    pub(super) fn create(folder: &Path, batch: &Batch) -> io::Result<Self> {
        let path = folder.join(NAME);
        let beside = path.with_extension("new");
        let made = Self::write_new(&beside, batch).and_then(|file| {
            fs::rename(&beside, &path)?;
            fs::File::open(folder)?.sync_all()?;
            Ok(file)
        });
        if made.is_err() {
            // What room it took is worth more than half of it.
            let _ = fs::remove_file(&beside);
        }
        made
    }

    fn write_new(path: &PathBuf, batch: &Batch) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let lines = batch.lines();
        file.write_all(VERSION)?;
        file.write_all(&lines)?;
        file.sync_all()?;
        let length = (VERSION.len() + lines.len()) as u64;
        Ok(Self { file, length, first: length })
    }

    /// Adds it; on the disk when it returns. After an error the file is not to be added to again.
    pub(super) fn append(&mut self, batch: &Batch) -> io::Result<()> {
        let lines = batch.lines();
        self.file.write_all(&lines)?;
        self.file.sync_data()?;
        self.length += lines.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Sender;
    use super::super::super::letter::encode;
    use super::super::super::moment::Moment;
    use super::*;
    use crate::json::tests::overload;
    use proptest::prelude::*;

    #[test]
    fn what_was_written_is_read_and_what_was_taken_away_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), Found::default());
        small(folder.path());
        let found = read(folder.path()).unwrap();
        assert_eq!(shape(&found.waiting), ["log: 3", "siem: 1 2 3"]);
        assert_eq!((found.next, found.aside), (4, None));
        assert_eq!(found.waiting["siem"][&3], Kept { text: text(3), superseded: 2, lost: 1 });
    }

    #[test]
    fn a_file_cut_at_any_byte_keeps_what_comes_before() {
        let folder = tempfile::tempdir().unwrap();
        let whole = small(folder.path());
        let lines: Vec<usize> =
            whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
        for length in 0..whole.len() {
            let found = read_from(&mut &whole[..length]).unwrap();
            let letters: usize = found.waiting.values().map(BTreeMap::len).sum();
            // The lines: version, 1 and 2 and 3 to both, gone.
            let complete = lines.iter().filter(|&&end| end < length).count();
            assert_eq!(letters, [0, 0, 2, 4, 6][complete], "cut at {length}");
            assert_eq!(found.aside.is_some(), complete == 0, "cut at {length}");
        }
    }

    #[test]
    fn whatever_byte_is_flipped_all_other_lines_are_taken_and_the_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let whole = small(folder.path());
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut broken = whole.clone();
                broken[at] ^= 1 << bit;
                let found = read_from(&mut broken.as_slice()).unwrap();
                if matches!(found.aside, Some(Aside::Version(_))) {
                    assert!(at < VERSION.len());
                    continue;
                }
                let letters: usize = found.waiting.values().map(BTreeMap::len).sum();
                let last = at == whole.len() - 1;
                // A line that loses its end takes the next one with it; the last then looks torn.
                assert!((1..=6).contains(&letters), "{letters} letters with bit {bit} of byte {at} flipped");
                assert!(found.aside.is_some() || last, "bit {bit} of byte {at} flipped and nobody said so");
            }
        }
    }

    #[test]
    fn a_file_that_is_broken_or_of_another_version_is_moved_out_of_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let mut whole = small(folder.path());
        let last = whole.len() - 3;
        whole[last] ^= 1;
        fs::write(folder.path().join(NAME), &whole).unwrap();
        assert_eq!(read(folder.path()).unwrap().aside, Some(Aside::Broken(1)));
        assert_eq!(fs::read(folder.path().join("signals.broken")).unwrap(), whole);
        assert_eq!(read(folder.path()).unwrap().aside, Some(Aside::Broken(1)), "a crash before the new one is there");
        File::create(folder.path(), &Batch::default()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), Found::default(), "only once");
        assert_eq!(fs::read(folder.path().join("signals.broken")).unwrap(), whole);
        fs::write(folder.path().join(NAME), "oopsd outbox 2\nwho knows").unwrap();
        assert_eq!(read(folder.path()).unwrap().aside, Some(Aside::Version("2".into())));
        assert!(folder.path().join("signals.other-version").exists());
    }

    #[test]
    fn letters_are_taken_away_from_a_file_that_was_torn_by_however_many() {
        let folder = tempfile::tempdir().unwrap();
        let mut whole = small(folder.path());
        whole.extend_from_slice(b"0123456789abcdef {\"to\"");
        fs::write(folder.path().join(NAME), &whole).unwrap();
        take_away(folder.path(), "siem", &[1, 3]).unwrap();
        take_away(folder.path(), "siem", &(1_000_000..1_300_000).collect::<Vec<_>>()).unwrap();
        let found = read(folder.path()).unwrap();
        assert_eq!((shape(&found.waiting), found.aside), (vec!["log: 3".into(), "siem: 2".into()], None));
    }

    proptest! {
        #[test]
        fn noise_is_no_panic(noise in any::<Vec<u8>>(), headed in any::<bool>()) {
            let text = if headed { [VERSION, &noise].concat() } else { noise };
            let _ = read_from(&mut text.as_slice());
        }
    }

    /// Letters 1 to 3 to two channels, of which one has the first two already; and the bytes of that.
    fn small(folder: &Path) -> Vec<u8> {
        let mut batch = Batch::default();
        let keep = |number, superseded, lost| Kept { text: text(number), superseded, lost };
        batch.add("siem", 1, &keep(1, 0, 0));
        batch.add("log", 1, &keep(1, 0, 0));
        let mut file = File::create(folder, &batch).unwrap();
        for number in 2..=3 {
            let mut batch = Batch::default();
            batch.add("siem", number, &keep(number, number - 1, number - 2));
            batch.add("log", number, &keep(number, 0, 0));
            file.append(&batch).unwrap();
        }
        let mut batch = Batch::default();
        batch.remove("log", &[1, 2]);
        file.append(&batch).unwrap();
        let bytes = fs::read(folder.join(NAME)).unwrap();
        assert_eq!(bytes.len() as u64, file.length);
        bytes
    }

    fn shape(waiting: &Waiting) -> Vec<String> {
        let numbers = |letters: &BTreeMap<u64, Kept>| letters.keys().map(|n| format!(" {n}")).collect::<String>();
        waiting.iter().map(|(channel, letters)| format!("{channel}:{}", numbers(letters))).collect()
    }

    fn text(seq: u64) -> Arc<[u8]> {
        encode(&overload(seq), &Sender { node: "ns1".into(), boot: "b00t".into() }, &Moment::default())
    }
}
