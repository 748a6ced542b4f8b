//! What a pod is to its Job: its index, whether it is counted, how it ended; and the pod of an index. Pure.

use crate::pods::pod_of;
use objects::{
    Object,
    kinds::job::{FINALIZER, INDEX, is_indexed},
    time,
};
use serde_json::{Value, json};

/// What a container is told of its pod's index.
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";
/// The beginning of a generated name is cut to this, so that the whole fits a DNS label.
const BASE_MAX: usize = 58;

/// True while the pod may not go because its Job has not counted it.
pub fn is_tracked(pod: &Object) -> bool {
    pod.finalizers().contains(&FINALIZER)
}

/// The completion index, if it is one of the Job's.
pub fn index_of(job: &Object, pod: &Object) -> Option<i64> {
    let completions = job.get_i64(&["spec", "completions"]).unwrap_or(0);
    let index = pod.annotation(INDEX)?.parse().ok()?;
    (0..completions).contains(&index).then_some(index)
}

/// True for a pod that counts: of an Indexed Job, one with an index.
pub fn is_valid(job: &Object, pod: &Object) -> bool {
    !is_indexed(job) || index_of(job, pod).is_some()
}

pub fn has_succeeded(pod: &Object) -> bool {
    pod.get_str(&["status", "phase"]) == "Succeeded"
}

/// A pod that was asked to go has failed as well: if its node is lost it never says so itself. Unless the Job
/// replaces only what has failed; then it is waited for.
pub fn has_failed(job: &Object, pod: &Object) -> bool {
    match pod.get_str(&["status", "phase"]) {
        "Failed" => true,
        "Succeeded" => false,
        _ => pod.deletion_timestamp().is_some() && !replaces_failed_only(job),
    }
}

pub fn replaces_failed_only(job: &Object) -> bool {
    job.get_str(&["spec", "podReplacementPolicy"]) == "Failed"
}

/// Asked to go, and not ended yet.
pub fn is_terminating(pod: &Object) -> bool {
    pod.deletion_timestamp().is_some() && !objects::kinds::pod::is_finished(pod)
}

/// When the pod ended: as its containers say, else as the word of its not being ready, its deletion, or at last its
/// creation lets guess. Nanoseconds since 1970.
pub fn finished_at(pod: &Object) -> u64 {
    let containers = pod.get_array(&["status", "containerStatuses"]).iter();
    let ends: Option<Vec<u64>> = containers
        .map(|status| time::parse_rfc3339(status["state"]["terminated"]["finishedAt"].as_str()?))
        .collect();
    let unready = objects::conditions::get(pod, "Ready").filter(|ready| ready["status"] == "False");
    let deleted = || {
        let grace = pod.deletion_grace_period().unwrap_or(0).max(0) as u64 * 1_000_000_000;
        Some(time::parse_rfc3339(pod.deletion_timestamp()?)?.saturating_sub(grace))
    };
    ends.and_then(|ends| ends.into_iter().max())
        .or_else(|| time::parse_rfc3339(unready?["lastTransitionTime"].as_str()?))
        .or_else(deleted)
        .or_else(|| time::parse_rfc3339(pod.creation_timestamp()))
        .unwrap_or(0)
}

/// The pod that the Job's template describes, for an index if the Job is Indexed.
pub fn new_pod(job: &Object, index: Option<i64>) -> Object {
    let mut pod = pod_of(job);
    if !is_tracked(&pod) {
        let finalizers: Vec<String> =
            pod.finalizers().into_iter().chain([FINALIZER]).map(String::from).collect();
        pod.set(&["metadata", "finalizers"], finalizers);
    }
    let Some(index) = index else { return pod };
    let suffix = format!("-{index}-");
    let kept: String = job.name().chars().take(BASE_MAX - suffix.len()).collect();
    pod.set(&["metadata", "generateName"], format!("{kept}{suffix}"));
    pod.set_annotation(INDEX, &index.to_string());
    pod.set_label(INDEX, &index.to_string());
    pod.set(&["spec", "hostname"], format!("{}-{index}", job.name()));
    for list in ["initContainers", "containers"] {
        let containers = pod.get_mut(&["spec", list]).and_then(Value::as_array_mut);
        containers.into_iter().flatten().for_each(tell_index);
    }
    pod
}

