//! One fault at a time in an otherwise good pod spec.

use serde_json::{Map, json};

use super::*;
use crate::podspec::defaults;

/// A good spec with changes laid over it, defaulted; the errors as text.
fn errors(changes: Value) -> Vec<String> {
    let mut spec = json!({"containers": [{"name": "a", "image": "i"}], "volumes": [{"name": "v"}]});
    json_patch::merge(&mut spec, &changes);
    let mut map: Map<String, Value> = spec.as_object().cloned().unwrap_or_default();
    defaults::pod_spec(&mut map);
    pod_spec(&Value::Object(map), "spec").iter().map(FieldError::to_string).collect()
}

/// The errors of one container.
fn container_errors(container: Value) -> Vec<String> {
    let mut whole = json!({"name": "a", "image": "i"});
    json_patch::merge(&mut whole, &container);
    errors(json!({"containers": [whole]}))
}

#[test]
fn a_good_spec_has_no_errors() {
    assert_eq!(errors(json!({})), Vec::<String>::new());
    let rich = json!({
        "name": "a", "image": "i:1", "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}],
        "env": [{"name": "A", "value": "b"}, {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}], "readinessProbe": {"tcpSocket": {"port": 80}},
        "resources": {"requests": {"cpu": "1", "example.com/gpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}},
    });
    assert_eq!(container_errors(rich), Vec::<String>::new());
}

#[test]
fn faults_of_a_spec() {
    let cases = [
        (json!({"containers": []}), "spec.containers: Required value"),
        (json!({"containers": null}), "spec.containers: Required value"),
        (
            json!({"containers": [{"name": "a", "image": "i"}, {"name": "a", "image": "i"}]}),
            "spec.containers[1].name: Duplicate value: \"a\"",
        ),
        (
            json!({"initContainers": [{"name": "a", "image": "i"}]}),
            "spec.initContainers[0].name: Duplicate value: \"a\"",
        ),
        (
            json!({"restartPolicy": "Sometimes"}),
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        ),
        (
            json!({"dnsPolicy": "x"}),
            "spec.dnsPolicy: Unsupported value: \"x\": supported values: \"ClusterFirstWithHostNet\", \"ClusterFirst\", \"Default\", \"None\"",
        ),
        (
            json!({"activeDeadlineSeconds": 0}),
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ),
        (
            json!({"terminationGracePeriodSeconds": -1}),
            "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
        (json!({"volumes": [{"name": "v"}, {"name": "v"}]}), "spec.volumes[1].name: Duplicate value: \"v\""),
        (
            json!({"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]}),
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
        ),
        (json!({"volumes": [{"emptyDir": {}}]}), "spec.volumes[0].name: Required value"),
        (
            json!({"tolerations": [{"operator": "Equal"}]}),
            "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
        ),
        (
            json!({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}),
            "spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
        ),
        (
            json!({"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 5}]}),
            "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` is set",
        ),
        (
            json!({"tolerations": [{"key": "a", "operator": "Like"}]}),
            "spec.tolerations[0].operator: Unsupported value: \"Like\": supported values: \"Equal\", \"Exists\"",
        ),
        (
            json!({"tolerations": [{"key": "a", "effect": "x"}]}),
            "spec.tolerations[0].effect: Unsupported value: \"x\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
        ),
    ];
    for (changes, text) in cases {
        assert_eq!(errors(changes.clone()), [text], "{changes}");
    }
    for (field, value) in
        [("nodeName", "A"), ("serviceAccountName", "a_b"), ("hostname", "a.b"), ("schedulerName", "-")]
    {
        let found = errors(json!({field: value}));
        assert!(
            found.len() == 1 && found[0].starts_with(&format!("spec.{field}: Invalid value: \"{value}\"")),
            "{found:?}"
        );
    }
    assert!(errors(json!({"nodeSelector": {"-a": "b", "c": "d e"}})).len() == 2);
}

fn check_container(cases: &[(Value, &str)]) {
    for (container, text) in cases {
        assert_eq!(
            container_errors(container.clone()),
            [format!("spec.containers[0].{text}")],
            "{container}"
        );
    }
}

#[test]
fn faults_of_a_container() {
    let cases = [
        (json!({"name": null}), "name: Required value"),
        (json!({"image": ""}), "image: Required value"),
        (
            json!({"image": " i"}),
            "image: Invalid value: \" i\": must not have leading or trailing whitespace",
        ),
        (
            json!({"imagePullPolicy": "x"}),
            "imagePullPolicy: Unsupported value: \"x\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ),
        (json!({"ports": [{}]}), "ports[0].containerPort: Required value"),
        (
            json!({"ports": [{"containerPort": 65536}]}),
            "ports[0].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
        ),
        (
            json!({"ports": [{"containerPort": 1, "protocol": "X"}]}),
            "ports[0].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ),
        (
            json!({"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}),
            "ports[1].name: Duplicate value: \"a\"",
        ),
        (
            json!({"ports": [{"containerPort": 1, "hostPort": -1}]}),
            "ports[0].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive",
        ),
        (json!({"env": [{"value": "x"}]}), "env[0].name: Required value"),
        (
            json!({"env": [{"name": "A", "valueFrom": {}}]}),
            "env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        ),
        (
            json!({"env": [{"name": "A", "value": "b", "valueFrom": {"fieldRef": {}}}]}),
            "env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
        ),
    ];
    check_container(&cases);
}

#[test]
fn faults_of_mounts_probes_and_resources() {
    let cases = [
        (
            json!({"volumeMounts": [{"name": "x", "mountPath": "/"}]}),
            "volumeMounts[0].name: Not found: \"x\"",
        ),
        (json!({"volumeMounts": [{"name": "v"}]}), "volumeMounts[0].mountPath: Required value"),
        (
            json!({"volumeMounts": [{"name": "v", "mountPath": "/"}, {"name": "v", "mountPath": "/"}]}),
            "volumeMounts[1].mountPath: Invalid value: \"/\": must be unique",
        ),
        (json!({"livenessProbe": {}}), "livenessProbe: Required value: must specify a handler type"),
        (
            json!({"livenessProbe": {"exec": {}, "tcpSocket": {}}}),
            "livenessProbe: Forbidden: may not specify more than 1 handler type",
        ),
        (
            json!({"livenessProbe": {"exec": {}, "periodSeconds": -1}}),
            "livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}),
            "resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
        (
            json!({"resources": {"limits": {"cpu": "-1"}}}),
            "resources.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
        ),
        (
            json!({"resources": {"limits": {"gpu": "1"}}}),
            "resources.limits: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
        ),
    ];
    check_container(&cases);
}
