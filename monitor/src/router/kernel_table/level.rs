//! Which metric stands for which action.
//!
//! A fixed function, whatever is configured: a bird.conf that was written once never comes to mean something else.

use engine::{Action, MOST_PREPENDS};

const WITHDRAW: u32 = 80;
const GRACEFUL_SHUTDOWN: u32 = 90;
/// The metric of a path longer by n is this less n; none of them is below [`GRACEFUL_SHUTDOWN`].
const PREPEND: u32 = 104;
/// A discriminator takes the place of the values of the communities 65535:*, which nobody may set freely (RFC 1997).
const MED: u32 = 0xFFFF_0000;

/// The metric that stands for `action`; `None` for the plain path and for what [`unwritable`] names.
///
/// A community is its own number, which is at least 65536. Where two routes stand side by side for a moment, or because something died between
/// two changes, BIRD learns the one with the lower metric.
pub(super) fn metric_of(action: Action) -> Option<u32> {
    match action {
        Action::Plain => None,
        Action::Prepend(times) => {
            (1..=MOST_PREPENDS).contains(&times).then(|| PREPEND.saturating_sub(u32::from(times)))
        }
        Action::Med(value) => u16::try_from(value).ok().map(|value| MED | u32::from(value)),
        Action::Community(of, value) => (1..u16::MAX).contains(&of).then(|| u32::from(of) << 16 | u32::from(value)),
        Action::GracefulShutdown => Some(GRACEFUL_SHUTDOWN),
        Action::Withdraw => Some(WITHDRAW),
    }
}

/// What a metric stands for.
pub(super) fn action_of(metric: u32) -> Option<Action> {
    let [high, low] = [metric >> 16, metric & 0xFFFF].map(|half| u16::try_from(half).unwrap_or(u16::MAX));
    match high {
        0 if metric == WITHDRAW => Some(Action::Withdraw),
        0 if metric == GRACEFUL_SHUTDOWN => Some(Action::GracefulShutdown),
        0 => {
            let times = PREPEND.checked_sub(metric).and_then(|times| u8::try_from(times).ok());
            times.filter(|times| (1..=MOST_PREPENDS).contains(times)).map(Action::Prepend)
        }
        u16::MAX => Some(Action::Med(low.into())),
        of => Some(Action::Community(of, low)),
    }
}

/// Why no metric stands for an action, and what to write instead.
pub(super) fn unwritable(action: Action) -> Option<&'static str> {
    match action {
        _ if metric_of(action).is_some() => None,
        Action::Med(_) => Some("a kernel table takes no discriminator above 65535"),
        Action::Community(..) => Some("a kernel table takes no community of 0 or 65535"),
        Action::Plain | Action::Prepend(_) | Action::GracefulShutdown | Action::Withdraw => None,
    }
}

/// Whether it must end with the process that wants it: who takes a site away has to be there to bring it back. A path that is less
/// attractive still carries what no other path does, and stays.
#[must_use]
pub fn is_leased(action: Action) -> bool {
    match action {
        Action::GracefulShutdown | Action::Withdraw => true,
        Action::Plain | Action::Prepend(_) | Action::Med(_) | Action::Community(..) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_metrics_are_those_that_bird_confs_out_there_have() {
        let metrics = [
            (Action::Prepend(1), 103),
            (Action::Prepend(2), 102),
            (Action::Prepend(3), 101),
            (Action::Prepend(10), 94),
            (Action::GracefulShutdown, 90),
            (Action::Withdraw, 80),
            (Action::Community(64999, 666), 4_259_775_130),
            (Action::Med(0), 4_294_901_760),
        ];
        for (action, metric) in metrics {
            assert_eq!(metric_of(action), Some(metric), "{action}");
        }
    }

    proptest! {
        #[test]
        fn a_metric_stands_for_one_action_and_an_action_for_one_metric(action in action(), metric: u32, small in 0..200_u32) {
            prop_assert_eq!(metric_of(action).is_none(), action == Action::Plain || unwritable(action).is_some());
            if let Some(metric) = metric_of(action) {
                prop_assert_eq!(action_of(metric), Some(action));
            }
            for metric in [metric, small] {
                if let Some(action) = action_of(metric) {
                    prop_assert_eq!(metric_of(action), Some(metric));
                }
            }
        }
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            Just(Action::Plain),
            (1..=MOST_PREPENDS).prop_map(Action::Prepend),
            (0..70_000_u32).prop_map(Action::Med),
            any::<u32>().prop_map(Action::Med),
            any::<(u16, u16)>().prop_map(|(of, value)| Action::Community(of, value)),
            Just(Action::Community(0, 1)),
            Just(Action::Community(65535, 0)),
            Just(Action::GracefulShutdown),
            Just(Action::Withdraw),
        ]
    }
}
