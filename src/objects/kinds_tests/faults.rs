//! One fault at a time in an otherwise good object, and the exact words for it.

use serde_json::{Value, json};

use super::{check, create_errors, created, kind, status_errors, update_errors, updated};

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

const UID: &str = "batch.kubernetes.io/controller-uid";

#[test]
fn faults_of_a_job() {
    let of = |spec: Value| json!({ "spec": spec });
    let refused = |field: &str| format!("spec.{field}: Forbidden: not supported here");
    let indexed = json!({"completionMode": "Indexed", "parallelism": 2});
    check(
        kind("Job"),
        &[
            (
                of(json!({"parallelism": -1})),
                "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                of(json!({"completions": -1})),
                "spec.completions: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                of(json!({"activeDeadlineSeconds": -1})),
                "spec.activeDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                of(json!({"backoffLimit": -1})),
                "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
            ),
            (of(indexed), "spec.completions: Required value: when completion mode is Indexed"),
            (
                of(json!({"completionMode": "Indexed", "completions": 1, "parallelism": 100_001})),
                "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
            ),
            (
                of(json!({"completionMode": "Odd"})),
                "spec.completionMode: Unsupported value: \"Odd\": supported values: \"NonIndexed\", \"Indexed\"",
            ),
            (
                of(json!({"podReplacementPolicy": "Odd"})),
                "spec.podReplacementPolicy: Unsupported value: \"Odd\": supported values: \"Failed\", \"TerminatingOrFailed\"",
            ),
            (
                of(json!({"template": {"spec": {"restartPolicy": null}}})),
                "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
            ),
            (
                of(json!({"template": {"spec": {"restartPolicy": "Always"}}})),
                "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
            ),
            (
                of(json!({"template": {"spec": {"containers": []}}})),
                "spec.template.spec.containers: Required value",
            ),
            (
                of(json!({"template": {"metadata": {"labels": {"job-name": "y"}}}})),
                "spec.template.metadata.labels[job-name]: Invalid value: {\"batch.kubernetes.io/controller-uid\":\"u1\",\"batch.kubernetes.io/job-name\":\"x\",\"controller-uid\":\"u1\",\"job-name\":\"y\"}: must be 'x'",
            ),
            (
                json!({"metadata": {"name": "a".repeat(62)}, "spec": {"completionMode": "Indexed", "completions": 1}}),
                &format!(
                    "metadata.name: Invalid value: \"{0}\": will not able to create pod with invalid DNS label: {0}-0",
                    "a".repeat(62)
                ),
            ),
            (of(json!({"ttlSecondsAfterFinished": 5})), &refused("ttlSecondsAfterFinished")),
            (of(json!({"backoffLimitPerIndex": 5})), &refused("backoffLimitPerIndex")),
            (of(json!({"manualSelector": true})), &refused("manualSelector")),
        ],
    );
    let foreign = create_errors(kind("Job"), of(json!({"selector": {"matchLabels": {UID: "other"}}})));
    assert!(foreign[0].ends_with(": `selector` not auto-generated"), "{foreign:?}");
    assert!(foreign[1].ends_with(": `selector` does not match template `labels`"), "{foreign:?}");
}

#[test]
fn what_may_change_in_a_job_that_is_there() {
    let update = |before: Value, changes: Value| {
        update_errors(kind("Job"), json!({ "spec": before }), json!({ "spec": changes }))
    };
    let immutable = |errors: Vec<String>, field: &str| {
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        assert!(error.starts_with(&format!("spec.{field}: Invalid value: ")), "{error}");
        assert!(error.ends_with(": field is immutable"), "{error}");
    };
    immutable(update(json!({}), json!({"completions": 2})), "completions");
    immutable(update(json!({"completions": 1}), json!({"completionMode": "Indexed"})), "completionMode");
    let image = json!({"template": {"spec": {"containers": [{"name": "c", "image": "j"}]}}});
    immutable(update(json!({}), image.clone()), "template");
    let errors = update(json!({}), json!({"selector": {"matchLabels": {"job-name": "x"}}}));
    immutable(errors, "selector");
    let indexed = json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3});
    assert_eq!(
        update(indexed.clone(), json!({"completions": 2})),
        ["spec.completions: Invalid value: 2: can only be modified in tandem with spec.parallelism"]
    );
    assert_eq!(update(indexed, json!({"completions": 2, "parallelism": 2})), [""; 0]);
    let free = json!({"parallelism": 4, "suspend": true, "backoffLimit": 1, "activeDeadlineSeconds": 9});
    assert_eq!(update(json!({}), free), [""; 0]);
    let elsewhere = json!({"template": {"spec": {"nodeSelector": {"a": "b"}}}});
    immutable(update(json!({}), elsewhere.clone()), "template");
    assert_eq!(update(json!({"suspend": true}), elsewhere), [""; 0], "no pod was made yet");
    immutable(update(json!({"suspend": true}), image), "template");
}

