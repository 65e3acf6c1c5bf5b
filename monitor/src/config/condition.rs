//! `[[condition]]`: what to measure, of what, and where it rises and falls.

use super::document::{At, Document, Table, Value};
use super::nearest::listed;
use super::units::show_number;
use super::zones::Zones;
use super::{defaults, prefixes, when, word};
use engine::judge::BLIND;
use engine::signal::OVER_BUDGET;
use engine::trouble::{CONTESTED, GIVEN_UP, NOT_APPLIED};
use engine::{Condition, Judged, Kind, Scope, Thresholds};
use ipnet::IpNet;
use std::time::Duration;
use wire::count::{CODES, OTHER, OTHER_CODES};

const KINDS: [&str; 3] = ["query-rate", "query-rate-increase", "extended-error"];

/// A condition whose prefix has no slot yet.
#[derive(Debug)]
pub(super) struct Draft {
    name: String,
    kind: Kind,
    scope: Watched,
    thresholds: Thresholds,
    hold_rising: Duration,
    hold_falling: Duration,
}

/// A scope as written.
#[derive(Debug)]
enum Watched {
    Node,
    Zone(u32),
    Group(usize),
    Prefix(At<IpNet>),
}

impl Draft {
    /// Reads one `[[condition]]`. Its name goes to `names`, whether or not the rest is sound.
    pub(super) fn read<'i>(
        document: &mut Document<'i>,
        mut table: Table<'i>,
        zones: &Zones,
        names: &mut Vec<String>,
    ) -> Option<Self> {
        let name = table.need(document, "name", "a name for signals and routes to refer to");
        let name = name.and_then(|name| name.text(document, "a name"));
        if let Some(name) = &name {
            word::checked(document, "condition", name);
            word::unique(document, "condition", name, names.iter().map(String::as_str));
            if when::WORDS.contains(&name.it.as_str()) {
                document.error(&name.at, format!("`{}` joins conditions in `when`; write another", name.it));
            }
            if [BLIND, OVER_BUDGET, CONTESTED, NOT_APPLIED, GIVEN_UP].contains(&name.it.as_str()) {
                document.error(&name.at, format!("`{}` is the name of a signal of its own; write another", name.it));
            }
            names.push(name.it.clone());
        }
        let kind = table.need(document, "kind", &listed(KINDS)).and_then(|kind| kind.word(document, &KINDS));
        let scope = table.take("scope");
        let scope = scope.map_or(Some(Watched::Node), |scope| Watched::read(document, scope, zones));
        let numbers = Numbers::take(&mut table);
        let limits = Duration::ZERO..=defaults::LONGEST_HOLD;
        let mut hold = |key, default| {
            let hold = table.take(key).and_then(|hold| hold.duration(document, &limits));
            hold.map_or(default, |hold| hold.it)
        };
        let hold_rising = hold("for", defaults::FOR);
        let hold_falling = hold("keep-for", defaults::KEEP_FOR);
        let at = table.at.clone();
        table.close(document);
        let (kind, thresholds) = numbers.judge(document, &At { it: kind?.it, at })?;
        Some(Self { name: name?.it, kind, scope: scope?, thresholds, hold_rising, hold_falling })
    }

    /// Its name.
    #[cfg(feature = "dots")]
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The prefix it watches.
    pub(super) fn prefix(&self) -> Option<IpNet> {
        match &self.scope {
            Watched::Prefix(prefix) => Some(prefix.it),
            Watched::Node | Watched::Zone(_) | Watched::Group(_) => None,
        }
    }

    /// The condition, where `slot` gives that of a prefix.
    pub(super) fn finish(self, slot: impl Fn(IpNet) -> u32) -> Condition {
        let scope = match self.scope {
            Watched::Node => Scope::Node,
            Watched::Zone(zone) => Scope::Zone(zone),
            Watched::Group(group) => Scope::Group(group),
            Watched::Prefix(prefix) => Scope::Prefix(slot(prefix.it)),
        };
        Condition {
            name: self.name,
            kind: self.kind,
            scope,
            thresholds: self.thresholds,
            hold_rising: self.hold_rising,
            hold_falling: self.hold_falling,
        }
    }
}

