//! Every kind through what a server does to it: decode, defaults, prepare, check; one fault at a time.

use serde_json::{Value, json};

use crate::field_error::FieldError;
use crate::kinds::{self, KINDS, Kind, by_kind, by_plural};
use crate::object::Object;
use crate::schema;
use crate::table::{IncludeObject, table};

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
    assert_eq!(kinds::group_versions(), [("", "v1"), ("coordination.k8s.io", "v1"), ("apps", "v1")]);
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

const SELECTOR: &str = "`selector` does not match template `labels`";

#[test]
fn faults_of_workloads() {
    for name in ["Deployment", "ReplicaSet"] {
        let of = kind(name);
        check(
            of,
            &[
                (
                    json!({"spec": {"replicas": -1}}),
                    "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                ),
                (json!({"spec": {"selector": null}}), "spec.selector: Required value"),
                (
                    json!({"spec": {"selector": {"matchLabels": null}}}),
                    "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
                ),
                (
                    json!({"spec": {"selector": {"matchLabels": {"app": "y"}}}}),
                    &format!("spec.template.metadata.labels: Invalid value: {{\"app\":\"x\"}}: {SELECTOR}"),
                ),
                (
                    json!({"spec": {"template": {"metadata": {"labels": null}}}}),
                    &format!("spec.template.metadata.labels: Invalid value: {{}}: {SELECTOR}"),
                ),
                (
                    json!({"spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "In"}]}}}),
                    "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
                ),
                (
                    json!({"spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "Is"}]}}}),
                    "spec.selector.matchExpressions[0].operator: Invalid value: \"Is\": not a valid selector operator",
                ),
                (
                    json!({"spec": {"template": {"spec": {"restartPolicy": "Never"}}}}),
                    "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
                ),
                (
                    json!({"spec": {"template": {"spec": {"activeDeadlineSeconds": 5}}}}),
                    "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
                ),
                (
                    json!({"spec": {"template": {"spec": {"containers": []}}}}),
                    "spec.template.spec.containers: Required value",
                ),
            ],
        );
        let errors = update_errors(
            of,
            json!({}),
            json!({"spec": {
            "selector": {"matchLabels": {"app": "y"}}, "template": {"metadata": {"labels": {"app": "y"}}}}}),
        );
        assert_eq!(
            errors,
            ["spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"y\"}}: field is immutable"]
        );
        let errors = status_errors(of, json!({"replicas": 1, "readyReplicas": 2, "observedGeneration": -1}));
        assert_eq!(
            errors,
            [
                "status.observedGeneration: Invalid value: -1: must be greater than or equal to 0",
                "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
            ]
        );
        assert_eq!(
            status_errors(of, json!({"replicas": 2, "readyReplicas": 2, "availableReplicas": 1})),
            [""; 0]
        );
    }
}

#[test]
fn faults_of_a_deployment() {
    let rolling = |surge: Value, unavailable: Value| json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}});
    check(
        kind("Deployment"),
        &[
            (
                json!({"spec": {"strategy": {"type": "Slow"}}}),
                "spec.strategy.type: Unsupported value: \"Slow\": supported values: \"Recreate\", \"RollingUpdate\"",
            ),
            (
                json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}}),
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ),
            (
                rolling(json!(0), json!(0)),
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
            ),
            (
                rolling(json!("0%"), json!("0%")),
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
            ),
            (
                rolling(json!(1), json!("101%")),
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
            ),
            (
                rolling(json!(-1), json!(1)),
                "spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                json!({"spec": {"progressDeadlineSeconds": 5, "minReadySeconds": 5}}),
                "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
            ),
            (
                json!({"spec": {"revisionHistoryLimit": -1}}),
                "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                json!({"spec": {"minReadySeconds": -1}}),
                "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
            ),
        ],
    );
    let bad_percent = create_errors(kind("Deployment"), rolling(json!("x"), json!(1)));
    assert!(
        bad_percent[0].contains("maxSurge: Invalid value: \"x\": a valid percent string"),
        "{bad_percent:?}"
    );
}

