//! Histories of objects: right ones are accepted, planted violations are flagged.

use super::objects::{BoundOnce, Capacity, Finalizers, Look, Owners, Phases, judge};
use super::rollout::{Surge, Unavailable};
use super::{Verdict, apiwatch, fence, outcome};
use crate::history::{ApiEvent, ApiList, ApiWatch, Event, History, Kv};
use crate::scenario::Expect;
use base::Note;
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Log = BTreeMap<i64, Vec<Event>>;

fn log(writes: &[(&str, Option<Value>)]) -> Log {
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
    events.collect()
}

fn verdict(look: impl Look + 'static, writes: &[(&str, Option<Value>)]) -> Verdict {
    judge(&log(writes), &BTreeMap::new(), &mut [Box::new(look)]).remove(0)
}

fn held(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Held(_))
}

fn broken(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Broken(_))
}

fn pod(uid: &str, node: &str, phase: &str) -> Option<Value> {
    Some(json!({ "metadata": { "name": uid, "uid": uid,
            "ownerReferences": [ { "uid": "set", "name": "web-1", "controller": true } ] },
        "spec": { "nodeName": node, "containers": [ { "resources": { "requests": { "cpu": "600m" } } } ] },
        "status": { "phase": phase, "conditions": [ { "type": "Ready", "status": if phase == "Running" { "True" } else { "False" } } ] } }))
}

#[test]
fn a_pod_is_bound_once_and_ends_once() {
    let right = [
        ("pods/d/a", pod("a", "", "Pending")),
        ("pods/d/a", pod("a", "n1", "Pending")),
        ("pods/d/a", pod("a", "n1", "Running")),
    ];
    let mut moved = right.to_vec();
    moved.push(("pods/d/a", pod("a", "n2", "Running")));
    let mut reborn = right.to_vec();
    reborn.extend([("pods/d/a", None), ("pods/d/a", pod("b", "n2", "Pending"))]);
    assert!(held(&verdict(BoundOnce::default(), &right)));
    assert!(broken(&verdict(BoundOnce::default(), &moved)));
    assert!(held(&verdict(BoundOnce::default(), &reborn)), "another pod of the same name is another pod");
    let mut risen = right.to_vec();
    risen.extend([("pods/d/a", pod("a", "n1", "Failed")), ("pods/d/a", pod("a", "n1", "Running"))]);
    assert!(held(&verdict(Phases::default(), &right)));
    assert!(broken(&verdict(Phases::default(), &risen)));
}

#[test]
fn a_node_is_not_given_more_than_it_has() {
    let node = (
        "nodes/n1",
        Some(
            json!({ "metadata": { "name": "n1" }, "status": { "allocatable": { "cpu": "1", "pods": "9" } } }),
        ),
    );
    let one = [node.clone(), ("pods/d/a", pod("a", "n1", "Running"))];
    let two = [one.as_slice(), &[("pods/d/b", pod("b", "n1", "Running"))]].concat();
    let after = [one.as_slice(), &[("pods/d/a", None), ("pods/d/b", pod("b", "n1", "Running"))]].concat();
    assert!(held(&verdict(Capacity::default(), &one)));
    assert!(held(&verdict(Capacity::default(), &after)));
    assert!(broken(&verdict(Capacity::default(), &two)));
}

#[test]
fn finalizers_and_owners_are_honoured() {
    let with = |finalizers: Value| Some(json!({ "metadata": { "uid": "x", "finalizers": finalizers } }));
    assert!(held(&verdict(Finalizers::default(), &[("pods/d/a", with(json!([]))), ("pods/d/a", None)])));
    assert!(broken(&verdict(
        Finalizers::default(),
        &[("pods/d/a", with(json!(["wait"]))), ("pods/d/a", None)]
    )));
    let freed = |revision| {
        let note = Note::LastFinalizer { object: "pods/d/a".into(), revision };
        let look = Finalizers::freeing(&[(0, "apiserver-1".into(), note)]);
        verdict(look, &[("pods/d/a", with(json!(["wait"]))), ("pods/d/a", None)])
    };
    assert!(held(&freed(2)), "an update took the last of them");
    assert!(broken(&freed(1)), "that was another object of the name");
    let owner = ("deployments/d/web", Some(json!({ "metadata": { "uid": "dep", "name": "web" } })));
    let set = ("replicasets/d/web-1", set(3, 1, 1));
    let killed = [owner.clone(), set.clone(), ("replicasets/d/web-1", None)];
    assert!(broken(&verdict(Owners::of(true), &killed)));
    let all_gone = [owner.clone(), set.clone(), ("deployments/d/web", None), ("replicasets/d/web-1", None)];
    assert!(held(&verdict(Owners::of(true), &all_gone)));
    let orphan = [owner, set, ("deployments/d/web", None)];
    assert!(broken(&verdict(Owners::of(true), &orphan)));
    assert!(!broken(&verdict(Owners::of(false), &orphan)), "an unsettled run may have orphans");
}

