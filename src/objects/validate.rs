//! What is wrong with an object's metadata, on create and on update.

use serde_json::Value;

use crate::field_error::FieldError;
use crate::kinds::Kind;
use crate::names;
use crate::object::{Object, get_str};

/// All annotations of an object together, keys and values.
const ANNOTATIONS_MAX: usize = 256 * 1024;

/// Labels must be qualified names with label values.
pub fn labels(object: &Object, path: &[&str]) -> Vec<FieldError> {
    let field = path.join(".");
    let mut errors = Vec::new();
    for (key, value) in object.strings(path) {
        errors.extend(names::qualified_name(key).iter().map(|e| FieldError::invalid(&field, key, e)));
        errors.extend(names::label_value(value).iter().map(|e| FieldError::invalid(&field, value, e)));
    }
    errors
}

/// Annotations must be qualified names (of any case) and not too big together.
pub fn annotations(object: &Object, path: &[&str]) -> Vec<FieldError> {
    let field = path.join(".");
    let mut errors = Vec::new();
    let mut size = 0;
    for (key, value) in object.strings(path) {
        let lower = key.to_lowercase();
        errors.extend(names::qualified_name(&lower).iter().map(|e| FieldError::invalid(&field, key, e)));
        size += key.len() + value.len();
    }
    if size > ANNOTATIONS_MAX {
        errors.push(FieldError::too_long(&field, ANNOTATIONS_MAX));
    }
    errors
}

/// The metadata of a new object.
pub fn metadata(kind: &Kind, object: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let generate = object.generate_name();
    if !generate.is_empty() {
        let found = (kind.name_rule)(&names::mask_trailing_dash(generate));
        errors.extend(found.iter().map(|e| FieldError::invalid("metadata.generateName", generate, e)));
    }
    let name = object.name();
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else {
        errors.extend((kind.name_rule)(name).iter().map(|e| FieldError::invalid("metadata.name", name, e)));
    }
    errors.extend(namespace(kind, object));
    errors.extend(common(object));
    errors
}

fn namespace(kind: &Kind, object: &Object) -> Vec<FieldError> {
    match (kind.namespaced, object.namespace()) {
        (true, None) => vec![FieldError::required("metadata.namespace", "")],
        (true, Some(namespace)) => names::dns_label(namespace)
            .iter()
            .map(|e| FieldError::invalid("metadata.namespace", namespace, e))
            .collect(),
        (false, Some(_)) => vec![FieldError::forbidden("metadata.namespace", "not allowed on this type")],
        (false, None) => Vec::new(),
    }
}

fn common(object: &Object) -> Vec<FieldError> {
    let mut errors = labels(object, &["metadata", "labels"]);
    errors.extend(annotations(object, &["metadata", "annotations"]));
    errors.extend(owners(object));
    for finalizer in object.finalizers() {
        let found = names::qualified_name(finalizer);
        errors.extend(found.iter().map(|e| FieldError::invalid("metadata.finalizers", finalizer, e)));
    }
    errors
}

fn owners(object: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut controllers = Vec::new();
    for (index, owner) in object.get_array(&["metadata", "ownerReferences"]).iter().enumerate() {
        let field = format!("metadata.ownerReferences[{index}]");
        if get_str(owner, &["apiVersion"]).is_empty() {
            errors.push(FieldError::invalid(&format!("{field}.apiVersion"), "", "version must not be empty"));
        }
        for (key, text) in [("kind", "kind"), ("name", "name"), ("uid", "uid")] {
            if get_str(owner, &[key]).is_empty() {
                let detail = format!("{text} must not be empty");
                errors.push(FieldError::invalid(&format!("{field}.{key}"), "", &detail));
            }
        }
        if get_str(owner, &["kind"]) == "Event" && get_str(owner, &["apiVersion"]) == "v1" {
            errors.push(FieldError::invalid(&field, "/v1, Kind=Event", "is disallowed from being an owner"));
        }
        if owner.get("controller").and_then(Value::as_bool) == Some(true) {
            controllers.push(get_str(owner, &["name"]));
        }
    }
    if let [first, second, ..] = controllers.as_slice() {
        let detail = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"
        );
        let all = object.get(&["metadata", "ownerReferences"]).cloned().unwrap_or_default();
        errors.push(FieldError::invalid("metadata.ownerReferences", all, &detail));
    }
    errors
}

const IMMUTABLE: &str = "field is immutable";

/// The metadata of an update, after the system fields were carried over.
pub fn metadata_update(kind: &Kind, new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        let (was, is) = (old.get_str(&["metadata", field]), new.get_str(&["metadata", field]));
        if was != is {
            errors.push(FieldError::invalid(&format!("metadata.{field}"), is, IMMUTABLE));
        }
    }
    if new.generation() < old.generation() {
        let detail = "must not be decremented";
        errors.push(FieldError::invalid("metadata.generation", new.generation(), detail));
    }
    if old.deletion_timestamp().is_some() {
        let before = old.finalizers();
        let added: Vec<&str> = new.finalizers().into_iter().filter(|f| !before.contains(f)).collect();
        if !added.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers {}",
                json_strings(&added)
            );
            errors.push(FieldError::forbidden("metadata.finalizers", &detail));
        }
    }
    errors.extend(namespace(kind, new));
    errors.extend(common(new));
    errors
}

/// `[]string{"a", "b"}`: how upstream prints a list of strings in this message.
fn json_strings(items: &[&str]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
    format!("[]string{{{}}}", items.join(", "))
}

/// The field must stay as it was.
pub fn immutable(new: &Object, old: &Object, path: &[&str]) -> Vec<FieldError> {
    let (is, was) = (new.get(path), old.get(path));
    if is == was {
        return Vec::new();
    }
    vec![FieldError::invalid(&path.join("."), is.cloned().unwrap_or(Value::Null), IMMUTABLE)]
}
