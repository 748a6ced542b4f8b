//! Objects with anything anywhere: an error or an answer, never a panic.

use base::stream::Stream;
use rand::Rng;
use serde_json::{Value, json};

use super::{each_seed, pick};
use crate::kinds::{KINDS, Kind};
use crate::object::Object;
use crate::selector::FieldSelector;
use crate::table::{IncludeObject, table};
use crate::{patch, schema};

fn anything(stream: &mut Stream) -> Value {
    match stream.gen_range(0..10) {
        0 => Value::Null,
        1 => json!(stream.gen_bool(0.5)),
        2 => json!(stream.gen_range(-5..1_000_000_000_000i64)),
        3 => json!(1.5),
        4 => json!(""),
        5 => json!("\u{e4}-100%"),
        6 => json!([]),
        7 => json!([{"name": "x"}, 3, null, "y"]),
        8 => json!({}),
        _ => json!({"name": 3, "type": "Ready", "$patch": "delete"}),
    }
}

/// Puts anything at some place of the value.
fn spoil(stream: &mut Stream, value: &mut Value) {
    if stream.gen_bool(0.15) {
        *value = anything(stream);
        return;
    }
    match value {
        Value::Object(map) if !map.is_empty() => {
            let keys: Vec<String> = map.keys().cloned().collect();
            if let Some(inner) = map.get_mut(pick(stream, &keys)) {
                spoil(stream, inner);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let index = stream.gen_range(0..items.len());
            spoil(stream, &mut items[index]);
        }
        other => *other = anything(stream),
    }
}

fn pod_spec() -> Value {
    json!({
        "restartPolicy": "Always", "tolerations": [{"key": "a", "operator": "Exists"}], "nodeSelector": {"a": "b"},
        "volumes": [{"name": "v", "emptyDir": {}}], "activeDeadlineSeconds": 5, "hostNetwork": true,
        "initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always"}],
        "containers": [{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}],
            "env": [{"name": "A", "value": "b"}], "volumeMounts": [{"name": "v", "mountPath": "/"}],
            "readinessProbe": {"httpGet": {"port": 80}},
            "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "500m"}}}],
    })
}

fn spec(kind: &Kind) -> Value {
    match kind.kind {
        "Pod" => pod_spec(),
        "Deployment" | "ReplicaSet" => json!({
            "replicas": 2,
            "selector": {"matchLabels": {"app": "x"}, "matchExpressions": [{"key": "app", "operator": "Exists"}]},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": pod_spec()},
        }),
        _ => json!({
            "type": "LoadBalancer", "ports": [{"port": 80, "targetPort": "http"}], "selector": {"a": "b"},
            "taints": [{"key": "a", "effect": "NoExecute"}], "finalizers": ["kubernetes"], "holderIdentity": "x",
        }),
    }
}

/// An object with the fields of many kinds.
fn full(kind: &Kind) -> Value {
    let ended = json!({"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:00:00Z"}});
    json!({
        "apiVersion": kind.api_version(), "kind": kind.kind,
        "metadata": {"name": "x", "namespace": "n", "labels": {"a": "b"}, "annotations": {"c": "d"},
            "finalizers": ["f/g"], "ownerReferences": [
                {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": true}]},
        "spec": spec(kind),
        "status": {"phase": "Running", "replicas": 2, "readyReplicas": 1,
            "conditions": [{"type": "Ready", "status": "True"}], "capacity": {"cpu": "4"},
            "containerStatuses": [{"name": "c", "ready": true, "restartCount": 1, "state": ended, "lastState": ended}],
            "initContainerStatuses": [{"name": "i", "state": {"waiting": {"reason": "X"}}}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]},
        "data": {"a": "b"}, "involvedObject": {"kind": "Pod", "name": "p"},
    })
}

/// Everything a server does with an object, whether or not it could be decoded.
fn exercise(kind: &Kind, mut made: Object, old: &Object) {
    kind.apply_defaults(&mut made);
    kind.prepare_create(&mut made);
    let _ = kind.check_create(&made);
    kind.prepare_update(&mut made, old);
    let _ = kind.check_update(&made, old);
    kind.prepare_status_update(&mut made, old);
    let _ = kind.check_status_update(&made, old);
    let _ = table(kind, [&made], json!({}), IncludeObject::Object, true, 5);
    for field in kind.fields {
        let selector = FieldSelector::parse(kind, &format!("{}=x", field.label)).unwrap();
        selector.matches(kind, &made);
    }
}

#[test]
fn spoiled_objects_are_refused_or_served() {
    let mut refused = 0;
    each_seed("garbage", 3000, |_, stream| {
        let kind = *pick(stream, KINDS);
        let good = Object::from_value(full(kind)).unwrap();
        let mut value = full(kind);
        for _ in 0..stream.gen_range(1..4) {
            spoil(stream, &mut value);
        }
        let Ok(mut made) = Object::from_value(value.clone()) else { return };
        exercise(kind, made.clone(), &good);
        match schema::decode(kind, &mut made) {
            Ok(_) => exercise(kind, made, &good),
            Err(_) => refused += 1,
        }
        let _ = patch::strategic::apply(kind.definition, good.value(), &value);
        let _ = patch::strategic::apply(kind.definition, &value, good.value());
    });
    assert!(refused > 500, "only {refused} were refused: the spoiling is too mild");
}