impl Watched {
    fn read<'i>(document: &mut Document<'i>, value: Value<'i>, zones: &Zones) -> Option<Self> {
        const RIGHT: &str = "write \"node\", { zone = \"nl.\" }, { prefix = \"192.0.2.0/24\" } or { group = \"name\" }";
        if !value.is_table() {
            return value.word(document, &["node"]).map(|_| Self::Node);
        }
        let at = value.at.clone();
        let mut table = value.table(document, "`scope`")?;
        let taken = (table.take("zone"), table.take("prefix"), table.take("group"));
        table.close(document);
        match taken {
            (Some(zone), None, None) => {
                let zone = zone.text(document, "a zone, such as \"nl.\"")?;
                let slot = if zone.it == "other" { Ok(OTHER) } else { zones.list.find(&zone.it) };
                slot.map_err(|what| document.error(&zone.at, what)).ok().map(Self::Zone)
            }
            (None, Some(prefix), None) => {
                prefix.parse(document, "a prefix, such as \"192.0.2.0/24\"", prefixes::parse).map(Self::Prefix)
            }
            (None, None, Some(group)) => {
                let group = group.text(document, "a group of [zones.groups]")?;
                let index = zones.groups.iter().position(|known| known.name == group.it);
                if index.is_none() {
                    let known = listed(zones.groups.iter().map(|group| group.name.as_str()));
                    document.error(&group.at, format!("no group `{}` in [zones.groups]; known: {known}", group.it));
                }
                index.map(Self::Group)
            }
            _ => {
                document.error(&at, format!("`scope` names one thing to watch; {RIGHT}"));
                None
            }
        }
    }
}

/// The keys that mean different things, or nothing, for different kinds.
#[derive(Debug)]
struct Numbers<'i> {
    rising: Option<Value<'i>>,
    falling: Option<Value<'i>>,
    rising_ratio: Option<Value<'i>>,
    falling_ratio: Option<Value<'i>>,
    at_least: Option<Value<'i>>,
    codes: Option<Value<'i>>,
}

impl<'i> Numbers<'i> {
    fn take(table: &mut Table<'i>) -> Self {
        Self {
            rising: table.take("rising"),
            falling: table.take("falling"),
            rising_ratio: table.take("rising-ratio"),
            falling_ratio: table.take("falling-ratio"),
            at_least: table.take("at-least"),
            codes: table.take("codes"),
        }
    }

    fn judge(self, document: &mut Document<'i>, kind: &At<&'static str>) -> Option<(Kind, Thresholds)> {
        match kind.it {
            "query-rate" => {
                self.no_ratio(document, kind.it);
                refuse(document, self.codes.as_ref(), "only an extended-error condition has codes; remove it");
                let why = "a query-rate has its floor in `rising`; remove it, or write kind = \"query-rate-increase\"";
                refuse(document, self.at_least.as_ref(), why);
                let thresholds = thresholds(document, kind, ("rising", self.rising), ("falling", self.falling))?;
                Some((Kind::QueryRate, thresholds))
            }
            "query-rate-increase" => {
                self.no_ratio(document, kind.it);
                refuse(document, self.codes.as_ref(), "only an extended-error condition has codes; remove it");
                let at_least = self.at_least.map(|value| value.number(document, "a query rate, such as \"10k\""));
                let thresholds = thresholds(document, kind, ("rising", self.rising), ("falling", self.falling));
                let at_least = at_least.map_or(Some(0.0), |read| read.map(|read| read.it))?;
                Some((Kind::QueryRateIncrease { at_least }, thresholds?))
            }
            _ => self.extended_error(document, kind),
        }
    }

