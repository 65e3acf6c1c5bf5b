//! What a route follows: one condition, or several joined by `and`, `or` and `not`. How they are written is the configuration's.

use crate::machine::Known;
use core::fmt;

/// An expression over conditions: as configured by name, at work by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When<C = String> {
    /// This condition is met.
    Met(C),
    /// This is not so.
    Not(Box<Self>),
    /// All of these are so.
    All(Vec<Self>),
    /// One of these is so, or more.
    Any(Vec<Self>),
}

impl<C> When<C> {
    /// Three-valued, as Kleene has it: what is not known matters only where it could change the answer.
    pub(crate) fn known(&self, of: &impl Fn(&C) -> Known) -> Known {
        match self {
            Self::Met(condition) => of(condition),
            Self::Not(inner) => match inner.known(of) {
                Known::Unknown => Known::Unknown,
                Known::Cleared => Known::Met,
                Known::Met => Known::Cleared,
            },
            Self::All(inner) => joined(inner, of, Known::Met, Known::Cleared),
            Self::Any(inner) => joined(inner, of, Known::Cleared, Known::Met),
        }
    }

    /// The load that decides: of one of these the most, of all of them the least. What is met when there is little of it
    /// is none.
    pub(crate) fn load(&self, of: &impl Fn(&C) -> Option<f64>) -> Option<f64> {
        match self {
            Self::Met(condition) => of(condition),
            Self::Not(_) => None,
            Self::All(inner) => inner.iter().filter_map(|inner| inner.load(of)).reduce(f64::min),
            Self::Any(inner) => inner.iter().filter_map(|inner| inner.load(of)).reduce(f64::max),
        }
    }

    /// The conditions, in the order in which they are written.
    #[must_use]
    pub fn conditions(&self) -> Vec<&C> {
        match self {
            Self::Met(condition) => vec![condition],
            Self::Not(inner) => inner.conditions(),
            Self::All(inner) | Self::Any(inner) => inner.iter().flat_map(Self::conditions).collect(),
        }
    }

    /// The same of something else; `None` where there is none of it for a condition.
    pub(crate) fn map<D>(&self, to: &impl Fn(&C) -> Option<D>) -> Option<When<D>> {
        let all = |inner: &[Self]| inner.iter().map(|inner| inner.map(to)).collect::<Option<Vec<_>>>();
        Some(match self {
            Self::Met(condition) => When::Met(to(condition)?),
            Self::Not(inner) => When::Not(Box::new(inner.map(to)?)),
            Self::All(inner) => When::All(all(inner)?),
            Self::Any(inner) => When::Any(all(inner)?),
        })
    }
}

/// `last` if any of them is, else unknown if any of them is, else `first`.
fn joined<C>(inner: &[When<C>], of: &impl Fn(&C) -> Known, first: Known, last: Known) -> Known {
    inner.iter().fold(first, |known, inner| match (known, inner.known(of)) {
        (one, other) if one == last || other == last => last,
        (Known::Unknown, _) | (_, Known::Unknown) => Known::Unknown,
        (_, _) => first,
    })
}

/// One condition, by name.
impl From<&str> for When {
    fn from(name: &str) -> Self {
        Self::Met(name.to_owned())
    }
}

/// As it can be written in the configuration.
impl fmt::Display for When {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |to: &mut fmt::Formatter<'_>, inner: &[Self], word: &str| {
            for (index, inner) in inner.iter().enumerate() {
                to.write_str(if index == 0 { "" } else { word })?;
                inner.fmt_inside(to)?;
            }
            Ok(())
        };
        match self {
            Self::Met(name) => to.write_str(name),
            Self::Not(inner) => {
                to.write_str("not ")?;
                inner.fmt_inside(to)
            }
            Self::All(inner) => join(to, inner, " and "),
            Self::Any(inner) => join(to, inner, " or "),
        }
    }
}

impl When {
    fn fmt_inside(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Met(_) | Self::Not(_) => write!(to, "{self}"),
            Self::All(_) | Self::Any(_) => write!(to, "({self})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Known::{Cleared, Met, Unknown};

    #[test]
    fn the_load_that_decides_is_that_of_the_condition_that_does() {
        let of = |&index: &usize| [Some(0.5), Some(2.0), None].get(index).copied().flatten();
        let all = || vec![When::Met(0), When::Met(1), When::Met(2), When::Not(Box::new(When::Met(1)))];
        assert_eq!((When::All(all()).load(&of), When::Any(all()).load(&of)), (Some(0.5), Some(2.0)));
        assert_eq!(When::All(vec![When::Met(2)]).load(&of), None);
    }

    #[test]
    fn what_is_not_known_matters_only_where_it_could_change_the_answer() {
        let (a, b) = (When::Met(0), When::Met(1));
        let (all, any) = (When::All(vec![a.clone(), b.clone()]), When::Any(vec![a.clone(), b]));
        let not = When::Not(Box::new(a));
        for (known, [of_all, of_any, of_not]) in [
            ([Met, Met], [Met, Met, Cleared]),
            ([Met, Cleared], [Cleared, Met, Cleared]),
            ([Met, Unknown], [Unknown, Met, Cleared]),
            ([Cleared, Cleared], [Cleared, Cleared, Met]),
            ([Cleared, Unknown], [Cleared, Unknown, Met]),
            ([Unknown, Cleared], [Cleared, Unknown, Unknown]),
            ([Unknown, Met], [Unknown, Met, Unknown]),
            ([Unknown, Unknown], [Unknown, Unknown, Unknown]),
        ] {
            let of = |&index: &usize| known[index];
            assert_eq!([all.known(&of), any.known(&of), not.known(&of)], [of_all, of_any, of_not], "{known:?}");
        }
    }

    #[test]
    fn it_prints_with_all_parentheses_that_matter() {
        let (a, b) = (When::from("a"), When::from("b"));
        let all = When::All(vec![a, When::Not(Box::new(b.clone()))]);
        assert_eq!(When::Any(vec![all.clone(), b]).to_string(), "(a and not b) or b");
        assert_eq!(When::Not(Box::new(all)).to_string(), "not (a and not b)");
    }
}
