//! ReplicaSet: so many pods of one template.

use serde_json::{Value, json};

use super::{COMMON, Field, Kind};
use crate::field_error::FieldError;
use crate::object::Object;
use crate::table::{Column, age};
use crate::{validate, workload};

pub static KIND: Kind = Kind {
    group: "apps",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    about: "So many pods of one template.",
    short_names: &["rs"],
    categories: &["all"],
    has_status: true,
    has_scale: true,
    has_generation: true,
    definition: "apps.v1.ReplicaSet",
    defaults: workload::set_defaults,
    validate,
    validate_status,
    on_create: |object| object.set(&["status"], json!({"replicas": 0})),
    fields: &[Field { label: "status.replicas", path: &["status", "replicas"], missing: "0" }],
    columns: &[
        Column::NAME,
        Column::number("Desired", "How many pods are wanted."),
        Column::number("Current", "How many pods there are."),
        Column::number("Ready", "How many pods are ready."),
        Column::AGE,
        Column::text("Containers", "Names of the template's containers.").wide(),
        Column::text("Images", "Images of the template's containers.").wide(),
        Column::text("Selector", "Which pods are its own.").wide(),
    ],
    row,
    ..COMMON
};

fn validate(object: &Object, old: Option<&Object>) -> Vec<FieldError> {
    let mut errors = workload::validate(object, "deployment");
    if let Some(old) = old {
        errors.extend(validate::immutable(object, old, &["spec", "selector"]));
    }
    errors
}

fn validate_status(new: &Object, _: &Object) -> Vec<FieldError> {
    let counts =
        ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"];
    let at_most = [
        ("fullyLabeledReplicas", "replicas"),
        ("readyReplicas", "replicas"),
        ("availableReplicas", "replicas"),
        ("availableReplicas", "readyReplicas"),
    ];
    workload::validate_counts(new, &counts, &at_most)
}

fn row(object: &Object, now: u64) -> Vec<Value> {
    let count = |field: &str| object.get_i64(&["status", field]).unwrap_or(0);
    let [names, images] = workload::container_cells(object);
    vec![
        json!(object.name()),
        json!(object.get_i64(&["spec", "replicas"]).unwrap_or(0)),
        json!(count("replicas")),
        json!(count("readyReplicas")),
        age(object, now),
        names,
        images,
        workload::selector_cell(object),
    ]
}
