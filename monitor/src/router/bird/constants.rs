//! The constants that bird.conf includes: for every level and address family the set of prefixes that it is for.
//!
//! BIRD takes a set of the wrong type, or an IPv6 prefix among IPv4 ones, without a word, and then withdraws everything or nothing. So the
//! text is made from typed sets only. What the constants do is `fragment`'s, where they are kept is `include`'s.

#[cfg(test)]
mod tests;

use core::fmt::{self, Write};
use engine::{Action, MOST_PREPENDS};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// An action that a constant stands for: none for plain, which needs none, and none for withdraw, which nothing would take back. Made by
/// [`Self::of`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// 1 to [`MOST_PREPENDS`].
    Prepend(u8),
    Med(u32),
    Community(u16, u16),
    GracefulShutdown,
}

impl Level {
    /// The levels that a file always has, so that a ladder of these needs no change of bird.conf.
    pub(super) fn always() -> BTreeSet<Self> {
        [Self::Prepend(1), Self::Prepend(2), Self::Prepend(3), Self::GracefulShutdown].into()
    }

    /// The level that `action` is.
    pub(super) fn of(action: Action) -> Option<Self> {
        match action {
            Action::Prepend(times @ 1..=MOST_PREPENDS) => Some(Self::Prepend(times)),
            Action::Med(value) => Some(Self::Med(value)),
            Action::Community(of, value) => Some(Self::Community(of, value)),
            Action::GracefulShutdown => Some(Self::GracefulShutdown),
            Action::Plain | Action::Prepend(_) | Action::Withdraw => None,
        }
    }

    pub(super) fn action(self) -> Action {
        match self {
            Self::Prepend(times) => Action::Prepend(times),
            Self::Med(value) => Action::Med(value),
            Self::Community(of, value) => Action::Community(of, value),
            Self::GracefulShutdown => Action::GracefulShutdown,
        }
    }

    /// The name of its constant: of the action and the family alone, as the operator's filter has it.
    pub(super) fn name(self, family: Family) -> String {
        match self {
            Self::Prepend(times) => format!("OOPSD_PREPEND{times}_{family}"),
            Self::Med(value) => format!("OOPSD_MED{value}_{family}"),
            Self::Community(of, value) => format!("OOPSD_COMMUNITY_{of}_{value}_{family}"),
            Self::GracefulShutdown => format!("OOPSD_GRACEFUL_SHUTDOWN_{family}"),
        }
    }

    /// Reads what [`Self::name`] writes, and nothing else.
    fn of_name(name: &str) -> Option<(Self, Family)> {
        let (stem, family) = name.strip_prefix("OOPSD_")?.rsplit_once('_')?;
        let family = Family::BOTH.into_iter().find(|known| known.to_string() == family)?;
        let action = if stem == "GRACEFUL_SHUTDOWN" {
            Action::GracefulShutdown
        } else if let Some(community) = stem.strip_prefix("COMMUNITY_") {
            let (of, value) = community.split_once('_')?;
            Action::Community(of.parse().ok()?, value.parse().ok()?)
        } else if let Some(value) = stem.strip_prefix("MED") {
            Action::Med(value.parse().ok()?)
        } else {
            Action::Prepend(stem.strip_prefix("PREPEND")?.parse().ok()?)
        };
        Self::of(action).filter(|level| level.name(family) == name).map(|level| (level, family))
    }
}

/// An address family: a constant holds prefixes of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(super) fn of(prefix: IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::V4,
            IpNet::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::V4 => "4",
            Self::V6 => "6",
        })
    }
}

/// The name of the constant that says what the others say, so that one look tells whether BIRD runs with this very file.
pub(super) const SUM: &str = "OOPSD_SUM";

const HEAD: &str = "\
# Written by oopsd, which replaces it whole: edit nothing here. `oopsd check` prints what bird.conf needs beside it.
# Back to plain paths without oopsd: empty every set, [], and `birdc configure`.
";

/// All constants. A prefix is in one set at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Constants {
    sets: BTreeMap<Level, Sets>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sets {
    v4: BTreeSet<Ipv4Net>,
    v6: BTreeSet<Ipv6Net>,
}

impl Constants {
    /// Defines constants for these levels too. What is defined stays so: a filter that uses it would be an error without it.
    pub(super) fn define(&mut self, levels: &BTreeSet<Level>) {
        for level in levels {
            self.sets.entry(*level).or_default();
        }
    }

    pub(super) fn levels(&self) -> BTreeSet<Level> {
        self.sets.keys().copied().collect()
    }

