//! What a whole run or capture came to.

use crate::interval::{self, Distribution, Intervals};
use crate::json;
use engine::{View, Wall};
use std::collections::BTreeMap;
use wire::count::OTHER;
use wire::{Direction, Field, Node, Skip};

/// What a whole run or capture came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// When the first frame was captured, and the last; `None` if there was none.
    pub span: Option<(Wall, Wall)>,
    /// Frames read.
    pub frames: u64,
    /// Of all zones and `other` together.
    pub total: Totals,
    /// Queries sent and responses received: this host's own, as a resolver.
    pub upstream: (u64, u64),
    /// By name, `other` last. With more zones than [`interval::SHOWN_ZONES`], those that were seen.
    pub zones: Vec<(String, Totals)>,
    /// By service prefix.
    pub prefixes: Vec<(String, Totals)>,
    /// Messages with an opcode other than QUERY.
    pub other_opcodes: u64,
    /// Responses sent with TC = 1.
    pub truncated_responses: u64,
    /// Responses whose extended errors are not known, because their records could not be walked to the end.
    pub unwalked: u64,
    /// Frames, or messages in them, that were not read: `not-dns`, `malformed`, `fragment`, `truncated`, `segment`.
    pub skipped: BTreeMap<&'static str, u64>,
    /// What `malformed` is made of.
    pub malformed: BTreeMap<&'static str, u64>,
    /// How the node's query rate was distributed over the intervals.
    pub node_rates: Option<Distribution>,
    /// How each zone's was.
    pub zone_rates: Vec<(String, Distribution)>,
}

/// Totals of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Totals {
    /// Queries received.
    pub queries: u64,
    /// Responses sent.
    pub responses: u64,
    /// Responses sent with each info-code, by its number as text; `other` for all above 62.
    pub extended_errors: BTreeMap<String, u64>,
}

impl Summary {
    /// Of everything the engine has seen.
    #[must_use]
    pub fn new(view: View<'_>, intervals: &Intervals, span: Option<(Wall, Wall)>, frames: u64) -> Self {
        let names = &view.plan().names;
        let mut codes: BTreeMap<u32, BTreeMap<String, u64>> = BTreeMap::new();
        let mut all_codes: BTreeMap<String, u64> = BTreeMap::new();
        for (slot, column, count) in view.codes() {
            let code = json::info_code(column);
            if slot <= names.zones() {
                let sum = all_codes.entry(code.clone()).or_default();
                *sum = sum.wrapping_add(count);
            }
            codes.entry(slot).or_default().insert(code, count);
        }
        let totals = |slot: u32| {
            let counted = view.totals(slot);
            Totals {
                queries: counted[Field::Queries as usize],
                responses: interval::responses(&counted),
                extended_errors: codes.get(&slot).cloned().unwrap_or_default(),
            }
        };
        let shown = |totals: &Totals| names.zones() <= interval::SHOWN_ZONES || *totals != Totals::default();
        let zones = (1..=names.zones()).chain([OTHER]).map(|slot| (names.get(slot).to_owned(), totals(slot)));
        let prefixes = (names.zones() + 1..names.slots()).map(|slot| (names.get(slot).to_owned(), totals(slot)));
        let node = view.node();
        let of = |total: Node| node[total.index()];
        let (skipped, malformed) = skipped(&of);
        Self {
            span,
            frames,
            total: Totals {
                queries: interval::node_total(node, false),
                responses: interval::node_total(node, true),
                extended_errors: all_codes,
            },
            upstream: (
                interval::messages(node, Direction::Sent, false),
                interval::messages(node, Direction::Received, true),
            ),
            zones: zones.filter(|(_, totals)| shown(totals)).collect(),
            prefixes: prefixes.collect(),
            other_opcodes: of(Node::OtherOpcode),
            truncated_responses: of(Node::Truncated),
            unwalked: of(Node::Unwalked),
            skipped,
            malformed,
            node_rates: intervals.node(),
            zone_rates: intervals.zones().map(|(slot, rates)| (names.get(slot).to_owned(), rates)).collect(),
        }
    }
}

type Reasons = BTreeMap<&'static str, u64>;

/// The reasons as the summary groups them, and what its `malformed` is made of.
fn skipped(of: &impl Fn(Node) -> u64) -> (Reasons, Reasons) {
    let mut skipped = BTreeMap::new();
    let mut malformed = BTreeMap::new();
    for skip in Skip::ALL {
        let count = of(Node::Skipped(skip));
        match skip {
            Skip::NotDns | Skip::Fragment | Skip::Truncated | Skip::Segment => {
                skipped.insert(skip.as_str(), count);
            }
            Skip::Malformed | Skip::QuestionCount | Skip::NamePointer | Skip::NameLength => {
                let sum: &mut u64 = skipped.entry(Skip::Malformed.as_str()).or_default();
                *sum = sum.wrapping_add(count);
                let reason = if skip == Skip::Malformed { "header" } else { skip.as_str() };
                malformed.insert(reason, count);
            }
        }
    }
    (skipped, malformed)
}
