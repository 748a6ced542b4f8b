//! A Deployment's status. Pure: the counts of its sets, and the conditions Available and Progressing.

use super::{
    plan::{Sets, available, replicas},
    rollout::Bounds,
};
use base::reached;
use objects::{Object, time};
use serde_json::{Value, json};
use std::time::Duration;

struct Counts {
    total: i64,
    updated: i64,
    ready: i64,
    available: i64,
}

/// The status at `now`, and when to look again because a deadline may pass.
pub fn of(deployment: &Object, sets: &Sets, now: u64) -> (Value, Option<Duration>) {
    let sum = |field: &str| sets.all().map(|set| set.get_i64(&["status", field]).unwrap_or(0)).sum();
    let new = |field: &str| sets.new.as_ref().map_or(0, |set| set.get_i64(&["status", field]).unwrap_or(0));
    let counts = Counts {
        total: sum("replicas"),
        updated: new("replicas"),
        ready: sum("readyReplicas"),
        available: sets.all().map(|set| available(set)).sum(),
    };
    let asked: i64 = sets.all().map(|set| replicas(set)).sum();
    let mut status = json!({ "observedGeneration": deployment.generation() });
    let shown = [
        ("replicas", counts.total),
        ("updatedReplicas", counts.updated),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
        ("unavailableReplicas", (asked - counts.available).max(0)),
    ];
    for (name, count) in shown.iter().filter(|(_, count)| *count > 0) {
        status[*name] = (*count).into();
    }
    if let Some(count) = deployment.get_i64(&["status", "collisionCount"]) {
        status["collisionCount"] = count.into();
    }
    let (progress, look_again) = progressing(deployment, sets, &counts, now);
    status["conditions"] = json!([is_available(deployment, &counts, now), progress]);
    (status, look_again)
}

