//! Reads ahead: one thread takes records from libpcap while another counts those before them.

use super::source::Source;
use crossbeam_channel::bounded;
use pcap::{Capture, Offline};
use std::panic::resume_unwind;
use std::thread;

/// As many batches wait to be counted. With their bytes they are about the size of a cache.
const AHEAD: usize = 4;

/// A batch is full with so many bytes.
const BYTES: usize = 128 << 10;

/// Gives `each` every frame with its time, in nanoseconds since 1970, in batches of at most `most`; what ended it.
pub(super) fn frames(mut source: Source, most: usize, mut each: impl FnMut(i64, &[u8])) -> pcap::Error {
    let (full, batches) = bounded::<Batch>(AHEAD);
    let (empty, spare) = bounded::<Batch>(AHEAD);
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            loop {
                let mut batch = spare.try_recv().unwrap_or_default();
                let filled = batch.fill(&mut source.capture, most);
                if full.send(batch).is_err() {
                    return pcap::Error::NoMorePackets;
                }
                if let Err(error) = filled {
                    return error;
                }
            }
        });
        for mut batch in batches {
            batch.drain(&mut each);
            // With no place for it, it is not needed again.
            let _ = empty.try_send(batch);
        }
        reader.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Frames one behind the other.
#[derive(Default)]
struct Batch {
    /// The time of each, and where it ends.
    frames: Vec<(i64, usize)>,
    bytes: Vec<u8>,
}

impl Batch {
    fn fill(&mut self, capture: &mut Capture<Offline>, most: usize) -> Result<(), pcap::Error> {
        while self.frames.len() < most && self.bytes.len() < BYTES {
            let packet = capture.next_packet()?;
            // With nanosecond precision libpcap puts nanoseconds where microseconds were.
            let time = packet.header.ts.tv_sec.saturating_mul(1_000_000_000).saturating_add(packet.header.ts.tv_usec);
            self.bytes.extend_from_slice(packet.data);
            self.frames.push((time, self.bytes.len()));
        }
        Ok(())
    }

    fn drain(&mut self, each: &mut impl FnMut(i64, &[u8])) {
        let mut begin = 0;
        for (time, end) in self.frames.drain(..) {
            each(time, &self.bytes[begin..end]);
            begin = end;
        }
        self.bytes.clear();
    }
}