fn is_true(of: &str) -> Value {
    json!({"type": of, "status": "True"})
}

fn status_with(mut status: Value, field: &str, value: Value) -> Value {
    status[field] = value;
    status
}

/// A Job's status with these conditions.
fn conditions(all: &[&str]) -> Value {
    let all: Vec<Value> = all.iter().map(|of| is_true(of)).collect();
    json!({"startTime": "2026-01-01T00:00:00Z", "conditions": all})
}

#[test]
fn faults_of_a_jobs_status() {
    let uncounted = json!({"succeeded": ["a"], "failed": ["a", ""]});
    let cases: [(Value, &[&str]); 4] = [
        (conditions(&["FailureTarget", "Failed"]), &[]),
        (
            json!({"failed": -1}),
            &[
                "status.failed: Invalid value: -1: must be greater than or equal to 0",
                "status.failed: Invalid value: -1: cannot decrease the failed counter",
            ],
        ),
        (
            json!({"uncountedTerminatedPods": uncounted}),
            &[
                "status.uncountedTerminatedPods.failed[0]: Duplicate value: \"a\"",
                "status.uncountedTerminatedPods.failed[1]: Invalid value: \"\": must not be empty",
            ],
        ),
        (
            json!({"completedIndexes": "0"}),
            &[
                "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed completion mode",
            ],
        ),
    ];
    for (status, errors) in cases {
        assert_eq!(status_errors(kind("Job"), status.clone()), errors, "{status}");
    }
}

#[test]
fn faults_of_the_status_of_a_job_that_has_ended() {
    let complete = conditions(&["SuccessCriteriaMet", "Complete"]);
    let ended = status_with(complete.clone(), "completionTime", json!("2026-01-01T00:00:09Z"));
    let cases: [(Value, &[&str]); 7] = [
        (ended.clone(), &[]),
        (complete, &["status.completionTime: Required value: completionTime is required for Complete jobs"]),
        (
            conditions(&["Failed"]),
            &[
                "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition",
            ],
        ),
        (
            status_with(conditions(&["Complete"]), "completionTime", json!("2026-01-01T00:00:09Z")),
            &[
                "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
            ],
        ),
        (
            status_with(ended.clone(), "active", json!(1)),
            &["status.active: Invalid value: 1: active>0 is invalid for finished job"],
        ),
        (
            status_with(ended.clone(), "uncountedTerminatedPods", json!({"failed": ["a"]})),
            &[
                "status.uncountedTerminatedPods: Invalid value: {\"failed\":[\"a\"]}: uncountedTerminatedPods needs to be empty for finished job",
            ],
        ),
        (
            status_with(ended, "completionTime", json!("2025-12-31T23:59:59Z")),
            &[
                "status.completionTime: Invalid value: \"2025-12-31T23:59:59Z\": completionTime cannot be set before startTime",
            ],
        ),
    ];
    for (status, errors) in cases {
        assert_eq!(status_errors(kind("Job"), status.clone()), errors, "{status}");
    }
}

#[test]
fn what_may_change_in_a_jobs_status() {
    let mut old = created(kind("Job"), json!({"spec": {"completionMode": "Indexed", "completions": 4}}));
    old.set(&["status"], json!({"succeeded": 2, "failed": 1, "conditions": [is_true("FailureTarget")]}));
    let mut new = old.clone();
    new.set(&["status"], json!({"succeeded": 1, "completedIndexes": "1,4"}));
    let errors: Vec<String> =
        kind("Job").check_status_update(&new, &old).iter().map(|e| e.to_string()).collect();
    assert_eq!(
        errors,
        [
            "status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
            "status.completedIndexes: Invalid value: \"1,4\": error parsing completedIndexes: too large index: \"4\"",
            "status.failed: Invalid value: 0: cannot decrease the failed counter",
            "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter",
        ]
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
}

#[test]
fn faults_of_a_config_map_and_of_names() {
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