fn is_available(deployment: &Object, counts: &Counts, now: u64) -> Value {
    let enough = counts.available >= replicas(deployment) - Bounds::of(deployment).unavailable;
    let (status, reason, message) = if enough {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    condition(deployment, "Available", (status, reason, message), false, now)
}

fn progressing(deployment: &Object, sets: &Sets, counts: &Counts, now: u64) -> (Value, Option<Duration>) {
    let wanted = replicas(deployment);
    let seen = deployment.get_i64(&["status", "observedGeneration"]) == Some(deployment.generation());
    let complete = counts.updated == wanted && counts.total == wanted && counts.available == wanted && seen;
    let name = sets.new.as_ref().map_or("", |set| set.name());
    if complete {
        let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
        let fact = ("True", "NewReplicaSetAvailable", message.as_str());
        return (condition(deployment, "Progressing", fact, false, now), None);
    }
    let before = |field: &str| deployment.get_i64(&["status", field]).unwrap_or(0);
    let old = |total: i64, updated: i64| total - updated;
    let progressed = counts.updated > before("updatedReplicas")
        || old(counts.total, counts.updated) < old(before("replicas"), before("updatedReplicas"))
        || counts.ready > before("readyReplicas")
        || counts.available > before("availableReplicas")
        || !seen;
    let message = format!("ReplicaSet \"{name}\" is progressing.");
    let fact = ("True", "ReplicaSetUpdated", message.as_str());
    let moving = condition(deployment, "Progressing", fact, progressed, now);
    let Some(deadline) = deployment.get_i64(&["spec", "progressDeadlineSeconds"]) else {
        return (moving, None);
    };
    let since = moving["lastUpdateTime"].as_str().and_then(time::parse_rfc3339).unwrap_or(now);
    let due = since + deadline.max(0) as u64 * 1_000_000_000;
    if now < due {
        return (moving, Some(Duration::from_nanos(due - now)));
    }
    reached!("deployment: a rollout missed its deadline");
    let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
    let fact = ("False", "ProgressDeadlineExceeded", message.as_str());
    (condition(deployment, "Progressing", fact, false, now), None)
}

/// A condition that keeps its times while nothing about it changes; `touched`: something moved although the
/// condition says the same.
fn condition(deployment: &Object, kind: &str, fact: (&str, &str, &str), touched: bool, now: u64) -> Value {
    let (status, reason, message) = fact;
    let before = deployment.get_array(&["status", "conditions"]).iter().find(|has| has["type"] == kind);
    let kept = |field: &str, keep: bool| {
        let old = before.filter(|_| keep).and_then(|has| has[field].as_str());
        old.map_or_else(|| time::rfc3339(now), str::to_string)
    };
    let same_status = before.is_some_and(|has| has["status"] == status);
    let same = same_status && before.is_some_and(|has| has["reason"] == reason && has["message"] == message);
    // ProgressDeadlineExceeded is told once; it must not look like new progress.
    let late = before.is_some_and(|has| has["reason"] == "ProgressDeadlineExceeded");
    if late && reason == "ReplicaSetUpdated" && !touched {
        reached!("deployment: a missed deadline is told once");
        return before.cloned().unwrap_or_default();
    }
    json!({ "type": kind, "status": status, "reason": reason, "message": message,
        "lastUpdateTime": kept("lastUpdateTime", same && !touched),
        "lastTransitionTime": kept("lastTransitionTime", same_status) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const SECOND: u64 = 1_000_000_000;

    fn deployment(status: Value) -> Object {
        let update = json!({ "maxSurge": 1, "maxUnavailable": 1 });
        let value = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "d", "uid": "d", "generation": 4 }, "status": status,
            "spec": { "replicas": 3, "progressDeadlineSeconds": 60,
                "strategy": { "type": "RollingUpdate", "rollingUpdate": update } } });
        Object::from_value(value).expect("a deployment")
    }

    fn set(uid: &str, count: i64, available: i64) -> Arc<Object> {
        let status = json!({ "replicas": count, "readyReplicas": available, "availableReplicas": available });
        let value = json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": { "name": uid, "uid": uid }, "spec": { "replicas": count }, "status": status });
        Arc::new(Object::from_value(value).expect("a set"))
    }

    fn sets(new: (i64, i64), old: (i64, i64)) -> Sets {
        Sets { new: Some(set("new", new.0, new.1)), old: vec![set("old", old.0, old.1)] }
    }

    fn said(status: &Value, kind: &str) -> (String, String) {
        let all = status["conditions"].as_array().expect("conditions");
        let found = all.iter().find(|condition| condition["type"] == kind).expect("the condition");
        let text = |name: &str| found[name].as_str().unwrap_or_default().to_string();
        (text("status"), text("reason"))
    }

    fn pair(status: &str, reason: &str) -> (String, String) {
        (status.to_string(), reason.to_string())
    }

    #[test]
    fn sets_are_added_up() {
        let (status, _) = of(&deployment(json!({})), &sets((2, 1), (2, 2)), 0);
        let wanted =
            [("replicas", 4), ("updatedReplicas", 2), ("readyReplicas", 3), ("availableReplicas", 3)];
        for (name, count) in wanted.into_iter().chain([("unavailableReplicas", 1), ("observedGeneration", 4)])
        {
            assert_eq!(status[name], count, "{name} in {status}");
        }
    }

    #[test]
    fn it_is_available_up_to_what_may_be_unavailable() {
        let at = |available: i64| {
            said(&of(&deployment(json!({})), &sets((3, available), (0, 0)), 0).0, "Available")
        };
        assert_eq!(at(2), pair("True", "MinimumReplicasAvailable"));
        assert_eq!(at(1), pair("False", "MinimumReplicasUnavailable"));
    }

    #[test]
    fn a_rollout_progresses_ends_or_takes_too_long() {
        let begun = of(&deployment(json!({})), &sets((1, 0), (3, 3)), 100 * SECOND);
        assert_eq!(said(&begun.0, "Progressing"), pair("True", "ReplicaSetUpdated"));
        assert_eq!(begun.1, Some(Duration::from_secs(60)), "then it is looked at again");
        let stuck = of(&deployment(begun.0.clone()), &sets((1, 0), (3, 3)), 159 * SECOND);
        assert_eq!(
            (said(&stuck.0, "Progressing").0.as_str(), stuck.1),
            ("True", Some(Duration::from_secs(1)))
        );
        let late = of(&deployment(begun.0.clone()), &sets((1, 0), (3, 3)), 160 * SECOND);
        assert_eq!(said(&late.0, "Progressing"), pair("False", "ProgressDeadlineExceeded"));
        let moved = of(&deployment(begun.0.clone()), &sets((1, 1), (3, 3)), 159 * SECOND);
        assert_eq!(moved.1, Some(Duration::from_secs(60)), "a pod more is progress");
        let done = of(&deployment(begun.0), &sets((3, 3), (0, 0)), 159 * SECOND);
        assert_eq!((said(&done.0, "Progressing"), done.1), (pair("True", "NewReplicaSetAvailable"), None));
        let later = of(&deployment(done.0.clone()), &sets((3, 3), (0, 0)), 300 * SECOND);
        assert_eq!(later.0, done.0, "what stays as it is keeps its times");
    }
}
