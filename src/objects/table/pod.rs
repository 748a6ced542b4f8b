//! The rows of pods: what STATUS, READY and RESTARTS say.

use serde_json::{Value, json};

use super::{Column, age};
use crate::conditions;
use crate::kinds::pod::is_finished;
use crate::object::{Object, get, get_str};
use crate::time;

pub const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Ready", "How many of its containers are ready."),
    Column::text("Status", "Its phase, or what holds it up."),
    Column::text("Restarts", "How often its containers were restarted, and when last."),
    Column::AGE,
    Column::text("IP", "Its address.").wide(),
    Column::text("Node", "The node it is bound to.").wide(),
    Column::text("Nominated Node", "The node that makes room for it.").wide(),
    Column::text("Readiness Gates", "How many of its readiness gates are open.").wide(),
];

pub fn row(pod: &Object, now: u64) -> Vec<Value> {
    let summary = summary(pod, now);
    let or_none = |path: &[&str]| match pod.get_str(path) {
        "" => json!("<none>"),
        text => json!(text),
    };
    vec![
        json!(pod.name()),
        json!(format!("{}/{}", summary.ready, summary.containers)),
        json!(summary.reason),
        json!(summary.restarts),
        age(pod, now),
        or_none(&["status", "podIP"]),
        or_none(&["spec", "nodeName"]),
        or_none(&["status", "nominatedNodeName"]),
        json!(readiness_gates(pod)),
    ]
}

struct Summary {
    ready: usize,
    containers: usize,
    reason: String,
    restarts: String,
}

/// Restarts, and when the last container that restarted had ended.
#[derive(Default)]
struct Restarts {
    count: i64,
    last: u64,
}

impl Restarts {
    fn add(&mut self, status: &Value) {
        self.count += status.get("restartCount").and_then(Value::as_i64).unwrap_or(0);
        let ended = get_str(status, &["lastState", "terminated", "finishedAt"]);
        self.last = self.last.max(time::parse_rfc3339(ended).unwrap_or(0));
    }

    fn text(&self, now: u64) -> String {
        if self.count == 0 || self.last == 0 {
            return self.count.to_string();
        }
        let ago = time::human_duration(now.saturating_sub(self.last) / 1_000_000_000);
        format!("{} ({ago} ago)", self.count)
    }
}

fn phase_reason(pod: &Object) -> String {
    let gated = pod
        .get_array(&["status", "conditions"])
        .iter()
        .any(|c| get_str(c, &["type"]) == "PodScheduled" && get_str(c, &["reason"]) == "SchedulingGated");
    if gated {
        return "SchedulingGated".to_string();
    }
    match pod.get_str(&["status", "reason"]) {
        "" => pod.get_str(&["status", "phase"]).to_string(),
        reason => reason.to_string(),
    }
}

fn summary(pod: &Object, now: u64) -> Summary {
    let sidecars = pod.get_array(&["spec", "initContainers"]).iter().filter(|c| is_sidecar(c)).count();
    let mut found = Summary {
        ready: 0,
        containers: pod.get_array(&["spec", "containers"]).len() + sidecars,
        reason: phase_reason(pod),
        restarts: String::new(),
    };
    let init = initializing(pod, &mut found);
    let mut restarts = init.restarts;
    if !init.busy || conditions::is_true(pod, "Initialized") {
        restarts = init.sidecar_restarts;
        main_containers(pod, &mut found, &mut restarts);
    }
    if pod.deletion_timestamp().is_some() {
        if pod.get_str(&["status", "reason"]) == "NodeLost" {
            found.reason = "Unknown".to_string();
        } else if !is_finished(pod) {
            found.reason = "Terminating".to_string();
        }
    }
    found.restarts = restarts.text(now);
    found
}

fn is_sidecar(container: &Value) -> bool {
    get_str(container, &["restartPolicy"]) == "Always"
}

#[derive(Default)]
struct Init {
    busy: bool,
    restarts: Restarts,
    sidecar_restarts: Restarts,
}

