//! What may change in the spec of a pod that exists: next to nothing.

use serde_json::{Map, Value};

use super::list;
use crate::field_error::FieldError;
use crate::object::Object;

const ONLY: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Errors of an update of a pod's spec.
pub fn pod(new: &Object, old: &Object) -> Vec<FieldError> {
    let empty = Value::Null;
    let is = new.get(&["spec"]).unwrap_or(&empty);
    let was = old.get(&["spec"]).unwrap_or(&empty);
    if is == was {
        return Vec::new();
    }
    for field in ["containers", "initContainers"] {
        if list(is, field).len() != list(was, field).len() {
            let detail = "pod updates may not add or remove containers";
            return vec![FieldError::forbidden(&format!("spec.{field}"), detail)];
        }
    }
    let mut errors = deadline(is, was);
    errors.extend(tolerations(is, was));
    errors.extend(gates(is, was));
    if frozen(is) != frozen(was) {
        errors.push(FieldError::forbidden("spec", ONLY));
    }
    errors
}

/// The spec without what may change.
fn frozen(spec: &Value) -> Map<String, Value> {
    let mut rest = spec.as_object().cloned().unwrap_or_default();
    for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        rest.remove(field);
    }
    for field in ["containers", "initContainers"] {
        for container in rest.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Object(container) = container {
                container.remove("image");
            }
        }
    }
    if rest.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|s| s < 0) {
        rest.insert("terminationGracePeriodSeconds".into(), 1.into());
    }
    rest
}

/// A deadline may be set, or brought forward.
fn deadline(is: &Value, was: &Value) -> Vec<FieldError> {
    const FIELD: &str = "spec.activeDeadlineSeconds";
    let seconds = |spec: &Value| spec.get("activeDeadlineSeconds").and_then(Value::as_i64);
    match (seconds(was), seconds(is)) {
        (Some(_), None) => {
            vec![FieldError::invalid(
                FIELD,
                Value::Null,
                "must not update from a positive integer to nil value",
            )]
        }
        (Some(before), Some(after)) if after > before => {
            vec![FieldError::invalid(FIELD, after, "must be less than or equal to previous value")]
        }
        _ => Vec::new(),
    }
}

/// Tolerations may be added, and their seconds changed.
fn tolerations(is: &Value, was: &Value) -> Vec<FieldError> {
    let same = |a: &Value, b: &Value| {
        let plain = |t: &Value| {
            let mut t = t.as_object().cloned().unwrap_or_default();
            t.remove("tolerationSeconds");
            t
        };
        plain(a) == plain(b)
    };
    let after = list(is, "tolerations");
    let lost = list(was, "tolerations").iter().any(|t| !after.iter().any(|n| same(t, n)));
    if lost {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        return vec![FieldError::forbidden("spec.tolerations", detail)];
    }
    Vec::new()
}

/// Scheduling gates may only go.
fn gates(is: &Value, was: &Value) -> Vec<FieldError> {
    let before = list(was, "schedulingGates");
    let added = list(is, "schedulingGates").iter().filter(|gate| !before.contains(gate));
    added
        .map(|gate| {
            let name = gate.get("name").cloned().unwrap_or_default();
            let detail = format!("only deletion is allowed, but found new scheduling gate {name}");
            FieldError::forbidden("spec.schedulingGates", &detail)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_may_change_and_what_not() {
        let old = json!({"containers": [{"name": "a", "image": "1"}], "tolerations": [{"key": "k"}],
            "activeDeadlineSeconds": 10, "schedulingGates": [{"name": "g"}]});
        let errors = |change: Value| {
            let mut spec = old.clone();
            json_patch::merge(&mut spec, &change);
            let object = |spec: &Value| {
                let mut o = Object::new("v1", "Pod");
                o.set(&["spec"], spec.clone());
                o
            };
            pod(&object(&spec), &object(&old)).iter().map(FieldError::to_string).collect::<Vec<_>>()
        };
        for change in [
            json!({}),
            json!({"containers": [{"name": "a", "image": "2"}]}),
            json!({"tolerations": [{"key": "k", "tolerationSeconds": 5}, {"key": "l"}]}),
            json!({"activeDeadlineSeconds": 5}),
            json!({"schedulingGates": null}),
        ] {
            assert_eq!(errors(change.clone()), Vec::<String>::new(), "{change}");
        }
        for (change, text) in [
            (json!({"nodeName": "n"}), "spec: Forbidden: pod updates may not change fields other than"),
            (
                json!({"containers": [{"name": "b", "image": "1"}]}),
                "spec: Forbidden: pod updates may not change",
            ),
            (
                json!({"containers": []}),
                "spec.containers: Forbidden: pod updates may not add or remove containers",
            ),
            (
                json!({"tolerations": []}),
                "spec.tolerations: Forbidden: existing toleration can not be modified",
            ),
            (
                json!({"activeDeadlineSeconds": 11}),
                "spec.activeDeadlineSeconds: Invalid value: 11: must be less than",
            ),
            (
                json!({"activeDeadlineSeconds": null}),
                "spec.activeDeadlineSeconds: Invalid value: null: must not update",
            ),
            (
                json!({"schedulingGates": [{"name": "g"}, {"name": "h"}]}),
                "spec.schedulingGates: Forbidden: only deletion",
            ),
        ] {
            let found = errors(change.clone());
            assert!(found.len() == 1 && found[0].starts_with(text), "{change}: {found:?}");
        }
    }
}
