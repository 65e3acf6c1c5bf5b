//! How much the verifier has to look at, which differs from kernel to kernel: 6.1 looks at half as much again.

/// A kernel refuses more than a million.
const CEILING: u32 = 450_000;

#[test]
fn the_verifier_has_room_left() {
    if !tests::lab::ready(&[]) {
        return;
    }
    let all = oopsd::capture::kernel::trial::verified().unwrap();
    assert_eq!(all.len(), 10, "{all:?}");
    for (name, verified) in all {
        println!("{name}: {verified} instructions verified");
        assert!(verified < CEILING, "{name}: {verified}");
    }
}
