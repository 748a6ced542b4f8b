//! What a delete does to an object: remove it, mark it as being deleted, or nothing more than was done already.
//! Pure.
//!
//! Pods that run on a node are marked and get time to end; the node's agent removes them by a delete with no
//! grace. Objects with finalizers are marked and go with the last of them. Namespaces go when their own
//! finalizers are gone.

use base::{bug, reached};
use objects::{Kind, Object, time};
use serde_json::Value;

#[derive(Debug, PartialEq)]
pub enum Decision {
    Remove,
    Mark(Object),
    /// It is being deleted already, and not faster for this.
    Leave,
}

pub const ORPHAN: &str = "orphan";
pub const FOREGROUND: &str = "foregroundDeletion";

/// Grace of a pod that says nothing about it.
const POD_GRACE: i64 = 30;
const SECOND: u64 = 1_000_000_000;

/// Decides at `now`, in ns since 1970. `propagation` is "" when the client leaves it to the kind.
pub fn decide(kind: &Kind, object: &Object, grace: Option<i64>, propagation: &str, now: u64) -> Decision {
    let marked = object.deletion_timestamp().is_some();
    if kind.kind == "Namespace" && !object.get_array(&["spec", "finalizers"]).is_empty() {
        return if marked { Decision::Leave } else { Decision::Mark(terminating(object, now)) };
    }
    let mut new = object.clone();
    let said = |finalizer: &&str| [ORPHAN, FOREGROUND].contains(finalizer);
    let lets_go = kind.orphans_by_default && !object.finalizers().iter().any(said);
    let propagation = if propagation.is_empty() && lets_go { "Orphan" } else { propagation };
    let finalizers = finalizers(object, propagation);
    new.set_finalizers(&finalizers);
    let period = match kind.kind {
        "Pod" => pod_grace(object, grace),
        _ => 0,
    };
    let free = finalizers.is_empty() || marked && bug!("FINALIZER");
    if marked {
        let Some(before) = object.deletion_grace_period() else {
            return if free { Decision::Remove } else { Decision::Leave };
        };
        let asked = grace.map(|_| period);
        if asked.is_none_or(|asked| asked >= before) && !(before == 0 && free) {
            return Decision::Leave;
        }
    }
    if period == 0 && free {
        reached!("api: what was being deleted was let go at last", marked);
        return Decision::Remove;
    }
    reached!("api: a deadline of a deletion moved nearer", marked);
    mark(&mut new, object, period, now);
    Decision::Mark(new)
}

/// True when this update takes away the last thing that kept a deleted object.
pub fn ends_with_update(kind: &Kind, new: &Object, old: &Object) -> bool {
    let kept = kind.kind == "Namespace" && !new.get_array(&["spec", "finalizers"]).is_empty();
    old.deletion_timestamp().is_some()
        && old.deletion_grace_period().unwrap_or(0) == 0
        && new.finalizers().is_empty()
        && !kept
}

/// The seconds a pod gets: none when nothing runs.
fn pod_grace(pod: &Object, asked: Option<i64>) -> i64 {
    let ended = ["Failed", "Succeeded"].contains(&pod.get_str(&["status", "phase"]));
    if pod.get_str(&["spec", "nodeName"]).is_empty() || ended {
        return 0;
    }
    let own = pod.get_i64(&["spec", "terminationGracePeriodSeconds"]);
    match asked.or(own).unwrap_or(POD_GRACE) {
        negative if negative < 0 => 1,
        seconds => seconds,
    }
}

/// The finalizers after a delete with this policy: Orphan and Foreground are finalizers for the garbage
/// collector to take away.
fn finalizers<'a>(object: &'a Object, propagation: &str) -> Vec<&'a str> {
    let mut finalizers = object.finalizers();
    if propagation.is_empty() {
        return finalizers;
    }
    finalizers.retain(|finalizer| ![ORPHAN, FOREGROUND].contains(finalizer));
    match propagation {
        "Orphan" => finalizers.push(ORPHAN),
        "Foreground" => finalizers.push(FOREGROUND),
        _ => {}
    }
    finalizers
}

/// Sets when the object is to be gone. A deadline set before only moves nearer.
fn mark(new: &mut Object, old: &Object, period: i64, now: u64) {
    let start = match (old.deletion_timestamp().and_then(time::parse_rfc3339), old.deletion_grace_period()) {
        (Some(then), Some(before)) => then.saturating_sub(before.unsigned_abs() * SECOND),
        _ => now,
    };
    let deadline = start.saturating_add(period.unsigned_abs() * SECOND);
    new.set(&["metadata", "deletionTimestamp"], time::rfc3339(deadline));
    new.set(&["metadata", "deletionGracePeriodSeconds"], period);
    if old.deletion_timestamp().is_none() && old.generation() > 0 {
        new.set_generation(old.generation() + 1);
    }
}

