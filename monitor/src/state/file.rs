//! How records are written down: one line that says what follows and its checksum, and JSON.
//!
//! Times on disk are the kernel's time since boot, and which boot: a wall clock may jump, and ahead it would free a budget
//! that is spent. After another boot no more time counts as passed than the machine has been up since.

use engine::{Action, Change, Ladder, Record};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::time::Duration;
use thiserror::Error;

const NAME: &str = "routes";
/// Where a new one is written before it takes the place of the old one.
const NEXT: &str = ".routes.next";
/// Where one that cannot be read is put, for people.
const BROKEN: &str = "routes.broken";

const TITLE: &str = "oopsd routes";
const VERSION: &str = "1";
/// 256 routes take 100 KiB.
const MOST: u64 = 16 << 20;

/// Why what is there cannot be taken up.
#[derive(Debug, Error)]
enum Error {
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    #[error("it is longer than any that oopsd writes")]
    Long,
    #[error("its first line is not one that oopsd writes")]
    Title,
    #[error("it is of version {0:?}, and this oopsd knows {VERSION}")]
    Version(String),
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it says what cannot be")]
    Content(#[source] serde_json::Error),
}

/// The records of a directory, as old as they are now. What cannot be read is set aside: what routers announce is then all
/// that is known.
pub(super) fn read(directory: &Path) -> Vec<Record> {
    let path = directory.join(NAME);
    let text = match text(&path) {
        Ok(None) => return Vec::new(),
        Ok(Some(text)) => Ok(text),
        Err(error) => Err(error),
    };
    match text.and_then(|text| decode(&text, &now())) {
        Ok(records) => records,
        Err(error) => {
            let aside = directory.join(BROKEN);
            let moved = fs::rename(&path, &aside);
            let aside = moved.map_or_else(
                |error| format!("cannot be set aside: {error}"),
                |()| format!("is now {}", aside.display()),
            );
            let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
            tracing::warn!(
                "{}: {error}{cause}; it {aside}. Routes go on from what routers announce, with their whole budget",
                path.display()
            );
            Vec::new()
        }
    }
}

/// Replaces the records of a directory. Whatever happens meanwhile, either the old ones or the new ones are there.
pub(super) fn write(directory: &Path, records: &[Record]) -> io::Result<()> {
    let next = directory.join(NEXT);
    let text = encode(records, &now())?;
    let mut file = File::create(&next)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&next, directory.join(NAME))?;
    File::open(directory)?.sync_all()
}

fn text(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::Read(error)),
    };
    let mut text = Vec::new();
    file.take(MOST + 1).read_to_end(&mut text).map_err(Error::Read)?;
    if text.len() as u64 > MOST { Err(Error::Long) } else { Ok(Some(text)) }
}

/// The kernel's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Moment {
    /// Which boot.
    boot: String,
    /// How long ago that was.
    up_ms: u64,
}

/// What cannot be read says nothing: then no time has passed.
fn now() -> Moment {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let up = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let up = up.split(' ').next().and_then(|up| up.parse::<f64>().ok()).filter(|up| (0.0..1e12).contains(up));
    let up = Duration::from_secs_f64(up.unwrap_or(0.0));
    Moment { boot: boot.trim().to_owned(), up_ms: millis(up) }
}

