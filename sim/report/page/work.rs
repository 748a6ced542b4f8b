//! What clients did, from call to answer, and which of it a broken promise's evidence names.

use super::lanes::Lanes;
use crate::history::{Body, Nanos, Operation, Outcome, Request, seconds};
use crate::story::Story;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Work {
    pub lane: usize,
    pub from: Nanos,
    /// Of one that got no answer: when the client went on to the next.
    pub to: Nanos,
    /// `done`, `refused`, `unknown`
    pub outcome: &'static str,
    /// In a few words.
    pub short: String,
    pub whole: String,
    /// A broken promise names it.
    pub evidence: bool,
}

/// Every line of evidence of every broken promise.
pub fn evidence(story: &Story) -> impl Iterator<Item = String> {
    story.outcome.broken().flat_map(|finding| finding.verdict.evidence())
}

pub fn operations(story: &Story, lanes: &Lanes) -> Vec<Work> {
    let evidence: Vec<String> = evidence(story).collect();
    let of_store = story.operations.iter().filter_map(|operation| {
        let whole = operation.to_string();
        Some(Work {
            lane: lanes.get(&operation.client)?,
            from: operation.call,
            to: operation.ret,
            outcome: match operation.outcome {
                Outcome::Done(_) => "done",
                Outcome::Refused(_) => "refused",
                Outcome::Unknown(_) => "unknown",
            },
            short: short(operation),
            evidence: evidence.iter().any(|line| line.contains(&whole)),
            whole,
        })
    });
    let of_api = story.wishes.iter().filter_map(|wish| {
        let (outcome, said) = match &wish.outcome {
            Ok(()) => ("done", format!("granted at {}", seconds(wish.ret))),
            Err(why) => ("refused", format!("failed at {}: {why}", seconds(wish.ret))),
        };
        let whole = format!("{}: {}, called at {}, {said}", wish.client, wish.what, seconds(wish.call));
        let evidence = evidence.iter().any(|line| line.contains(&whole));
        let (lane, short) = (lanes.get(&wish.client)?, wish.what.clone());
        Some(Work { lane, from: wish.call, to: wish.ret, outcome, short, whole, evidence })
    });
    let mut all: Vec<Work> = of_store.chain(of_api).collect();
    all.sort_by_key(|work| (work.lane, work.from));
    give_up(&mut all, story.end());
    all
}

/// An operation without an answer is shown until its client goes on: nobody waits for it any longer.
fn give_up(sorted: &mut [Work], end: Nanos) {
    let mut next: BTreeMap<usize, Nanos> = BTreeMap::new();
    for work in sorted.iter_mut().rev() {
        if work.to > end {
            work.to = next.get(&work.lane).copied().unwrap_or(end).max(work.from);
        }
        next.insert(work.lane, work.from);
    }
}

/// `get load/1 = a @7`: what fits on a bar.
fn short(operation: &Operation) -> String {
    let asked = match &operation.request {
        // every write of the load has a value of its own, and guards are long
        Request::Write { changes, .. } => {
            let changes: Vec<String> = changes.iter().map(|change| change.to_string()).collect();
            changes.join(" and ")
        }
        request => request.to_string(),
    };
    match &operation.outcome {
        Outcome::Done(answer) => {
            let got = match &answer.body {
                Body::Kvs(kvs) if kvs.len() == 1 => format!(" = {}", kvs[0].value),
                Body::Kvs(kvs) if kvs.is_empty() => " = nothing".into(),
                Body::Kvs(kvs) => format!(" = {} keys", kvs.len()),
                Body::Wrote { succeeded: false, .. } => ": guard failed".into(),
                _ => String::new(),
            };
            format!("{asked}{got} @{}", answer.revision)
        }
        Outcome::Refused(_) => format!("{asked}: refused"),
        Outcome::Unknown(_) => format!("{asked}: no answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_without_an_answer_ends_where_its_client_goes_on() {
        let work = |lane, from, to| Work {
            lane,
            from,
            to,
            outcome: "unknown",
            short: String::new(),
            whole: String::new(),
            evidence: false,
        };
        let mut all = [work(0, 5, u64::MAX), work(0, 9, 12), work(0, 20, u64::MAX), work(1, 7, u64::MAX)];
        give_up(&mut all, 30);
        assert_eq!(all.map(|work| work.to), [9, 12, 30, 30]);
    }
}
