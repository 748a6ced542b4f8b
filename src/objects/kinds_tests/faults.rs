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
