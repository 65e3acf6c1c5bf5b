//! What the file of constants says, to the byte, and what is not read as one.

use super::*;

#[test]
fn the_file_is_as_it_always_was() {
    let mut constants = Constants::default();
    constants.define(&Level::always());
    for (prefix, action) in [
        ("192.0.2.0/24", Action::Prepend(2)),
        ("198.51.100.0/24", Action::Prepend(2)),
        ("2001:db8::/48", Action::Prepend(10)),
        ("203.0.113.0/24", Action::Med(200)),
        ("2001:db8:1::/48", Action::Community(64999, 666)),
        ("2001:db8:2::/48", Action::GracefulShutdown),
    ] {
        assert!(constants.set(prefix.parse().unwrap(), Level::of(action)));
    }
    insta::assert_snapshot!(constants.render(), @r#"
    # Written by oopsd, which replaces it whole: edit nothing here. `oopsd check` prints what bird.conf needs beside it.
    # Back to plain paths without oopsd: empty every set, [], and `birdc configure`.
    define OOPSD_PREPEND1_4 = [];
    define OOPSD_PREPEND1_6 = [];
    define OOPSD_PREPEND2_4 = [ 192.0.2.0/24, 198.51.100.0/24 ];
    define OOPSD_PREPEND2_6 = [];
    define OOPSD_PREPEND3_4 = [];
    define OOPSD_PREPEND3_6 = [];
    define OOPSD_PREPEND10_4 = [];
    define OOPSD_PREPEND10_6 = [ 2001:db8::/48 ];
    define OOPSD_MED200_4 = [ 203.0.113.0/24 ];
    define OOPSD_MED200_6 = [];
    define OOPSD_COMMUNITY_64999_666_4 = [];
    define OOPSD_COMMUNITY_64999_666_6 = [ 2001:db8:1::/48 ];
    define OOPSD_GRACEFUL_SHUTDOWN_4 = [];
    define OOPSD_GRACEFUL_SHUTDOWN_6 = [ 2001:db8:2::/48 ];
    define OOPSD_SUM = 682825987;
    "#);
}

#[test]
fn a_file_without_prefixes_has_empty_sets() {
    let mut constants = Constants::default();
    constants.define(&Level::always());
    insta::assert_snapshot!(constants.render(), @r#"
    # Written by oopsd, which replaces it whole: edit nothing here. `oopsd check` prints what bird.conf needs beside it.
    # Back to plain paths without oopsd: empty every set, [], and `birdc configure`.
    define OOPSD_PREPEND1_4 = [];
    define OOPSD_PREPEND1_6 = [];
    define OOPSD_PREPEND2_4 = [];
    define OOPSD_PREPEND2_6 = [];
    define OOPSD_PREPEND3_4 = [];
    define OOPSD_PREPEND3_6 = [];
    define OOPSD_GRACEFUL_SHUTDOWN_4 = [];
    define OOPSD_GRACEFUL_SHUTDOWN_6 = [];
    define OOPSD_SUM = 3820012610;
    "#);
}

#[test]
fn every_name_is_of_one_level_and_family() {
    let prepends = (1..=MOST_PREPENDS).map(Action::Prepend);
    let others = [Action::Med(0), Action::Med(u32::MAX), Action::Community(0, 65535), Action::GracefulShutdown];
    let mut names = BTreeSet::new();
    for action in prepends.chain(others) {
        for family in Family::BOTH {
            let level = Level::of(action).unwrap();
            assert_eq!(Level::of_name(&level.name(family)), Some((level, family)));
            assert!(names.insert(level.name(family)));
            // What BIRD takes as the name of a symbol.
            assert!(level.name(family).len() < 64);
        }
    }
}

#[test]
fn plain_withdraw_and_too_many_prepends_are_no_levels() {
    for action in [Action::Plain, Action::Withdraw, Action::Prepend(0), Action::Prepend(11)] {
        assert_eq!(Level::of(action), None);
    }
}

#[test]
fn a_file_is_read_as_it_was_written() {
    let mut constants = Constants::default();
    constants.define(&Level::always());
    constants.set("192.0.2.0/24".parse().unwrap(), Level::of(Action::Prepend(3)));
    constants.set("2001:db8::/48".parse().unwrap(), Level::of(Action::Med(7)));
    assert_eq!(Constants::parse(&constants.render()), Ok(constants));
}

#[test]
fn what_oopsd_would_not_write_is_not_read() {
    for line in [
        "define OOPSD_PREPEND1_4 = [ 1, 2 ];",
        "define OOPSD_PREPEND1_4 = [ 2001:db8::/48 ];",
        "define OOPSD_PREPEND1_6 = [ 192.0.2.0/24 ];",
        "define OOPSD_PREPEND1_4 = [ 192.0.2.1/24 ];",
        "define OOPSD_PREPEND1_4 = [ 0.0.0.0/0 ];",
        "define OOPSD_PREPEND1_4 = [ 192.0.2.0/24+ ];",
        "define OOPSD_PREPEND1_4 = [ 192.0.2.0/24 ]",
        "define OOPSD_PREPEND01_4 = [];",
        "define OOPSD_PREPEND11_4 = [];",
        "define OOPSD_WITHDRAW_4 = [];",
        "define OOPSD_SUM = \"7\";",
        "protocol device {}",
    ] {
        assert_eq!(Constants::parse(&format!("# first\n{line}\n")), Err(2), "{line}");
    }
}

#[test]
fn a_file_that_was_cut_off_anywhere_is_not_read() {
    let mut constants = Constants::default();
    constants.define(&Level::always());
    constants.set("192.0.2.0/24".parse().unwrap(), Level::of(Action::Prepend(3)));
    let text = constants.render();
    for length in 0..text.len() {
        assert!(Constants::parse(&text[..length]).is_err(), "{length}");
    }
}

#[test]
fn host_bits_and_default_routes_are_not_set() {
    let mut constants = Constants::default();
    for prefix in ["192.0.2.1/24", "0.0.0.0/0", "::/0", "2001:db8::1/48"] {
        assert!(!constants.set(prefix.parse().unwrap(), Level::of(Action::Prepend(1))), "{prefix}");
    }
    assert_eq!(constants, Constants::default());
}

#[test]
fn a_prefix_is_in_one_set() {
    let (prefix, mut constants) = ("192.0.2.0/24".parse().unwrap(), Constants::default());
    for action in [Action::Prepend(1), Action::Med(5), Action::Prepend(3)] {
        constants.set(prefix, Level::of(action));
        assert_eq!(constants.level(prefix), Level::of(action));
        assert_eq!(constants.render().matches("192.0.2.0/24").count(), 1);
    }
    constants.set(prefix, None);
    assert_eq!(constants.prefixes(), BTreeSet::new());
}

#[test]
fn the_sum_is_of_the_prefixes_and_not_of_the_names() {
    let mut constants = Constants::default();
    let empty = constants.sum();
    constants.define(&Level::always());
    assert_eq!(constants.sum(), empty);
    constants.set("192.0.2.0/24".parse().unwrap(), Level::of(Action::Prepend(1)));
    let one = constants.sum();
    constants.set("192.0.2.0/24".parse().unwrap(), Level::of(Action::Prepend(2)));
    assert!(one != empty && constants.sum() != one && constants.sum() != empty);
}
