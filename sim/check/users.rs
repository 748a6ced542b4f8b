//! Who does what: a user does what its role allows at some moment while it asks, and is refused only if there is a
//! moment at which it may not. And space: what frees it is never refused for want of it.
//!
//! What was so at a moment is known from the attempts to make it so. One that was answered took effect between its
//! call and its answer; one that was not may have taken effect at any time since, and both then count as possible.

use super::Verdict;
use crate::history::{Attempt, Change, Fact, History, Nanos, Operation, Outcome, Request, Rights, seconds};
use std::collections::BTreeSet;

/// What an operation needs of the keys of the load.
fn needed(request: &Request) -> Rights {
    match request {
        Request::Read { .. } => Rights::Read,
        Request::Write { .. } | Request::Revoke { .. } => Rights::ReadWrite,
        // these are for root, or for everybody
        Request::Compact { .. } | Request::Grant { .. } | Request::KeepAlive { .. } => Rights::None,
        // of no keys of the load: not asked about
        Request::Lock { .. } | Request::Unlock { .. } => Rights::None,
    }
}

/// One fact's possible values at a moment, out of those it was ever to have. `value`: what an attempt would make of it,
/// if it is about this fact.
fn possible<T: Ord + Copy>(
    attempts: &[Attempt],
    at: Nanos,
    first: T,
    value: impl Fn(&Fact) -> Option<T>,
) -> BTreeSet<T> {
    let about = || attempts.iter().filter_map(|attempt| value(&attempt.fact).map(|value| (attempt, value)));
    let settled = about().filter(|(attempt, _)| attempt.done == Some(true) && attempt.ret < at);
    let last = settled.max_by_key(|(attempt, _)| attempt.ret).map_or(first, |(_, value)| value);
    let open = about().filter(|(attempt, _)| match attempt.done {
        Some(true) => attempt.call <= at && at <= attempt.ret,
        Some(false) => false,
        None => attempt.call <= at,
    });
    open.map(|(_, value)| value).chain([last]).collect()
}

/// Whether a user possibly may, and possibly may not, at a moment.
fn judged(attempts: &[Attempt], user: &str, needed: Rights, at: Nanos) -> (bool, bool) {
    let apart = possible(attempts, at, false, |fact| match fact {
        Fact::Apart(on) => Some(*on),
        _ => None,
    });
    let rights = possible(attempts, at, Rights::None, |fact| match fact {
        Fact::May { user: of, rights } if of == user => Some(*rights),
        _ => None,
    });
    let role = possible(attempts, at, false, |fact| match fact {
        Fact::Has { user: of, role } if of == user => Some(*role),
        _ => None,
    });
    let enough = |rights: &Rights| *rights >= needed;
    let free = needed == Rights::None;
    let may = apart.contains(&false) || free || role.contains(&true) && rights.iter().any(enough);
    let may_not = apart.contains(&true) && !free && (role.contains(&false) || !rights.iter().all(enough));
    (may, may_not)
}

/// Every moment within an operation at which something may be otherwise than before. One that is content with what is
/// old may find users as they were long ago, too.
fn moments(attempts: &[Attempt], operation: &Operation) -> Vec<Nanos> {
    let content = matches!(operation.request, Request::Read { serializable: true, .. });
    let from = if content { 0 } else { operation.call };
    let turns =
        attempts.iter().flat_map(|attempt| [attempt.call, attempt.ret, attempt.ret.saturating_add(1)]);
    let within = turns.filter(|at| (from..=operation.ret).contains(at));
    within.chain([from, operation.ret]).collect()
}

/// Operations of those who are users, with what they need.
fn of_users(history: &History) -> impl Iterator<Item = (&Operation, Rights)> {
    let users: BTreeSet<&String> = history
        .attempts
        .iter()
        .filter_map(|attempt| match &attempt.fact {
            Fact::May { user, .. } | Fact::Has { user, .. } => Some(user),
            Fact::Apart(_) => None,
        })
        .collect();
    let of_locks = |request: &Request| matches!(request, Request::Lock { .. } | Request::Unlock { .. });
    let operations = history.operations.iter();
    let operations = operations
        .filter(move |operation| users.contains(&operation.client) && !of_locks(&operation.request));
    operations.map(|operation| (operation, needed(&operation.request)))
}

fn verdict(looked_at: usize, broken: Vec<String>) -> Verdict {
    match (looked_at, broken.is_empty()) {
        (0, _) => Verdict::Idle,
        (_, true) => Verdict::Held(format!("{looked_at} operations of users")),
        (_, false) => Verdict::Broken(broken.into_iter().take(8).collect()),
    }
}

