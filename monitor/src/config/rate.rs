//! `[rate]`: how often to look, and over how long to measure.

use super::defaults;
use super::document::{Document, Table};
use super::units::show_duration;
use std::time::Duration;

/// How often to look, and over how long to measure.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) tick: Duration,
    pub(super) window: Duration,
    pub(super) slope_window: Duration,
    pub(super) lost_share: f64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            tick: defaults::TICK,
            window: defaults::WINDOW,
            slope_window: defaults::SLOPE_WINDOW,
            lost_share: defaults::LOST_SHARE,
        }
    }
}

/// Reads `[rate]`. A window that is not given is at least as long as the tick needs it to be.
pub(super) fn read<'i>(document: &mut Document<'i>, mut table: Table<'i>) -> Times {
    let limits = *defaults::TICKS.start()..=defaults::LONGEST_WINDOW;
    let tick = table.take("tick").and_then(|tick| tick.duration(document, &defaults::TICKS));
    let tick = tick.map_or(defaults::TICK, |tick| tick.it);
    let mut times = Times {
        tick,
        window: defaults::WINDOW.max(tick),
        slope_window: defaults::SLOPE_WINDOW.max(tick * 5),
        lost_share: defaults::LOST_SHARE,
    };
    if let Some(window) = table.take("window").and_then(|window| window.duration(document, &limits)) {
        if window.it < tick {
            let tick = show_duration(tick);
            document.error(&window.at, format!("`window` is shorter than a tick; write \"{tick}\" or more"));
        }
        times.window = window.it;
    }
    if let Some(window) = table.take("slope-window").and_then(|window| window.duration(document, &limits)) {
        if window.it <= tick * 2 {
            let ticks = show_duration(tick * 2);
            document.error(&window.at, format!("`slope-window` must hold three samples; write over \"{ticks}\""));
        }
        times.slope_window = window.it;
    }
    if let Some(share) = table.take("lost-share").and_then(|share| share.share(document)) {
        if share.it <= 0.0 {
            document.error(&share.at, "`lost-share`: with 0 the node is always blind; write more, such as 0.01");
        }
        times.lost_share = share.it;
    }
    table.close(document);
    times
}
