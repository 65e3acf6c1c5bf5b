//! Frames counted many at a time, in steps, so that the cache lines that each step needs are fetched during the one before it.
//!
//! With a million zones a message costs two cache misses, its bucket and its slot, that depend on one another. Here the
//! misses of many messages overlap. Where all is in a cache, it costs no more than one message after the other.

use super::attribution::Attribution;
use super::lines::Lines;
use super::tally::{Tally, count_frame};
use wire::count::{self, Gain, OTHER};
use wire::zones::{self, Shape, Suffixes};
use wire::{Counters as _, Direction, Link, Message, Node, Packet, Ports, Slice};

/// As many messages are looked up at once: their buckets, then their slots, are a part of a processor's first cache.
const MOST: usize = 128;

/// Messages that count for the node already, but not for their zones.
#[derive(Debug, Default)]
pub struct Batch {
    waiting: Vec<Waiting>,
    /// The hashes of longer suffixes than the first, one message's behind the other's.
    longer: Vec<u64>,
    /// Those whose search goes on.
    searching: Vec<usize>,
}

#[derive(Debug)]
struct Waiting {
    /// The hash of the suffix to be looked up next.
    hash: u64,
    gain: Gain,
    /// The slot of the longest configured suffix found so far.
    slot: u32,
    /// Where the hashes of its longer suffixes begin, and where they end.
    next: u32,
    end: u32,
}

impl Batch {
    /// Counts every message of one frame, as [`count_frame`] does, but for the zones only when the batch is full or
    /// [settled](Self::settle). A batch goes with one attribution and one tally until then.
    #[inline(always)]
    pub fn count_frame(
        &mut self,
        attribution: &Attribution,
        ports: Ports,
        link: Link,
        frame: &[u8],
        known: Option<Direction>,
        tally: &mut Tally,
    ) {
        let Some((shape, buckets)) = attribution.lines() else {
            // Names are learned in the order they come.
            return count_frame(attribution, ports, link, frame, known, tally);
        };
        let mut each = Adding { batch: self, attribution, shape, buckets, frame, known, tally };
        if let Err(skip) = wire::read(&Slice(frame), link, ports, &mut each) {
            tally.node(Node::Skipped(skip));
        }
    }

    /// Counts for the zones what waits.
    pub fn settle(&mut self, attribution: &Attribution, tally: &mut Tally) {
        if let Some((shape, buckets)) = attribution.lines() {
            self.look_up(shape, buckets, tally);
        }
    }

    #[inline(never)]
    fn look_up(&mut self, shape: Shape, buckets: &Lines, tally: &mut Tally) {
        let Self { waiting, longer, searching } = self;
        searching.clear();
        for (index, waiting) in waiting.iter_mut().enumerate() {
            if waiting.step(longer, shape, buckets, tally) {
                searching.push(index);
            }
        }
        while !searching.is_empty() {
            searching.retain(|&index| waiting[index].step(longer, shape, buckets, tally));
        }
        longer.clear();
        for Waiting { gain, slot, .. } in waiting.drain(..) {
            gain.add(slot, tally);
        }
    }
}

impl Waiting {
    /// Looks up a suffix; whether there is a longer one to be looked up.
    #[inline(always)]
    fn step(&mut self, longer: &[u64], shape: Shape, buckets: &Lines, tally: &Tally) -> bool {
        let found = zones::look_up(self.hash, shape, buckets);
        if found.slot != OTHER {
            self.slot = found.slot;
        }
        if found.deeper && self.next < self.end {
            self.hash = longer[self.next as usize];
            self.next += 1;
            buckets.prefetch(zones::first_bucket(self.hash, shape));
            return true;
        }
        tally.prefetch(self.slot);
        false
    }
}

/// Adds the messages of a frame to a batch: a datagram's, in place.
struct Adding<'a> {
    batch: &'a mut Batch,
    attribution: &'a Attribution,
    shape: Shape,
    buckets: &'a Lines,
    frame: &'a [u8],
    known: Option<Direction>,
    tally: &'a mut Tally,
}

