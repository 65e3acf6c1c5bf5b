//! The queue in memory.

use super::super::letter::encode;
use super::super::letter::tests::letter;
use super::*;
use crate::channel::moment::tests::moment;
pub(in super::super) use crate::json::tests::overload as signal;
use engine::State as Edge;
use std::slice;

#[tokio::test]
async fn a_full_queue_drops_its_oldest_and_what_took_their_places_says_how_many() {
    let outbox = outbox(Waits { count: 2, ..Waits::default() });
    pushed(&outbox, 1..=5);
    assert_eq!((outbox.status().waiting, outbox.status().dropped), (2, 3));
    for (seq, lost) in [(4, 1), (5, 2)] {
        let letter = outbox.next_one().await.unwrap();
        assert_eq!((letter.signal.seq, letter.lost), (seq, lost));
        outbox.accepted(slice::from_ref(&letter), letter.crossed + Duration::from_millis(3));
    }
    let status = outbox.status();
    assert_eq!((status.sent, status.waiting), (2, 0));
    assert!((2_900_000..3_100_000).contains(&status.delay.max()));
}

#[test]
fn bytes_are_bounded_too() {
    let size = text(1).len();
    let outbox = outbox(Waits { bytes: 3 * size, ..Waits::default() });
    pushed(&outbox, 1..=9);
    assert_eq!((outbox.status().waiting, outbox.status().dropped), (3, 6));
}

#[tokio::test]
async fn the_letter_being_sent_is_not_pushed_out() {
    let outbox = outbox(Waits { count: 1, ..Waits::default() });
    pushed(&outbox, 1..=1);
    let taken = outbox.next_one().await.unwrap();
    pushed(&outbox, 2..=3);
    assert_eq!((taken.signal.seq, outbox.status().waiting, outbox.status().dropped), (1, 2, 1));
}

#[tokio::test]
async fn the_first_few_are_taken_and_answered_for_together() {
    let outbox = outbox(Waits { count: 8, ..Waits::default() });
    pushed(&outbox, 1..=8);
    assert_eq!(taken(&outbox, 64).await, [1, 2, 3, 4], "there is room for as much again");
    pushed(&outbox, 9..=10);
    assert_eq!((outbox.status().waiting, outbox.status().dropped), (9, 1), "the first has a place of its own");
    assert!(outbox.discard(Some(&[2, 4, 9])).trying);
    assert!(outbox.is_dropped() && !outbox.is_dropped());
    assert_eq!(taken(&outbox, 3).await, [1, 3, 6]);
    outbox.too_old();
    assert_eq!(taken(&outbox, 2).await, [3, 6]);
    outbox.accepted(&[letter(3), letter(6)], now());
    assert_eq!(taken(&outbox, 2).await, [7, 8]);
    outbox.failed();
    assert_eq!(taken(&outbox, 2).await, [10]);
    let status = outbox.status();
    assert_eq!((status.sent, status.failed, status.dropped, status.waiting), (2, 3, 4, 1));
}

#[tokio::test]
async fn what_is_taken_together_leaves_room_for_as_many_bytes_again() {
    let size = text(1).len();
    let outbox = outbox(Waits { bytes: 6 * size, ..Waits::default() });
    pushed(&outbox, 1..=6);
    assert_eq!(taken(&outbox, 64).await, [1, 2, 3]);
}

#[tokio::test]
async fn one_is_taken_where_the_others_may_still_be_folded() {
    let outbox = outbox(Waits { deliver: Deliver::Latest, ..Waits::default() });
    for (seq, condition) in [(1, "a"), (2, "b"), (3, "b")] {
        let signal = Signal { condition: condition.into(), ..signal(seq) };
        outbox.push(seq, &signal, &encode(&signal, &sender(), &Moment::default()), now());
    }
    assert_eq!(taken(&outbox, 64).await, [1]);
    outbox.accepted(&[letter(1)], now());
    assert_eq!(taken(&outbox, 64).await, [3]);
}

