//! The steps of a `ladder`: what each says, and in which order they may stand.

use super::document::{At, Document, Value};
use engine::{Action, MOST_PREPENDS};

/// What a step may say.
const STEP: &str =
    "one of prepend = 1, med = 200, community = \"64999:666\", graceful-shutdown = true and withdraw = true";

/// Reads the steps. The last one may withdraw where the route allows it.
pub(super) fn read<'i>(document: &mut Document<'i>, ladder: Value<'i>, may_withdraw: bool) -> Option<Vec<Action>> {
    const RIGHT: &str = "a list of steps, such as [{ prepend = 1 }, { prepend = 3 }]";
    let at = ladder.at.clone();
    let written = ladder.list(document, RIGHT);
    if written.is_empty() {
        document.error(&at, format!("`ladder` has no step; write {RIGHT}"));
    }
    let count = written.len();
    let steps: Vec<_> = written.into_iter().map(|step| one(document, step)).collect();
    let mut before: Vec<Action> = Vec::new();
    for (number, step) in (1..).zip(steps.iter().flatten()) {
        check(document, step, &before);
        if step.it == Action::Withdraw && number < count {
            document.error(&step.at, "`ladder`: behind `withdraw` there is nothing left to take back; write it last");
        } else if step.it == Action::Withdraw && !may_withdraw {
            let what =
                "`ladder`: a rate is unauthenticated input: `withdraw` needs the route's own allow-withdraw = true";
            document.error(&step.at, what);
        }
        before.push(step.it);
    }
    (before.len() == count && count > 0).then_some(before)
}

/// What is wrong with a step behind those `before` it.
fn check(document: &mut Document<'_>, step: &At<Action>, before: &[Action]) {
    if before.contains(&step.it) {
        document.error(&step.at, format!("`ladder`: `{}` is a step already; each replaces the one before", step.it));
        return;
    }
    // The stronger of each kind is the greater one.
    let weaker = |other: &&Action| match (step.it, **other) {
        (Action::Prepend(now), Action::Prepend(then)) => now < then,
        (Action::Med(now), Action::Med(then)) => now < then,
        _ => false,
    };
    if let Some(stronger) = before.iter().find(weaker) {
        let (now, then) = (step.it, stronger);
        document.error(&step.at, format!("`ladder`: `{now}` is weaker than `{then}` before it; write them ascending"));
    }
}

fn one<'i>(document: &mut Document<'i>, step: Value<'i>) -> Option<At<Action>> {
    let at = step.at.clone();
    let mut table = step.table(document, "a step of `ladder`")?;
    let words = ["prepend", "med", "community", "graceful-shutdown", "withdraw"];
    let [prepend, med, community, shutdown, withdraw] = words.map(|word| table.take(word));
    let written = [&prepend, &med, &community, &shutdown, &withdraw].into_iter().flatten().count();
    if written != 1 {
        let many = if written == 0 { "nothing" } else { "more than one thing" };
        document.error(&at, format!("a step of `ladder` says {many}; write {STEP}"));
    }
    let prepend = prepend.and_then(|value| value.whole(document, 1..=u64::from(MOST_PREPENDS)));
    let prepend = prepend.and_then(|times| u8::try_from(times.it).ok()).map(Action::Prepend);
    let med = med.and_then(|value| value.whole(document, 0..=u64::from(u32::MAX)));
    let med = med.and_then(|med| u32::try_from(med.it).ok()).map(Action::Med);
    let community = community.and_then(|value| {
        value.parse(document, "a community, such as \"64999:666\"", self::community).map(|community| community.it)
    });
    let shutdown = shutdown.and_then(|value| yes(document, value)).map(|()| Action::GracefulShutdown);
    let withdraw = withdraw.and_then(|value| yes(document, value)).map(|()| Action::Withdraw);
    table.close(document);
    let it = prepend.or(med).or(community).or(shutdown).or(withdraw).filter(|_| written == 1)?;
    Some(At { it, at })
}

/// Who wants a step not to be takes it off the list.
fn yes<'i>(document: &mut Document<'i>, value: Value<'i>) -> Option<()> {
    let (key, at) = (value.key.clone(), value.at.clone());
    let truth = value.truth(document)?;
    if !truth.it {
        document.error(&at, format!("`{key}` can only be true; remove the step instead"));
    }
    truth.it.then_some(())
}

fn community(text: &str) -> Result<Action, String> {
    const RIGHT: &str = "write two numbers from 0 to 65535, such as \"64999:666\"";
    let read = || {
        let (of, value) = text.split_once(':')?;
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
        Some((number(of)?, number(value)?))
    };
    match read() {
        None => Err(format!("\"{text}\" is not a community; {RIGHT}")),
        Some((65535, 0)) => Err(String::from("\"65535:0\" has its own word; write { graceful-shutdown = true }")),
        Some((65535, 666)) => Err(String::from(
            "\"65535:666\" is BLACKHOLE: neighbours would drop the traffic, which oopsd never asks for",
        )),
        Some((65535, _)) => {
            Err(format!("\"{text}\" is well-known (RFC 1997) and means more than oopsd may say; {RIGHT}"))
        }
        Some((of, value)) => Ok(Action::Community(of, value)),
    }
}
