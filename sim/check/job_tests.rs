//! Histories of Jobs: right ones are accepted, planted violations are flagged.

use super::*;
use crate::check::{Verdict, objects::judge};
use crate::history::{Event, Kv};
use serde_json::json;

type Write = (&'static str, Option<Value>);

fn verdict(look: impl Look + 'static, writes: &[Write]) -> Verdict {
    let events = writes.iter().zip(2..).map(|((key, value), revision)| {
        let text = value.as_ref().map_or(String::new(), Value::to_string);
        let kv = Kv {
            key: format!("/registry/{key}").into(),
            value: text.into(),
            modified: revision,
            ..Kv::default()
        };
        (revision, vec![Event { delete: value.is_none(), kv, prev: None }])
    });
    judge(&events.collect(), &BTreeMap::new(), &mut [Box::new(look)]).remove(0)
}

fn held(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Held(_))
}

fn broken(verdict: &Verdict, why: &str) {
    let Verdict::Broken(lines) = verdict else { panic!("{why}: {verdict:?}") };
    assert!(lines.iter().any(|line| line.contains(why)), "{why}: {lines:?}");
}

const JOB: &str = "jobs/d/sweep";

fn job(mode: &str, status: Value) -> Write {
    let value = json!({ "kind": "Job", "metadata": { "name": "sweep", "uid": "job" },
        "spec": { "completionMode": mode, "completions": 3, "parallelism": 2 }, "status": status });
    (JOB, Some(value))
}

fn indexed(completed: &str, succeeded: i64) -> Write {
    job("Indexed", json!({ "completedIndexes": completed, "succeeded": succeeded }))
}

fn pod(key: &'static str, index: i64, phase: &str, tracked: bool) -> Write {
    let finalizers = if tracked { vec![FINALIZER] } else { vec![] };
    let name = key.rsplit('/').next().unwrap_or(key);
    let value = json!({ "metadata": { "name": name, "uid": name, "finalizers": finalizers,
            "annotations": { INDEX: index.to_string() },
            "ownerReferences": [ { "uid": "job", "name": "sweep", "controller": true } ] },
        "status": { "phase": phase } });
    (key, Some(value))
}

fn without_last(writes: &[Write], count: usize) -> Vec<Write> {
    writes[..writes.len() - count].to_vec()
}

#[test]
fn a_finalizer_goes_only_after_the_status_has_the_pod() {
    let right = [
        indexed("", 0),
        pod("pods/d/a", 0, "Running", true),
        pod("pods/d/a", 0, "Succeeded", true),
        indexed("0", 1),
        pod("pods/d/a", 0, "Succeeded", false),
    ];
    assert!(held(&verdict(CountedOnce::default(), &right)));
    let mut early = without_last(&right, 2);
    early.push(pod("pods/d/a", 0, "Succeeded", false));
    broken(&verdict(CountedOnce::default(), &early), "does not account for it");
    let mut gone = without_last(&right, 2);
    gone.push(("pods/d/a", None));
    broken(&verdict(CountedOnce::default(), &gone), "does not account for it");
    let dropped = [&right[..2], &[pod("pods/d/a", 0, "Running", false)]].concat();
    assert!(held(&verdict(CountedOnce::default(), &dropped)), "one too many need not be counted");
    let mut asked = pod("pods/d/a", 0, "Running", false);
    asked.1.as_mut().expect("a pod")["metadata"]["deletionTimestamp"] = "then".into();
    broken(&verdict(CountedOnce::default(), &[&right[..2], &[asked]].concat()), "does not account for it");
}

#[test]
fn a_pod_goes_through_the_list_into_the_counter_once() {
    let lists = |uids: &[&str], failed: i64| {
        job("NonIndexed", json!({ "failed": failed, "uncountedTerminatedPods": { "failed": uids } }))
    };
    let right = [
        lists(&[], 0),
        pod("pods/d/a", 0, "Failed", true),
        pod("pods/d/b", 0, "Failed", true),
        lists(&["a", "b"], 0),
        pod("pods/d/a", 0, "Failed", false),
        lists(&["b"], 1),
        pod("pods/d/b", 0, "Failed", false),
        lists(&[], 2),
    ];
    assert!(held(&verdict(CountedOnce::default(), &right)));
    let again = [&right[..], &[lists(&["a"], 2)]].concat();
    broken(&verdict(CountedOnce::default(), &again), "was counted before");
    let too_soon = [&right[..4], &[lists(&["b"], 1)]].concat();
    broken(&verdict(CountedOnce::default(), &too_soon), "still has its finalizer");
    let forgotten = [&right[..5], &[lists(&["b"], 0)]].concat();
    broken(&verdict(CountedOnce::default(), &forgotten), "failed goes from 0 to 0");
    let back = [&right[..], &[lists(&[], 1)]].concat();
    broken(&verdict(CountedOnce::default(), &back), "failed goes from 2 to 1");
}