#[tokio::test]
async fn of_a_condition_only_the_newest_waits_where_the_latest_is_wanted() {
    let outbox = outbox(Waits { deliver: Deliver::Latest, ..Waits::default() });
    pushed(&outbox, 1..=1);
    assert_eq!(outbox.next_one().await.unwrap().signal.seq, 1);
    for (seq, condition) in [(2, "a"), (3, "b"), (4, "a"), (5, "a"), (6, "nl-overload")] {
        let signal = Signal { condition: condition.into(), state: Edge::Cleared, ..signal(seq) };
        outbox.push(seq, &signal, &encode(&signal, &sender(), &Moment::default()), now());
    }
    outbox.accepted(&[letter(1)], now());
    let mut got = Vec::new();
    outbox.close();
    while let Some(letter) = outbox.next_one().await {
        got.push((letter.signal.seq, letter.superseded));
        outbox.accepted(slice::from_ref(&letter), now());
    }
    assert_eq!(got, [(3, 0), (5, 2), (6, 0)], "the one that is being sent stands for itself");
    assert_eq!((outbox.status().superseded, outbox.status().dropped), (2, 0));
}

#[tokio::test]
async fn a_closing_outbox_gives_what_waits_and_then_nothing() {
    let outbox = outbox(Waits::default());
    pushed(&outbox, 1..=1);
    outbox.close();
    assert_eq!(outbox.next_one().await.unwrap().signal.seq, 1);
    outbox.failed();
    assert!(outbox.next_one().await.is_none());
}

#[tokio::test]
async fn a_disabled_outbox_drops_everything_until_it_is_enabled() {
    let outbox = outbox(Waits::default());
    pushed(&outbox, 1..=2);
    outbox.next_one().await.unwrap();
    outbox.disable();
    pushed(&outbox, 3..=3);
    let status = outbox.status();
    assert_eq!((status.waiting, status.failed, status.dropped), (0, 1, 2));
    outbox.enable(Waits::default());
    pushed(&outbox, 4..=4);
    assert_eq!(outbox.next_one().await.unwrap().signal.seq, 4);
}

#[tokio::test]
async fn what_an_earlier_run_left_is_as_old_as_the_kernel_says_if_that_runs_still() {
    let (year, day) = (365 * 86_400, 86_400_u64);
    for jump in [-year, 0, year] {
        let outbox = outbox(Waits { age: Duration::from_secs(day), ..Waits::default() });
        let made = moment("this", 100_000);
        let kept = Kept { text: encode(&signal(1), &sender(), &made), superseded: 0, lost: 0 };
        let wall = signal(1).wall.0 + jump * 1_000_000_000;
        outbox.restore([(1, kept)].into(), now(), &moment("this", 100_000 + 600), wall);
        let left = outbox.next_one().await.unwrap().expires - now();
        let expected = Duration::from_secs(day - 600);
        assert!(
            left <= expected && left > expected - Duration::from_secs(5),
            "{left:?} left, the clock was set by {jump} s"
        );
    }
}

#[test]
fn a_queue_that_was_full_loses_nothing_by_a_restart() {
    let outbox = outbox(Waits { count: 3, ..Waits::default() });
    let left = (1..=4).map(|seq| (seq, Kept { text: text(seq), superseded: 0, lost: 0 })).collect();
    outbox.restore(left, now(), &Moment::default(), signal(1).wall.0);
    assert_eq!((outbox.status().waiting, outbox.status().dropped), (4, 0), "one was being sent");
}

#[tokio::test]
async fn what_an_earlier_run_left_is_tried_whatever_the_wall_clock_says() {
    for wall in [i64::MIN, 0, signal(1).wall.0, i64::MAX] {
        let outbox = outbox(Waits::default());
        let kept = Kept { text: text(1), superseded: 1, lost: 2 };
        outbox.restore([(1, kept)].into(), now(), &Moment::default(), wall);
        let letter = outbox.next_one().await.unwrap();
        assert!(letter.expires >= now() + SPARED - Duration::from_secs(1), "at {wall}");
        assert_eq!((letter.id(), letter.superseded, letter.lost), ("b00t-1".into(), 1, 2));
    }
}

/// The numbers of the signals that are taken together.
async fn taken(outbox: &Outbox, most: usize) -> Vec<u64> {
    outbox.next(most).await.unwrap().iter().map(|letter| letter.signal.seq).collect()
}

/// In memory.
pub(in super::super) fn outbox(waits: Waits) -> Outbox {
    Outbox::new("siem", waits, None)
}

/// Puts the signals of these numbers into it.
pub(in super::super) fn pushed(outbox: &Outbox, numbers: impl IntoIterator<Item = u64>) {
    for seq in numbers {
        outbox.push(seq, &signal(seq), &text(seq), now());
    }
}

pub(super) fn text(seq: u64) -> Arc<[u8]> {
    encode(&signal(seq), &sender(), &Moment::default())
}

fn sender() -> super::super::Sender {
    super::super::Sender { node: "ns1".into(), boot: "b00t".into() }
}
