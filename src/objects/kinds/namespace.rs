//! Namespace: where other objects live; it ends when its finalizers say so.

use serde_json::{Value, json};

use super::{COMMON, Field, Kind};
use crate::field_error::FieldError;
use crate::names;
use crate::object::Object;
use crate::podspec::validate::name_errors;
use crate::table::{Column, age};

pub static KIND: Kind = Kind {
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    about: "Where other objects live; it ends when its finalizers say so.",
    short_names: &["ns"],
    namespaced: false,
    has_status: true,
    subresources: &[("finalize", "Namespace", "v1")],
    definition: "core.v1.Namespace",
    name_rule: names::dns_label,
    defaults: label,
    validate,
    on_create,
    on_update: |new, old| carry_finalizers(new, old),
    fields: &[Field::new("name", &["metadata", "name"]), Field::new("status.phase", &["status", "phase"])],
    columns: &[Column::NAME, Column::text("Status", "Active or Terminating."), Column::AGE],
    row: |object, now| {
        vec![json!(object.name()), json!(object.get_str(&["status", "phase"])), age(object, now)]
    },
    ..COMMON
};

/// The namespace's own finalizer: it stays until nothing is left in the namespace.
pub const FINALIZER: &str = "kubernetes";

/// Namespaces can be selected by their name.
fn label(object: &mut Object) {
    let name = object.name().to_string();
    if !name.is_empty() {
        object.set_label("kubernetes.io/metadata.name", &name);
    }
}

fn on_create(object: &mut Object) {
    label(object);
    let mut finalizers = object.get_array(&["spec", "finalizers"]).to_vec();
    if !finalizers.contains(&json!(FINALIZER)) {
        finalizers.push(json!(FINALIZER));
    }
    object.set(&["spec", "finalizers"], finalizers);
    object.set(&["status", "phase"], "Active");
}

/// Only the finalize subresource changes spec.finalizers.
fn carry_finalizers(new: &mut Object, old: &Object) {
    match old.get(&["spec", "finalizers"]) {
        Some(finalizers) => new.set(&["spec", "finalizers"], finalizers.clone()),
        None => {
            new.remove(&["spec", "finalizers"]);
        }
    }
}

/// The finalize subresource: nothing but spec.finalizers changes.
pub fn prepare_finalize(new: &mut Object, old: &Object) {
    let finalizers = new.get(&["spec", "finalizers"]).cloned();
    *new = old.clone();
    match finalizers {
        Some(finalizers) => new.set(&["spec", "finalizers"], finalizers),
        None => {
            new.remove(&["spec", "finalizers"]);
        }
    }
}

fn validate(object: &Object, _: Option<&Object>) -> Vec<FieldError> {
    let finalizers = object.get_array(&["spec", "finalizers"]).iter().filter_map(Value::as_str);
    finalizers.flat_map(|name| name_errors(names::qualified_name, name, "spec.finalizers")).collect()
}