/// What was done last about the user of an operation, each fact once, the last first.
fn done(history: &History, operation: &Operation) -> Vec<String> {
    let about = |fact: &Fact| match fact {
        Fact::Apart(_) => true,
        Fact::May { user, .. } | Fact::Has { user, .. } => *user == operation.client,
    };
    let before = history.attempts.iter().rev().filter(|attempt| attempt.call <= operation.ret);
    let mut kinds = vec![];
    let last =
        before.filter(|attempt| about(&attempt.fact) && attempt.done == Some(true)).filter(|attempt| {
            let kind = std::mem::discriminant(&attempt.fact);
            let first = !kinds.contains(&kind);
            kinds.push(kind);
            first
        });
    last.map(|attempt| {
        format!("  {}, between {} and {}", attempt.fact, seconds(attempt.call), seconds(attempt.ret))
    })
    .collect()
}

/// Nobody does what no role of his allows.
pub fn no_more(history: &History) -> Verdict {
    let (mut looked_at, mut broken) = (0, vec![]);
    for (operation, needed) in of_users(history).filter(|(operation, _)| operation.done().is_some()) {
        if matches!(operation.request, Request::Revoke { .. }) {
            continue; // a lease without keys is anybody's to end
        }
        looked_at += 1;
        let may = |at: &Nanos| match operation.request {
            // only root compacts, while users are told apart
            Request::Compact { .. } => judged(&history.attempts, "", Rights::Read, *at).0,
            _ => judged(&history.attempts, &operation.client, needed, *at).0,
        };
        if !moments(&history.attempts, operation).iter().any(may) {
            broken.push(format!("{operation}, though {} may not", operation.client));
            broken.extend(done(history, operation));
        }
    }
    verdict(looked_at, broken)
}

/// Nobody is refused what a role of his allows.
pub fn no_less(history: &History) -> Verdict {
    let (mut looked_at, mut broken) = (0, vec![]);
    for (operation, needed) in of_users(history) {
        let Outcome::Refused(why) = &operation.outcome else {
            looked_at += usize::from(operation.done().is_some());
            continue;
        };
        if !why.contains("permission denied") || matches!(operation.request, Request::Compact { .. }) {
            continue;
        }
        looked_at += 1;
        let may_not = |at: &Nanos| judged(&history.attempts, &operation.client, needed, *at).1;
        if !moments(&history.attempts, operation).iter().any(may_not) {
            broken.push(format!("{operation}, though {} may", operation.client));
            broken.extend(done(history, operation));
        }
    }
    verdict(looked_at, broken)
}

