//! Is there any order of a small history that the model explains? The search of Wing and Gong with Lowe's memory:
//! exponential at worst, right by construction, and independent of revision tricks: the cross-check of
//! `check::linear`.

use super::kv::{Model, Told};
use crate::history::{Body, Operation, Outcome, Request};
use std::collections::BTreeSet;

/// True if some order, which respects real time, explains every answer. Unknown outcomes may take effect at any
/// time after their call, or never. At most 63 operations.
pub fn explains(operations: &[Operation]) -> bool {
    let mut operations: Vec<&Operation> =
        operations.iter().filter(|op| !matches!(op.outcome, Outcome::Refused(_))).collect();
    operations.sort_by_key(|op| op.call);
    assert!(operations.len() < 64, "the search is for small histories");
    let must = mask(operations.iter().map(|op| matches!(op.outcome, Outcome::Done(_))));
    let mut seen = BTreeSet::new();
    search(&operations, must, 0, &Model::default(), &mut seen)
}

fn mask(bits: impl Iterator<Item = bool>) -> u64 {
    bits.enumerate().filter(|(_, on)| *on).fold(0, |mask, (n, _)| mask | 1 << n)
}

fn search(
    ops: &[&Operation],
    must: u64,
    done: u64,
    model: &Model,
    seen: &mut BTreeSet<(u64, String)>,
) -> bool {
    if done & must == must {
        return true;
    }
    if !seen.insert((done, format!("{model:?}"))) {
        return false;
    }
    // an operation may come next unless another, still open, had returned before it was called
    let open = |n: &usize| done & (1 << n) == 0;
    let first_return = (0..ops.len()).filter(open).filter(|n| must & (1 << n) != 0).map(|n| ops[n].ret).min();
    let first_return = first_return.unwrap_or(u64::MAX);
    let candidates: Vec<usize> =
        (0..ops.len()).filter(open).filter(|n| ops[*n].call <= first_return).collect();
    candidates
        .into_iter()
        .any(|n| step(model, ops[n]).is_some_and(|next| search(ops, must, done | 1 << n, &next, seen)))
}

/// The model after the operation, if its answer (if any) is what the model says.
fn step(model: &Model, operation: &Operation) -> Option<Model> {
    let answer = operation.done();
    match &operation.request {
        Request::Read { span, .. } => {
            let Told::Sure(found) = model.range(span) else { return None };
            let told = match answer.map(|answer| &answer.body) {
                Some(Body::Kvs(kvs)) => kvs,
                _ => return Some(model.clone()),
            };
            let right = found.len() == told.len() && found.iter().zip(told).all(|(a, b)| **a == *b);
            (right && answer.is_none_or(|answer| answer.revision == model.revision)).then(|| model.clone())
        }
        Request::Write { guards, changes } => {
            let holds = model.holds(guards)?;
            let events = if holds { model.effect(changes, model.revision + 1)? } else { vec![] };
            let mut next = model.clone();
            if !events.is_empty() {
                next.apply(model.revision + 1, &events);
            }
            let right = match answer.map(|answer| (&answer.body, answer.revision)) {
                Some((Body::Wrote { succeeded, .. }, revision)) => {
                    *succeeded == holds && revision == next.revision
                }
                _ => true,
            };
            right.then_some(next)
        }
        _ => Some(model.clone()),
    }
}
