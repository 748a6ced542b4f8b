//! Pod: containers that run together on one node.

use serde_json::{Value, json};

use super::{COMMON, Field, Kind};
use crate::field_error::FieldError;
use crate::object::Object;
use crate::podspec::{defaults, qos, update, validate as podspec_validate};
use crate::table;

pub static KIND: Kind = Kind {
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    about: "Containers that run together on one node.",
    short_names: &["po"],
    categories: &["all"],
    has_status: true,
    has_generation: true,
    subresources: &[("binding", "Binding", "v1"), ("eviction", "Eviction", "policy/v1")],
    definition: "core.v1.Pod",
    defaults,
    validate,
    validate_status,
    on_create,
    on_update: |new, _| tolerate_node_trouble(new),
    fields: &[
        Field::new("spec.nodeName", &["spec", "nodeName"]),
        Field::new("spec.restartPolicy", &["spec", "restartPolicy"]),
        Field::new("spec.schedulerName", &["spec", "schedulerName"]),
        Field::new("spec.serviceAccountName", &["spec", "serviceAccountName"]),
        Field { label: "spec.hostNetwork", path: &["spec", "hostNetwork"], missing: "false" },
        Field::new("status.phase", &["status", "phase"]),
        Field::new("status.podIP", &["status", "podIP"]),
        Field::new("status.nominatedNodeName", &["status", "nominatedNodeName"]),
    ],
    columns: table::pod::COLUMNS,
    row: table::pod::row,
    ..COMMON
};

/// How long a pod gets to end when neither it nor the delete says.
pub const GRACE_SECONDS: i64 = 30;

fn defaults(object: &mut Object) {
    if let Some(spec) = object.get_mut(&["spec"]).and_then(Value::as_object_mut) {
        defaults::pod_spec(spec);
        defaults::pod_only(spec);
    }
}

fn tolerate_node_trouble(object: &mut Object) {
    if let Some(spec) = object.get_mut(&["spec"]).and_then(Value::as_object_mut) {
        defaults::node_trouble_tolerations(spec);
    }
}

fn on_create(object: &mut Object) {
    tolerate_node_trouble(object);
    object.set_default(&["spec", "serviceAccountName"], "default");
    object.set_default(&["spec", "serviceAccount"], object.get_str(&["spec", "serviceAccountName"]).to_string());
    object.set_default(&["spec", "priority"], 0);
    object.set_default(&["spec", "preemptionPolicy"], "PreemptLowerPriority");
    let class = qos::qos_class(object.get(&["spec"]).unwrap_or(&Value::Null));
    object.set(&["status"], json!({"phase": "Pending", "qosClass": class}));
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<FieldError> {
    let empty = json!({});
    let mut errors = podspec_validate::pod_spec(object.get(&["spec"]).unwrap_or(&empty), "spec");
    if let Some(old) = old {
        errors.extend(update::pod(object, old));
    }
    errors
}

/// A pod that has ended stays ended, and a container that may not restart stays down.
fn validate_status(new: &Object, old: &Object) -> Vec<FieldError> {
    let restarts = old.get_str(&["spec", "restartPolicy"]);
    if restarts.is_empty() || restarts == "Always" {
        return Vec::new();
    }
    let mut errors = Vec::new();
    for was in old.get_array(&["status", "containerStatuses"]) {
        let Some(ended) = was.get("state").and_then(|s| s.get("terminated")) else { continue };
        let failed = ended.get("exitCode").and_then(Value::as_i64).unwrap_or(0) != 0;
        if restarts == "OnFailure" && failed {
            continue;
        }
        let now = new.get_array(&["status", "containerStatuses"]).iter().position(|c| c.get("name") == was.get("name"));
        let Some(index) = now else { continue };
        let is = &new.get_array(&["status", "containerStatuses"])[index];
        if is.get("state").and_then(|s| s.get("terminated")).is_none() {
            let field = format!("status.containerStatuses[{index}].state");
            errors.push(FieldError::forbidden(&field, "may not be transitioned to non-terminated state"));
        }
    }
    errors
}

/// Whether the pod has run to its end.
pub fn is_finished(pod: &Object) -> bool {
    ["Succeeded", "Failed"].contains(&pod.get_str(&["status", "phase"]))
}

/// How long the pod gets to end, as its spec says.
pub fn grace_seconds(pod: &Object) -> i64 {
    pod.get_i64(&["spec", "terminationGracePeriodSeconds"]).unwrap_or(GRACE_SECONDS)
}