/// Unless the author has set it.
fn tell_index(container: &mut Value) {
    if container["env"].is_null() {
        container["env"] = json!([]);
    }
    let Some(variables) = container["env"].as_array_mut() else { return };
    if variables.iter().all(|variable| variable["name"] != INDEX_VARIABLE) {
        let path = format!("metadata.labels['{INDEX}']");
        let from = json!({ "fieldRef": { "fieldPath": path } });
        variables.push(json!({ "name": INDEX_VARIABLE, "valueFrom": from }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str) -> Object {
        let container = json!({ "name": "c", "image": "i" });
        let mine = json!({ "name": "d", "image": "i", "env": [{ "name": INDEX_VARIABLE, "value": "x" }] });
        let value = json!({ "apiVersion": "batch/v1", "kind": "Job",
            "metadata": { "name": name, "namespace": "n", "uid": "u" },
            "spec": { "completionMode": "Indexed", "completions": 3, "template": {
                "metadata": { "labels": { "job-name": name }, "finalizers": ["a/b"] },
                "spec": { "restartPolicy": "Never", "containers": [container, mine] } } } });
        Object::from_value(value).expect("a job")
    }

    #[test]
    fn a_pod_of_an_index_says_so_in_every_way() {
        let pod = new_pod(&job("sweep"), Some(2));
        assert_eq!((pod.generate_name(), pod.get_str(&["spec", "hostname"])), ("sweep-2-", "sweep-2"));
        assert_eq!((pod.annotation(INDEX), pod.label(INDEX)), (Some("2"), Some("2")));
        assert_eq!(pod.finalizers(), ["a/b", FINALIZER]);
        assert_eq!(index_of(&job("sweep"), &pod), Some(2));
        let containers = pod.get_array(&["spec", "containers"]);
        let path = "metadata.labels['batch.kubernetes.io/job-completion-index']";
        assert_eq!(containers[0]["env"][0]["valueFrom"]["fieldRef"]["fieldPath"], path);
        assert_eq!(containers[1]["env"], json!([{ "name": INDEX_VARIABLE, "value": "x" }]));
        let plain = new_pod(&job("sweep"), None);
        assert_eq!((plain.generate_name(), plain.annotation(INDEX)), ("sweep-", None));
        assert!(is_tracked(&plain));
    }

    #[test]
    fn a_long_name_is_cut_and_the_index_stays() {
        let pod = new_pod(&job(&"a".repeat(61)), Some(2));
        assert_eq!(pod.generate_name(), format!("{}-2-", "a".repeat(55)));
    }

    #[test]
    fn an_index_that_is_not_the_jobs_is_none() {
        for (text, index) in [("0", Some(0)), ("3", None), ("-1", None), ("x", None)] {
            let mut pod = Object::new("v1", "Pod");
            pod.set_annotation(INDEX, text);
            assert_eq!(index_of(&job("sweep"), &pod), index, "{text}");
        }
        assert_eq!(index_of(&job("sweep"), &Object::new("v1", "Pod")), None);
    }

    #[test]
    fn a_pod_has_ended_when_the_last_of_its_containers_has_or_as_near_as_can_be_told() {
        let second = |second: u64| format!("2026-01-01T00:00:{second:02}Z");
        let at = |value: Value| {
            let mut pod = Object::new("v1", "Pod");
            pod.set(&["metadata"], value["metadata"].clone());
            pod.set(&["status"], value["status"].clone());
            time::rfc3339(finished_at(&pod))
        };
        let ended = |at: u64| json!({ "state": { "terminated": { "finishedAt": second(at) } } });
        let meta = json!({ "creationTimestamp": second(1) });
        let unready = json!([{ "type": "Ready", "status": "False", "lastTransitionTime": second(5) }]);
        let leaves = json!({ "creationTimestamp": second(1), "deletionTimestamp": second(40),
            "deletionGracePeriodSeconds": 30 });
        let cases = [
            (json!({ "containerStatuses": [ended(7), ended(9)], "conditions": unready }), meta.clone(), 9),
            (json!({ "containerStatuses": [ended(7), {}], "conditions": unready }), meta.clone(), 5),
            (json!({ "containerStatuses": [] }), leaves, 10),
            (json!({}), meta, 1),
        ];
        for (status, metadata, wanted) in cases {
            assert_eq!(at(json!({ "metadata": metadata, "status": status })), second(wanted), "{status}");
        }
    }
}
