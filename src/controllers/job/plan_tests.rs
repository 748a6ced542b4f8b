//! One situation at a time: what a Job and its pods call for.

use super::*;
use objects::{
    OwnerRef,
    kinds::job::{FINALIZER, INDEX},
};

const NOW: u64 = 1_767_225_660 * SECOND; // 2026-01-01T00:01:00Z
const BACK_OFF: BackOff = BackOff { least: Duration::from_secs(10), most: Duration::from_secs(600) };

fn at(second: u64) -> String {
    time::rfc3339(NOW - 60 * SECOND + second * SECOND)
}

fn job(spec: Value, status: Value) -> Object {
    let template = json!({ "metadata": {}, "spec": { "restartPolicy": "Never", "containers": [] } });
    let mut value = json!({ "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": "sweep", "namespace": "d", "uid": "job-uid" },
        "spec": { "parallelism": 2, "backoffLimit": 6, "completionMode": "NonIndexed", "template": template },
        "status": { "startTime": at(0) } });
    for (part, fields) in [("spec", spec), ("status", status)] {
        for (field, given) in fields.as_object().expect("fields") {
            value[part][field] = given.clone();
        }
    }
    Object::from_value(value).expect("a job")
}

fn indexed(completions: i64, status: Value) -> Object {
    job(json!({ "completionMode": "Indexed", "completions": completions }), status)
}

/// A pod of an index, by its name: "3-a" has index 3.
fn pod(name: &str, phase: &str) -> Object {
    let value = json!({ "apiVersion": "v1", "kind": "Pod", "spec": { "nodeName": "n" },
        "metadata": { "name": name, "namespace": "d", "uid": name, "finalizers": [FINALIZER],
            "creationTimestamp": at(0) },
        "status": { "phase": phase } });
    let mut pod = Object::from_value(value).expect("a pod");
    if let Some((index, _)) = name.split_once('-') {
        pod.set_annotation(INDEX, index);
    }
    pod.set_owner_refs(&[OwnerRef::controller_of(&job(json!({}), json!({})))]);
    pod
}

fn ended(name: &str, phase: &str, second: u64) -> Object {
    let mut pod = pod(name, phase);
    let end = json!([{ "state": { "terminated": { "finishedAt": at(second) } } }]);
    pod.set(&["status", "containerStatuses"], end);
    pod
}

fn leaving(mut pod: Object) -> Object {
    pod.set(&["metadata", "deletionTimestamp"], at(50));
    pod
}

fn free(mut pod: Object) -> Object {
    pod.set_finalizers(&[]);
    pod
}

fn planned(job: &Object, pods: &[Object]) -> Plan {
    let pods: Vec<Arc<Object>> = pods.iter().cloned().map(Arc::new).collect();
    plan(job, &pods, None, BACK_OFF, NOW)
}

fn names(pods: &[Arc<Object>]) -> Vec<&str> {
    pods.iter().map(|pod| pod.name()).collect()
}

fn dropped(plan: &Plan) -> Vec<&str> {
    match &plan.deed {
        Deed::Drop(pods) => names(pods),
        other => panic!("{other:?}"),
    }
}

fn created(plan: &Plan) -> Vec<i64> {
    match &plan.deed {
        Deed::Create(indexes) => indexes.iter().map(|index| index.unwrap_or(-1)).collect(),
        other => panic!("{other:?}"),
    }
}

/// The Job with the status that is written first, and then with the one when these pods have been let go.
fn carried_out(job: &Object, plan: &Plan, pods: &[Object], released: &[&str]) -> [Object; 2] {
    let mut first = job.clone();
    first.set(&["status"], plan.status.clone());
    let tracked = pods.iter().filter(|pod| is_tracked(pod) && !released.contains(&pod.uid()));
    let mut second = first.clone();
    second.set(&["status"], settled(&first, &tracked.map(|pod| pod.uid()).collect(), plan, NOW));
    [first, second]
}

