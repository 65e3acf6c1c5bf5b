//! The same answers in the kernel as in memory.

use crate::build::{QUERY, RESPONSE, ede, ethernet, message, name, opt, plain, query, record, tcp, v4};
use crate::ledger::Ledger;
use crate::shapes;
use engine::{Time, Wall};
use oopsd::capture::attribution::Attribution;
use oopsd::capture::kernel::trial::{Hook, Trial};
use std::sync::Arc;
use wire::{Direction, Node, Ports, Skip};

const HOOKS: [(Hook, Direction, u32); 3] = [
    (Hook::IngressXdp, Direction::Received, XDP_PASS),
    (Hook::IngressTc, Direction::Received, TC_ACT_UNSPEC),
    (Hook::EgressTc, Direction::Sent, TC_ACT_UNSPEC),
];
const XDP_PASS: u32 = 2;
const TC_ACT_UNSPEC: u32 = u32::MAX;

#[test]
fn every_shape_counts_as_in_memory() {
    let Some(mut both) = Both::new() else { return };
    for (what, frame) in shapes::frames() {
        both.agree(&what, &frame);
    }
    println!("{} frames", both.frames);
}

#[test]
fn every_cut_counts_as_in_memory() {
    let Some(mut both) = Both::new() else { return };
    for (nth, (what, frame)) in shapes::frames().into_iter().enumerate() {
        // All of a frame's first part, where its headers are; further on some of them.
        for length in (14..frame.len()).filter(|length| *length < 140 && nth % 3 == 0 || (length + nth) % 17 == 0) {
            both.agree(&format!("{what}, {length} bytes of it"), &frame[..length]);
        }
    }
    println!("{} frames", both.frames);
}

#[test]
fn a_long_walk_goes_on_in_further_programs() {
    let Some(mut both) = Both::new() else { return };
    let answer = record(&[0xC0, 12], 1, &[192, 0, 2, 1]);
    for answers in [150, 180, 200] {
        let many = vec![answer.clone(); answers];
        let long = message(RESPONSE, 0, &name("www.example.com."), [&many, &[], &[opt(0, &[ede(22, b"")])]]);
        both.agree("a long response", &plain(&long));
        both.agree("a long response over TCP", &ethernet(&v4(6, &tcp(&[&long]))));
    }
}

#[test]
fn what_a_segment_holds_beyond_the_kernel_s_limit_is_said() {
    let Some(mut both) = Both::new() else { return };
    let bare = message(QUERY, 0, &name("a."), [&[], &[], &[]]);
    let frame = ethernet(&v4(6, &tcp(&vec![&bare[..]; 60])));
    for (hook, direction, _) in HOOKS {
        let before = both.counted.clone();
        both.kernel.run(hook, &frame, 1).unwrap();
        both.counted.sample(&both.kernel.sample(Time(0), Wall(0)));
        let more = |node: Node| {
            let of = |ledger: &Ledger| ledger.node.get(&node.index()).copied().unwrap_or_default();
            of(&both.counted) - of(&before)
        };
        let query =
            Node::Message { direction, response: false, transport: wire::Transport::Tcp, family: wire::Family::V4 };
        assert!(more(query) >= 30, "{hook:?}: {}", more(query));
        assert_eq!(more(Node::Skipped(Skip::Truncated)), 1, "{hook:?}");
    }
}

#[test]
fn every_shape_counts_as_in_memory_where_softirqs_can_be_preempted() {
    let Some(mut both) = Both::new() else { return };
    both.kernel.preempt(false).unwrap();
    for (what, frame) in shapes::frames() {
        both.agree(&what, &frame);
    }
}

