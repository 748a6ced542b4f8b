//! A Deployment's status. Pure: the counts of its sets, and the conditions Available and Progressing.

use super::{
    plan::{Sets, available, replicas},
    rollout::Bounds,
};
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
        return before.cloned().unwrap_or_default();
    }
    json!({ "type": kind, "status": status, "reason": reason, "message": message,
        "lastUpdateTime": kept("lastUpdateTime", same && !touched),
        "lastTransitionTime": kept("lastTransitionTime", same_status) })
}
