//! How a prefix may be announced, in words. Which routing daemon can do which is the routers'.

use core::fmt;
use core::str::FromStr;

/// How a prefix should be announced. One replaces the other: a community is added to the path as it would be without oopsd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// As the router's own configuration has it.
    Plain,
    /// With the AS path longer by this many, 1 to [`MOST_PREPENDS`].
    Prepend(u8),
    /// With this multi-exit discriminator (RFC 4271, section 5.1.4).
    Med(u32),
    /// With this community (RFC 1997).
    Community(u16, u16),
    /// With the community 65535:0 (RFC 8326): neighbours prefer any other path.
    GracefulShutdown,
    /// Not at all.
    Withdraw,
}

/// By as many hops a path may be lengthened.
pub const MOST_PREPENDS: u8 = 10;

impl fmt::Display for Action {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => to.write_str("plain"),
            Self::Prepend(times) => write!(to, "prepend {times}"),
            Self::Med(value) => write!(to, "med {value}"),
            Self::Community(of, value) => write!(to, "community {of}:{value}"),
            Self::GracefulShutdown => to.write_str("graceful-shutdown"),
            Self::Withdraw => to.write_str("withdraw"),
        }
    }
}

/// Reads what [`fmt::Display`] writes.
impl FromStr for Action {
    type Err = NotAnAction;

    fn from_str(text: &str) -> Result<Self, NotAnAction> {
        let read = || {
            Some(match text.split_once(' ') {
                None if text == "plain" => Self::Plain,
                None if text == "graceful-shutdown" => Self::GracefulShutdown,
                None if text == "withdraw" => Self::Withdraw,
                Some(("prepend", times)) => {
                    Self::Prepend(times.parse().ok().filter(|times| (1..=MOST_PREPENDS).contains(times))?)
                }
                Some(("med", value)) => Self::Med(value.parse().ok()?),
                Some(("community", community)) => {
                    let (of, value) = community.split_once(':')?;
                    Self::Community(of.parse().ok()?, value.parse().ok()?)
                }
                Some(_) | None => return None,
            })
        };
        read().ok_or(NotAnAction)
    }
}

/// No action is written so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnAction;

impl fmt::Display for NotAnAction {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("not plain, prepend N, med N, community N:N, graceful-shutdown or withdraw")
    }
}

impl core::error::Error for NotAnAction {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_read_as_it_was_written() {
        let actions = [
            Action::Plain,
            Action::Prepend(10),
            Action::Med(0),
            Action::Community(64999, 666),
            Action::GracefulShutdown,
            Action::Withdraw,
        ];
        for action in actions {
            assert_eq!(action.to_string().parse(), Ok(action));
        }
        for text in ["", "prepend", "prepend 0", "prepend 11", "med -1", "community 1", "community 65536:1", "Plain"] {
            assert_eq!(text.parse::<Action>(), Err(NotAnAction), "{text}");
        }
    }
}
