//! The queue with its disk: crashes at any moment, disks that fail, a disk that never answers.

use super::journal::Journal;
use super::tests::{pushed, text};
use super::*;
use std::fs;
use std::path::Path;
use std::slice;
use tempfile::TempDir;

#[test]
fn what_is_on_the_disk_at_any_moment_is_all_that_was_sent_and_not_accepted() {
    let lab = Lab::new();
    let outbox = lab.outbox(Waits::default());
    let mut random = 1_u64;
    let (mut next, mut accepted) = (1, 0);
    for _ in 0..300 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let burst = random >> 61;
        pushed(&outbox, next..next + burst);
        next += burst;
        if outbox.status().waiting == 0 {
            continue;
        }
        let letter = lab.block_on(outbox.next_one()).unwrap();
        assert_eq!(letter.signal.seq, accepted + 1);
        // The receiver has it, and we are killed.
        let left = lab.left_by_a_crash();
        assert!(left.contains(&letter.signal.seq), "{} was sent, but is not on the disk: {left:?}", letter.signal.seq);
        assert!(left.is_sorted() && left.last() < Some(&next), "{left:?}");
        let last = *left.last().unwrap();
        assert!((letter.signal.seq..=last).all(|seq| left.contains(&seq)), "a gap in {left:?}");
        outbox.accepted(slice::from_ref(&letter), now());
        accepted = letter.signal.seq;
    }
    assert!(lab.journal.finish(Instant::now() + Duration::from_secs(10)));
    assert_eq!(lab.left_by_a_crash(), (accepted + 1..next).collect::<Vec<_>>());
}

#[test]
fn the_file_gets_shorter_again() {
    let lab = Lab::new();
    let outbox = lab.outbox(Waits::default());
    for round in 0..8 {
        pushed(&outbox, round * 1_000 + 1..=(round + 1) * 1_000);
        for _ in 0..1_000 {
            let letter = lab.block_on(outbox.next_one()).unwrap();
            outbox.accepted(slice::from_ref(&letter), now());
        }
    }
    // Eight times 250 KiB went through it, and it begins with next to nothing.
    wait_until(|| lab.journal.standing().bytes < 1_200_000 && lab.left_by_a_crash().is_empty());
}

#[test]
fn without_a_folder_signals_go_on_in_memory_and_with_it_they_are_on_the_disk_again() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("later");
    fs::write(&missing, "a file, not a folder").unwrap();
    let lab = Lab::at(&missing, folder);
    let outbox = lab.outbox(Waits { count: 5, ..Waits::default() });
    pushed(&outbox, 1..=9);
    let start = Instant::now();
    let letter = lab.block_on(outbox.next_one()).unwrap();
    assert_eq!((letter.signal.seq, outbox.status().dropped), (5, 4), "within its cap");
    assert!(start.elapsed() < PATIENCE, "nothing waits for a disk that is known to fail");
    assert!(!lab.journal.standing().durable && lab.journal.standing().failures > 0);
    fs::remove_file(&missing).unwrap();
    wait_until(|| lab.journal.standing().durable);
    assert_eq!(lab.left_by_a_crash(), (5..=9).collect::<Vec<_>>());
}

#[test]
fn a_channel_that_is_no_longer_configured_keeps_what_waits_until_it_is_again() {
    let lab = Lab::new();
    let outbox = lab.outbox(Waits::default());
    pushed(&outbox, 1..=3);
    let lab = lab.again();
    lab.journal.serve(Vec::new());
    wait_until(|| lab.journal.standing().bytes > 0);
    assert!(lab.journal.finish(Instant::now() + Duration::from_secs(10)));
    assert_eq!(lab.left_by_a_crash(), [1, 2, 3]);
}

