//! Deployment: pods of one template, replaced gradually when the template changes.

use serde_json::{Value, json};

use super::{COMMON, Kind};
use crate::field_error::FieldError;
use crate::object::Object;
use crate::podspec::validate::{NOT_NEGATIVE, not_negative};
use crate::rollout::resolve;
use crate::table::{Column, age};
use crate::{validate, workload};

pub static KIND: Kind = Kind {
    group: "apps",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    about: "Pods of one template, replaced gradually when the template changes.",
    short_names: &["deploy"],
    categories: &["all"],
    has_status: true,
    has_scale: true,
    has_generation: true,
    definition: "apps.v1.Deployment",
    defaults,
    validate,
    validate_status,
    on_create: |object| object.set(&["status"], json!({})),
    spec_changed,
    columns: &[
        Column::NAME,
        Column::text("Ready", "How many of the wanted pods are ready."),
        Column::text("Up-to-date", "How many pods have the newest template."),
        Column::text("Available", "How many pods have been ready long enough."),
        Column::AGE,
        Column::text("Containers", "Names of the template's containers.").wide(),
        Column::text("Images", "Images of the template's containers.").wide(),
        Column::text("Selector", "Which pods are its own.").wide(),
    ],
    row,
    ..COMMON
};

/// The annotations count as desired state: the controller copies them to replica sets.
fn spec_changed(new: &Object, old: &Object) -> bool {
    new.get(&["spec"]) != old.get(&["spec"]) || new.annotations() != old.annotations()
}

fn defaults(object: &mut Object) {
    workload::set_defaults(object);
    object.set_default(&["spec", "strategy", "type"], "RollingUpdate");
    if object.get_str(&["spec", "strategy", "type"]) == "RollingUpdate" {
        object.set_default(&["spec", "strategy", "rollingUpdate", "maxUnavailable"], "25%");
        object.set_default(&["spec", "strategy", "rollingUpdate", "maxSurge"], "25%");
    }
    object.set_default(&["spec", "revisionHistoryLimit"], 10);
    object.set_default(&["spec", "progressDeadlineSeconds"], 600);
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<FieldError> {
    let mut errors = workload::validate(object, "deployment");
    errors.extend(strategy(object));
    errors.extend(not_negative(object.get(&["spec", "revisionHistoryLimit"]), "spec.revisionHistoryLimit"));
    let field = "spec.progressDeadlineSeconds";
    errors.extend(not_negative(object.get(&["spec", "progressDeadlineSeconds"]), field));
    let ready = object.get_i64(&["spec", "minReadySeconds"]).unwrap_or(0);
    if let Some(deadline) = object.get_i64(&["spec", "progressDeadlineSeconds"]).filter(|d| *d <= ready) {
        errors.push(FieldError::invalid(field, deadline, "must be greater than minReadySeconds"));
    }
    if let Some(old) = old {
        errors.extend(validate::immutable(object, old, &["spec", "selector"]));
    }
    errors
}

fn strategy(object: &Object) -> Vec<FieldError> {
    let rolling = object.get(&["spec", "strategy", "rollingUpdate"]);
    match object.get_str(&["spec", "strategy", "type"]) {
        "Recreate" if rolling.is_some() => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            vec![FieldError::forbidden("spec.strategy.rollingUpdate", detail)]
        }
        "Recreate" => Vec::new(),
        "RollingUpdate" => match rolling {
            Some(rolling) => bounds(rolling),
            None => vec![FieldError::required(
                "spec.strategy.rollingUpdate",
                "this should be defaulted and never be nil",
            )],
        },
        other => {
            vec![FieldError::not_supported("spec.strategy.type", other, &["Recreate", "RollingUpdate"])]
        }
    }
}

fn bounds(rolling: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for name in ["maxUnavailable", "maxSurge"] {
        let field = format!("spec.strategy.rollingUpdate.{name}");
        let Some(value) = rolling.get(name) else { continue };
        match (resolve(value, 100, true), value) {
            (None, value) => {
                let detail = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
                errors.push(FieldError::invalid(&field, value.clone(), detail));
            }
            (Some(number), value) if number < 0 => {
                errors.push(FieldError::invalid(&field, value.clone(), NOT_NEGATIVE));
            }
            (Some(percent), Value::String(text)) if name == "maxUnavailable" && percent > 100 => {
                errors.push(FieldError::invalid(&field, text.as_str(), "must not be greater than 100%"));
            }
            _ => {}
        }
    }
    let is_zero = |name: &str| rolling.get(name).is_some_and(|v| resolve(v, 100, true) == Some(0));
    if is_zero("maxUnavailable") && is_zero("maxSurge") {
        let value = rolling.get("maxUnavailable").cloned().unwrap_or_default();
        let field = "spec.strategy.rollingUpdate.maxUnavailable";
        errors.push(FieldError::invalid(field, value, "may not be 0 when `maxSurge` is 0"));
    }
    errors
}

fn validate_status(new: &Object, _: &Object) -> Vec<FieldError> {
    let counts = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
    ];
    let at_most = [
        ("updatedReplicas", "replicas"),
        ("readyReplicas", "replicas"),
        ("availableReplicas", "replicas"),
        ("availableReplicas", "readyReplicas"),
    ];
    workload::validate_counts(new, &counts, &at_most)
}

fn row(object: &Object, now: u64) -> Vec<Value> {
    let count = |field: &str| object.get_i64(&["status", field]).unwrap_or(0);
    let wanted = object.get_i64(&["spec", "replicas"]).unwrap_or(0);
    let [names, images] = workload::container_cells(object);
    vec![
        json!(object.name()),
        json!(format!("{}/{wanted}", count("readyReplicas"))),
        json!(count("updatedReplicas")),
        json!(count("availableReplicas")),
        age(object, now),
        names,
        images,
        workload::selector_cell(object),
    ]
}