impl Moment {
    fn since(&self, earlier: &Self) -> Duration {
        let before = if self.boot == earlier.boot { earlier.up_ms } else { 0 };
        Duration::from_millis(self.up_ms.saturating_sub(before))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    at: Moment,
    routes: Vec<Route>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Route {
    router: String,
    prefix: String,
    action: Word,
    kept_ms: u64,
    doubled: u32,
    released: bool,
    spent: bool,
    began_ms_ago: Option<u64>,
    plain_for_ms: Option<u64>,
    plain_until_cleared: bool,
    changes: Vec<Changed>,
    divided: Vec<Option<f64>>,
    steps: Vec<Word>,
    step_every_ms: u64,
    hold_ms: u64,
    max_hold_ms: u64,
    changes_per_hour: usize,
    withdrawals_per_hour: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Changed {
    ms_ago: u64,
    withdrawal: bool,
}

/// An action as it prints.
#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Word(Action);

impl Clone for Word {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.0.to_string()
    }
}

impl TryFrom<String> for Word {
    type Error = engine::NotAnAction;

    fn try_from(text: String) -> Result<Self, engine::NotAnAction> {
        text.parse().map(Self)
    }
}

fn encode(records: &[Record], at: &Moment) -> io::Result<Vec<u8>> {
    let written = Written { at: at.clone(), routes: records.iter().map(Route::from).collect() };
    let body = serde_json::to_vec(&written)?;
    let mut text = format!("{TITLE} {VERSION} {}\n", checksum(&body)).into_bytes();
    text.extend(body);
    text.push(b'\n');
    Ok(text)
}

fn decode(text: &[u8], now: &Moment) -> Result<Vec<Record>, Error> {
    let end = text.iter().position(|&byte| byte == b'\n').ok_or(Error::Title)?;
    let (head, rest) = text.split_at(end);
    let head = std::str::from_utf8(head).map_err(|_| Error::Title)?;
    let head = head.strip_prefix(TITLE).and_then(|head| head.strip_prefix(' ')).ok_or(Error::Title)?;
    let (version, sum) = head.split_once(' ').ok_or(Error::Title)?;
    if version != VERSION {
        return Err(Error::Version(version.chars().take(20).collect()));
    }
    let body = rest.strip_prefix(b"\n").and_then(|rest| rest.strip_suffix(b"\n")).ok_or(Error::Checksum)?;
    if checksum(body) != sum {
        return Err(Error::Checksum);
    }
    let written: Written = serde_json::from_slice(body).map_err(Error::Content)?;
    let passed = now.since(&written.at);
    Ok(written.routes.into_iter().map(|route| Record::from(route).aged(passed)).collect())
}

fn checksum(body: &[u8]) -> String {
    Sha256::digest(body).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<&Record> for Route {
    fn from(record: &Record) -> Self {
        let ladder = &record.ladder;
        Self {
            router: record.router.clone(),
            prefix: record.prefix.clone(),
            action: Word(record.action),
            kept_ms: millis(record.kept),
            doubled: record.doubled,
            released: record.released,
            spent: record.spent,
            began_ms_ago: record.began.map(millis),
            plain_for_ms: record.plain_for.map(|(left, _)| millis(left)),
            plain_until_cleared: record.plain_for.is_some_and(|(_, until_cleared)| until_cleared),
            changes: record
                .changes
                .iter()
                .map(|change| Changed { ms_ago: millis(change.ago), withdrawal: change.withdrawal })
                .collect(),
            divided: record.divided.clone(),
            steps: ladder.steps.iter().copied().map(Word).collect(),
            step_every_ms: millis(ladder.step_every),
            hold_ms: millis(ladder.hold),
            max_hold_ms: millis(ladder.max_hold),
            changes_per_hour: ladder.changes,
            withdrawals_per_hour: ladder.withdrawals,
        }
    }
}

impl From<Route> for Record {
    fn from(route: Route) -> Self {
        let time = Duration::from_millis;
        Self {
            router: route.router,
            prefix: route.prefix,
            action: route.action.0,
            kept: time(route.kept_ms),
            doubled: route.doubled,
            released: route.released,
            spent: route.spent,
            began: route.began_ms_ago.map(time),
            plain_for: route.plain_for_ms.map(|left| (time(left), route.plain_until_cleared)),
            changes: route
                .changes
                .iter()
                .map(|change| Change { ago: time(change.ms_ago), withdrawal: change.withdrawal })
                .collect(),
            divided: route.divided,
            // Nobody climbs by it: what it would ask for on the way up does not matter.
            ladder: Ladder {
                steps: route.steps.into_iter().map(|step| step.0).collect(),
                step_every: time(route.step_every_ms),
                hold: time(route.hold_ms),
                max_hold: time(route.max_hold_ms),
                changes: route.changes_per_hour,
                withdrawals: route.withdrawals_per_hour,
                evidence: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()), []);
        write(folder.path(), &[record()]).unwrap();
        let read = read(folder.path());
        assert!(read[0].is_as(&record()), "{read:?}");
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [NAME]);
    }

    #[test]
    fn nothing_is_made_of_a_file_with_any_byte_changed() {
        let whole = encode(&[record()], &at("a", 1)).unwrap();
        assert!(decode(&whole, &at("a", 1)).is_ok());
        for place in 0..whole.len() {
            for flip in [0x01, 0x20, 0x80, 0xff] {
                let mut broken = whole.clone();
                broken[place] ^= flip;
                assert!(decode(&broken, &at("a", 1)).is_err(), "byte {place} with {flip:#x}");
            }
        }
    }

    #[test]
    fn nothing_is_made_of_a_file_of_any_other_length() {
        let whole = encode(&[record()], &at("a", 1)).unwrap();
        for length in 0..whole.len() {
            assert!(decode(&whole[..length], &at("a", 1)).is_err(), "{length} bytes");
        }
        assert!(decode(&[whole.as_slice(), b"\n"].concat(), &at("a", 1)).is_err());
    }

    #[test]
    fn another_version_is_set_aside_and_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let text = encode(&[record()], &now()).unwrap();
        let newer = String::from_utf8(text).unwrap().replacen("routes 1 ", "routes 2 ", 1);
        assert!(matches!(decode(newer.as_bytes(), &now()), Err(Error::Version(version)) if version == "2"));
        fs::write(folder.path().join(NAME), &newer).unwrap();
        assert_eq!(read(folder.path()), []);
        assert_eq!(fs::read_to_string(folder.path().join(BROKEN)).unwrap(), newer);
        assert!(!folder.path().join(NAME).exists());
    }

    #[test]
    fn time_goes_on_in_one_boot_and_only_as_far_as_it_is_up_in_another() {
        let text = encode(&[record()], &at("a", 5_000_000)).unwrap();
        let ago = |now: &Moment| decode(&text, now).unwrap()[0].changes[0].ago;
        assert_eq!(ago(&at("a", 5_060_000)), Duration::from_secs(60 + 30));
        assert_eq!(ago(&at("a", 1_000)), Duration::from_secs(30), "a clock that went back");
        assert_eq!(ago(&at("b", 10_000)), Duration::from_secs(10 + 30));
    }

    #[test]
    fn a_full_disk_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[record()]).unwrap();
        // What stands where the next one is written cannot be written to.
        fs::create_dir(folder.path().join(NEXT)).unwrap();
        write(folder.path(), &[]).unwrap_err();
        assert_eq!(read(folder.path()).len(), 1);
    }

    fn at(boot: &str, up_ms: u64) -> Moment {
        Moment { boot: boot.to_owned(), up_ms }
    }

    fn record() -> Record {
        Record {
            router: "bird".into(),
            prefix: "192.0.2.0/24".into(),
            action: Action::Prepend(3),
            kept: Duration::MAX,
            doubled: 2,
            released: false,
            spent: true,
            began: Some(HOUR),
            plain_for: Some((HOUR, true)),
            changes: vec![Change { ago: Duration::from_secs(30), withdrawal: false }],
            divided: vec![Some(1.0 / 3.0), None],
            ladder: Ladder {
                steps: vec![Action::Prepend(3), Action::Withdraw],
                step_every: HOUR,
                hold: HOUR,
                max_hold: HOUR,
                changes: 4,
                withdrawals: 1,
                evidence: None,
            },
        }
    }
}