/// Looks at init containers up to the first that is not done.
fn initializing(pod: &Object, found: &mut Summary) -> Init {
    let specs = pod.get_array(&["spec", "initContainers"]);
    let mut init = Init::default();
    for (index, status) in pod.get_array(&["status", "initContainerStatuses"]).iter().enumerate() {
        init.restarts.add(status);
        let sidecar = specs.iter().any(|c| is_sidecar(c) && c.get("name") == status.get("name"));
        if sidecar {
            init.sidecar_restarts.add(status);
        }
        let flag = |field: &str| status.get(field).and_then(Value::as_bool) == Some(true);
        let terminated = get(status, &["state", "terminated"]);
        let waiting = get_str(status, &["state", "waiting", "reason"]);
        if terminated.is_some_and(|t| t.get("exitCode").and_then(Value::as_i64) == Some(0)) {
            continue;
        }
        if sidecar && flag("started") {
            found.ready += usize::from(flag("ready"));
            continue;
        }
        found.reason = match terminated {
            Some(ended) => format!("Init:{}", ended_reason(ended)),
            None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
            None => format!("Init:{index}/{}", specs.len()),
        };
        init.busy = true;
        break;
    }
    init
}

/// "Error", or "Signal:9", or "ExitCode:1".
fn ended_reason(terminated: &Value) -> String {
    let number = |field: &str| terminated.get(field).and_then(Value::as_i64).unwrap_or(0);
    match (get_str(terminated, &["reason"]), number("signal")) {
        ("", 0) => format!("ExitCode:{}", number("exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_string(),
    }
}

/// The first container in trouble gives the reason (so they are looked at from the last).
fn main_containers(pod: &Object, found: &mut Summary, restarts: &mut Restarts) {
    let mut running = false;
    for status in pod.get_array(&["status", "containerStatuses"]).iter().rev() {
        restarts.add(status);
        let waiting = get_str(status, &["state", "waiting", "reason"]);
        if !waiting.is_empty() {
            found.reason = waiting.to_string();
        } else if let Some(ended) = get(status, &["state", "terminated"]) {
            found.reason = ended_reason(ended);
        } else if status.get("ready").and_then(Value::as_bool) == Some(true)
            && get(status, &["state", "running"]).is_some()
        {
            running = true;
            found.ready += 1;
        }
    }
    if found.reason == "Completed" && running {
        let ready = conditions::is_true(pod, "Ready");
        found.reason = if ready { "Running" } else { "NotReady" }.to_string();
    }
}

fn readiness_gates(pod: &Object) -> String {
    let gates = pod.get_array(&["spec", "readinessGates"]);
    if gates.is_empty() {
        return "<none>".to_string();
    }
    let open = gates.iter().filter(|g| conditions::is_true(pod, get_str(g, &["conditionType"]))).count();
    format!("{open}/{}", gates.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000_000;

    /// (ready, status, restarts) of a pod with these parts.
    fn cells(spec: Value, status: Value, deleted: bool) -> (String, String, String) {
        let mut pod = Object::new("v1", "Pod");
        pod.set(&["spec"], spec);
        pod.set(&["status"], status);
        if deleted {
            pod.set(&["metadata", "deletionTimestamp"], "1970-01-01T00:00:01Z");
        }
        let row = row(&pod, NOW);
        let text = |index: usize| row[index].as_str().unwrap_or("").to_string();
        (text(1), text(2), text(3))
    }

    fn one(state: Value) -> Value {
        json!({"phase": "Running", "containerStatuses": [{"name": "a", "restartCount": 2, "state": state}]})
    }

    #[test]
    fn status_of_one_container() {
        let spec = json!({"containers": [{"name": "a"}]});
        let cases = [
            (json!({"phase": "Pending"}), false, ("0/1", "Pending", "0")),
            (json!({"phase": "Failed", "reason": "Evicted"}), false, ("0/1", "Evicted", "0")),
            (json!({"phase": "Running"}), true, ("0/1", "Terminating", "0")),
            (json!({"phase": "Succeeded"}), true, ("0/1", "Succeeded", "0")),
            (json!({"phase": "Running", "reason": "NodeLost"}), true, ("0/1", "Unknown", "0")),
            (
                one(json!({"waiting": {"reason": "CrashLoopBackOff"}})),
                false,
                ("0/1", "CrashLoopBackOff", "2"),
            ),
            (one(json!({"terminated": {"reason": "Completed"}})), false, ("0/1", "Completed", "2")),
            (one(json!({"terminated": {"exitCode": 3}})), false, ("0/1", "ExitCode:3", "2")),
            (one(json!({"terminated": {"signal": 9}})), false, ("0/1", "Signal:9", "2")),
            (
                json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]}),
                false,
                ("0/1", "SchedulingGated", "0"),
            ),
            (
                json!({"phase": "Running", "containerStatuses": [{"name": "a", "ready": true, "restartCount": 1,
                "state": {"running": {}}, "lastState": {"terminated": {"finishedAt": "1970-01-01T00:15:00Z"}}}]}),
                false,
                ("1/1", "Running", "1 (100s ago)"),
            ),
        ];
        for (status, deleted, (ready, reason, restarts)) in cases {
            let expected = (ready.to_string(), reason.to_string(), restarts.to_string());
            assert_eq!(cells(spec.clone(), status.clone(), deleted), expected, "{status}");
        }
    }

    #[test]
    fn status_while_initializing() {
        let spec = json!({"containers": [{"name": "a"}],
            "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]});
        let done = json!({"name": "i", "state": {"terminated": {"exitCode": 0}}});
        let cases = [
            (json!([{"name": "i", "state": {"running": {}}}]), ("0/2", "Init:0/2")),
            (
                json!([{"name": "i", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]),
                ("0/2", "Init:ImagePullBackOff"),
            ),
            (json!([{"name": "i", "state": {"terminated": {"exitCode": 1}}}]), ("0/2", "Init:ExitCode:1")),
            (json!([done, {"name": "s", "state": {"running": {}}}]), ("0/2", "Init:1/2")),
            (
                json!([done, {"name": "s", "started": true, "ready": true, "state": {"running": {}}}]),
                ("1/2", "Pending"),
            ),
        ];
        for (statuses, (ready, reason)) in cases {
            let status = json!({"phase": "Pending", "initContainerStatuses": statuses});
            let (found_ready, found_reason, _) = cells(spec.clone(), status, false);
            assert_eq!((found_ready.as_str(), found_reason.as_str()), (ready, reason), "{statuses}");
        }
    }

    #[test]
    fn one_done_one_running() {
        let spec = json!({"containers": [{"name": "a"}, {"name": "b"}]});
        let statuses = json!([{"name": "a", "state": {"terminated": {"reason": "Completed"}}},
            {"name": "b", "ready": true, "state": {"running": {}}}]);
        let with = |conditions: Value| {
            cells(
                spec.clone(),
                json!({"phase": "Running", "containerStatuses": statuses, "conditions": conditions}),
                false,
            )
            .1
        };
        assert_eq!(with(json!([])), "NotReady");
        assert_eq!(with(json!([{"type": "Ready", "status": "True"}])), "Running");
    }

    #[test]
    fn wide_cells() {
        let mut pod = Object::new("v1", "Pod");
        pod.set(&["spec", "nodeName"], "n1");
        pod.set(&["spec", "readinessGates"], json!([{"conditionType": "A"}, {"conditionType": "B"}]));
        pod.set(&["status", "conditions"], json!([{"type": "A", "status": "True"}]));
        let row = row(&pod, NOW);
        assert_eq!(row.len(), COLUMNS.len());
        assert_eq!(row[5..], [json!("<none>"), json!("n1"), json!("<none>"), json!("1/2")]);
    }
}
