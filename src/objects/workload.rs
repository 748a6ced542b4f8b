//! What kinds that make pods from a template have in common: Deployment, ReplicaSet, in part Job.

use serde_json::{Value, json};

use crate::field_error::FieldError;
use crate::object::Object;
use crate::podspec::defaults;
use crate::podspec::validate::{name_errors, not_negative, one_of, pod_spec};
use crate::selector::LabelSelector;
use crate::{names, validate};

/// One replica, and a template with a pod's defaults.
pub fn set_defaults(object: &mut Object) {
    object.set_default(&["spec", "replicas"], 1);
    if let Some(spec) = object.get_mut(&["spec", "template", "spec"]).and_then(Value::as_object_mut) {
        defaults::pod_spec(spec);
    }
}

/// The selector of the object; an error in words when it is malformed.
pub fn selector(object: &Object) -> Result<LabelSelector, String> {
    LabelSelector::from_value(object.get(&["spec", "selector"]))
}

/// Errors of replicas, selector and template. `word` names the kind in messages: "deployment".
pub fn validate(object: &Object, word: &str) -> Vec<FieldError> {
    let mut errors = not_negative(object.get(&["spec", "replicas"]), "spec.replicas");
    errors.extend(not_negative(object.get(&["spec", "minReadySeconds"]), "spec.minReadySeconds"));
    errors.extend(validate_selector(object, word));
    errors.extend(template(object));
    errors.extend(always_restarts(object));
    errors
}

fn validate_selector(object: &Object, word: &str) -> Vec<FieldError> {
    let Some(value) = object.get(&["spec", "selector"]) else {
        return vec![FieldError::required("spec.selector", "")];
    };
    let mut errors = selector_parts(value, "spec.selector");
    if !errors.is_empty() {
        return errors;
    }
    match selector(object) {
        Err(_) => errors.push(FieldError::invalid("spec.selector", value.clone(), "invalid label selector")),
        Ok(selector) if selector.is_everything() => {
            let detail = format!("empty selector is invalid for {word}");
            errors.push(FieldError::invalid("spec.selector", value.clone(), &detail));
        }
        Ok(selector) => {
            let labels = object.get(&["spec", "template", "metadata", "labels"]);
            if !selector.matches_value(labels) {
                errors.push(FieldError::invalid(
                    "spec.template.metadata.labels",
                    labels.cloned().unwrap_or_else(|| json!({})),
                    "`selector` does not match template `labels`",
                ));
            }
        }
    }
    errors
}

/// Errors of the parts of a metav1.LabelSelector.
pub fn selector_parts(selector: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
        let field = format!("{path}.matchLabels");
        errors.extend(name_errors(names::qualified_name, key, &field));
        errors.extend(name_errors(names::label_value, value.as_str().unwrap_or(""), &field));
    }
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    for (index, expression) in expressions.into_iter().flatten().enumerate() {
        let at = |field: &str| format!("{path}.matchExpressions[{index}].{field}");
        let values = expression.get("values").and_then(Value::as_array).map_or(0, Vec::len);
        match expression.get("operator").and_then(Value::as_str).unwrap_or("") {
            "In" | "NotIn" if values == 0 => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(&at("values"), detail));
            }
            "Exists" | "DoesNotExist" if values > 0 => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(&at("values"), detail));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                errors.push(FieldError::invalid(&at("operator"), other, "not a valid selector operator"));
            }
        }
        let key = expression.get("key").and_then(Value::as_str).unwrap_or("");
        errors.extend(name_errors(names::qualified_name, key, &at("key")));
    }
    errors
}

/// Errors of the template, whatever makes pods from it.
pub fn template(object: &Object) -> Vec<FieldError> {
    let mut errors = validate::labels(object, &["spec", "template", "metadata", "labels"]);
    errors.extend(validate::annotations(object, &["spec", "template", "metadata", "annotations"]));
    let nothing = Value::Null;
    let spec = object.get(&["spec", "template", "spec"]).unwrap_or(&nothing);
    errors.extend(pod_spec(spec, "spec.template.spec"));
    errors
}

/// Pods that are kept at a number are started again whenever they end, and have no deadline.
fn always_restarts(object: &Object) -> Vec<FieldError> {
    let path = "spec.template.spec";
    let mut errors = Vec::new();
    let policy = object.get_str(&["spec", "template", "spec", "restartPolicy"]);
    if ["OnFailure", "Never"].contains(&policy) {
        errors.extend(one_of(policy, &format!("{path}.restartPolicy"), &["Always"]));
    }
    if object.get(&["spec", "template", "spec", "activeDeadlineSeconds"]).is_some() {
        let detail = "activeDeadlineSeconds in ReplicaSet is not Supported";
        errors.push(FieldError::forbidden(&format!("{path}.activeDeadlineSeconds"), detail));
    }
    errors
}

/// Errors of counts in a status: none negative, and (count, limit) pairs in order.
pub fn validate_counts(object: &Object, counts: &[&str], at_most: &[(&str, &str)]) -> Vec<FieldError> {
    let field = |name: &str| format!("status.{name}");
    let count = |name: &str| object.get_i64(&["status", name]).unwrap_or(0);
    let mut errors = Vec::new();
    for name in counts {
        errors.extend(not_negative(object.get(&["status", name]), &field(name)));
    }
    for (name, limit) in at_most {
        if count(name) > count(limit) {
            let limit = if *limit == "replicas" { "status.replicas" } else { limit };
            errors.push(FieldError::invalid(
                &field(name),
                count(name),
                &format!("cannot be greater than {limit}"),
            ));
        }
    }
    errors
}

/// Names and images of the template's containers, each joined by commas: two cells of a table.
pub fn container_cells(object: &Object) -> [Value; 2] {
    let containers = object.get_array(&["spec", "template", "spec", "containers"]);
    ["name", "image"].map(|field| {
        let parts: Vec<&str> =
            containers.iter().map(|c| c.get(field).and_then(Value::as_str).unwrap_or("")).collect();
        json!(parts.join(","))
    })
}

/// The selector as a cell of a table.
pub fn selector_cell(object: &Object) -> Value {
    match selector(object) {
        Ok(selector) if selector.is_everything() => json!("<none>"),
        Ok(selector) => json!(selector.to_string()),
        Err(_) => json!("<error>"),
    }
}