/// A namespace on its way out: whoever empties it takes its finalizers away when done.
fn terminating(namespace: &Object, now: u64) -> Object {
    let mut new = namespace.clone();
    new.set(&["metadata", "deletionTimestamp"], time::rfc3339(now));
    new.set(&["status", "phase"], Value::from("Terminating"));
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use objects::kinds::by_kind;

    const NOW: u64 = 1_000 * SECOND;

    fn pod(node: &str) -> Object {
        let mut pod = Object::new("v1", "Pod");
        pod.set_generation(1);
        pod.set(&["spec", "terminationGracePeriodSeconds"], 20);
        if !node.is_empty() {
            pod.set(&["spec", "nodeName"], node);
        }
        pod
    }

    fn delete(object: &Object, grace: Option<i64>, propagation: &str) -> Decision {
        let kind = by_kind(object.api_version(), object.kind()).unwrap();
        decide(kind, object, grace, propagation, NOW)
    }

    fn marked(decision: Decision) -> Object {
        match decision {
            Decision::Mark(object) => object,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_running_pod_gets_its_time_and_goes_by_a_delete_without_grace() {
        let pod = marked(delete(&pod("x"), None, ""));
        assert_eq!(pod.deletion_timestamp(), Some("1970-01-01T00:17:00Z"));
        assert_eq!((pod.deletion_grace_period(), pod.generation()), (Some(20), 2));
        assert_eq!(delete(&pod, None, ""), Decision::Leave);
        assert_eq!(delete(&pod, Some(20), ""), Decision::Leave);
        assert_eq!(delete(&pod, Some(0), ""), Decision::Remove);
        let sooner = marked(delete(&pod, Some(5), ""));
        assert_eq!(sooner.deletion_timestamp(), Some("1970-01-01T00:16:45Z"));
        assert_eq!((sooner.deletion_grace_period(), sooner.generation()), (Some(5), 2));
    }

    #[test]
    fn a_pod_that_does_not_run_goes_at_once() {
        assert_eq!(delete(&pod(""), None, ""), Decision::Remove);
        let mut ended = pod("x");
        ended.set(&["status", "phase"], "Succeeded");
        assert_eq!(delete(&ended, Some(30), ""), Decision::Remove);
    }

    #[test]
    fn finalizers_keep_an_object_until_an_update_takes_the_last() {
        let mut map = Object::new("v1", "ConfigMap");
        map.set_finalizers(&["a/b"]);
        let kind = by_kind("v1", "ConfigMap").unwrap();
        let kept = marked(delete(&map, None, ""));
        assert_eq!((kept.deletion_grace_period(), kept.finalizers()), (Some(0), vec!["a/b"]));
        assert_eq!(delete(&kept, None, ""), Decision::Leave);
        let mut freed = kept.clone();
        assert!(!ends_with_update(kind, &freed, &kept));
        freed.set_finalizers(&[]);
        assert!(ends_with_update(kind, &freed, &kept));
        assert!(!ends_with_update(kind, &freed, &map));
    }

    #[test]
    fn a_pod_with_a_finalizer_outlives_its_last_delete() {
        let mut pod = pod("x");
        pod.set_finalizers(&["a/b"]);
        let pod = marked(delete(&marked(delete(&pod, None, "")), Some(0), ""));
        assert_eq!(pod.deletion_grace_period(), Some(0));
        assert_eq!(delete(&pod, Some(0), ""), Decision::Leave);
    }

    #[test]
    fn orphan_and_foreground_are_finalizers() {
        let set = Object::new("apps/v1", "ReplicaSet");
        assert_eq!(delete(&set, None, "Background"), Decision::Remove);
        assert_eq!(marked(delete(&set, None, "Orphan")).finalizers(), [ORPHAN]);
        let foreground = marked(delete(&set, None, "Foreground"));
        assert_eq!(foreground.finalizers(), [FOREGROUND]);
        assert_eq!(delete(&foreground, None, "Background"), Decision::Remove);
    }

    /// batch/v1, for back compatibility.
    #[test]
    fn a_job_lets_its_pods_go_unless_the_delete_says_otherwise() {
        let job = Object::new("batch/v1", "Job");
        assert_eq!(marked(delete(&job, None, "")).finalizers(), [ORPHAN]);
        assert_eq!(delete(&job, None, "Background"), Decision::Remove);
        let foreground = marked(delete(&job, None, "Foreground"));
        assert_eq!(delete(&foreground, None, ""), Decision::Leave, "what was said before stands");
    }

    #[test]
    fn a_namespace_terminates_until_its_own_finalizers_are_gone() {
        let mut namespace = Object::new("v1", "Namespace");
        namespace.set(&["spec", "finalizers"], vec!["kubernetes"]);
        let ending = marked(delete(&namespace, None, ""));
        assert_eq!(ending.get_str(&["status", "phase"]), "Terminating");
        assert_eq!(delete(&ending, None, ""), Decision::Leave);
        let mut empty = ending.clone();
        empty.set(&["spec", "finalizers"], Value::Array(vec![]));
        let kind = by_kind("v1", "Namespace").unwrap();
        assert!(ends_with_update(kind, &empty, &ending));
        assert_eq!(delete(&empty, None, ""), Decision::Remove);
    }
}
