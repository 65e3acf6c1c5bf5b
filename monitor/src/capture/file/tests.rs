//! Capture files written byte by byte, and what is read of them.

use super::*;
use crate::capture::frames;
use engine::Names;
use tempfile::TempDir;
use wire::{Direction, Family, Field, Node, Skip, Transport};

const TICK: Duration = Duration::from_millis(100);
const SECOND: i64 = 1_000_000_000;
/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600 * SECOND;

#[test]
fn every_frame_counts_in_the_tick_it_belongs_to() {
    let times = [0, 99_999_999, 100_000_000, 250_000_000];
    let (extent, samples) = replay(&[nanosecond_pcap(&times)]).unwrap();
    assert_eq!(
        extent,
        Extent { frames: 4, first: Some(Wall(START)), last: Some(Wall(START + times[3])), cut: vec![], failed: None }
    );
    assert_eq!(queries(&samples), [(0, 0), (100_000_000, 2), (200_000_000, 3), (300_000_000, 4)]);
    assert!(
        samples.iter().all(|sample| sample.at.0 == u64::try_from(sample.wall.0).unwrap() && sample.generation == 0)
    );
    assert_eq!(samples[1].moved[0].slot, 1);
    assert_eq!(samples[3].sight, Sight { blind: vec![], frames: 4, dropped: 0, missed: 0 });
}

#[test]
fn silence_has_its_ticks_too() {
    let (_, samples) = replay(&[nanosecond_pcap(&[0, 60 * SECOND])]).unwrap();
    assert_eq!(samples.len(), 602);
    assert!(samples[2..601].iter().all(|sample| sample.moved.is_empty()));
}

#[test]
fn hours_of_silence_are_stepped_over() {
    let day = 24 * 3600 * SECOND;
    let (_, samples) = replay(&[nanosecond_pcap(&[0, day + 50_000_000, day + 150_000_000])]).unwrap();
    let expected = [(0, 0), (100_000_000, 1), (day, 1), (day + 100_000_000, 2), (day + 200_000_000, 3)];
    assert_eq!(queries(&samples), expected);
}

#[test]
fn time_that_goes_backwards_stands_still() {
    let (extent, samples) = replay(&[nanosecond_pcap(&[SECOND, 0, SECOND])]).unwrap();
    assert_eq!(queries(&samples), [(SECOND, 0), (SECOND + 100_000_000, 3)]);
    assert_eq!((extent.first, extent.last), (Some(Wall(START + SECOND)), Some(Wall(START + SECOND))));
}

#[test]
fn absurd_times_end() {
    let absurd = Pcapng::default().interface(1).at(u64::MAX, &query()).at(0, &query()).0;
    let (extent, samples) = replay(&[absurd]).unwrap();
    assert_eq!((extent.frames, samples.len()), (2, 2));
}

#[test]
fn files_follow_one_another_in_one_time() {
    let pcapng = Pcapng::default().interface(1).at(u64::try_from((START + SECOND) / 1000).unwrap(), &query()).0;
    let microseconds = pcap(0xA1B2_C3D4, 1, &[(START / SECOND, 500_000, &query())]);
    let (extent, samples) = replay(&[nanosecond_pcap(&[0]), microseconds, pcapng]).unwrap();
    assert_eq!((extent.frames, extent.last), (3, Some(Wall(START + SECOND))));
    assert_eq!(samples.last().unwrap().node[received_query()], 3);
}

#[test]
fn a_record_that_is_cut_off_is_reported_and_what_came_before_counts() {
    let pcap = nanosecond_pcap(&[0, 1]);
    let pcapng = Pcapng::default().interface(1).at(0, &query()).at(0, &query()).0;
    for (whole, why) in [(pcap, "truncated dump file; "), (pcapng, "truncated pcapng dump file; ")] {
        for missing in [1, query().len() + 10] {
            let cut = whole[..whole.len() - missing].to_vec();
            let (extent, samples) = replay(&[cut, nanosecond_pcap(&[5])]).unwrap();
            assert_eq!((extent.frames, extent.cut.len(), extent.cut[0].after), (2, 1, 1));
            assert!(extent.cut[0].why.starts_with(why), "{}", extent.cut[0].why);
            assert_eq!(samples.last().unwrap().node[received_query()], 2);
        }
    }
}

#[test]
fn a_frame_that_the_capture_cut_is_counted_as_such() {
    let frame = query();
    let mut file = pcap(0xA1B2_3C4D, 1, &[(0, 0, &frame[..60])]);
    file[24 + 12..24 + 16].copy_from_slice(&u32::try_from(frame.len()).unwrap().to_le_bytes());
    let (_, samples) = replay(&[file]).unwrap();
    assert_eq!(samples.last().unwrap().node[Node::Skipped(Skip::Truncated).index()], 1);
}

#[test]
fn an_empty_capture_has_no_samples() {
    assert_eq!(replay(&[nanosecond_pcap(&[])]).unwrap(), (Extent::default(), vec![]));
}