    /// The level of `prefix`: the strongest, should somebody have put it into several sets.
    pub(super) fn level(&self, prefix: IpNet) -> Option<Level> {
        let holds = |sets: &Sets| match prefix {
            IpNet::V4(prefix) => sets.v4.contains(&prefix),
            IpNet::V6(prefix) => sets.v6.contains(&prefix),
        };
        self.sets.iter().rev().find(|(_, sets)| holds(sets)).map(|(level, _)| *level)
    }

    /// Puts `prefix` into the set of `level` and out of all others; says whether it is a prefix that may be put there: canonical, and no
    /// default route.
    pub(super) fn set(&mut self, prefix: IpNet, level: Option<Level>) -> bool {
        if prefix.prefix_len() == 0 || prefix.trunc() != prefix {
            return false;
        }
        for sets in self.sets.values_mut() {
            match prefix {
                IpNet::V4(prefix) => sets.v4.remove(&prefix),
                IpNet::V6(prefix) => sets.v6.remove(&prefix),
            };
        }
        if let Some(level) = level {
            self.add(prefix, level);
        }
        true
    }

    fn add(&mut self, prefix: IpNet, level: Level) {
        let sets = self.sets.entry(level).or_default();
        match prefix {
            IpNet::V4(prefix) => sets.v4.insert(prefix),
            IpNet::V6(prefix) => sets.v6.insert(prefix),
        };
    }

    /// Every prefix that is in a set.
    pub(super) fn prefixes(&self) -> BTreeSet<IpNet> {
        let nets = |sets: &Sets| -> Vec<IpNet> {
            sets.v4.iter().map(|net| IpNet::V4(*net)).chain(sets.v6.iter().map(|net| IpNet::V6(*net))).collect()
        };
        self.sets.values().flat_map(nets).collect()
    }

    /// A number that stands for what is in the sets. Empty ones do not count: to define another constant changes nothing.
    pub(super) fn sum(&self) -> u32 {
        let mut text = String::new();
        for (name, nets) in self.statements().filter(|(_, nets)| !nets.is_empty()) {
            writeln!(text, "{name} {}", nets.join(" ")).expect("a String takes every write");
        }
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(text));
        u32::from_be_bytes([a, b, c, d])
    }

    /// The file.
    pub(super) fn render(&self) -> String {
        let mut text = HEAD.to_owned();
        for (name, nets) in self.statements() {
            let set = if nets.is_empty() { "[]".to_owned() } else { format!("[ {} ]", nets.join(", ")) };
            writeln!(text, "define {name} = {set};").expect("a String takes every write");
        }
        // Last, so that a file without it is known to be cut off.
        text + &format!("define {SUM} = {};\n", self.sum())
    }

    fn statements(&self) -> impl Iterator<Item = (String, Vec<String>)> {
        self.sets.iter().flat_map(|(level, sets)| {
            [
                (level.name(Family::V4), sets.v4.iter().map(Ipv4Net::to_string).collect()),
                (level.name(Family::V6), sets.v6.iter().map(Ipv6Net::to_string).collect()),
            ]
        })
    }

    /// Reads what [`Self::render`] writes, whatever sum it says: sets may have been emptied by hand. If it is something else, the number
    /// of the line that is; one more than there are if it was cut off.
    pub(super) fn parse(text: &str) -> Result<Self, usize> {
        let (mut constants, mut whole) = (Self::default(), false);
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let taken = if whole { None } else { constants.take(line) };
            whole = taken.ok_or(index + 1)?;
        }
        if whole && text.ends_with('\n') { Ok(constants) } else { Err(text.lines().count() + 1) }
    }

    /// Takes a line; says whether it is the last.
    fn take(&mut self, line: &str) -> Option<bool> {
        let (name, value) = line.strip_prefix("define ")?.strip_suffix(';')?.split_once(" = ")?;
        if name == SUM {
            return value.parse::<u32>().is_ok().then_some(true);
        }
        let (level, family) = Level::of_name(name)?;
        self.sets.entry(level).or_default();
        let members = value.strip_prefix('[')?.strip_suffix(']')?.trim();
        for member in members.split(',').map(str::trim).filter(|member| !member.is_empty()) {
            let prefix: IpNet = member.parse().ok()?;
            if Family::of(prefix) != family || prefix.prefix_len() == 0 || prefix.trunc() != prefix {
                return None;
            }
            self.add(prefix, level);
        }
        Some(false)
    }
}