    fn extended_error(self, document: &mut Document<'i>, kind: &At<&'static str>) -> Option<(Kind, Thresholds)> {
        let codes = codes(document, kind, self.codes);
        let by_share = self.rising_ratio.is_some() || self.falling_ratio.is_some();
        if !by_share {
            let why = "a least number of responses belongs to `rising-ratio`; remove it, or write that for `rising`";
            refuse(document, self.at_least.as_ref(), why);
            let thresholds = thresholds(document, kind, ("rising", self.rising), ("falling", self.falling))?;
            return Some((Kind::ExtendedError { codes: codes?, judged: Judged::Rate }, thresholds));
        }
        let why = "a condition is judged by rate or by ratio; remove it or the ratios";
        refuse(document, self.rising.as_ref(), why);
        refuse(document, self.falling.as_ref(), why);
        let ratios = (("rising-ratio", self.rising_ratio), ("falling-ratio", self.falling_ratio));
        let thresholds = thresholds(document, kind, ratios.0, ratios.1);
        let at_least = match self.at_least.map(|value| value.whole(document, 1..=1_000_000_000)) {
            Some(read) => read?.it,
            None => defaults::AT_LEAST_RESPONSES,
        };
        Some((Kind::ExtendedError { codes: codes?, judged: Judged::Share { at_least } }, thresholds?))
    }

    fn no_ratio(&self, document: &mut Document<'i>, kind: &str) {
        let why = format!("a {kind} is no share of anything; write `rising` and `falling`");
        refuse(document, self.rising_ratio.as_ref(), &why);
        refuse(document, self.falling_ratio.as_ref(), &why);
    }
}

fn refuse<'i>(document: &mut Document<'i>, value: Option<&Value<'i>>, why: &str) {
    if let Some(value) = value {
        value.refuse(document, why);
    }
}

fn thresholds<'i>(
    document: &mut Document<'i>,
    kind: &At<&'static str>,
    (rising_key, rising): (&str, Option<Value<'i>>),
    (falling_key, falling): (&str, Option<Value<'i>>),
) -> Option<Thresholds> {
    let ratio = rising_key.ends_with("ratio");
    let right = if ratio { "a share, such as 0.05" } else { "a number a second, such as \"100k\"" };
    let Some(rising) = rising else {
        document.error(&kind.at, format!("[[condition]] has no `{rising_key}`; write {right}"));
        return None;
    };
    let read = |document: &mut Document<'i>, value: Value<'i>| {
        if ratio { value.share(document) } else { value.number(document, right) }
    };
    let falling = falling.map(|value| read(document, value));
    let rising = read(document, rising)?;
    if rising.it <= 0.0 {
        document.error(&rising.at, format!("`{rising_key}`: 0 is always crossed; write {right}"));
        return None;
    }
    let falling = match falling {
        None => At { it: rising.it * defaults::FALLING, at: rising.at },
        Some(falling) => falling?,
    };
    let thresholds = Thresholds::new(rising.it, falling.it);
    if thresholds.is_none() {
        let what = format!(
            "`{falling_key}`: {} is not under `{rising_key}`, {}; write less, such as {}",
            show_number(falling.it),
            show_number(rising.it),
            show_number(rising.it * defaults::FALLING)
        );
        document.error(&falling.at, what);
    }
    thresholds
}

fn codes<'i>(document: &mut Document<'i>, kind: &At<&'static str>, codes: Option<Value<'i>>) -> Option<u64> {
    const RIGHT: &str = "a list of info-codes (RFC 8914), such as [22, 23]";
    let Some(codes) = codes else {
        document.error(&kind.at, format!("[[condition]] has no `codes`; write {RIGHT}"));
        return None;
    };
    let at = codes.at.clone();
    let mut mask = 0_u64;
    for code in codes.list(document, RIGHT) {
        let Some(code) = code.whole(document, 0..=u64::from(u16::MAX)) else { continue };
        if code.it >= OTHER_CODES as u64 {
            let most = CODES - 2;
            let what =
                format!("`codes`: {} is over {most}; those are counted together as other; write 0 to {most}", code.it);
            document.error(&code.at, what);
        } else if mask & 1 << code.it != 0 {
            document.error(&code.at, format!("`codes`: {} is there twice; remove one", code.it));
        } else {
            mask |= 1 << code.it;
        }
    }
    if mask == 0 {
        document.error(&at, format!("`codes` has none that can be judged; write {RIGHT}"));
    }
    Some(mask).filter(|&mask| mask != 0)
}
