//! A lease ends by time not before its time, and not never (etcd API guarantees, "Lease APIs").

use super::Verdict;
use crate::history::{Body, History, Nanos, Operation, Outcome, Request, seconds};
use base::Note;
use std::collections::BTreeMap;

const SECOND: u64 = 1_000_000_000;

/// The lease an answer concerns, and its time to live in nanoseconds (0: there is no such lease).
fn life(operation: &Operation) -> Option<(i64, u64)> {
    match (&operation.request, operation.done().map(|answer| &answer.body)) {
        (Request::Grant { .. } | Request::KeepAlive { .. }, Some(Body::Lease { lease, ttl })) => {
            Some((*lease, *ttl as u64 * SECOND))
        }
        _ => None,
    }
}

/// When each lease was first known to have ended, and whether by time.
fn ends(history: &History) -> BTreeMap<i64, (Nanos, bool)> {
    let mut ends = BTreeMap::new();
    for (at, _, note) in &history.notes {
        if let Note::LeaseEnded { lease, expired, .. } = note {
            ends.entry(*lease).or_insert((*at, *expired));
        }
    }
    ends
}

/// When somebody came to lead.
fn elections(history: &History) -> Vec<Nanos> {
    let leaders = history.notes.iter().filter(|(_, _, note)| matches!(note, Note::Leader { .. }));
    leaders.map(|(at, _, _)| *at).collect()
}

/// When each grant was answered.
fn grants(history: &History) -> BTreeMap<i64, Nanos> {
    let grants = history.operations.iter().filter(|op| matches!(op.request, Request::Grant { .. }));
    grants.filter_map(|op| Some((life(op)?.0, op.ret))).collect()
}

pub fn not_before(history: &History) -> Verdict {
    let (ends, grants) = (ends(history), grants(history));
    let mut count = 0;
    for operation in &history.operations {
        let Some((lease, ttl)) = life(operation) else { continue };
        count += 1;
        let known = grants.get(&lease).is_some_and(|granted| *granted <= operation.call);
        base::reached!("tank: a lease was gone when it was to be renewed", ttl == 0);
        if ttl == 0 && known && ends.get(&lease).is_none_or(|(end, _)| *end > operation.ret) {
            let text = format!("lease {lease:x} was said to be gone, and had not ended");
            return Verdict::Broken(vec![text, operation.to_string()]);
        }
        let Some((end, true)) = ends.get(&lease) else { continue };
        let owed = operation.call + ttl;
        if operation.ret <= *end && *end < owed {
            let text = format!(
                "lease {lease:x} ended by time at {}; it was owed until {}",
                seconds(*end),
                seconds(owed)
            );
            return Verdict::Broken(vec![text, operation.to_string()]);
        }
    }
    if count == 0 {
        Verdict::Idle
    } else {
        Verdict::Held(format!("{count} grants and renewals, {} ends", ends.len()))
    }
}

/// What is known of a run beside its history.
#[derive(Clone, Copy)]
pub struct Run {
    /// When all harm had ended.
    pub healed: Nanos,
    /// When the run ended.
    pub end: Nanos,
    /// An election and the work of revoking.
    pub slack: Nanos,
    /// Where what is left of leases is agreed on: what a change of leaders adds to their time at the most, and how long
    /// all harms take, in which nobody may lead.
    pub checkpoints: Option<(Nanos, Nanos)>,
}

pub fn not_never(history: &History, run: Run) -> Verdict {
    let (ends, elections) = (ends(history), elections(history));
    let Run { healed, end, slack, checkpoints } = run;
    let mut due: BTreeMap<i64, (Nanos, u64)> = BTreeMap::new();
    for operation in &history.operations {
        if let Some((lease, ttl)) = life(operation).filter(|(_, ttl)| *ttl > 0) {
            let entry = due.entry(lease).or_insert((0, ttl));
            entry.0 = entry.0.max(operation.ret);
        } else if let (Request::KeepAlive { lease }, Outcome::Unknown(_)) =
            (&operation.request, &operation.outcome)
            && let Some(entry) = due.get_mut(lease)
        {
            entry.0 = entry.0.max(if operation.ret == u64::MAX { end } else { operation.ret });
        }
    }
    let mut count = 0;
    for (lease, (renewed, ttl)) in due {
        let mut limit = renewed.max(healed) + ttl + slack;
        let mut within = end;
        if let Some((a_leader, harms)) = checkpoints {
            let since = elections.iter().filter(|at| **at > renewed).count() as u64;
            limit = limit.min(renewed + ttl + slack + since * a_leader + harms);
            within = limit;
        }
        if limit > end {
            continue;
        }
        count += 1;
        if ends.get(&lease).is_none_or(|(ended, _)| *ended > within) {
            let text = format!(
                "lease {lease:x} of {} s was last renewed at {} and had not ended at {}",
                ttl / SECOND,
                seconds(renewed),
                seconds(within)
            );
            return Verdict::Broken(vec![text]);
        }
    }
    if count == 0 { Verdict::Idle } else { Verdict::Held(format!("{count} leases ended")) }
}