/// What frees space is done when there is none.
pub fn space(history: &History) -> Verdict {
    let refused = |operation: &&Operation| matches!(&operation.outcome, Outcome::Refused(why) if why.contains("database space exceeded"));
    let frees = |operation: &&Operation| match &operation.request {
        Request::Write { changes, .. } => !changes.iter().any(|change| matches!(change, Change::Put { .. })),
        Request::Compact { .. } | Request::Read { .. } | Request::Revoke { .. } => true,
        Request::Unlock { .. } => true,
        Request::Grant { .. } | Request::KeepAlive { .. } | Request::Lock { .. } => false,
    };
    let full = history.operations.iter().filter(refused);
    let looked_at = full.clone().count();
    let broken = full.filter(frees).map(|operation| operation.to_string());
    match (looked_at, broken.collect::<Vec<_>>()) {
        (0, _) => Verdict::Idle,
        (_, broken) if broken.is_empty() => {
            Verdict::Held(format!("{looked_at} operations were refused for want of space"))
        }
        (_, broken) => Verdict::Broken(broken.into_iter().take(3).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Answer, Body, Span};

    fn attempt(call: Nanos, ret: Nanos, fact: Fact, done: Option<bool>) -> Attempt {
        Attempt { call, ret, fact, done }
    }

    fn may(rights: Rights) -> Fact {
        Fact::May { user: "client-1".into(), rights }
    }

    /// Admitted at 10, told apart at 20, forbidden to write between 30 and 40.
    fn history(more: Vec<Attempt>, operations: Vec<Operation>) -> History {
        let mut attempts = vec![
            attempt(8, 9, may(Rights::ReadWrite), Some(true)),
            attempt(9, 10, Fact::Has { user: "client-1".into(), role: true }, Some(true)),
            attempt(15, 20, Fact::Apart(true), Some(true)),
            attempt(30, 40, may(Rights::Read), Some(true)),
        ];
        attempts.extend(more);
        History { attempts, operations, ..History::default() }
    }

    fn write(call: Nanos, ret: Nanos, done: bool) -> Operation {
        let outcome = match done {
            true => {
                Outcome::Done(Answer { revision: 9, body: Body::Wrote { succeeded: true, deleted: vec![] } })
            }
            false => Outcome::Refused("PermissionDenied: etcdserver: permission denied".into()),
        };
        let changes = vec![Change::Put { key: "load/1".into(), value: "v".into(), lease: 0 }];
        let request = Request::Write { guards: vec![], changes };
        Operation { client: "client-1".into(), call, ret, request, outcome }
    }

    fn judge(more: Vec<Attempt>, operation: Operation) -> (bool, bool) {
        let history = history(more, vec![operation]);
        (no_more(&history).failed(), no_less(&history).failed())
    }

    #[test]
    fn a_user_does_what_it_may_at_some_moment_of_its_request() {
        assert_eq!(judge(vec![], write(25, 28, true)), (false, false));
        assert_eq!(judge(vec![], write(28, 50, true)), (false, false));
        assert_eq!(judge(vec![], write(35, 36, true)), (false, false));
        assert_eq!(judge(vec![], write(40, 50, true)), (false, false), "forbidden as late as that");
        assert_eq!(judge(vec![], write(41, 50, true)), (true, false));
        let off = attempt(60, 70, Fact::Apart(false), Some(true));
        assert_eq!(judge(vec![off.clone()], write(65, 66, true)), (false, false));
        assert_eq!(judge(vec![off], write(80, 90, true)), (false, false));
    }

    #[test]
    fn a_user_is_refused_only_if_there_is_a_moment_at_which_it_may_not() {
        assert_eq!(judge(vec![], write(41, 50, false)), (false, false));
        assert_eq!(judge(vec![], write(25, 31, false)), (false, false));
        assert_eq!(judge(vec![], write(25, 28, false)), (false, true));
        assert_eq!(judge(vec![], write(5, 6, false)), (false, true), "nobody is told apart");
        let again = attempt(60, 70, may(Rights::ReadWrite), Some(true));
        assert_eq!(judge(vec![again.clone()], write(69, 71, false)), (false, false));
        assert_eq!(judge(vec![again], write(71, 75, false)), (false, true));
    }

    #[test]
    fn an_attempt_without_an_answer_may_take_effect_at_any_time_and_one_refused_never() {
        let lost = |done| attempt(50, 55, may(Rights::ReadWrite), done);
        assert_eq!(judge(vec![lost(None)], write(100, 101, true)), (false, false));
        assert_eq!(judge(vec![lost(None)], write(100, 101, false)), (false, false));
        assert_eq!(judge(vec![lost(Some(false))], write(100, 101, true)), (true, false));
    }

    #[test]
    fn a_serializable_read_may_find_users_as_they_were() {
        let read = |serializable| Operation {
            request: Request::Read { span: Span::one("load/1"), at: 0, serializable },
            ..write(90, 95, true)
        };
        let taken = attempt(60, 70, Fact::Has { user: "client-1".into(), role: false }, Some(true));
        assert_eq!(judge(vec![taken.clone()], read(true)), (false, false));
        assert_eq!(judge(vec![taken], read(false)), (true, false));
    }

    #[test]
    fn only_root_compacts() {
        let compact = |call, ret| Operation {
            request: Request::Compact { at: 5 },
            outcome: Outcome::Done(Answer { revision: 9, body: Body::Nothing }),
            ..write(call, ret, true)
        };
        assert_eq!(judge(vec![], compact(5, 6)), (false, false));
        assert_eq!(judge(vec![], compact(25, 26)), (true, false));
    }

    #[test]
    fn what_frees_space_is_not_refused_for_want_of_it() {
        let full = |request| Operation {
            request,
            outcome: Outcome::Refused("ResourceExhausted: etcdserver: mvcc: database space exceeded".into()),
            ..write(5, 6, false)
        };
        let of = |operation| space(&history(vec![], vec![operation])).failed();
        assert!(!of(full(write(5, 6, false).request)));
        assert!(of(full(Request::Compact { at: 5 })));
        let span = Span::one("load/1");
        assert!(of(full(Request::Write { guards: vec![], changes: vec![Change::Delete { span }] })));
    }
}
