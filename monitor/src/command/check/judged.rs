//! What is in effect of conditions, and of routes that follow them.

use super::{line, percent};
use crate::config::units::{show_duration, show_number};
use engine::{Action, Condition, Judged, Kind, Plan, Policy, Route, Scope, When};
use std::io::{self, Write};
use std::time::Duration;

pub(super) fn print_condition(condition: &Condition, plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let window = show_duration(plan.window);
    let (measures, section) = match &condition.kind {
        Kind::QueryRate => (format!("queries received a second, over {window}"), "3.9"),
        Kind::QueryRateIncrease { at_least } => {
            let over = show_duration(plan.slope_window);
            let floor = format!("0 while the rate is under {}", show_number(*at_least));
            (format!("increase of queries a second per second, over {over}; {floor}"), "3.10")
        }
        Kind::ExtendedError { codes, judged: Judged::Rate } => {
            (format!("responses a second with info-codes {}, over {window}", listed(*codes)), "3.11")
        }
        Kind::ExtendedError { codes, judged: Judged::Share { at_least } } => {
            let floor = format!("0 with fewer than {at_least} of them");
            (format!("share of responses with info-codes {}, over {window}; {floor}", listed(*codes)), "3.11")
        }
    };
    let is_share = matches!(condition.kind, Kind::ExtendedError { judged: Judged::Share { .. }, .. });
    let show = |value| if is_share { percent(value) } else { show_number(value) };
    let scope = match condition.scope {
        Scope::Node => String::from("the node"),
        Scope::Prefix(slot) => format!("prefix {}", plan.names.get(slot)),
        Scope::Zone(slot) => format!("zone {}", plan.names.get(slot)),
        Scope::Group(index) => plan
            .groups
            .get(index)
            .map_or_else(String::new, |group| format!("group {}, zones: {}", group.name, group.slots.len())),
    };
    let (rising, falling) = (show(condition.thresholds.rising()), show(condition.thresholds.falling()));
    writeln!(out, "\ncondition {}", condition.name)?;
    line(out, "kind", &format!("{} (draft section {section})", condition.kind.as_str()))?;
    line(out, "watches", &scope)?;
    line(out, "measures", &measures)?;
    line(out, "met", &format!("at {rising} or over{}", held(condition.hold_rising)))?;
    line(out, "cleared", &format!("under {falling}{}", held(condition.hold_falling)))
}

pub(super) fn print_route(route: &Route, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nroute {}", route.prefix)?;
    line(
        out,
        "when",
        &if let When::Met(name) = &route.when { format!("{name} is met") } else { route.when.to_string() },
    )?;
    line(out, "router", &route.router)?;
    let Policy::Demote(ladder) = &route.policy else {
        return line(out, "policy", "absorb: the path stays as it is");
    };
    let steps: Vec<String> = ladder.steps.iter().map(ToString::to_string).collect();
    let [step_every, hold, max_hold] = [ladder.step_every, ladder.hold, ladder.max_hold].map(show_duration);
    line(out, "policy", &format!("demote: {}, for {max_hold} at most", steps.join(", then ")))?;
    line(out, "climbs", &format!("a step every {step_every} while it is met"))?;
    line(
        out,
        "released",
        &format!("a step after {hold} in which it is not; twice as long each time it comes back, {max_hold} at most"),
    )?;
    let withdraws = ladder.steps.contains(&Action::Withdraw);
    let withdrawals = if withdraws { format!("; withdrawals: {}", ladder.withdrawals) } else { String::new() };
    line(out, "changes", &format!("{} an hour at most{withdrawals}", ladder.changes))?;
    let Some(evidence) = ladder.evidence else { return Ok(()) };
    let unanswered = evidence.unanswered.map(|share| format!("{} of its queries are unanswered", percent(share)));
    let lost = evidence.drops.then(|| String::from("frames are lost"));
    let harm: Vec<String> = unanswered.into_iter().chain(lost).collect();
    line(out, "evidence", &format!("no step up unless {}", harm.join(" or ")))
}

fn held(hold: Duration) -> String {
    if hold.is_zero() { String::from(", at once") } else { format!(" for {}", show_duration(hold)) }
}

fn listed(codes: u64) -> String {
    let codes: Vec<String> = (0..u64::BITS).filter(|bit| codes & 1 << bit != 0).map(|bit| bit.to_string()).collect();
    codes.join(", ")
}
