//! Locks: at the revision with which a lock was given its key stands, and none that was made before it. (That a lease does
//! not end before its time is another promise.)

use super::Verdict;
use crate::history::{Body, Event, History, Request};
use std::collections::BTreeMap;

/// Keys below a lock's name at a revision, by the revision that made them.
fn queue(log: &BTreeMap<i64, Vec<Event>>, name: &str, at: i64) -> BTreeMap<String, i64> {
    let below = format!("{name}/");
    let mut keys = BTreeMap::new();
    let events = log.range(..=at).flat_map(|(_, events)| events);
    for event in events.filter(|event| event.kv.key.starts_with(&below)) {
        let key = event.kv.key.to_string();
        match event.delete {
            true => keys.remove(&key),
            false => keys.insert(key, event.kv.create),
        };
    }
    keys
}

pub fn had(history: &History, log: &BTreeMap<i64, Vec<Event>>) -> Verdict {
    let (mut looked_at, mut broken) = (0, vec![]);
    // what was compacted before anybody saw it may be missing: from there on nobody knows
    let seen = (2..).find(|revision| !log.contains_key(revision)).unwrap_or(i64::MAX) - 1;
    for operation in &history.operations {
        let (Request::Lock { name, .. }, Some(answer)) = (&operation.request, operation.done()) else {
            continue;
        };
        let Body::Lock { key } = &answer.body else { continue };
        if answer.revision > seen {
            continue;
        }
        looked_at += 1;
        let queue = queue(log, name, answer.revision);
        let first = queue.iter().min_by_key(|(_, made)| **made);
        match (queue.get(key), first) {
            (None, _) => broken.push(format!("{operation}: {key} was not there any more")),
            (_, Some((first, _))) if first != key => broken.push(format!("{operation}: {first} had it")),
            _ => {}
        }
    }
    match (looked_at, broken.is_empty()) {
        (0, _) => Verdict::Idle,
        (_, true) => Verdict::Held(format!("{looked_at} locks were given")),
        (_, false) => Verdict::Broken(broken.into_iter().take(3).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Answer, Kv, Operation, Outcome};

    fn event(key: &str, revision: i64, delete: bool) -> (i64, Vec<Event>) {
        let create = if delete { 0 } else { revision };
        let kv = Kv { key: key.to_string().into(), create, modified: revision, ..Kv::default() };
        (revision, vec![Event { delete, kv, prev: None }])
    }

    fn judge(key: &str, revision: i64) -> bool {
        let log = BTreeMap::from([
            event("locks/1/a", 2, false),
            event("locks/1/b", 3, false),
            event("locks/10/c", 4, false),
            event("locks/1/a", 5, true),
            event("locks/1/b", 6, true),
            event("locks/10/c", 7, true),
        ]);
        let outcome = Outcome::Done(Answer { revision, body: Body::Lock { key: key.into() } });
        let request = Request::Lock { name: "locks/1".into(), lease: 1 };
        let operation = Operation { client: "c".into(), call: 1, ret: 2, request, outcome };
        let history = History { operations: vec![operation], ..History::default() };
        had(&history, &log).failed()
    }

    #[test]
    fn a_lock_is_had_by_the_first_that_is_there() {
        assert!(!judge("locks/1/a", 2) && !judge("locks/1/a", 4));
        assert!(judge("locks/1/b", 4), "it is not its turn");
        assert!(!judge("locks/1/b", 5));
        assert!(!judge("locks/1/a", 9), "nobody saw revision 8");
        assert!(judge("locks/1/b", 6) && judge("locks/1/a", 5), "it is not there any more");
    }
}
