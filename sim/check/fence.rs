//! Only the holder of a leader-election lock acts: no write by one whose lock another has won since.

use super::Verdict;
use crate::history::{Nanos, seconds};
use base::Note;
use std::collections::BTreeMap;

pub fn fenced(notes: &[(Nanos, String, Note)]) -> Verdict {
    // per lock: who won it last, and when
    let mut holder: BTreeMap<&str, (&str, Nanos)> = BTreeMap::new();
    let mut writes = 0;
    for (at, _, note) in notes {
        match note {
            Note::Elected { identity, lock, held: true } => {
                holder.insert(lock, (identity, *at));
            }
            Note::FencedWrite { identity, lock, what } => {
                writes += 1;
                let Some((now, since)) = holder.get(lock.as_str()).filter(|(now, _)| now != identity) else {
                    continue;
                };
                let text = format!(
                    "{identity}: {what} at {} under {lock}, which {now} had won at {}",
                    seconds(*at),
                    seconds(*since)
                );
                return Verdict::Broken(vec![text]);
            }
            _ => {}
        }
    }
    if writes == 0 {
        Verdict::Idle
    } else {
        Verdict::Held(format!("{writes} writes under {} locks", holder.len()))
    }
}
