//! The pod status that a container's state amounts to. Pure.

use crate::{
    machine::{Container, Remains},
    plan::{Doing, restarts},
};
use base::bug;
use objects::Object;
use serde_json::{Value, json};

/// The status of a pod whose containers are `doing` this. Conditions that already say so keep their time.
pub fn of(pod: &Object, doing: Doing, container: Option<&Container>, now: &str) -> Value {
    let running = matches!(doing, Doing::Running { .. } | Doing::Stopping { .. });
    let ready = matches!(doing, Doing::Running { .. }) && pod.deletion_timestamp().is_none();
    let word = |yes: bool| if yes { "True" } else { "False" };
    let conditions: Vec<Value> = [
        ("PodReadyToStartContainers", running),
        ("Initialized", true),
        ("Ready", ready),
        ("ContainersReady", ready),
        ("PodScheduled", true),
    ]
    .iter()
    .map(|(kind, yes)| condition(pod, kind, word(*yes), now))
    .collect();
    // A pod that once ran does not go back to Pending: its containers are starting again.
    let ran = pod.get_str(&["status", "phase"]) == "Running" && !bug!("K06");
    let phase = if running || ran { "Running" } else { "Pending" };
    let mut status = json!({
        "phase": phase, "conditions": conditions, "containerStatuses": containers(pod, container, running, ready),
        "startTime": kept(pod, &["status", "startTime"], now),
    });
    if let Some(container) = container.filter(|_| running) {
        status["podIP"] = container.ip.clone().into();
        status["podIPs"] = json!([{ "ip": container.ip }]);
    }
    status
}

/// Killed by SIGTERM, and by SIGKILL or in a way nobody saw.
const TERMINATED: i32 = 143;
const KILLED: i32 = 137;

/// The last status of a pod whose containers have ended because it was asked to go. Those that would have run to
/// an end of their own did not reach it.
pub fn stopped(pod: &Object, now: &str) -> Value {
    let code = if restarts(pod) == "Always" { 0 } else { TERMINATED };
    last(pod, code, reason(code), None, now)
}

/// The last status of a pod whose containers ended by themselves.
pub fn ended(pod: &Object, remains: &Remains) -> Value {
    let began = Some(remains.container.started.as_str());
    last(pod, remains.code, reason(remains.code), began, &remains.finished)
}

/// The last status of a pod whose containers are gone, nobody knows how.
pub fn lost(pod: &Object, now: &str) -> Value {
    last(pod, KILLED, "ContainerStatusUnknown", None, now)
}

fn reason(code: i32) -> &'static str {
    if code == 0 { "Completed" } else { "Error" }
}

fn last(pod: &Object, code: i32, reason: &str, began: Option<&str>, now: &str) -> Value {
    let mut status = of(pod, Doing::Nothing, None, now);
    status["phase"] = if code == 0 { "Succeeded" } else { "Failed" }.into();
    for container in status["containerStatuses"].as_array_mut().into_iter().flatten() {
        let mut end = json!({ "exitCode": code, "reason": reason, "finishedAt": now });
        if let Some(began) = began {
            end["startedAt"] = began.into();
        }
        container["state"] = json!({ "terminated": end });
    }
    status
}

/// The status of a pod that the node refused.
pub fn refused(resource: &str) -> Value {
    json!({ "phase": "Failed", "reason": format!("OutOf{resource}"),
        "message": format!("Pod was rejected: Node didn't have enough resource: {resource}") })
}

/// True when the pod already says all of this.
pub fn says(pod: &Object, status: &Value) -> bool {
    let fields = status.as_object().into_iter().flatten();
    fields.into_iter().all(|(name, value)| match name.as_str() {
        "conditions" => value.as_array().into_iter().flatten().all(|wanted| {
            pod.get_array(&["status", "conditions"])
                .iter()
                .any(|has| has["type"] == wanted["type"] && has["status"] == wanted["status"])
        }),
        name => pod.get(&["status", name]) == Some(value),
    })
}

fn kept(pod: &Object, path: &[&str], otherwise: &str) -> String {
    let text = pod.get_str(path);
    if text.is_empty() { otherwise.to_string() } else { text.to_string() }
}

fn condition(pod: &Object, kind: &str, status: &str, now: &str) -> Value {
    let same = |has: &&Value| has["type"] == kind && has["status"] == status;
    let since = pod.get_array(&["status", "conditions"]).iter().find(same);
    let since = since.and_then(|has| has["lastTransitionTime"].as_str()).unwrap_or(now);
    json!({ "type": kind, "status": status, "lastTransitionTime": since })
}

