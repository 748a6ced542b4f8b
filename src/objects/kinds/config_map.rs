//! ConfigMap: data without a spec.

use serde_json::{Value, json};

use super::{COMMON, Kind};
use crate::field_error::FieldError;
use crate::names;
use crate::object::Object;
use crate::podspec::validate::name_errors;
use crate::table::{Column, age};

pub static KIND: Kind = Kind {
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    about: "Data without a spec.",
    short_names: &["cm"],
    definition: "core.v1.ConfigMap",
    validate,
    columns: &[Column::NAME, Column::text("Data", "How many entries it has."), Column::AGE],
    row: |object, now| {
        let count = object.get_map(&["data"]).map_or(0, |m| m.len()) + binary(object).map_or(0, |m| m.len());
        vec![json!(object.name()), json!(count), age(object, now)]
    },
    ..COMMON
};

/// All values together.
const MAX_BYTES: usize = 1 << 20;

fn binary(object: &Object) -> Option<&serde_json::Map<String, Value>> {
    object.get_map(&["binaryData"])
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut size = 0;
    let data = object.get_map(&["data"]);
    for (key, value) in data.into_iter().flatten() {
        errors.extend(name_errors(names::config_key, key, &format!("data[{key}]")));
        if binary(object).is_some_and(|b| b.contains_key(key)) {
            let detail = "duplicate of key present in binaryData";
            errors.push(FieldError::invalid(&format!("data[{key}]"), key.as_str(), detail));
        }
        size += value.as_str().map_or(0, str::len);
    }
    for (key, value) in binary(object).into_iter().flatten() {
        errors.extend(name_errors(names::config_key, key, &format!("binaryData[{key}]")));
        size += value.as_str().map_or(0, |text| text.len() / 4 * 3);
    }
    if size > MAX_BYTES {
        errors.push(FieldError::too_long("", MAX_BYTES));
    }
    if let Some(old) = old.filter(|old| old.get_bool(&["immutable"])) {
        errors.extend(frozen(object, old));
    }
    errors
}

fn frozen(object: &Object, old: &Object) -> Vec<FieldError> {
    let changed = ["immutable", "data", "binaryData"].into_iter().filter(|field| object.get(&[field]) != old.get(&[field]));
    changed.map(|field| FieldError::forbidden(field, "field is immutable when `immutable` is set")).collect()
}