#[test]
fn the_lowest_indexes_that_have_not_succeeded_and_do_not_run_are_next() {
    assert_eq!(created(&planned(&indexed(5, json!({})), &[])), [0, 1]);
    let some = indexed(5, json!({ "completedIndexes": "0,2" }));
    assert_eq!(created(&planned(&some, &[pod("1-a", "Running")])), [3]);
    assert_eq!(created(&planned(&some, &[pod("3-a", "Pending")])), [1]);
    let last = indexed(5, json!({ "completedIndexes": "0-3" }));
    assert_eq!(created(&planned(&last, &[])), [4], "not more than are wanted");
    let both = [pod("0-a", "Running"), pod("1-a", "Running")];
    assert_eq!(planned(&indexed(5, json!({})), &both).deed, Deed::Nothing, "parallelism");
    assert_eq!(created(&planned(&job(json!({ "completions": 3 }), json!({})), &[])), [-1, -1]);
    let two = job(json!({ "completions": 3 }), json!({ "succeeded": 2 }));
    assert_eq!(created(&planned(&two, &[])), [-1]);
}

#[test]
fn nothing_is_made_while_the_cache_may_lack_what_was_asked_for() {
    let wait = Some(Duration::from_secs(9));
    let plan = plan(&indexed(5, json!({})), &[], wait, BACK_OFF, NOW);
    assert_eq!((&plan.deed, plan.look_again), (&Deed::Nothing, wait));
    let done = indexed(1, json!({ "completedIndexes": "0" }));
    assert_eq!(super::plan(&done, &[], wait, BACK_OFF, NOW).target, None, "a pod may be on its way");
}

#[test]
fn a_pod_is_counted_before_it_is_let_go_and_once() {
    let job = job(json!({ "completions": 3 }), json!({ "succeeded": 1 }));
    let pods = [ended("a", "Succeeded", 9), ended("b", "Failed", 9), pod("c", "Running")];
    let plan = planned(&job, &pods);
    assert_eq!((plan.counts, names(&plan.release)), (true, vec!["a", "b"]));
    let [first, second] = carried_out(&job, &plan, &pods, &["a"]);
    let uncounted = |job: &Object| job.get(&["status", "uncountedTerminatedPods"]).cloned().expect("there");
    assert_eq!(uncounted(&first), json!({ "succeeded": ["a"], "failed": ["b"] }));
    assert_eq!(
        (first.get_i64(&["status", "succeeded"]), first.get_i64(&["status", "failed"])),
        (Some(1), None)
    );
    assert_eq!(uncounted(&second), json!({ "failed": ["b"] }), "it could not be let go");
    assert_eq!(second.get_i64(&["status", "succeeded"]), Some(2));
    // the next manager finds it so, and goes on
    let later = [free(pods[0].clone()), pods[1].clone(), pods[2].clone()];
    let plan = planned(&second, &later);
    assert_eq!((plan.counts, names(&plan.release)), (false, vec!["b"]));
    let [_, third] = carried_out(&second, &plan, &later, &["b"]);
    let counts = ["succeeded", "failed"].map(|field| third.get_i64(&["status", field]));
    assert_eq!((counts, uncounted(&third)), ([Some(2), Some(1)], json!({})));
    let plan = planned(&third, &later.clone().map(free));
    assert_eq!((plan.counts, plan.release.len()), (false, 0));
}

/// Why the pods must be as new as the Job when any of them is to be counted: an older view shows a finalizer that
/// went before the Job's counters rose.
#[test]
fn an_older_view_of_the_pods_would_count_again_and_is_known_by_that() {
    let counted = job(json!({ "completions": 3 }), json!({ "succeeded": 1 }));
    let before = [ended("a", "Succeeded", 9)];
    assert!(planned(&counted, &before).counts, "so that the pods are asked for");
    assert!(!planned(&counted, &before.map(free)).counts, "as they are at the Job's version");
    let moving = json!({ "uncountedTerminatedPods": { "failed": ["a"] } });
    assert!(planned(&job(json!({ "completions": 3 }), moving), &[]).counts, "not seen yet, or gone");
}