fn set(replicas: i64, generation: i64, observed: i64) -> Option<Value> {
    Some(json!({ "metadata": { "uid": "set", "name": "web-1", "generation": generation,
            "ownerReferences": [ { "uid": "dep", "name": "web", "controller": true } ] },
        "spec": { "replicas": replicas }, "status": { "observedGeneration": observed } }))
}

fn deployment(replicas: i64, generation: i64, observed: i64) -> Option<Value> {
    Some(json!({ "metadata": { "uid": "dep", "name": "web", "generation": generation },
        "spec": { "replicas": replicas, "strategy": { "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 1 } } },
        "status": { "observedGeneration": observed } }))
}

#[test]
fn surge_is_bounded_by_what_the_controller_may_still_believe() {
    let deployments = "deployments/d/web";
    let sets = "replicasets/d/web-1";
    let right =
        [(deployments, deployment(2, 1, 0)), (sets, set(3, 1, 0)), ("pods/d/a", pod("a", "", "Pending"))];
    assert!(held(&verdict(Surge::default(), &right)));
    assert!(broken(&verdict(Surge::default(), &[(deployments, deployment(2, 1, 0)), (sets, set(4, 1, 0))])));
    let late = [(deployments, deployment(5, 1, 1)), (deployments, deployment(2, 2, 1)), (sets, set(6, 1, 0))];
    assert!(held(&verdict(Surge::default(), &late)), "it has not seen the smaller size yet");
    let known =
        [(deployments, deployment(5, 1, 1)), (deployments, deployment(2, 2, 2)), (sets, set(6, 1, 0))];
    assert!(broken(&verdict(Surge::default(), &known)));
    let twice = [
        (deployments, deployment(1, 1, 0)),
        (sets, set(1, 1, 0)),
        ("pods/d/a", pod("a", "", "Pending")),
        ("pods/d/b", pod("b", "", "Pending")),
    ];
    assert!(broken(&verdict(Surge::default(), &twice)));
    assert!(!broken(&verdict(Surge::excusing(vec![(4, 9)]), &twice)));
}

#[test]
fn a_rollout_keeps_enough_pods_available() {
    let start = [
        ("deployments/d/web", deployment(3, 1, 1)),
        ("replicasets/d/web-1", set(3, 1, 1)),
        ("pods/d/a", pod("a", "n", "Running")),
        ("pods/d/b", pod("b", "n", "Running")),
        ("pods/d/c", pod("c", "n", "Running")),
    ];
    let to = |replicas, writes_between: usize| {
        let between = vec![("configmaps/d/x", Some(json!({ "metadata": { "uid": "x" } }))); writes_between];
        [start.as_slice(), &between, &[("replicasets/d/web-1", set(replicas, 2, 1))]].concat()
    };
    assert!(held(&verdict(Unavailable::default(), &to(2, 100))));
    assert!(broken(&verdict(Unavailable::default(), &to(1, 100))));
    assert!(held(&verdict(Unavailable::default(), &to(1, 10))), "it may not know yet that they are ready");
    let after_deletion = |deployment: Option<Value>| {
        let mut steps = to(1, 100);
        steps.insert(steps.len() - 1, ("deployments/d/web", deployment));
        verdict(Unavailable::default(), &steps)
    };
    let going = |finalizer| {
        let mut deployment = deployment(3, 1, 1).expect("one");
        deployment["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:09Z");
        deployment["metadata"]["finalizers"] = json!([finalizer]);
        after_deletion(Some(deployment))
    };
    assert!(!broken(&after_deletion(None)), "no pod of what was deleted is to stay (swarm, seed 61533)");
    assert!(!broken(&going("foregroundDeletion")));
    assert!(broken(&going("orphan")), "these pods are to stay");
    let mut log = log(&to(1, 10));
    let last = log.pop_last().expect("the set shrinks").1;
    log.insert(2_000, last);
    let busy = judge(&log, &BTreeMap::new(), &mut [Box::new(Unavailable::default())]).remove(0);
    assert!(held(&busy), "what else the store was busy with makes no controller older");
}

#[test]
fn a_write_under_a_lost_lock_is_flagged() {
    let note = |at, identity: &str, held: Option<bool>| {
        let (identity, lock) = (identity.to_string(), "lock".to_string());
        let note = match held {
            Some(held) => Note::Elected { identity, lock, held },
            None => Note::FencedWrite { identity, lock, what: "PUT /x".into() },
        };
        (at, "p".to_string(), note)
    };
    let right = [note(1, "a", Some(true)), note(2, "a", None), note(3, "b", Some(true)), note(4, "b", None)];
    assert!(held(&fence::fenced(&right)));
    let wrong = [right.as_slice(), &[note(5, "a", None)]].concat();
    assert!(broken(&fence::fenced(&wrong)));
}

#[test]
fn a_gap_after_a_list_and_a_list_that_goes_back_are_flagged() {
    let log = log(&[
        ("pods/d/a", pod("a", "", "Pending")),
        ("pods/d/b", pod("b", "", "Pending")),
        ("pods/d/a", None),
    ]);
    let event = |kind, key: &str, version| ApiEvent { at: 1, kind, key: key.into(), version };
    let watch = |events| History {
        api_watches: vec![ApiWatch {
            client: "r".into(),
            resource: "pods".into(),
            listed_at: 2,
            events,
            ended: None,
        }],
        ..History::default()
    };
    let right = vec![event("ADDED", "d/b", 3), event("DELETED", "d/a", 4), event("BOOKMARK", "", 4)];
    assert!(held(&apiwatch::no_gap(&watch(right.clone()), &log)));
    assert!(broken(&apiwatch::no_gap(&watch(right[1..].to_vec()), &log)));
    assert!(broken(&apiwatch::no_gap(&watch(vec![right[1].clone(), right[0].clone()]), &log)));
    let list =
        |call, ret, version| ApiList { client: "r".into(), resource: "pods".into(), call, ret, version };
    let lists = |lists| History { lists, ..History::default() };
    assert!(held(&apiwatch::never_back(&lists(vec![list(1, 2, 5), list(3, 4, 5)]))));
    assert!(held(&apiwatch::never_back(&lists(vec![list(1, 4, 6), list(2, 3, 5)]))), "they overlap");
    assert!(broken(&apiwatch::never_back(&lists(vec![list(1, 2, 6), list(3, 4, 5)]))));
}

#[test]
fn caches_that_differ_needless_writes_and_another_end_are_flagged() {
    let log = log(&[("pods/d/a", pod("a", "", "Pending")), ("pods/d/b", pod("b", "", "Pending"))]);
    let cache = |resource: &str, objects, versions: &[(&str, u64)]| {
        let digests = versions.iter().map(|(key, version)| base::note::version_digest(key, *version));
        let hash = digests.fold(0, |hash, digest| hash ^ digest);
        let (process, resource) = ("p".to_string(), resource.to_string());
        vec![(1, "p".to_string(), Note::Cache { process, resource, revision: 3, objects, hash })]
    };
    // an informer of everything, and a watch cache
    for resource in ["pods?", "pods"] {
        let right = [("d/a", 2), ("d/b", 3)];
        assert!(held(&outcome::caches(&cache(resource, 2, &right), &log)));
        assert!(broken(&outcome::caches(&cache(resource, 1, &right), &log)));
        assert!(broken(&outcome::caches(&cache(resource, 2, &[("d/a", 2), ("d/b", 2)]), &log)));
    }
    let writes = |key: &str| [(key.to_string(), 3)].into();
    assert!(held(&outcome::quiet(&writes("/registry/leases/kube-system/x"))));
    assert!(broken(&outcome::quiet(&writes("/registry/deployments/default/web"))));
    let objects = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<_>>();
    assert!(held(&outcome::twin(&objects(&["a", "b"]), &objects(&["a", "b"]))));
    assert!(broken(&outcome::twin(&objects(&["a", "b"]), &objects(&["a"]))));
    assert!(held(&outcome::settles(Some(5), &[], 9)));
    let why = objects(&["pod a has no node", "manager-1 is down"]);
    let told = outcome::settles(None, &why, 9_000_000_000).evidence();
    assert_eq!(told, ["pod a has no node: not at rest 9.000 s after the heal", "manager-1 is down"]);
}

#[test]
fn an_end_that_is_not_as_expected_is_flagged() {
    let web = json!({ "metadata": { "name": "web" }, "status": { "readyReplicas": 3 },
        "spec": { "template": { "spec": { "containers": [ { "image": "web:v2" } ] } } } });
    let marks: BTreeMap<String, u64> = [("a lock is lost".to_string(), 1)].into();
    let ends = |expect: Expect| outcome::expected(&[expect], std::slice::from_ref(&web), &[], &marks);
    let named = |name: &str, ready, image: &str| Expect::Deployment {
        name: name.into(),
        ready: Some(ready),
        image: Some(image.into()),
    };
    assert!(held(&ends(named("web", 3, "web:v2"))));
    assert!(broken(&ends(named("web", 2, "web:v2"))));
    assert!(broken(&ends(named("web", 3, "web:v1"))));
    assert!(broken(&ends(named("db", 3, "web:v2"))));
    assert!(held(&ends(Expect::Absent { deployment: "db".into() })));
    assert!(broken(&ends(Expect::Absent { deployment: "web".into() })));
    assert!(held(&ends(Expect::Reached("a lock is lost".into()))));
    assert!(broken(&ends(Expect::Reached("a disk is full".into()))));
}

#[test]
fn a_process_that_dies_by_itself_is_flagged_unless_its_disk_failed() {
    let died = [(5, "member-1".to_string(), "no space left".to_string())];
    let failing = |name: &str, _: &str| name == "member-1";
    assert!(held(&outcome::deaths(None, &[], &failing)));
    assert!(held(&outcome::deaths(None, &died, &failing)));
    assert!(broken(&outcome::deaths(None, &died, &|_, _| false)));
    assert!(broken(&outcome::deaths(Some("index out of bounds"), &[], &failing)), "a panic has no excuse");
}