#[test]
fn nothing_is_written_before_every_channel_has_what_was_left_for_it() {
    let lab = Lab::new();
    let outbox = lab.outbox(Waits::default());
    pushed(&outbox, 1..=3);
    let lab = lab.again();
    let outbox = Outbox::new("siem", Waits::default(), Some(lab.journal.wake()));
    outbox.restore(lab.journal.left_for("siem"), now(), &Moment::default(), 0);
    let letter = lab.block_on(outbox.next_one()).unwrap();
    outbox.accepted(slice::from_ref(&letter), now());
    // Several times what it would linger: a write would leave out what is not served yet.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(lab.left_by_a_crash(), [1, 2, 3]);
    lab.journal.serve(vec![Arc::new(outbox)]);
    wait_until(|| lab.left_by_a_crash() == [2, 3]);
}

#[test]
fn whatever_byte_is_damaged_it_starts_sends_the_rest_and_is_durable_again() {
    let lab = Lab::new();
    let outbox = lab.outbox(Waits::default());
    pushed(&outbox, 1..=3);
    assert!(lab.journal.finish(Instant::now() + Duration::from_secs(10)));
    let file = lab.path.join("outbox/signals");
    let (whole, mut lab) = (fs::read(&file).unwrap(), lab);
    let (mut aside, mut lost) = (0, 0);
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0x55;
        fs::write(&file, &broken).unwrap();
        lab = Lab::at(&lab.path, lab.folder);
        let outbox = lab.outbox(Waits::default());
        pushed(&outbox, [100]);
        wait_until(|| lab.journal.standing().unwritten == 0 && lab.journal.standing().bytes > 0);
        let left = lab.left_by_a_crash();
        assert!(left.is_sorted() && left.len() >= 2 || at < 15, "byte {at}: {left:?}");
        lost += 4 - left.len();
        aside += u64::from(lab.journal.standing().broken_lines > 0);
        assert_eq!(lab.block_on(outbox.next_one()).unwrap().signal.seq, left[0], "it goes on");
        assert!(lab.journal.finish(Instant::now() + Duration::from_secs(10)));
    }
    println!(
        "{} bytes damaged, one at a time: {aside} starts said so, {lost} signals of {} lost, no start failed",
        whole.len(),
        3 * whole.len()
    );
    assert!(aside + 20 >= whole.len() as u64 && lost < 2 * whole.len());
}

#[test]
fn a_disk_that_never_answers_keeps_no_signal_waiting() {
    let lab = Lab::new();
    // Its thread was never told of this one.
    let outbox = Outbox::new("siem", Waits::default(), Some(lab.journal.wake()));
    pushed(&outbox, 1..=2);
    let start = Instant::now();
    for seq in 1..=2 {
        let letter = lab.block_on(outbox.next_one()).unwrap();
        assert_eq!(letter.signal.seq, seq);
        outbox.accepted(slice::from_ref(&letter), now());
    }
    assert!((PATIENCE / 2..2 * PATIENCE).contains(&start.elapsed()), "{:?}", start.elapsed());
}

struct Lab {
    folder: TempDir,
    path: std::path::PathBuf,
    journal: Journal,
    runtime: tokio::runtime::Runtime,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        Self::at(&path, folder)
    }

    fn at(path: &Path, folder: TempDir) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { folder, path: path.to_owned(), journal: Journal::start(path).unwrap().unwrap(), runtime }
    }

    /// A start after an orderly end.
    fn again(self) -> Self {
        assert!(self.journal.finish(Instant::now() + Duration::from_secs(10)));
        Self::at(&self.path, self.folder)
    }

    fn outbox(&self, waits: Waits) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::new("siem", waits, Some(self.journal.wake())));
        outbox.restore(self.journal.left_for("siem"), now(), &Moment::default(), 0);
        self.journal.serve(vec![Arc::clone(&outbox)]);
        outbox
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// What the next start would send, were this one killed now.
    fn left_by_a_crash(&self) -> Vec<u64> {
        let image = tempfile::tempdir().unwrap();
        fs::copy(self.path.join("outbox/signals"), image.path().join("signals")).unwrap();
        let found = file::read(image.path()).unwrap();
        assert_eq!(found.aside, None);
        let left = found.waiting.get("siem").cloned().unwrap_or_default();
        assert!(left.iter().all(|(&number, kept)| kept.text == text(number)));
        left.into_keys().collect()
    }
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never came");
        std::thread::sleep(Duration::from_millis(1));
    }
}