impl wire::Each for Adding<'_> {
    #[inline(always)]
    fn message(&mut self, packet: &Packet, message: &Message) {
        let (direction, prefix) = self.attribution.side(self.frame, packet, message, self.known);
        let Some(gain) = count::count_node(packet, message, direction, self.tally) else { return };
        if let Some(prefix) = prefix {
            gain.add(prefix, self.tally);
        }
        let Batch { waiting, longer, .. } = &mut *self.batch;
        let next = longer.len();
        let frame = Slice(self.frame);
        let mut hashes = Suffixes::of(&frame, &message.qname, self.attribution.key(), self.shape);
        let Some(hash) = hashes.next() else { return gain.add(OTHER, self.tally) };
        for hash in hashes {
            longer.push(hash);
        }
        self.buckets.prefetch(zones::first_bucket(hash, self.shape));
        #[expect(clippy::cast_possible_truncation, reason = "a batch has few hashes")]
        waiting.push(Waiting { hash, gain, slot: OTHER, next: next as u32, end: longer.len() as u32 });
        if waiting.len() >= MOST {
            self.batch.look_up(self.shape, self.buckets, self.tally);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::frames;
    use engine::Names;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// Zones at depths 0 to 6, most of them under a name that is none itself.
    static ZONES: LazyLock<Attribution> = LazyLock::new(|| {
        let many = (0..6_000).map(|number| format!("zone{number}.com."));
        let few = ["nl.", "example.nl.", "b.c.example.nl.", "a.b.c.d.example.nl.", "x.zone7.com.", "."];
        let prefixes = ["192.0.2.0/24"];
        Attribution::new(&Names::new(many.chain(few.map(str::to_owned)), prefixes), &[prefixes[0].parse().unwrap()])
    });

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_batch_counts_what_is_counted_one_by_one(
            frames in vec(frame(), 0..3 * MOST),
            known in prop::option::of(any::<bool>()),
            settled in vec(0..3 * MOST, 0..4),
        ) {
            let known = known.map(|sent| if sent { Direction::Sent } else { Direction::Received });
            let [mut direct, mut batched] = [(); 2].map(|()| Tally::new(ZONES.slots()));
            let mut batch = Batch::default();
            for (nth, frame) in frames.iter().enumerate() {
                count_frame(&ZONES, Ports::DNS, Link::Ethernet, frame, known, &mut direct);
                batch.count_frame(&ZONES, Ports::DNS, Link::Ethernet, frame, known, &mut batched);
                if settled.contains(&nth) {
                    batch.settle(&ZONES, &mut batched);
                    prop_assert_eq!(all(&direct), all(&batched));
                }
            }
            batch.settle(&ZONES, &mut batched);
            prop_assert_eq!(all(&direct), all(&batched));
        }
    }

    #[test]
    fn what_is_learned_does_not_wait() {
        let attribution = Attribution::learning();
        let (mut batch, mut tally) = (Batch::default(), Tally::new(attribution.slots()));
        let frame = frames::message("www.example.nl.", false, "203.0.113.9", "192.0.2.1");
        batch.count_frame(&attribution, Ports::DNS, Link::Ethernet, &frame, None, &mut tally);
        assert_eq!(tally.totals(1)[0], 1);
    }

    /// Everything that a tally knows, in an order of its own.
    #[expect(clippy::type_complexity, reason = "it is only compared")]
    fn all(tally: &Tally) -> (Vec<u64>, Vec<(u32, [u64; count::FIELDS], Option<Vec<u64>>)>, Vec<(u32, u64)>, u64) {
        let mut moved = tally.moved.clone();
        moved.sort_unstable();
        let slots = moved.iter().map(|&slot| (slot, tally.totals(slot), tally.codes(slot).map(|codes| codes.to_vec())));
        let mut rows: Vec<_> = tally.moved_rows.iter().map(|&row| tally.row_moved(row)).collect();
        rows.sort_unstable();
        (tally.node.to_vec(), slots.collect(), rows, tally.crowded())
    }

    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let name = prop_oneof![
            (0..7_000_u32).prop_map(|number| format!("www.zone{number}.com.")),
            (0..20_u32).prop_map(|number| format!("Zone{number}.COM.")),
            prop::sample::select(
                &["x.a.b.c.d.example.nl.", "b.c.example.nl.", "c.EXAMPLE.nl.", "nl.", "x.zone7.com.", "org.", "."][..]
            )
            .prop_map(str::to_owned),
        ];
        let broken = prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>()));
        (name, any::<bool>(), any::<bool>(), broken).prop_map(|(name, response, ours, broken)| {
            let server = if ours { "192.0.2.1" } else { "198.51.100.1" };
            let [from, to] = if response { [server, "203.0.113.9"] } else { ["203.0.113.9", server] };
            let mut frame = frames::message(&name, response, from, to);
            if response && ours {
                frame = with_extended_error(frame);
            }
            if let Some((at, byte)) = broken {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
            frame
        })
    }

    /// Appends an OPT record with info-code 22.
    fn with_extended_error(mut frame: Vec<u8>) -> Vec<u8> {
        let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 6, 0, 15, 0, 2, 0, 22];
        frame.extend(opt);
        frame[17] += 17;
        frame[39] += 17;
        frame[53] = 1;
        frame
    }
}