#[test]
fn what_has_succeeded_is_the_indexes_whose_pods_have() {
    let right = [
        indexed("", 0),
        pod("pods/d/a", 0, "Succeeded", true),
        indexed("0", 1),
        pod("pods/d/a", 0, "Succeeded", false),
    ];
    assert!(held(&verdict(CountedOnce::default(), &right)));
    let invented = [&right[..], &[indexed("0,1", 2)]].concat();
    broken(&verdict(CountedOnce::default(), &invented), "no pod of it has succeeded");
    let lost = [&right[..], &[indexed("", 0)]].concat();
    broken(&verdict(CountedOnce::default(), &lost), "no longer is");
    let wrong = [&right[..2], &[indexed("0", 2)]].concat();
    broken(&verdict(CountedOnce::default(), &wrong), "1 indexes are completed");
}

#[test]
fn no_pod_is_made_for_an_index_that_has_succeeded() {
    let writes =
        [indexed("0-1", 2), pod("pods/d/a", 2, "Pending", true), pod("pods/d/b", 1, "Pending", true)];
    assert!(held(&verdict(NeverAgain::default(), &writes[..2])));
    broken(&verdict(NeverAgain::default(), &writes), "index 1, which has succeeded");
    assert!(held(&verdict(NeverAgain::excusing(vec![(4, 4)]), &writes)));
}

#[test]
fn no_more_pods_are_active_than_may_run() {
    let full = [indexed("", 0), pod("pods/d/a", 0, "Running", true), pod("pods/d/b", 1, "Running", true)];
    assert!(held(&verdict(Parallelism::default(), &full)));
    let more = [&full[..], &[pod("pods/d/c", 2, "Pending", true)]].concat();
    broken(&verdict(Parallelism::default(), &more), "3 pods of a Job are active, and 2 may be");
    assert!(held(&verdict(Parallelism::excusing(vec![(5, 5)]), &more)));
    let ended = pod("pods/d/a", 0, "Failed", true);
    let after = [&full[..], &[ended, pod("pods/d/c", 0, "Pending", true)]].concat();
    assert!(held(&verdict(Parallelism::default(), &after)));
}

#[test]
fn a_job_is_at_rest_when_it_has_ended_and_has_let_its_pods_go() {
    let with = |conditions: &[&str]| {
        let is = |of: &&str| json!({ "type": of, "status": "True" });
        let conditions: Vec<Value> = conditions.iter().map(is).collect();
        job("Indexed", json!({ "succeeded": 3, "conditions": conditions })).1.expect("a Job")
    };
    let why = |conditions: &[&str], tracked| {
        let mut all = Inventory::default();
        all.set("/registry/jobs/d/sweep", Some(with(conditions)));
        all.set("/registry/pods/d/a", pod("pods/d/a", 0, "Succeeded", tracked).1);
        at_work(&all)
    };
    assert_eq!(why(&["Complete"], false), None);
    assert_eq!(why(&["Failed"], false), None);
    assert_eq!(why(&["Suspended"], false), None);
    assert_eq!(why(&["Complete"], true).as_deref(), Some("pod a waits for its Job sweep"));
    let working = why(&["SuccessCriteriaMet"], false);
    assert_eq!(working.as_deref(), Some("Job sweep is at work: 3 of 3 have succeeded"));
    let expect = |name: &str, succeeded, ends: &str| {
        let (name, ends) = (name.to_string(), Some(ends.to_string()));
        unexpected(&Expect::Job { name, succeeded: Some(succeeded), ends }, &[with(&["Complete"])])
    };
    assert_eq!(expect("sweep", 3, "Complete"), None);
    assert!(expect("sweep", 2, "Complete").is_some());
    assert!(expect("sweep", 3, "Failed").is_some());
    assert!(expect("other", 3, "Complete").is_some());
}