#[test]
fn what_preempts_another_frame_does_without_its_scratch_and_says_so() {
    let Some(mut both) = Both::new() else { return };
    both.kernel.preempt(true).unwrap();
    let asked = query("www.example.com.");
    // More answers than are passed over at once.
    let answers = vec![record(&[0xC0, 12], 1, &[192, 0, 2, 1]); 8];
    let answered = message(RESPONSE, 0, &name("www.example.com."), [&answers, &[], &[opt(0, &[ede(22, b"")])]]);
    both.agree("a query", &plain(&asked));
    let mut more = |frame: &[u8], node: Node| {
        let before = both.counted.node.get(&node.index()).copied().unwrap_or_default();
        both.kernel.run(Hook::EgressTc, frame, 1).unwrap();
        both.counted.sample(&both.kernel.sample(Time(0), Wall(0)));
        both.counted.node.get(&node.index()).copied().unwrap_or_default() - before
    };
    let response = Node::Message {
        direction: Direction::Sent,
        response: true,
        transport: wire::Transport::Udp,
        family: wire::Family::V4,
    };
    assert_eq!(more(&plain(&answered), response), 1);
    assert_eq!(more(&plain(&answered), Node::Unwalked), 1);
    assert_eq!(more(&ethernet(&v4(6, &tcp(&[&answered]))), Node::Skipped(Skip::Truncated)), 1);
}

#[test]
fn names_are_found_whatever_their_place_in_the_frame() {
    let Some(mut both) = Both::new() else { return };
    for zone in shapes::ZONES {
        for labels in 0..12 {
            let text = format!("{}{zone}", "x.".repeat(labels));
            both.agree(&text, &plain(&query(&text)));
            both.agree(&text, &plain(&query(&text.to_ascii_uppercase())));
        }
    }
}

#[test]
fn counters_that_go_round_lose_nothing() {
    const TURNS: [u64; 4] = [1 << 31, 1 << 32, 3 << 31, 1 << 33];
    let Some(both) = Both::new() else { return };
    let Both { mut kernel, .. } = both;
    let (frame, cpus) = (plain(&query("www.example.com.")), kernel.cpus() as u64);
    for shared in [false, true] {
        if shared {
            kernel.preempt(false).unwrap();
        }
        kernel.run(Hook::IngressXdp, &frame, 1).unwrap();
        let first = kernel.sample(Time(0), Wall(0));
        let zone = first.moved.iter().map(|moved| moved.slot).find(|slot| *slot != wire::count::OTHER).unwrap();
        for turn in TURNS {
            kernel.advance(turn - 3);
            for more in 0..6 {
                // At first all is read as after a restart, then as at any tick.
                if more == 0 {
                    kernel.sweep();
                }
                kernel.run(Hook::IngressXdp, &frame, 1).unwrap();
                let sample = kernel.sample(Time(0), Wall(0));
                let queries = sample.moved.iter().find(|moved| moved.slot == zone).map(|moved| moved.totals[0]);
                assert_eq!(queries, Some(cpus * (turn - 3) + more + 1), "{turn}");
            }
            kernel.sweep();
            let whole = kernel.sample(Time(0), Wall(0));
            assert!(whole.moved.is_empty(), "{turn}: {:?}", whole.moved);
        }
    }
}

/// A frame in the kernel and in memory.
struct Both {
    attribution: Attribution,
    kernel: Trial,
    counted: Ledger,
    expected: Ledger,
    frames: usize,
}

impl Both {
    fn new() -> Option<Self> {
        if !tests::lab::ready(&[]) {
            return None;
        }
        // Longest first.
        let prefixes = ["192.0.2.1/32", "2001:db8::2/128", "198.51.100.0/24"];
        let names = engine::Names::new(shapes::ZONES.map(String::from), prefixes);
        let prefixes = prefixes.map(|prefix| prefix.parse().unwrap());
        let attribution = Attribution::new(&Arc::new(names), &prefixes);
        let kernel = Trial::new(&attribution, Ports::DNS).unwrap();
        Some(Self { attribution, kernel, counted: Ledger::default(), expected: Ledger::default(), frames: 0 })
    }

    fn agree(&mut self, what: &str, frame: &[u8]) {
        for (hook, direction, passed) in HOOKS {
            let (returned, _) = match self.kernel.run(hook, frame, 1) {
                Ok(run) => run,
                Err(error) => {
                    let refused = frame.len() < 54 || frame.len() > 3000;
                    assert!(refused && hook != Hook::IngressXdp, "{hook:?} {what}: {error}");
                    continue;
                }
            };
            assert_eq!(returned, passed, "{hook:?} {what}");
            self.frames += 1;
            self.expected.frame(&self.attribution, frame, direction);
            self.counted.sample(&self.kernel.sample(Time(0), Wall(0)));
            assert_eq!(self.counted, self.expected, "{hook:?} {what}: {frame:02x?}");
        }
    }
}
