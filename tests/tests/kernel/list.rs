//! What moved is found by each CPU's list, and without it where the list does not hold it.

use crate::build::{plain, query};
use engine::{Time, Wall};
use oopsd::capture::attribution::Attribution;
use oopsd::capture::kernel::trial::{Hook, Trial};
use std::sync::Arc;
use wire::Ports;
use wire::count::OTHER;

/// More than the lists of two CPUs hold for so few zones: 1,024 entries each.
const ZONES: usize = 2_400;

#[test]
fn what_a_list_does_not_hold_is_found_all_the_same() {
    if !tests::lab::ready(&[]) {
        return;
    }
    let names = (0..ZONES).map(|zone| format!("z{zone}.example."));
    let frames: Vec<_> = names.clone().map(|name| plain(&query(&name))).collect();
    let names = engine::Names::new(names, [""; 0]);
    let mut kernel = Trial::new(&Attribution::new(&Arc::new(names), &[]), Ports::DNS).unwrap();
    let mut expected = vec![0; ZONES];
    for many in [ZONES, 3, 1_000, 0, ZONES, ZONES, 1, 0] {
        for (frame, expected) in frames.iter().zip(&mut expected).take(many) {
            kernel.run(Hook::IngressXdp, frame, 1).unwrap();
            *expected += 1;
        }
        let sample = kernel.sample(Time(0), Wall(0));
        let moved = sample.moved.iter().filter(|moved| moved.slot != OTHER).map(|moved| moved.totals[0]);
        assert_eq!(moved.collect::<Vec<_>>(), expected[..many], "{many}");
        assert!(sample.moved.is_sorted_by(|one, other| one.slot < other.slot), "each once, in order");
    }
}
