//! Every kind through what a server does to it: decode, defaults, prepare, check; one fault at a time.

use serde_json::{Value, json};

use crate::field_error::FieldError;
use crate::kinds::{self, KINDS, Kind, by_kind, by_plural};
use crate::object::Object;
use crate::schema;

mod faults;
mod tables;

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

/// A good object of each kind, with changes laid over it.
fn sample(kind: &Kind, changes: Value) -> Object {
    let template =
        json!({"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let workload = json!({"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template}});
    let mut value = match kind.kind {
        "Pod" => json!({"spec": {"containers": [{"name": "c", "image": "i"}]}}),
        "Deployment" | "ReplicaSet" => workload,
        "Job" => {
            json!({"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}})
        }
        "Service" => json!({"spec": {"ports": [{"port": 80}], "selector": {"app": "x"}}}),
        "ConfigMap" => json!({"data": {"a": "b"}}),
        "Event" => json!({"involvedObject": {"kind": "Pod", "namespace": "n", "name": "p"}, "reason": "R"}),
        "Lease" => json!({"spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}}),
        "Node" => json!({"status": {"capacity": {"cpu": "4", "memory": "8Gi"}}}),
        _ => json!({}),
    };
    value["apiVersion"] = json!(kind.api_version());
    value["kind"] = json!(kind.kind);
    value["metadata"] = json!({"name": "x"});
    if kind.namespaced {
        value["metadata"]["namespace"] = json!("n");
    }
    json_patch::merge(&mut value, &changes);
    object(value)
}

/// What a server makes of a client's object.
fn created(kind: &Kind, changes: Value) -> Object {
    let mut made = sample(kind, changes);
    assert_eq!(schema::decode(kind, &mut made), Ok(vec![]), "{kind:?}");
    kind.apply_defaults(&mut made);
    kind.prepare_create(&mut made);
    if kind.kind == "Job" {
        made.set_uid("u1"); // its selector names it
    }
    (kind.on_named)(&mut made);
    made
}

fn create_errors(kind: &Kind, changes: Value) -> Vec<String> {
    kind.check_create(&created(kind, changes)).iter().map(FieldError::to_string).collect()
}

/// An update from the good object to one with changes laid over it.
fn updated(kind: &Kind, before: Value, changes: Value) -> (Object, Object) {
    let mut old = created(kind, before);
    old.set_uid("u1");
    let mut value = old.clone().into_value();
    json_patch::merge(&mut value, &changes);
    let mut new = object(value);
    kind.apply_defaults(&mut new);
    kind.prepare_update(&mut new, &old);
    (new, old)
}

fn update_errors(kind: &Kind, before: Value, changes: Value) -> Vec<String> {
    let (new, old) = updated(kind, before, changes);
    kind.check_update(&new, &old).iter().map(FieldError::to_string).collect()
}

fn status_errors(kind: &Kind, status: Value) -> Vec<String> {
    let old = created(kind, json!({}));
    let mut new = old.clone();
    new.set(&["status"], status);
    kind.prepare_status_update(&mut new, &old);
    kind.check_status_update(&new, &old).iter().map(FieldError::to_string).collect()
}

fn kind(name: &str) -> &'static Kind {
    KINDS.iter().find(|k| k.kind == name).unwrap()
}

fn check(kind: &Kind, cases: &[(Value, &str)]) {
    for (changes, text) in cases {
        assert_eq!(create_errors(kind, changes.clone()), [*text], "{kind:?} {changes}");
    }
}

#[test]
fn kinds_are_found_by_their_names() {
    for kind in KINDS {
        assert_eq!(by_kind(&kind.api_version(), kind.kind), Some(*kind));
        assert_eq!(by_plural(kind.group, kind.version, kind.plural), Some(*kind));
    }
    assert_eq!(by_plural("apps", "v1", "pods"), None);
    assert_eq!(
        kinds::group_versions(),
        [("", "v1"), ("coordination.k8s.io", "v1"), ("apps", "v1"), ("batch", "v1")]
    );
    assert_eq!(kind("Deployment").resource(), "deployments.apps");
    assert_eq!(kind("Pod").storage_key(Some("n"), "p"), "/registry/pods/n/p");
    assert_eq!(kind("Node").storage_key(None, "m"), "/registry/nodes/m");
}

#[test]
fn good_objects_of_every_kind_pass_and_a_second_pass_changes_nothing() {
    for kind in KINDS {
        assert_eq!(create_errors(kind, json!({})), Vec::<String>::new(), "{kind:?}");
        let made = created(kind, json!({}));
        let mut again = made.clone();
        assert_eq!(schema::decode(kind, &mut again), Ok(vec![]), "what we fill in is in the schema");
        kind.apply_defaults(&mut again);
        assert_eq!(again, made, "{kind:?}: defaults are idempotent");
        let (new, old) = updated(kind, json!({}), json!({}));
        assert_eq!(new, old, "{kind:?}: an update that changes nothing changes nothing");
        assert_eq!(kind.check_update(&new, &old), []);
    }
}

#[test]
fn metadata_faults_of_every_kind() {
    for kind in KINDS {
        let first = |changes: Value| create_errors(kind, changes).first().cloned().unwrap_or_default();
        assert_eq!(
            first(json!({"metadata": {"name": null}})),
            "metadata.name: Required value: name or generateName is required"
        );
        assert!(
            first(json!({"metadata": {"name": "A b"}}))
                .starts_with("metadata.name: Invalid value: \"A b\": a ")
        );
        assert!(
            first(json!({"metadata": {"labels": {"a b": "c"}}}))
                .starts_with("metadata.labels: Invalid value: \"a b\": name part")
        );
        assert!(
            first(json!({"metadata": {"labels": {"a": "b c"}}}))
                .starts_with("metadata.labels: Invalid value: \"b c\": a valid label")
        );
        assert!(
            first(json!({"metadata": {"annotations": {"/": ""}}}))
                .starts_with("metadata.annotations: Invalid value: \"/\": prefix part")
        );
        let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": ""});
        assert_eq!(
            first(json!({"metadata": {"ownerReferences": [owner]}})),
            "metadata.ownerReferences[0].uid: Invalid value: \"\": uid must not be empty"
        );
        if kind.namespaced {
            assert_eq!(first(json!({"metadata": {"namespace": ""}})), "metadata.namespace: Required value");
        } else {
            assert_eq!(
                first(json!({"metadata": {"namespace": "n"}})),
                "metadata.namespace: Forbidden: not allowed on this type"
            );
        }
        let immutable = update_errors(kind, json!({}), json!({"metadata": {"name": "y"}}));
        assert!(
            immutable[0].starts_with("metadata.name: Invalid value: \"y\": field is immutable"),
            "{immutable:?}"
        );
    }
}

#[test]
fn one_controller_only() {
    let owner = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "controller": true});
    let errors =
        create_errors(kind("Pod"), json!({"metadata": {"ownerReferences": [owner("a"), owner("b")]}}));
    assert_eq!(errors.len(), 1);
    assert!(errors[0].ends_with(
        "Only one reference can have Controller set to true. Found \"true\" in references for a and b"
    ));
}

