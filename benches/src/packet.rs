//! One frame: classified, attributed and counted. Beside it peers that only parse the DNS message in it.

use crate::figure::{Figure, in_turn, nanoseconds};
use crate::frames::{self, Over};
use crate::{Outcome, table};
use domain::base::Message;
use domain::base::opt::ExtendedError;
use oopsd::capture::attribution::Attribution;
use oopsd::capture::batch::Batch;
use oopsd::capture::tally::Tally;
use std::hint::black_box;
use std::sync::Arc;
use wire::{Direction, Field, Link, Ports};

const THOUSAND: u64 = 1_000;
const MILLION: u64 = 1_000_000;
const ACTIVE: u64 = 65_536;

/// Measures queries and responses with a thousand zones.
pub(crate) fn measure() -> Outcome<()> {
    let thousand = attribution(THOUSAND);
    let queries: Vec<_> = (0..THOUSAND).map(|number| frames::query(&frames::zone(number * 617 % THOUSAND))).collect();
    let [ours, hickory, domain] = beside_peers(&thousand, &queries, Direction::Received, Field::Queries);
    table::ours("query of 87 bytes, 1 K zones: classify, attribute, count", "ns", &ours, Some(25.0));
    table::peer("hickory-proto: Message::from_vec", "ns", &hickory, &ours, Some(0.1));
    table::peer("domain: question and OPT", "ns", &domain, &ours, None);

    let responses: Vec<_> = (0..THOUSAND)
        .map(|number| frames::response(&format!("www.{}", frames::zone(number * 617 % THOUSAND)), 2, 2, Some(22)))
        .collect();
    let [ours, hickory, domain] = beside_peers(&thousand, &responses, Direction::Sent, Field::WithExtendedError);
    table::ours("response, 2 answers, extended error: whole walk", "ns", &ours, Some(45.0));
    table::peer("hickory-proto: Message::from_vec", "ns", &hickory, &ours, None);
    table::peer("domain: question, OPT and extended error", "ns", &domain, &ours, None);
    Ok(())
}

/// Measures queries with a million zones.
pub(crate) fn measure_million() -> Outcome<()> {
    let million = attribution(MILLION);
    let step = MILLION / ACTIVE;
    let queries: Vec<_> =
        (0..ACTIVE).map(|number| frames::query(&frames::zone(number.wrapping_mul(40_503) % ACTIVE * step))).collect();
    let frames = Frames::new(&queries);
    let (mut batch, mut tally) = (Batch::default(), Tally::new(million.slots()));
    let mut count = nanoseconds(queries.len(), || frames.count(&million, Direction::Received, &mut batch, &mut tally));
    let [ours] = in_turn(60, [&mut count]);
    table::ours("query of 87 bytes, 1 M zones, 64 K of them active", "ns", &ours, Some(60.0));
    Ok(())
}

fn attribution(zones: u64) -> Attribution {
    let names = engine::Names::new((0..zones).map(frames::zone), [""; 0]);
    Attribution::new(&Arc::new(names), &[])
}

fn beside_peers(attribution: &Attribution, messages: &[Vec<u8>], direction: Direction, field: Field) -> [Figure; 3] {
    const PASSES: usize = 8;
    let frames = Frames::new(messages);
    let (mut batch, mut tally) = (Batch::default(), Tally::new(attribution.slots()));
    let mut count = nanoseconds(PASSES * messages.len(), || {
        (0..PASSES).for_each(|_| frames.count(attribution, direction, &mut batch, &mut tally));
    });
    let mut hickory = nanoseconds(messages.len(), || {
        for message in messages {
            black_box(hickory_proto::op::Message::from_vec(black_box(message)).expect("the message is well-formed"));
        }
    });
    let mut domain = nanoseconds(messages.len(), || {
        for message in messages {
            let message = Message::from_slice(black_box(message)).expect("the message is well-formed");
            black_box(message.sole_question().expect("it has a question"));
            let opt = message.opt().expect("it has an OPT record");
            black_box(opt.opt().iter::<ExtendedError<_>>().next());
        }
    });
    let figures = in_turn(100, [&mut count, &mut hickory, &mut domain]);
    drop(count);
    assert!((1..=attribution.slots().zones).all(|slot| tally.totals(slot)[field as usize] > 0), "all was counted");
    figures
}

/// Frames one behind the other, as in a packet socket's ring.
struct Frames {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Frames {
    fn new(messages: &[Vec<u8>]) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for message in messages {
            bytes.extend(frames::frame(message, Over::V4, 7));
            ends.push(bytes.len());
        }
        Self { bytes, ends }
    }

    #[inline(never)]
    fn count(&self, attribution: &Attribution, direction: Direction, batch: &mut Batch, tally: &mut Tally) {
        let mut start = 0;
        for &end in &self.ends {
            let frame = &self.bytes[start..end];
            batch.count_frame(attribution, Ports::DNS, Link::Ethernet, frame, Some(direction), tally);
            start = end;
        }
        batch.settle(attribution, tally);
    }
}