#[test]
fn an_index_is_counted_in_a_set_however_many_of_its_pods_succeed() {
    let job = indexed(9, json!({ "completedIndexes": "1,2", "succeeded": 2 }));
    let pods = [ended("3-a", "Succeeded", 9), ended("3-b", "Succeeded", 9), ended("1-a", "Succeeded", 9)];
    let plan = planned(&job, &pods);
    assert_eq!(plan.release.len(), 3);
    assert_eq!((&plan.status["completedIndexes"], &plan.status["succeeded"]), (&json!("1-3"), &json!(3)));
    assert_eq!(plan.status["uncountedTerminatedPods"], json!({}));
    let strangers = [ended("9-a", "Succeeded", 9), ended("x", "Failed", 9)];
    let plan = planned(&job, &strangers);
    assert_eq!((plan.counts, plan.release.len()), (false, 2), "no index of the Job's: let go, not counted");
}

#[test]
fn a_pod_that_was_asked_to_go_has_failed_and_is_replaced() {
    let pods = [leaving(pod("0-a", "Running")), pod("1-a", "Running")];
    let plan = planned(&indexed(5, json!({})), &pods);
    assert_eq!(names(&plan.release), ["0-a"]);
    assert_eq!(plan.status["uncountedTerminatedPods"], json!({ "failed": ["0-a"] }));
    assert_eq!((&plan.status["active"], &plan.status["terminating"]), (&json!(1), &json!(1)));
    assert_eq!(created_later(&pods), [0]);
    // or only when it has failed, if that is wished
    let spec = json!({ "completionMode": "Indexed", "completions": 5, "podReplacementPolicy": "Failed" });
    let plan = planned(&job(spec, json!({})), &pods);
    assert_eq!((plan.counts, plan.release.len(), &plan.deed), (false, 0, &Deed::Nothing));
}

/// When the back-off of the failure is over.
fn created_later(pods: &[Object]) -> Vec<i64> {
    let pods: Vec<Arc<Object>> = pods.iter().cloned().map(Arc::new).collect();
    created(&plan(&indexed(5, json!({})), &pods, None, BACK_OFF, NOW + 60 * SECOND))
}

#[test]
fn failures_delay_the_next_pod_twice_as_long_each_until_one_succeeds() {
    let left = |pods: &[Object]| {
        let plan = planned(&indexed(9, json!({})), pods);
        assert!(matches!(plan.deed, Deed::Nothing | Deed::Create(_)));
        plan.look_again.map(|left| left.as_secs())
    };
    assert_eq!(left(&[free(ended("0-a", "Failed", 55))]), Some(5));
    assert_eq!(left(&[free(ended("0-a", "Failed", 50))]), None);
    let two = [free(ended("0-a", "Failed", 50)), free(ended("1-a", "Failed", 55))];
    assert_eq!(left(&two), Some(15));
    assert_eq!(left(&[&two[..], &[free(ended("2-a", "Failed", 52))]].concat()), Some(35));
    assert_eq!(left(&[&two[..], &[free(ended("2-a", "Succeeded", 52))]].concat()), Some(5));
    assert_eq!(left(&[&two[..], &[free(ended("2-a", "Succeeded", 57))]].concat()), None);
    let many: Vec<Object> = (0..9).map(|n| free(ended(&format!("0-{n}"), "Failed", 59))).collect();
    assert_eq!(left(&many), Some(599));
}

