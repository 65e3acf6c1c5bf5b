//! Sending what waits for a channel to its other side: in order, one signal or a few in each attempt, until it says yes or a
//! signal is too old.
//!
//! What an attempt is depends on the other side; how long to wait for the next one is `retry`'s.

use super::letter::Letter;
use super::outbox::Outbox;
use super::retry::Pace;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has it.
    Yes,
    /// It is no more, and nothing is to be sent to it again.
    Gone,
    /// Not now.
    No {
        /// In its words, or in ours.
        why: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
        /// It has too much to do.
        overloaded: bool,
    },
}

impl Answer {
    /// No, and nothing more was said.
    pub(super) fn no(why: impl Into<String>) -> Self {
        Self::No { why: why.into(), retry_after: None, overloaded: false }
    }
}

/// The other side of a channel; a test answers by itself.
pub(super) trait Peer: Sync {
    /// How many signals one attempt may give it.
    fn at_once(&self) -> usize {
        1
    }

    /// Gives it these signals, in this order; yes is to all of them. Ends by itself, whatever the other side does.
    fn attempt(&self, letters: &[Letter]) -> impl Future<Output = Answer> + Send;

    /// When it wants to be told again how things are, though nothing is new.
    fn again(&self) -> Option<Instant> {
        None
    }

    /// Tells it how things are.
    fn remind(&self) -> impl Future<Output = Answer> + Send {
        std::future::ready(Answer::Yes)
    }
}

/// The other side as configured now; a reload replaces it under the worker.
#[derive(Debug)]
pub(super) struct Target<P>(Mutex<Arc<P>>);

impl<P> Target<P> {
    pub(super) fn new(peer: P) -> Self {
        Self(Mutex::new(Arc::new(peer)))
    }

    pub(super) fn replace(&self, peer: P) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(peer);
    }

    pub(super) fn peer(&self) -> Arc<P> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sends what comes out of `outbox` until that is closed and empty, or closed and what waits is kept for the next start.
pub(super) async fn run(outbox: &Outbox, target: &Target<impl Peer + Send>) {
    let mut pace = Pace::new();
    let mut failing = false;
    while let Some(letters) = next(outbox, target, failing).await {
        let Some(first) = letters.first() else { continue };
        // A reload may have changed who takes them.
        if outbox.is_dropped() || letters.len() > target.peer().at_once() {
            continue;
        }
        let expires = Instant::from_std(first.expires);
        let at = pace.not_before.min(expires);
        // A timer goes by milliseconds, and waits for the next one even when its time has come.
        if at > Instant::now() {
            tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = outbox.closed() => {}
                () = outbox.stirred() => {
                    pace = Pace::new();
                    continue;
                }
            }
        }
        if Instant::now() >= expires {
            tracing::debug!(channel = outbox.name(), id = first.id(), "gives a signal up");
            outbox.too_old();
            continue;
        }
        match target.peer().attempt(&letters).await {
            Answer::Yes => {
                outbox.accepted(&letters, Instant::now().into_std());
                pace = Pace::new();
                if std::mem::take(&mut failing) {
                    tracing::info!(channel = outbox.name(), "accepted again");
                }
                continue;
            }
            Answer::Gone => {
                tracing::error!(
                    channel = outbox.name(),
                    "the receiver is gone (410): disabled until the next reload, or `oopsd outbox retry`"
                );
                outbox.attempt_failed("410 Gone", None);
                outbox.disable();
                continue;
            }
            Answer::No { why, retry_after, overloaded } => {
                let delay = pace.failed(retry_after, overloaded);
                outbox.attempt_failed(&why, Some(pace.not_before.into_std()));
                if std::mem::replace(&mut failing, true) {
                    tracing::debug!(channel = outbox.name(), id = first.id(), why, ?delay, "not accepted");
                } else {
                    tracing::warn!(channel = outbox.name(), id = first.id(), why, ?delay, "not accepted");
                }
            }
        }
        if outbox.is_kept() {
            // The next start goes on here; what is behind it may not overtake it.
            return;
        }
        // Of several, each has one attempt alone.
        if outbox.is_closing() && letters.len() == 1 {
            outbox.failed();
        }
    }
}

