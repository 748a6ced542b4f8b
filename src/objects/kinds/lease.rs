//! Lease: who holds what, and until when.

use serde_json::{Value, json};

use super::{COMMON, Kind};
use crate::field_error::FieldError;
use crate::object::Object;
use crate::podspec::validate::NOT_NEGATIVE;
use crate::table::{Column, age};

pub static KIND: Kind = Kind {
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    about: "Who holds what, and until when.",
    definition: "coordination.v1.Lease",
    unconditional_update: false,
    create_on_update: true,
    validate,
    columns: &[Column::NAME, Column::text("Holder", "Who holds it."), Column::AGE],
    row: |object, now| -> Vec<Value> {
        vec![json!(object.name()), json!(object.get_str(&["spec", "holderIdentity"])), age(object, now)]
    },
    ..COMMON
};

fn validate(object: &Object, _: Option<&Object>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(seconds) = object.get_i64(&["spec", "leaseDurationSeconds"]).filter(|s| *s <= 0) {
        errors.push(FieldError::invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
    }
    if let Some(count) = object.get_i64(&["spec", "leaseTransitions"]).filter(|n| *n < 0) {
        errors.push(FieldError::invalid("spec.leaseTransitions", count, NOT_NEGATIVE));
    }
    errors
}
