//! What an operator asks of a queue, and has done to it. The journal's thread and the worker go on meanwhile.

use super::super::letter::decode;
use super::super::row::{Dropped, Line, Row};
use super::file::Kept;
use super::{Outbox, now};
use crate::json;
use std::collections::BTreeMap;

/// So many are looked at in one piece: nobody waits for long who has a signal to send.
const PIECE: usize = 500;

impl Outbox {
    /// How it stands.
    pub(in super::super) fn row(&self) -> Row {
        let queue = self.queue();
        let next = queue.answer.as_ref().and_then(|(_, next)| *next).map(|next| next.saturating_duration_since(now()));
        Row {
            channel: self.name.clone(),
            configured: true,
            waiting: queue.waiting.len() as u64,
            bytes: queue.bytes as u64,
            oldest: queue.waiting.values().next().and_then(|entry| made(&entry.kept)),
            disabled: queue.disabled,
            answer: queue.answer.as_ref().map(|(why, _)| why.clone()),
            next_attempt_seconds: next.map(|next| next.as_secs_f64()),
            sent: queue.sent,
            failed: queue.failed,
            dropped: queue.dropped,
            superseded: queue.superseded,
        }
    }

    /// The first few that wait, from this number on.
    pub(in super::super) fn lines(&self, from: u64) -> Vec<Line> {
        let (taken, waiting) = {
            let queue = self.queue();
            let waiting = queue.waiting.range(from..).take(PIECE).map(|(&number, entry)| (number, entry.kept.clone()));
            (queue.taken, waiting.collect::<Vec<_>>())
        };
        waiting.iter().filter_map(|(number, kept)| Line::new(*number, kept, Some(*number) <= taken)).collect()
    }

    /// Has the worker try again at once. Returns its name.
    pub(in super::super) fn retry(&self) -> &str {
        let mut queue = self.queue();
        queue.disabled = false;
        if queue.taken.is_some() {
            self.stirred.notify_one();
        }
        &self.name
    }

    /// Drops these, or all that wait now.
    pub(in super::super) fn discard(&self, numbers: Option<&[u64]>) -> Dropped {
        let mut dropped = Dropped::default();
        let all: Vec<u64> = match numbers {
            Some(numbers) => numbers.to_vec(),
            None => self.queue().waiting.keys().copied().collect(),
        };
        for piece in all.chunks(PIECE) {
            let mut queue = self.queue();
            for &number in piece {
                if queue.is_taken(number) {
                    // Its worker drops it when the attempt has failed.
                    dropped.trying |= queue.condemned.insert(number);
                    dropped.dropped += 1;
                } else if let Some(entry) = queue.remove(number) {
                    queue.dropped += 1;
                    queue.lost += entry.kept.stands_for();
                    dropped.dropped += 1;
                    dropped.trying |= Some(number) <= queue.tried;
                }
            }
        }
        let queue = self.queue();
        dropped.waiting = queue.waiting.len().saturating_sub(queue.condemned.len()) as u64;
        drop(queue);
        if dropped.trying {
            self.stirred.notify_one();
        }
        self.soon();
        dropped
    }
}

/// How what waits for a channel that is not configured, or with no oopsd running, stands.
pub(super) fn row(channel: &str, configured: bool, letters: &BTreeMap<u64, Kept>) -> Row {
    Row {
        channel: channel.to_owned(),
        configured,
        waiting: letters.len() as u64,
        bytes: letters.values().map(|kept| kept.text.len() as u64).sum(),
        oldest: letters.values().next().and_then(made),
        ..Row::default()
    }
}

/// The first few of them.
pub(super) fn lines(letters: &BTreeMap<u64, Kept>, from: u64) -> Vec<Line> {
    let letters = letters.range(from..).take(PIECE);
    letters.filter_map(|(&number, kept)| Line::new(number, kept, false)).collect()
}

fn made(kept: &Kept) -> Option<String> {
    decode(&kept.text).map(|(signal, _)| json::at(signal.wall))
}
