//! The file, in folders of its own.

use super::*;
use engine::Action;

#[test]
fn what_was_written_is_found() {
    let place = Place::new();
    assert_eq!(place.include.read().unwrap(), Found::Nothing);
    place.include.replace(&with(Action::Prepend(2))).unwrap();
    assert_eq!(place.include.read().unwrap(), Found::Constants(with(Action::Prepend(2))));
    assert_eq!(place.names(), ["oopsd.conf"]);
}

#[test]
fn a_first_file_is_made_once() {
    let place = Place::new();
    assert!(place.include.create(&Level::always()).unwrap());
    place.include.replace(&with(Action::Prepend(2))).unwrap();
    assert!(!place.include.create(&Level::always()).unwrap());
    assert_eq!(place.include.read().unwrap(), Found::Constants(with(Action::Prepend(2))));
    assert_eq!(place.mode(), 0o644);
}

#[test]
fn the_former_one_is_put_back() {
    let place = Place::new();
    place.include.replace(&with(Action::Prepend(1))).unwrap();
    place.include.replace(&with(Action::Prepend(2))).unwrap();
    assert_eq!(place.names(), [".oopsd.conf.old", "oopsd.conf"]);
    place.include.restore().unwrap();
    assert_eq!(place.include.read().unwrap(), Found::Constants(with(Action::Prepend(1))));
    assert_eq!(place.names(), ["oopsd.conf"]);
}

#[test]
fn mode_and_owner_are_kept() {
    let place = Place::new();
    place.include.create(&Level::always()).unwrap();
    fs::set_permissions(&place.file, Permissions::from_mode(0o640)).unwrap();
    let chowned = std::os::unix::fs::chown(&place.file, None, Some(12_345)).is_ok();
    place.include.replace(&with(Action::Prepend(1))).unwrap();
    assert_eq!(place.mode(), 0o640);
    if chowned {
        assert_eq!(fs::metadata(&place.file).unwrap().gid(), 12_345);
    }
}

#[test]
fn what_a_killed_one_left_is_no_hindrance() {
    let place = Place::new();
    for left in [".oopsd.conf.new", ".oopsd.conf.old"] {
        fs::write(place.folder.path().join(left), "half a li").unwrap();
    }
    place.include.replace(&with(Action::Prepend(1))).unwrap();
    place.include.replace(&with(Action::Prepend(2))).unwrap();
    place.include.settle().unwrap();
    assert_eq!(place.names(), ["oopsd.conf"]);
}

#[test]
fn a_file_that_is_no_file_is_left_alone() {
    let place = Place::new();
    fs::create_dir(&place.file).unwrap();
    place.refused("not a regular file");
    fs::remove_dir(&place.file).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &place.file).unwrap();
    place.refused("not a regular file");
    fs::remove_file(&place.file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&place.file).status().unwrap().success());
    place.refused("not a regular file");
}

#[test]
fn what_everybody_may_write_is_left_alone() {
    let place = Place::new();
    place.include.create(&Level::always()).unwrap();
    fs::set_permissions(&place.file, Permissions::from_mode(0o666)).unwrap();
    place.refused("everybody may write to it");
    fs::set_permissions(&place.file, Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(place.folder.path(), Permissions::from_mode(0o777)).unwrap();
    place.refused("everybody may write to this folder");
}

#[test]
fn damage_is_found_with_its_line() {
    let place = Place::new();
    fs::write(&place.file, "# fine\ndefine OOPSD_PREPEND1_4 = [ 1, 2 ];\n").unwrap();
    assert_eq!(place.include.read().unwrap(), Found::Damaged(2));
    fs::write(&place.file, [0xFF, 0xFE]).unwrap();
    assert_eq!(place.include.read().unwrap(), Found::Damaged(1));
}

struct Place {
    folder: tempfile::TempDir,
    file: PathBuf,
    include: Include,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("oopsd.conf");
        Self { include: Include::new(&file), folder, file }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn mode(&self) -> u32 {
        fs::metadata(&self.file).unwrap().mode() & 0o7777
    }

    fn refused(&self, why: &str) {
        let errors = [self.include.read().unwrap_err(), self.include.replace(&with(Action::Plain)).unwrap_err()];
        assert!(errors.iter().all(|error| error.to_string().contains(why)), "{errors:?}");
    }
}

fn with(action: Action) -> Constants {
    let mut constants = Constants::default();
    constants.define(&Level::always());
    constants.set("192.0.2.0/24".parse().unwrap(), Level::of(action));
    constants
}