#[test]
fn no_new_finalizers_while_going_away() {
    let pod = kind("Pod");
    let mut old = created(pod, json!({"metadata": {"finalizers": ["a.b/c"]}}));
    old.set(&["metadata", "deletionTimestamp"], "2026-01-01T00:00:00Z");
    let mut new = old.clone();
    new.set_finalizers(&["a.b/c", "d.e/f"]);
    pod.prepare_update(&mut new, &old);
    assert_eq!(
        pod.check_update(&new, &old)[0].to_string(),
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new \
         finalizers []string{\"d.e/f\"}"
    );
    new.set_finalizers(&[]);
    assert_eq!(pod.check_update(&new, &old), []);
}

#[test]
fn system_fields_are_the_servers() {
    let pod = kind("Pod");
    let made = created(
        pod,
        json!({"metadata": {"uid": "mine", "generation": 9, "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"phase": "Running"}}),
    );
    assert_eq!((made.uid(), made.generation(), made.deletion_timestamp()), ("", 1, None));
    assert_eq!(made.get_str(&["status", "phase"]), "Pending");
    let (new, old) =
        updated(pod, json!({}), json!({"metadata": {"uid": null, "generation": null}, "status": null}));
    assert_eq!((new.uid(), new.generation()), ("u1", 1));
    assert_eq!(new.get(&["status"]), old.get(&["status"]));
}

#[test]
fn generation_counts_changes_of_the_spec() {
    for (name, change, bumped) in [
        ("Deployment", json!({"spec": {"replicas": 2}}), true),
        ("Deployment", json!({"metadata": {"annotations": {"a": "b"}}}), true),
        ("Deployment", json!({"metadata": {"labels": {"a": "b"}}}), false),
        ("ReplicaSet", json!({"spec": {"replicas": 2}}), true),
        ("ReplicaSet", json!({"metadata": {"annotations": {"a": "b"}}}), false),
        ("Job", json!({"spec": {"parallelism": 2}}), true),
        ("Job", json!({"metadata": {"annotations": {"a": "b"}}}), false),
        ("Pod", json!({"spec": {"activeDeadlineSeconds": 5}}), true),
        ("Pod", json!({"status": {"phase": "Failed"}}), false),
    ] {
        let (new, _) = updated(kind(name), json!({}), change.clone());
        assert_eq!(new.generation(), if bumped { 2 } else { 1 }, "{name} {change}");
    }
}

#[test]
fn status_updates_change_the_status_alone() {
    let deployment = kind("Deployment");
    let old = created(deployment, json!({}));
    let mut new = old.clone();
    new.set(&["spec", "replicas"], 9);
    new.set(&["metadata", "labels"], json!({"a": "b"}));
    new.set(&["status", "replicas"], 3);
    deployment.prepare_status_update(&mut new, &old);
    assert_eq!(new.get_i64(&["spec", "replicas"]), Some(1));
    assert_eq!(new.label("a"), None);
    assert_eq!(new.get_i64(&["status", "replicas"]), Some(3));
    assert_eq!(new.generation(), 1);
}

#[test]
fn pod_is_filled_in() {
    let pod = created(kind("Pod"), json!({}));
    assert_eq!(pod.get_array(&["spec", "tolerations"]).len(), 2);
    assert_eq!(pod.get_str(&["spec", "serviceAccountName"]), "default");
    assert_eq!(pod.get(&["status"]), Some(&json!({"phase": "Pending", "qosClass": "BestEffort"})));
    assert_eq!(pod.get_i64(&["spec", "priority"]), Some(0));
    assert_eq!(kinds::pod::grace_seconds(&pod), 30);
}

#[test]
fn deployment_is_filled_in() {
    let made = created(kind("Deployment"), json!({}));
    let spec = made.get(&["spec"]).unwrap();
    assert_eq!(spec["replicas"], json!(1));
    assert_eq!(
        spec["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
    );
    assert_eq!((&spec["revisionHistoryLimit"], &spec["progressDeadlineSeconds"]), (&json!(10), &json!(600)));
    assert_eq!(spec["template"]["spec"]["restartPolicy"], json!("Always"));
    assert_eq!(spec["template"]["spec"].get("tolerations"), None, "pods get these, templates do not");
    let recreate = created(kind("Deployment"), json!({"spec": {"strategy": {"type": "Recreate"}}}));
    assert_eq!(recreate.get(&["spec", "strategy"]), Some(&json!({"type": "Recreate"})));
}

#[test]
fn job_is_filled_in() {
    let made = created(kind("Job"), json!({}));
    let spec = made.get(&["spec"]).unwrap();
    let numbers = ["completions", "parallelism", "backoffLimit"].map(|field| spec[field].as_i64().unwrap());
    assert_eq!(numbers, [1, 1, 6]);
    let words = ["completionMode", "podReplacementPolicy"].map(|field| spec[field].as_str().unwrap());
    assert_eq!(words, ["NonIndexed", "TerminatingOrFailed"]);
    assert_eq!((&spec["suspend"], &spec["manualSelector"]), (&json!(false), &json!(false)));
    assert_eq!(spec["selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u1"}}));
    let labels = json!({"controller-uid": "u1", "batch.kubernetes.io/controller-uid": "u1", "job-name": "x",
        "batch.kubernetes.io/job-name": "x"});
    assert_eq!(spec["template"]["metadata"]["labels"], labels);
    assert_eq!(made.get(&["metadata", "labels"]), Some(&labels));
    assert_eq!(spec["template"]["spec"]["dnsPolicy"], json!("ClusterFirst"));
    let queue = created(kind("Job"), json!({"spec": {"parallelism": 3}}));
    assert_eq!(
        (queue.get(&["spec", "completions"]), queue.get_i64(&["spec", "parallelism"])),
        (None, Some(3))
    );
    let labelled =
        created(kind("Job"), json!({"spec": {"template": {"metadata": {"labels": {"app": "y"}}}}}));
    assert_eq!(labelled.get(&["metadata", "labels"]), Some(&json!({"app": "y"})));
    assert_eq!(labelled.strings(&["spec", "template", "metadata", "labels"]).len(), 5);
}

#[test]
fn namespace_node_and_service_are_filled_in() {
    let namespace = created(kind("Namespace"), json!({}));
    assert_eq!(namespace.get(&["spec", "finalizers"]), Some(&json!(["kubernetes"])));
    assert_eq!(namespace.get_str(&["status", "phase"]), "Active");
    assert_eq!(namespace.label("kubernetes.io/metadata.name"), Some("x"));
    let (kept, _) = updated(kind("Namespace"), json!({}), json!({"spec": {"finalizers": []}}));
    assert_eq!(kept.get(&["spec", "finalizers"]), Some(&json!(["kubernetes"])));
    let mut finalized = namespace.clone();
    finalized.set(&["spec", "finalizers"], json!([]));
    finalized.set_label("other", "x");
    kinds::namespace::prepare_finalize(&mut finalized, &namespace);
    assert_eq!((finalized.get(&["spec", "finalizers"]), finalized.label("other")), (Some(&json!([])), None));
    let node = created(kind("Node"), json!({}));
    assert_eq!(node.get(&["status", "allocatable"]), Some(&json!({"cpu": "4", "memory": "8Gi"})));
    let service = created(kind("Service"), json!({}));
    assert_eq!(
        service.get(&["spec", "ports"]),
        Some(&json!([{"port": 80, "protocol": "TCP", "targetPort": 80}]))
    );
    assert_eq!(service.get_str(&["spec", "type"]), "ClusterIP");
}