#[test]
fn a_job_fails_with_more_failures_than_its_limit_and_its_pods_go() {
    let spec = json!({ "completionMode": "Indexed", "completions": 5, "backoffLimit": 1 });
    let once = job(spec.clone(), json!({ "failed": 1 }));
    let pods = [ended("0-a", "Failed", 9), pod("1-a", "Running")];
    assert_eq!(planned(&once, &pods[1..]).target, None);
    let plan = planned(&once, &pods);
    let target = plan.target.clone().expect("it fails");
    assert_eq!((target.success, target.reason.as_str()), (false, "BackoffLimitExceeded"));
    assert_eq!(target.message, "Job has reached the specified backoff limit");
    assert_eq!(plan.deed, Deed::End(vec![Arc::new(pods[1].clone())]));
    let [first, second] = carried_out(&once, &plan, &pods, &["0-a"]);
    assert!(is_true(&first, "FailureTarget") && !is_true(&second, "Failed"), "a pod is active still");
    assert_eq!(second.get_i64(&["status", "failed"]), Some(2));
    // that pod counts as failed as well, and is waited for
    let going = [leaving(pods[1].clone())];
    let plan = planned(&second, &going);
    let [_, third] = carried_out(&second, &plan, &going, &["1-a"]);
    assert_eq!((third.get_i64(&["status", "failed"]), is_true(&third, "Failed")), (Some(3), false));
    let plan = planned(&third, &[]);
    let [_, last] = carried_out(&third, &plan, &[], &[]);
    let failed = conditions::get(&last, "Failed").expect("it has failed");
    assert_eq!((&failed["reason"], &failed["status"]), (&json!("BackoffLimitExceeded"), &json!("True")));
    assert_eq!(last.get(&["status", "completionTime"]), None);
    assert!(kinds_accept(&third, &last));
}

/// Whether the API server takes the step from one status to the other.
fn kinds_accept(old: &Object, new: &Object) -> bool {
    let errors = objects::kinds::job::KIND.check_status_update(new, old);
    assert_eq!(errors, [], "{new:?}");
    errors.is_empty()
}

#[test]
fn restarts_in_place_count_towards_the_limit() {
    let mut job = job(json!({ "completions": 2, "backoffLimit": 3 }), json!({}));
    job.set(&["spec", "template", "spec", "restartPolicy"], "OnFailure");
    let restarted = |count: u64| {
        let mut pod = pod("a", "Running");
        pod.set(&["status", "containerStatuses"], json!([{ "restartCount": count }]));
        pod
    };
    assert_eq!(planned(&job, &[restarted(2)]).target, None);
    let plan = planned(&job, &[restarted(3)]);
    assert_eq!(plan.target.map(|target| target.reason), Some("BackoffLimitExceeded".to_string()));
}

#[test]
fn a_job_that_is_active_for_too_long_fails() {
    let job = |seconds: u64| indexed_with(json!({ "activeDeadlineSeconds": seconds }));
    let plan = planned(&job(70), &[pod("0-a", "Running"), pod("1-a", "Running")]);
    assert_eq!((plan.target, plan.look_again), (None, Some(Duration::from_secs(10))));
    let plan = planned(&job(60), &[pod("0-a", "Running")]);
    assert_eq!(plan.target.map(|target| target.reason), Some("DeadlineExceeded".to_string()));
    let suspended = indexed_with(json!({ "activeDeadlineSeconds": 60, "suspend": true }));
    assert_eq!(planned(&suspended, &[]).target, None);
}

fn indexed_with(mut spec: Value) -> Object {
    spec["completionMode"] = "Indexed".into();
    spec["completions"] = 5.into();
    job(spec, json!({}))
}

