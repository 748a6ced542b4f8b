//! Jobs: run to their end, given up, suspended, deleted with and without their pods.

use crate::{all, eventually, object, with_managers};
use base::knobs::ms;
use client::{Client, DeleteOptions, PatchType};
use objects::{
    Object,
    conditions::{self, is_true},
    kinds::{
        event, job,
        job::{FINALIZER, INDEX},
        pod,
    },
};
use serde_json::{Value, json};

const NAMESPACE: Option<&str> = Some("default");

/// A Job of `completions` indexes, two at a time, whose pods fail in so many of a hundred runs.
fn indexed(completions: i64, fails: u64, changes: Value) -> Object {
    let template = json!({
        "metadata": { "annotations": { "wavetank/fails": fails.to_string() } },
        "spec": { "restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
            "containers": [{ "name": "c", "image": "v1" }] },
    });
    let mut value = json!({ "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": "squares", "namespace": "default" },
        "spec": { "completionMode": "Indexed", "completions": completions, "parallelism": 2, "template": template } });
    for (field, given) in changes.as_object().expect("fields") {
        value["spec"][field] = given.clone();
    }
    object(value)
}

async fn there(api: &Client) -> Object {
    api.get(&job::KIND, NAMESPACE, "squares").await.expect("the Job")
}

async fn until(api: &Client, condition: &str) -> Object {
    eventually(120, async || is_true(&there(api).await, condition)).await;
    there(api).await
}

async fn reasons(api: &Client) -> Vec<String> {
    let events = all(api, &event::KIND).await;
    let of_job = events.iter().filter(|event| event.get_str(&["involvedObject", "kind"]) == "Job");
    of_job.map(|event| event.get_str(&["reason"]).to_string()).collect()
}

async fn change(api: &Client, spec: Value) {
    let body = json!({ "spec": spec });
    let patch = (PatchType::Merge, &body);
    api.patch(&job::KIND, NAMESPACE, "squares", "", patch).await.expect("patched");
}

async fn delete(api: &Client, propagation: &str) {
    let options = DeleteOptions { propagation: propagation.into(), ..Default::default() };
    api.delete(&job::KIND, NAMESPACE, "squares", &options).await.expect("asked to go");
}

#[test]
fn every_index_runs_once_and_the_pods_go_with_the_job() {
    with_managers(1, 2, |api, _| async move {
        api.create(&job::KIND, &indexed(5, 0, json!({}))).await.expect("made");
        let done = until(&api, "Complete").await;
        assert_eq!(done.get_str(&["status", "completedIndexes"]), "0-4");
        assert_eq!(done.get_i64(&["status", "succeeded"]), Some(5));
        assert_eq!(done.get(&["status", "uncountedTerminatedPods"]), Some(&json!({})));
        assert!(
            is_true(&done, "SuccessCriteriaMet") && !done.get_str(&["status", "completionTime"]).is_empty()
        );
        let pods = all(&api, &pod::KIND).await;
        let mut indexes: Vec<&str> = pods.iter().filter_map(|pod| pod.annotation(INDEX)).collect();
        indexes.sort();
        assert_eq!(indexes, ["0", "1", "2", "3", "4"]);
        for pod in &pods {
            assert!(pod.finalizers().is_empty() && pod.get_str(&["status", "phase"]) == "Succeeded");
            let index = pod.label(INDEX).expect("a label");
            assert_eq!(pod.get_str(&["spec", "hostname"]), format!("squares-{index}"));
            assert!(pod.name().starts_with(&format!("squares-{index}-")), "{}", pod.name());
        }
        eventually(10, async || {
            reasons(&api).await.iter().filter(|reason| *reason == "Completed").count() == 1
        })
        .await;
        assert_eq!(reasons(&api).await.iter().filter(|reason| *reason == "SuccessfulCreate").count(), 5);
        delete(&api, "Background").await;
        eventually(20, async || all(&api, &pod::KIND).await.is_empty()).await;
    });
}

#[test]
fn a_job_whose_pods_fail_is_given_up() {
    with_managers(1, 2, |api, _| async move {
        let spec = json!({ "backoffLimit": 2, "parallelism": 1 });
        api.create(&job::KIND, &indexed(2, 100, spec)).await.expect("made");
        let failed = until(&api, "Failed").await;
        let condition = conditions::get(&failed, "Failed").expect("there");
        assert_eq!(condition["reason"], "BackoffLimitExceeded");
        assert_eq!(failed.get_i64(&["status", "failed"]), Some(3));
        let pods = all(&api, &pod::KIND).await;
        assert_eq!(pods.len(), 3);
        assert!(pods.iter().all(|pod| pod.finalizers().is_empty()));
        let mut ends: Vec<u64> = pods.iter().map(made).collect();
        ends.sort();
        assert!(
            ends[1] - ends[0] >= 10 && ends[2] - ends[1] >= 20,
            "each twice as late as the one before: {ends:?}"
        );
    });
}

/// Seconds since 1970.
fn made(object: &Object) -> u64 {
    objects::time::parse_rfc3339(object.creation_timestamp()).expect("a time") / 1_000_000_000
}

#[test]
fn a_suspended_job_has_no_pods_and_goes_on_when_it_is_resumed() {
    with_managers(1, 2, |api, _| async move {
        api.create(&job::KIND, &indexed(6, 0, json!({}))).await.expect("made");
        let first = async || there(&api).await.get_i64(&["status", "succeeded"]).unwrap_or(0) > 0;
        eventually(60, first).await;
        change(&api, json!({ "suspend": true })).await;
        until(&api, "Suspended").await;
        let active = |pod: &&Object| !pod::is_finished(pod);
        eventually(20, async || all(&api, &pod::KIND).await.iter().filter(active).count() == 0).await;
        let so_far = there(&api).await;
        rt::sleep(ms(20_000)).await;
        assert_eq!(
            there(&api).await.get_i64(&["status", "succeeded"]),
            so_far.get_i64(&["status", "succeeded"])
        );
        change(&api, json!({ "suspend": false })).await;
        let done = until(&api, "Complete").await;
        assert_eq!(done.get_str(&["status", "completedIndexes"]), "0-5");
        assert!(!is_true(&done, "Suspended"));
        assert_ne!(done.get_str(&["status", "startTime"]), so_far.get_str(&["status", "startTime"]));
        assert_eq!(done.get_i64(&["status", "failed"]), None, "whoever was sent away has not failed");
        let told = reasons(&api).await;
        assert!(
            ["Suspended", "Resumed"].iter().all(|reason| told.iter().any(|told| told == reason)),
            "{told:?}"
        );
    });
}

#[test]
fn pods_that_a_job_leaves_behind_are_let_go() {
    with_managers(1, 2, |api, _| async move {
        api.create(&job::KIND, &indexed(2, 0, json!({}))).await.expect("made");
        eventually(20, async || all(&api, &pod::KIND).await.len() == 2).await;
        assert!(all(&api, &pod::KIND).await.iter().all(|pod| pod.finalizers().contains(&FINALIZER)));
        delete(&api, "").await; // orphans them, as batch/v1 does
        eventually(20, async || api.get(&job::KIND, NAMESPACE, "squares").await.is_err()).await;
        let free = |pod: &Object| pod.finalizers().is_empty() && pod.owner_refs().is_empty();
        eventually(20, async || all(&api, &pod::KIND).await.iter().all(free)).await;
        assert_eq!(all(&api, &pod::KIND).await.len(), 2);
    });
}