#[test]
fn what_cannot_be_read_is_named() {
    let mixed = Pcapng::default().interface(1).interface(113).0;
    for (file, said) in [
        (vec![], "0.pcap: truncated dump file; tried to read 4 file header bytes, only got 0"),
        (
            b"not a capture, but long enough".to_vec(),
            "0.pcap: unknown file format; oopsd reads pcap and pcapng, not compressed",
        ),
        (
            pcap(0xA1B2_3C4D, 105, &[]),
            "0.pcap: link type IEEE802_11 (105); oopsd reads Ethernet, Linux cooked v1 and v2, raw IP and BSD loopback",
        ),
        (mixed, "0.pcap: after 0 frames: an interface has a type 113 different from the type of the first interface"),
    ] {
        assert_eq!(replay(&[file]).unwrap_err().to_string(), said);
    }
    let missing = read_all(&[PathBuf::from("nowhere.pcap")]).unwrap_err();
    assert_eq!(missing.to_string(), "nowhere.pcap: No such file or directory (os error 2)");
}

/// Replays files with these contents for the zone `nl.`, with their folder cut off from errors.
#[expect(clippy::unwrap_in_result, reason = "the result is of what is tested, not of the test's own files")]
fn replay(contents: &[Vec<u8>]) -> Result<(Extent, Vec<Sample>), Error> {
    let folder = TempDir::new().unwrap();
    let files: Vec<PathBuf> = (0..contents.len()).map(|index| folder.path().join(format!("{index}.pcap"))).collect();
    for (file, content) in files.iter().zip(contents) {
        std::fs::write(file, content).unwrap();
    }
    let short = |file: &mut PathBuf| *file = file.file_name().unwrap().into();
    read_all(&files).map_err(|mut error| {
        match &mut error {
            Error::Open { file, .. } | Error::Link { file, .. } | Error::Broken { file, .. } => short(file),
        }
        error
    })
}

fn read_all(files: &[PathBuf]) -> Result<(Extent, Vec<Sample>), Error> {
    let attribution = Attribution::new(&Names::new(["nl."], [""; 0]), &[]);
    let mut samples = Vec::new();
    let each = |sample| samples.push(sample);
    let mut extent = read(files, Ports::DNS, &attribution, TICK, &ProgressBar::hidden(), each);
    extent.failed.take().map_or(Ok((extent, samples)), Err)
}

/// Queries received so far at each sample, with the time since [`START`].
fn queries(samples: &[Sample]) -> Vec<(i64, u64)> {
    let mut total = 0;
    let mut at = |sample: &Sample| {
        total = sample.moved.first().map_or(total, |moved| moved.totals[Field::Queries as usize]);
        (sample.wall.0 - START, total)
    };
    samples.iter().map(&mut at).collect()
}

fn received_query() -> usize {
    let (direction, transport, family) = (Direction::Received, Transport::Udp, Family::V4);
    Node::Message { direction, response: false, transport, family }.index()
}

fn nanosecond_pcap(times: &[i64]) -> Vec<u8> {
    let frame = query();
    let at = |time: &i64| ((START + time) / SECOND, (START + time) % SECOND, &*frame);
    pcap(0xA1B2_3C4D, 1, &times.iter().map(at).collect::<Vec<_>>())
}

/// A pcap file, little-endian.
fn pcap(magic: u32, linktype: u32, records: &[(i64, i64, &[u8])]) -> Vec<u8> {
    let mut file = words(&[magic, 0x0004_0002, 0, 0, 65_535, linktype]);
    for (seconds, fraction, frame) in records {
        let length = u32::try_from(frame.len()).unwrap();
        let [seconds, fraction] = [seconds, fraction].map(|&part| u32::try_from(part).unwrap());
        file.extend(words(&[seconds, fraction, length, length]));
        file.extend_from_slice(frame);
    }
    file
}

/// A pcapng file, little-endian, with times in microseconds.
struct Pcapng(Vec<u8>);

impl Default for Pcapng {
    fn default() -> Self {
        Self(words(&[0x0A0D_0D0A, 28, 0x1A2B_3C4D, 1, u32::MAX, u32::MAX, 28]))
    }
}

impl Pcapng {
    fn interface(mut self, linktype: u32) -> Self {
        self.0.extend(words(&[1, 20, linktype, 65_535, 20]));
        self
    }

    #[expect(clippy::cast_possible_truncation, reason = "the format has the time in two halves")]
    fn at(mut self, time: u64, frame: &[u8]) -> Self {
        let length = u32::try_from(frame.len()).unwrap();
        let block = 32 + length.next_multiple_of(4);
        self.0.extend(words(&[6, block, 0, (time >> 32) as u32, time as u32, length, length]));
        self.0.extend_from_slice(frame);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.0.extend(words(&[block]));
        self
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn query() -> Vec<u8> {
    frames::message("www.example.nl.", false, "203.0.113.9", "192.0.2.1")
}
