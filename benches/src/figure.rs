//! Figures: what many rounds took, and how they compare. What a round does is elsewhere.

/// What each of many rounds took, in one unit.
pub(crate) struct Figure(Vec<f64>);

/// Runs rounds of `measures` in turn, so that whatever slows the machine slows all of them. The first round is not counted.
pub(crate) fn in_turn<const N: usize>(rounds: usize, mut measures: [&mut dyn FnMut() -> f64; N]) -> [Figure; N] {
    let mut figures = std::array::from_fn(|_| Figure(Vec::with_capacity(rounds)));
    for round in 0..=rounds {
        for (Figure(all), measure) in figures.iter_mut().zip(&mut measures) {
            let took = measure();
            if round > 0 {
                all.push(took);
            }
        }
    }
    figures
}

/// A round of `pieces` equal pieces of work in this thread; gives the nanoseconds that one of them took.
pub(crate) fn nanoseconds(pieces: usize, mut work: impl FnMut()) -> impl FnMut() -> f64 {
    move || {
        let before = on_processor();
        work();
        (on_processor() - before) / pieces as f64
    }
}

impl Figure {
    /// One that was measured once.
    pub(crate) fn once(value: f64) -> Self {
        Self(vec![value])
    }

    /// What was measured in rounds that took turns elsewhere.
    pub(crate) const fn of(rounds: Vec<f64>) -> Self {
        Self(rounds)
    }

    /// The median over all rounds.
    pub(crate) fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// The least of any round.
    pub(crate) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// How many times as much as a peer whose rounds took turns with these; if they did not, by the medians.
    pub(crate) fn over(&self, peer: &Self) -> f64 {
        if self.0.len() == peer.0.len() {
            median(self.0.iter().zip(&peer.0).map(|(ours, theirs)| ours / theirs).collect())
        } else {
            self.median() / peer.median()
        }
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The time that this thread has spent on a processor, in nanoseconds.
fn on_processor() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec of ours, and Linux has this clock.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "Linux has a clock for each thread");
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