fn containers(pod: &Object, container: Option<&Container>, running: bool, ready: bool) -> Vec<Value> {
    let one = |spec: &Value| {
        let state = match container.filter(|_| running) {
            Some(container) => json!({ "running": { "startedAt": container.started } }),
            None => json!({ "waiting": { "reason": "ContainerCreating" } }),
        };
        json!({
            "name": spec["name"], "image": spec["image"], "imageID": "", "state": state, "ready": ready,
            "started": running, "restartCount": container.map_or(0, |container| container.restarts),
        })
    };
    pod.get_array(&["spec", "containers"]).iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const RUNS: Doing = Doing::Running { until: None };

    fn pod(status: Value) -> Object {
        let value = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p", "uid": "u" },
            "spec": { "containers": [{ "name": "c", "image": "i" }] }, "status": status });
        Object::from_value(value).expect("a pod")
    }

    fn container() -> Container {
        let text = |text: &str| text.to_string();
        Container {
            namespace: text("n"),
            pod: text("p"),
            started: text("then"),
            restarts: 2,
            ip: text("10.0.0.1"),
            fate: None,
        }
    }

    fn is(status: &Value, kind: &str) -> String {
        let all = status["conditions"].as_array().expect("conditions");
        let found = all.iter().find(|condition| condition["type"] == kind).expect("the condition");
        format!("{} {}", found["status"].as_str().unwrap(), found["lastTransitionTime"].as_str().unwrap())
    }

    #[test]
    fn phase_and_readiness_follow_what_the_containers_do() {
        let soon = Doing::Starting { until: Duration::from_secs(9) };
        let starts = of(&pod(json!({})), soon, None, "t1");
        assert_eq!((&starts["phase"], is(&starts, "Ready")), (&json!("Pending"), "False t1".into()));
        assert!(starts["containerStatuses"][0]["state"]["waiting"].is_object());
        let runs = of(&pod(starts.clone()), RUNS, Some(&container()), "t2");
        assert_eq!((&runs["phase"], is(&runs, "Ready")), (&json!("Running"), "True t2".into()));
        assert_eq!((is(&runs, "Initialized"), &runs["startTime"]), ("True t1".into(), &json!("t1")));
        let first = &runs["containerStatuses"][0];
        assert_eq!(
            (&first["ready"], &first["restartCount"], &runs["podIP"]),
            (&json!(true), &json!(2), &json!("10.0.0.1"))
        );
        let again = of(&pod(runs.clone()), soon, None, "t3");
        assert_eq!((&again["phase"], is(&again, "Ready")), (&json!("Running"), "False t3".into()));
        let mut leaving = pod(runs);
        leaving.set(&["metadata", "deletionTimestamp"], "t4");
        let ends = of(&leaving, RUNS, Some(&container()), "t4");
        assert_eq!((&ends["phase"], is(&ends, "Ready")), (&json!("Running"), "False t4".into()));
        let gone = stopped(&leaving, "t5");
        assert_eq!(gone["phase"], "Succeeded");
        assert_eq!(gone["containerStatuses"][0]["state"]["terminated"]["exitCode"], 0);
    }

    #[test]
    fn how_a_pod_ended_is_told_by_its_containers() {
        let mut never = pod(json!({ "phase": "Running" }));
        never.set(&["spec", "restartPolicy"], "Never");
        let told = |status: Value| {
            let end = &status["containerStatuses"][0]["state"]["terminated"];
            json!([status["phase"], end["exitCode"], end["reason"], end["startedAt"], end["finishedAt"]])
        };
        let remains = |code| Remains { container: container(), code, finished: "t9".into() };
        assert_eq!(told(ended(&never, &remains(0))), json!(["Succeeded", 0, "Completed", "then", "t9"]));
        assert_eq!(told(ended(&never, &remains(1))), json!(["Failed", 1, "Error", "then", "t9"]));
        assert_eq!(told(stopped(&never, "t9")), json!(["Failed", 143, "Error", null, "t9"]));
        assert_eq!(told(lost(&never, "t9")), json!(["Failed", 137, "ContainerStatusUnknown", null, "t9"]));
        assert_eq!(is(&ended(&never, &remains(0)), "Ready"), "False t9");
    }

    #[test]
    fn what_is_said_already_is_not_said_again() {
        let runs = of(&pod(json!({})), RUNS, Some(&container()), "t1");
        assert!(!says(&pod(json!({})), &runs));
        assert!(says(&pod(runs.clone()), &of(&pod(runs.clone()), RUNS, Some(&container()), "t2")));
        let mut doubted = runs.clone();
        doubted["conditions"][2]["status"] = json!("False");
        assert!(!says(&pod(doubted), &runs), "someone else said that it is not ready");
    }
}