#[test]
fn a_job_completes_when_enough_have_succeeded_and_nothing_runs_any_more() {
    let job = indexed(2, json!({ "completedIndexes": "0", "succeeded": 1, "startTime": at(59) }));
    let pods = [ended("1-a", "Succeeded", 9)];
    let plan = planned(&job, &pods);
    let [first, second] = carried_out(&job, &plan, &pods, &["1-a"]);
    assert!(is_true(&first, "SuccessCriteriaMet") && !is_true(&first, "Complete"));
    assert!(is_true(&second, "Complete"));
    assert_eq!(second.get_str(&["status", "completionTime"]), at(60));
    let complete = conditions::get(&second, "Complete").expect("it is complete");
    assert_eq!(complete["reason"], "CompletionsReached");
    assert!(kinds_accept(&job, &first) && kinds_accept(&first, &second));
    // a clock behind that of the manager before does not end it before it began
    let early = job_started_late(&job);
    let [_, second] = carried_out(&early, &planned(&early, &pods), &pods, &["1-a"]);
    assert_eq!(second.get_str(&["status", "completionTime"]), at(90));
    let twice = [pods[0].clone(), pod("0-b", "Running")];
    let plan = planned(&job, &twice);
    assert_eq!(plan.target, None);
    assert_eq!(dropped(&plan), ["0-b"]);
    let goes = [pods[0].clone(), leaving(free(pod("0-b", "Running")))];
    let [first, second] = carried_out(&job, &planned(&job, &goes), &goes, &["1-a"]);
    assert!(is_true(&first, "SuccessCriteriaMet") && !is_true(&second, "Complete"), "one is on its way out");
}

fn job_started_late(job: &Object) -> Object {
    let mut late = job.clone();
    late.set(&["status", "startTime"], at(90));
    late
}

#[test]
fn a_job_without_completions_is_done_when_one_has_succeeded_and_the_rest_has_ended() {
    let queue = job(json!({}), json!({}));
    assert_eq!(created(&planned(&queue, &[])), [-1, -1]);
    let pods = [ended("a", "Succeeded", 9), pod("b", "Running")];
    let plan = planned(&queue, &pods);
    assert_eq!((&plan.deed, plan.target.is_some()), (&Deed::Nothing, false));
    let plan = planned(&queue, &[ended("a", "Succeeded", 9), ended("b", "Failed", 10)]);
    assert!(plan.target.is_some_and(|target| target.success));
}

#[test]
fn duplicates_and_strangers_go_first_and_then_those_that_have_come_least_far() {
    let five = [pod("0-a", "Running"), pod("0-b", "Pending"), pod("7-a", "Running"), pod("1-a", "Running")];
    let job = indexed(5, json!({}));
    assert_eq!(dropped(&planned(&job, &five)), ["7-a", "0-b"]);
    let mut small = job.clone();
    small.set(&["spec", "parallelism"], 1);
    assert_eq!(dropped(&planned(&small, &[pod("0-a", "Running"), pod("1-a", "Pending")])), ["1-a"]);
}

#[test]
fn a_suspended_job_has_no_pods_and_its_time_begins_anew_when_it_is_resumed() {
    let mut job = indexed(5, json!({}));
    job.set(&["spec", "suspend"], true);
    let plan = planned(&job, &[pod("0-a", "Running")]);
    assert_eq!((dropped(&plan), plan.suspended), (vec!["0-a"], Some(true)));
    job.set(&["status"], plan.status);
    assert!(is_true(&job, "Suspended"));
    let plan = planned(&job, &[]);
    assert_eq!(
        (&plan.deed, plan.suspended, &plan.status["startTime"]),
        (&Deed::Nothing, None, &json!(at(0)))
    );
    job.set(&["spec", "suspend"], false);
    let plan = planned(&job, &[]);
    assert_eq!((plan.suspended, &plan.status["startTime"]), (Some(false), &json!(at(60))));
    assert_eq!(created(&plan), [0, 1]);
    let mut never = indexed(5, json!({ "startTime": null }));
    never.set(&["spec", "suspend"], true);
    assert_eq!(planned(&never, &[]).status["startTime"], Value::Null);
}

#[test]
fn pods_of_a_job_that_is_being_deleted_are_let_go() {
    let mut job = indexed(5, json!({}));
    job.set(&["metadata", "deletionTimestamp"], at(50));
    let plan = planned(&job, &[pod("0-a", "Running"), ended("1-a", "Succeeded", 9)]);
    assert_eq!((names(&plan.release), &plan.deed), (vec!["0-a", "1-a"], &Deed::Nothing));
    assert_eq!(plan.status["completedIndexes"], "1");
}