#[test]
fn faults_of_a_service() {
    check(
        kind("Service"),
        &[
            (json!({"spec": {"ports": null}}), "spec.ports: Required value"),
            (
                json!({"spec": {"type": "X"}}),
                "spec.type: Unsupported value: \"X\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            ),
            (
                json!({"spec": {"ports": [{"port": 0, "targetPort": 1}]}}),
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            ),
            (
                json!({"spec": {"ports": [{"port": 1, "name": "a"}, {"port": 2}]}}),
                "spec.ports[1].name: Required value",
            ),
            (
                json!({"spec": {"ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]}}),
                "spec.ports[1].name: Duplicate value: \"a\"",
            ),
            (
                json!({"spec": {"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]}}),
                "spec.ports[1]: Duplicate value: {\"port\":1,\"protocol\":\"TCP\"}",
            ),
            (
                json!({"spec": {"ports": [{"port": 1, "protocol": "X"}]}}),
                "spec.ports[0].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            ),
            (
                json!({"spec": {"ports": [{"port": 1, "targetPort": 70000}]}}),
                "spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ),
            (
                json!({"spec": {"sessionAffinity": "X"}}),
                "spec.sessionAffinity: Unsupported value: \"X\": supported values: \"ClientIP\", \"None\"",
            ),
            (json!({"spec": {"type": "ExternalName", "ports": null}}), "spec.externalName: Required value"),
        ],
    );
    let address = json!({"spec": {"clusterIP": "10.0.0.1"}});
    assert_eq!(
        create_errors(kind("Service"), json!({"spec": {"ports": null, "clusterIP": "None"}})),
        [""; 0]
    );
    let (kept, _) = updated(kind("Service"), address.clone(), json!({"spec": {"clusterIP": null}}));
    assert_eq!(kept.get_str(&["spec", "clusterIP"]), "10.0.0.1");
    assert_eq!(
        update_errors(kind("Service"), address, json!({"spec": {"clusterIP": "10.0.0.2"}})),
        ["spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"]
    );
}

#[test]
fn faults_of_the_rest() {
    check(
        kind("Lease"),
        &[
            (
                json!({"spec": {"leaseDurationSeconds": 0}}),
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            ),
            (
                json!({"spec": {"leaseTransitions": -1}}),
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
            ),
        ],
    );
    check(
        kind("Event"),
        &[
            (
                json!({"involvedObject": {"namespace": "m"}}),
                "involvedObject.namespace: Invalid value: \"m\": does not match event.namespace",
            ),
            (
                json!({"involvedObject": {"namespace": null}}),
                "involvedObject.namespace: Invalid value: \"\": does not match event.namespace",
            ),
            (
                json!({"eventTime": "2026-01-01T00:00:00.000000Z", "reportingInstance": "i", "action": "a"}),
                "reportingComponent: Required value",
            ),
        ],
    );
    check(
        kind("Node"),
        &[
            (
                json!({"spec": {"taints": [{"key": "a", "effect": "X"}]}}),
                "spec.taints[0].effect: Unsupported value: \"X\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
            ),
            (
                json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoSchedule"}]}}),
                "spec.taints[1]: Duplicate value: {\"effect\":\"NoSchedule\",\"key\":\"a\"}: taints must be unique by key and effect pair",
            ),
            (
                json!({"status": {"capacity": {"cpu": "-1"}, "allocatable": {}}}),
                "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0",
            ),
        ],
    );
    assert_eq!(
        update_errors(
            kind("Node"),
            json!({"spec": {"providerID": "a"}}),
            json!({"spec": {"providerID": "b"}})
        ),
        ["spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid"]
    );
    check(
        kind("ConfigMap"),
        &[
            (
                json!({"data": {"a": "b"}, "binaryData": {"a": "aGk="}}),
                "data[a]: Invalid value: \"a\": duplicate of key present in binaryData",
            ),
            (
                json!({"data": {"a": "x".repeat((1 << 20) + 1)}}),
                ": Too long: may not be more than 1048576 bytes",
            ),
        ],
    );
    assert!(
        create_errors(kind("ConfigMap"), json!({"data": {"a/b": ""}}))[0]
            .starts_with("data[a/b]: Invalid value: \"a/b\"")
    );
    assert_eq!(
        update_errors(kind("ConfigMap"), json!({"immutable": true}), json!({"data": {"a": "c"}})),
        ["data: Forbidden: field is immutable when `immutable` is set"]
    );
    assert!(
        create_errors(kind("Namespace"), json!({"metadata": {"name": "a.b"}}))[0].contains("RFC 1123 label")
    );
    assert!(
        create_errors(kind("Service"), json!({"metadata": {"name": "0a"}}))[0].contains("DNS-1035 label")
    );
}

#[test]
fn an_ended_container_stays_ended() {
    let pod = kind("Pod");
    let mut old = created(pod, json!({"spec": {"restartPolicy": "Never"}}));
    let ended = json!([{"name": "c", "state": {"terminated": {"exitCode": 1}}}]);
    old.set(&["status", "containerStatuses"], ended);
    let mut new = old.clone();
    new.set(&["status", "containerStatuses"], json!([{"name": "c", "state": {"running": {}}}]));
    assert_eq!(
        pod.check_status_update(&new, &old)[0].to_string(),
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    );
    old.set(&["spec", "restartPolicy"], "OnFailure");
    assert_eq!(pod.check_status_update(&new, &old), []);
}

const HOUR_LATER: u64 = 1_767_229_200_000_000_000;

#[test]
fn every_row_has_a_cell_for_each_column() {
    for kind in KINDS {
        let mut made = created(kind, json!({}));
        made.set(&["metadata", "creationTimestamp"], "2026-01-01T00:00:00Z");
        let shown =
            table(kind, [&made], json!({"resourceVersion": "5"}), IncludeObject::Metadata, true, HOUR_LATER);
        let cells = shown["rows"][0]["cells"].as_array().unwrap();
        assert_eq!(cells.len(), kind.columns.len(), "{kind:?}");
        let age = kind.columns.iter().position(|c| c.name == "Age");
        if let Some(at) = age {
            assert_eq!(cells[at], json!("60m"), "{kind:?}");
        }
        for (cell, column) in cells.iter().zip(kind.columns) {
            assert!(column.of != "integer" || cell.is_i64(), "{kind:?} {}: {cell}", column.name);
        }
        assert_eq!(shown["rows"][0]["object"]["kind"], json!("PartialObjectMetadata"));
        assert_eq!((&shown["kind"], &shown["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
        let bare = table(kind, [&made], json!({}), IncludeObject::None, false, HOUR_LATER);
        assert_eq!((bare["columnDefinitions"].clone(), bare["rows"][0].get("object")), (json!([]), None));
    }
}

#[test]
fn rows_as_people_see_them() {
    let node = json!({"metadata": {"labels": {"node-role.kubernetes.io/worker": ""}}, "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "addresses": [{"type": "InternalIP", "address": "10.1.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1"}}});
    let cases: [(&str, Value, Value); 7] = [
        (
            "Node",
            node,
            json!([
                "x",
                "Ready,SchedulingDisabled",
                "worker",
                "<unknown>",
                "v1",
                "10.1.0.1",
                "<none>",
                "<unknown>",
                "<unknown>",
                "<unknown>"
            ]),
        ),
        ("Namespace", json!({}), json!(["x", "Active", "<unknown>"])),
        ("Deployment", json!({}), json!(["x", "0/1", 0, 0, "<unknown>", "c", "i", "app=x"])),
        ("ReplicaSet", json!({}), json!(["x", 1, 0, 0, "<unknown>", "c", "i", "app=x"])),
        ("Service", json!({}), json!(["x", "ClusterIP", "<none>", "<none>", "80/TCP", "<unknown>", "app=x"])),
        ("Lease", json!({}), json!(["x", "me", "<unknown>"])),
        (
            "Event",
            json!({"lastTimestamp": "2026-01-01T00:59:55Z", "type": "Normal", "message": "m\n", "source": {"component": "k", "host": "h"}, "count": 3}),
            json!(["5s", "Normal", "R", "pod/p", "", "k, h", "m", "<unknown>", 3, "x"]),
        ),
    ];
    for (name, changes, cells) in cases {
        let of = kind(name);
        assert_eq!(json!((of.row)(&created(of, changes), HOUR_LATER)), cells, "{name}");
    }
    let balanced = created(
        kind("Service"),
        json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]}}),
    );
    let row = (kind("Service").row)(&balanced, 0);
    assert_eq!((&row[3], &row[4]), (&json!("<pending>"), &json!("80:30080/TCP")));
}