/// The next letters; in between, the other side is told again how things are, as often as it wants. After a no it is one
/// letter: which of several it was about is not known, and what is not tried may still be folded.
async fn next(outbox: &Outbox, target: &Target<impl Peer + Send>, failing: bool) -> Option<Vec<Letter>> {
    loop {
        let peer = target.peer();
        let most = if failing { 1 } else { peer.at_once() };
        let Some(at) = peer.again() else { return outbox.next(most).await };
        tokio::select! {
            biased;
            letters = outbox.next(most) => return letters,
            () = tokio::time::sleep_until(at) => {
                if let Answer::No { why, .. } = target.peer().remind().await {
                    tracing::debug!(channel = outbox.name(), why, "not told again");
                    outbox.attempt_failed(&why, None);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Waits;
    use super::super::outbox::tests::{outbox, pushed};
    use super::*;
    use std::collections::VecDeque;

    #[tokio::test(start_paused = true)]
    async fn a_signal_is_sent_again_until_it_is_accepted_and_the_next_waits_for_it() {
        let peer = Told::new([no(None), no(None), Answer::Yes]);
        let (outbox, seen) = posted(peer, 2).await;
        assert_eq!(seen, [1, 1, 1, 2]);
        assert_eq!((outbox.status().sent, outbox.status().failed_attempts, outbox.status().failed), (2, 2, 0));
        let waited = Duration::from_nanos(outbox.status().delay.max());
        assert!(waited >= Duration::from_millis(1_500), "0.5 s and then 1 s at least, not {waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_holds_for_the_next_signal_too() {
        let peer = Told::new([no(Some(50)), no(Some(50)), no(Some(50)), Answer::Yes]);
        let start = Instant::now();
        let (outbox, seen) = posted(peer, 2).await;
        // The first is given up after 120 s; the wait that its last answer asked for is kept.
        assert_eq!(seen, [1, 1, 1]);
        assert_eq!((outbox.status().sent, outbox.status().failed), (0, 2));
        assert!(start.elapsed() >= Duration::from_secs(120));
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_is_given_up_when_it_is_too_old() {
        let peer = Told::new(std::iter::repeat_n(no(None), 100));
        let start = Instant::now();
        let (outbox, _) = posted(peer, 1).await;
        assert_eq!((outbox.status().sent, outbox.status().failed), (0, 1));
        assert!((Duration::from_secs(120)..Duration::from_secs(121)).contains(&start.elapsed()));
        let attempts = outbox.status().failed_attempts;
        assert!((6..12).contains(&attempts), "{attempts} attempts in two minutes");
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_that_went_together_the_first_is_sent_again_alone_and_gives_up_alone() {
        let peer = Told { at_once: 3, ..Told::new([no(None), Answer::Yes]) };
        let (outbox, seen) = posted(peer, 4).await;
        assert_eq!(seen, [1, 2, 3, 1, 2, 3, 4]);
        assert_eq!((outbox.status().sent, outbox.status().failed_attempts, outbox.status().failed), (4, 1, 0));

        let waits = Waits { age: Duration::from_mins(2), ..Waits::default() };
        let (outbox, target) = (
            super::super::outbox::tests::outbox(waits),
            Target::new(Told { at_once: 3, ..Told::new([no(None), no(Some(100))]) }),
        );
        pushed(&outbox, [1]);
        tokio::time::advance(Duration::from_secs(60)).await;
        pushed(&outbox, [2]);
        until_none_waits(&outbox, &target).await;
        assert_eq!((outbox.status().sent, outbox.status().failed), (1, 1));
        assert_eq!(target.peer().seen(), [1, 2, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_fails_of_several_only_what_is_refused_alone() {
        let answers = [no(None), Answer::Yes, no(None), no(None), Answer::Yes];
        let target = Target::new(Told { at_once: 3, ..Told::new(answers) });
        let outbox = outbox(Waits::default());
        pushed(&outbox, 1..=3);
        outbox.close();
        run(&outbox, &target).await;
        assert_eq!(target.peer().seen(), [1, 2, 3, 1, 2, 3, 2, 3]);
        assert_eq!((outbox.status().sent, outbox.status().failed), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_to_who_takes_fewer_gives_it_no_more() {
        let (outbox, target) = (outbox(Waits::default()), Target::new(Told { at_once: 2, ..Told::new([]) }));
        tokio::join!(run(&outbox, &target), async {
            // The worker waits by now, for two.
            target.replace(Told::new([]));
            pushed(&outbox, 1..=2);
            outbox.close();
        });
        assert_eq!(target.peer().seen(), [1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_is_gone_gets_nothing_more() {
        let (outbox, seen) = posted(Told::new([Answer::Gone]), 3).await;
        assert_eq!(seen, [1]);
        assert!(outbox.status().disabled);
        assert_eq!((outbox.status().failed, outbox.status().dropped, outbox.status().waiting), (1, 2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn closing_ends_the_waits_with_one_attempt_more() {
        let target = Target::new(Told::new([no(Some(3_000)), Answer::Yes]));
        let outbox = outbox(Waits::default());
        pushed(&outbox, 1..=1);
        let start = Instant::now();
        tokio::join!(run(&outbox, &target), async {
            while target.peer().seen().is_empty() {
                tokio::task::yield_now().await;
            }
            outbox.close();
        });
        assert_eq!((target.peer().seen(), outbox.status().sent), (vec![1, 1], 1));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_is_down_for_six_hours_delays_no_other() {
        const SIGNALS: u64 = 10_800;
        let mut p99 = Vec::new();
        for nos in [0, 100_000] {
            let (well, other) = (outbox(Waits::default()), outbox(Waits::default()));
            let targets = [0, nos].map(|nos| Target::new(Told::new(std::iter::repeat_n(no(None), nos))));
            // The clock of the channels is simulated; the delays are real.
            let mut delay = hdrhistogram::Histogram::<u64>::new(3).unwrap();
            let work = async {
                for seq in 1..=SIGNALS {
                    let began = std::time::Instant::now();
                    pushed(&other, [seq]);
                    pushed(&well, [seq]);
                    while well.status().waiting > 0 {
                        tokio::task::yield_now().await;
                    }
                    delay.record(u64::try_from(began.elapsed().as_nanos()).unwrap()).unwrap();
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            };
            let start = Instant::now();
            tokio::select! {
                () = run(&well, &targets[0]) => {}
                () = run(&other, &targets[1]) => {}
                () = work => {}
            }
            let [micros, worst] = [0.99, 0.999].map(|of| Duration::from_nanos(delay.value_at_quantile(of)));
            let ill = other.status();
            println!(
                "{:.1} simulated hours, other receiver {}: {} of {SIGNALS} sent, delay p99 {micros:?}, p99.9 {worst:?}; the other: {} sent, \
                 {} wait, {} dropped, {} attempts",
                start.elapsed().as_secs_f64() / 3600.0,
                if nos == 0 { "well" } else { "down" },
                well.status().sent,
                ill.sent,
                ill.waiting,
                ill.dropped,
                ill.failed_attempts
            );
            assert_eq!((well.status().sent, well.status().failed_attempts), (SIGNALS, 0));
            assert_eq!(ill.sent, if nos == 0 { SIGNALS } else { 0 });
            assert!(nos == 0 || (200..600).contains(&ill.failed_attempts), "{ill:?}");
            p99.push(micros);
        }
        // A busy machine moves both; what would be wrong is a wait of any length.
        assert!(p99[1] < p99[0] * 5 + Duration::from_millis(20), "{p99:?}");
    }

    /// What became of the signals 1 to `signals` at `peer`, once none is waiting, and what it saw.
    async fn posted(peer: Told, signals: u64) -> (Outbox, Vec<u64>) {
        let outbox = outbox(Waits { age: Duration::from_mins(2), ..Waits::default() });
        let target = Target::new(peer);
        pushed(&outbox, 1..=signals);
        until_none_waits(&outbox, &target).await;
        let seen = target.peer().seen();
        (outbox, seen)
    }

    async fn until_none_waits(outbox: &Outbox, target: &Target<Told>) {
        tokio::select! {
            () = run(outbox, target) => {}
            () = async {
                while outbox.status().waiting > 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            } => {}
        }
    }

    /// Answers as told, then always yes.
    struct Told {
        answers: Mutex<VecDeque<Answer>>,
        seen: Mutex<Vec<u64>>,
        at_once: usize,
    }

    impl Told {
        fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
            Self { answers: Mutex::new(answers.into_iter().collect()), seen: Mutex::default(), at_once: 1 }
        }

        fn seen(&self) -> Vec<u64> {
            self.seen.lock().unwrap().clone()
        }
    }

    impl Peer for Told {
        fn at_once(&self) -> usize {
            self.at_once
        }

        async fn attempt(&self, letters: &[Letter]) -> Answer {
            assert!(letters.len() <= self.at_once);
            self.seen.lock().unwrap().extend(letters.iter().map(|letter| letter.signal.seq));
            self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Yes)
        }
    }

    fn no(seconds: Option<u64>) -> Answer {
        Answer::No { why: "500".into(), retry_after: seconds.map(Duration::from_secs), overloaded: false }
    }
}
