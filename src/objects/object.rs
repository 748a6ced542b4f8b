//! `Object`: any Kubernetes object, kept as the JSON it arrived as.
//!
//! Nothing is lost that the caller did not remove: unknown fields survive a round trip. Readers of a missing or
//! wrongly typed field get `None` (or an empty string or list), never a panic.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::owner::OwnerRef;

/// A JSON object with Kubernetes' conventions on top. Cloning is deep: share it behind an `Arc`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Object(Value);

/// The JSON was well-formed but not an object.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("expected a JSON object, found {found}")]
pub struct NotAnObject {
    pub found: &'static str,
}

impl TryFrom<Value> for Object {
    type Error = NotAnObject;
    fn try_from(value: Value) -> Result<Object, NotAnObject> {
        Object::from_value(value)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Value {
        object.0
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What kind of JSON a value is, in words.
pub fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn size(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 4,
        Value::String(text) => text.len() as u64 + 3,
        Value::Array(items) => items.iter().map(size).sum::<u64>() + 2,
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len() as u64 + 3 + size(value)).sum::<u64>() + 2
        }
    }
}

impl Object {
    pub fn new(api_version: &str, kind: &str) -> Object {
        Object(json!({"apiVersion": api_version, "kind": kind, "metadata": {}}))
    }

    pub fn from_value(value: Value) -> Result<Object, NotAnObject> {
        match value {
            Value::Object(_) => Ok(Object(value)),
            other => Err(NotAnObject { found: json_type(&other) }),
        }
    }

    /// The bytes of one JSON object.
    pub fn from_bytes(bytes: &[u8]) -> Result<Object, String> {
        let value: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        Object::from_value(value).map_err(|e| e.to_string())
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_string().into_bytes()
    }

    /// About the length of its JSON text, which is not made for that.
    pub fn size(&self) -> u64 {
        size(&self.0)
    }

    pub fn value(&self) -> &Value {
        &self.0
    }

    pub fn into_value(self) -> Value {
        self.0
    }

    pub fn map(&self) -> &Map<String, Value> {
        match &self.0 {
            Value::Object(map) => map,
            _ => unreachable!("an Object holds a JSON object"),
        }
    }

    pub fn map_mut(&mut self) -> &mut Map<String, Value> {
        match &mut self.0 {
            Value::Object(map) => map,
            _ => unreachable!("an Object holds a JSON object"),
        }
    }

    // -- any field, by path --

    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        get(&self.0, path)
    }

    pub fn get_mut(&mut self, path: &[&str]) -> Option<&mut Value> {
        path.iter().try_fold(&mut self.0, |value, key| value.get_mut(*key))
    }

    /// The string at the path, or "".
    pub fn get_str(&self, path: &[&str]) -> &str {
        self.get(path).and_then(Value::as_str).unwrap_or("")
    }

    pub fn get_i64(&self, path: &[&str]) -> Option<i64> {
        self.get(path).and_then(Value::as_i64)
    }

    /// The boolean at the path, or false.
    pub fn get_bool(&self, path: &[&str]) -> bool {
        self.get(path).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The array at the path, or an empty one.
    pub fn get_array(&self, path: &[&str]) -> &[Value] {
        self.get(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    pub fn get_map(&self, path: &[&str]) -> Option<&Map<String, Value>> {
        self.get(path).and_then(Value::as_object)
    }

    /// Sets the field, making the objects on the way; what stands in the way and is no object is replaced.
    pub fn set(&mut self, path: &[&str], value: impl Into<Value>) {
        set(&mut self.0, path, value.into());
    }

    /// Sets the field unless it is there (null counts as not there).
    pub fn set_default(&mut self, path: &[&str], value: impl Into<Value>) {
        if self.get(path).is_none_or(Value::is_null) {
            self.set(path, value);
        }
    }

    pub fn remove(&mut self, path: &[&str]) -> Option<Value> {
        let (last, parents) = path.split_last()?;
        self.get_mut(parents)?.as_object_mut()?.remove(*last)
    }

    // -- identity --

    pub fn kind(&self) -> &str {
        self.get_str(&["kind"])
    }

    pub fn api_version(&self) -> &str {
        self.get_str(&["apiVersion"])
    }

    /// (group, version) of the apiVersion; the core group is "".
    pub fn group_version(&self) -> (&str, &str) {
        self.api_version().split_once('/').unwrap_or(("", self.api_version()))
    }

    pub fn name(&self) -> &str {
        self.meta_str("name")
    }

    pub fn generate_name(&self) -> &str {
        self.meta_str("generateName")
    }

    pub fn namespace(&self) -> Option<&str> {
        Some(self.meta_str("namespace")).filter(|ns| !ns.is_empty())
    }

    /// "namespace/name", or "name" when it lives in no namespace.
    pub fn key(&self) -> String {
        match self.namespace() {
            Some(namespace) => format!("{namespace}/{}", self.name()),
            None => self.name().to_string(),
        }
    }

    pub fn uid(&self) -> &str {
        self.meta_str("uid")
    }

    pub fn resource_version(&self) -> &str {
        self.meta_str("resourceVersion")
    }

    pub fn generation(&self) -> i64 {
        self.get_i64(&["metadata", "generation"]).unwrap_or(0)
    }

    pub fn creation_timestamp(&self) -> &str {
        self.meta_str("creationTimestamp")
    }

    pub fn deletion_timestamp(&self) -> Option<&str> {
        Some(self.meta_str("deletionTimestamp")).filter(|t| !t.is_empty())
    }

    pub fn deletion_grace_period(&self) -> Option<i64> {
        self.get_i64(&["metadata", "deletionGracePeriodSeconds"])
    }

    pub fn finalizers(&self) -> Vec<&str> {
        self.get_array(&["metadata", "finalizers"]).iter().filter_map(Value::as_str).collect()
    }

    pub fn owner_refs(&self) -> Vec<OwnerRef> {
        crate::owner::owner_refs(self)
    }

    pub fn labels(&self) -> BTreeMap<&str, &str> {
        self.strings(&["metadata", "labels"])
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.get(&["metadata", "labels", key]).and_then(Value::as_str)
    }

    pub fn annotations(&self) -> BTreeMap<&str, &str> {
        self.strings(&["metadata", "annotations"])
    }

    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.get(&["metadata", "annotations", key]).and_then(Value::as_str)
    }

    /// The map of strings at the path; entries that are not strings are skipped.
    pub fn strings(&self, path: &[&str]) -> BTreeMap<&str, &str> {
        let entries = self.get_map(path).into_iter().flatten();
        entries.filter_map(|(k, v)| Some((k.as_str(), v.as_str()?))).collect()
    }

    // -- setters --

    pub fn set_name(&mut self, name: &str) {
        self.set(&["metadata", "name"], name);
    }

    /// An empty namespace removes the field.
    pub fn set_namespace(&mut self, namespace: &str) {
        self.set_or_remove("namespace", namespace);
    }

    pub fn set_uid(&mut self, uid: &str) {
        self.set_or_remove("uid", uid);
    }

    pub fn set_resource_version(&mut self, version: &str) {
        self.set_or_remove("resourceVersion", version);
    }

    pub fn set_generation(&mut self, generation: i64) {
        self.set(&["metadata", "generation"], generation);
    }

    pub fn set_label(&mut self, key: &str, value: &str) {
        self.set(&["metadata", "labels", key], value);
    }

    pub fn set_annotation(&mut self, key: &str, value: &str) {
        self.set(&["metadata", "annotations", key], value);
    }

    pub fn set_finalizers(&mut self, finalizers: &[&str]) {
        if finalizers.is_empty() {
            self.remove(&["metadata", "finalizers"]);
        } else {
            self.set(&["metadata", "finalizers"], finalizers.to_vec());
        }
    }

    pub fn set_owner_refs(&mut self, owners: &[OwnerRef]) {
        crate::owner::set_owner_refs(self, owners);
    }

    fn set_or_remove(&mut self, field: &str, value: &str) {
        if value.is_empty() {
            self.remove(&["metadata", field]);
        } else {
            self.set(&["metadata", field], value);
        }
    }

    fn meta_str(&self, field: &str) -> &str {
        self.get_str(&["metadata", field])
    }
}

/// The value at a path of object keys.
pub fn get<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(*key))
}

/// The string at a path of object keys, or "".
pub fn get_str<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    get(value, path).and_then(Value::as_str).unwrap_or("")
}

/// Sets the value at a path of object keys, making the objects on the way.
pub fn set(root: &mut Value, path: &[&str], value: Value) {
    let mut at = root;
    for key in path {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = match at {
            Value::Object(map) => map.entry((*key).to_string()).or_insert(Value::Null),
            _ => unreachable!("made an object above"),
        };
    }
    *at = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Object {
        Object::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "a", "namespace": "n", "labels": {"app": "x", "bad": 1}, "finalizers": ["f"]},
            "spec": {"priority": 3, "hostNetwork": true, "containers": [{}]}
        }))
        .unwrap()
    }

    #[test]
    fn readers_forgive_missing_and_mistyped_fields() {
        let pod = pod();
        assert_eq!(pod.key(), "n/a");
        assert_eq!(pod.labels().len(), 1);
        assert_eq!(pod.get_i64(&["spec", "priority"]), Some(3));
        assert_eq!(pod.get_i64(&["spec", "hostNetwork"]), None);
        assert_eq!(pod.get_str(&["spec", "priority"]), "");
        assert!(pod.get_bool(&["spec", "hostNetwork"]));
        assert_eq!(pod.get_array(&["spec", "containers"]).len(), 1);
        assert_eq!(pod.get_array(&["spec", "nothing", "here"]).len(), 0);
        assert_eq!(pod.finalizers(), ["f"]);
        assert_eq!(pod.deletion_timestamp(), None);
    }

    #[test]
    fn set_makes_the_way_and_remove_takes_one_field() {
        let mut o = Object::new("v1", "Pod");
        o.set(&["a", "b", "c"], 1);
        o.set(&["a", "b", "c", "d"], 2);
        assert_eq!(o.get_i64(&["a", "b", "c", "d"]), Some(2));
        assert_eq!(o.remove(&["a", "b", "c"]), Some(json!({"d": 2})));
        assert_eq!(o.get(&["a"]), Some(&json!({"b": {}})));
        o.set_default(&["a", "b"], "no");
        assert_eq!(o.get(&["a", "b"]), Some(&json!({})));
        o.set_namespace("n");
        o.set_namespace("");
        assert_eq!(o.namespace(), None);
    }

    #[test]
    fn only_objects_are_objects() {
        assert_eq!(
            Object::from_value(json!([])).unwrap_err().to_string(),
            "expected a JSON object, found an array"
        );
        assert!(serde_json::from_str::<Object>("3").is_err());
        assert_eq!(Object::from_bytes(&pod().to_bytes()).unwrap(), pod());
    }

    #[test]
    fn group_version_splits() {
        assert_eq!(Object::new("apps/v1", "Deployment").group_version(), ("apps", "v1"));
        assert_eq!(Object::new("v1", "Pod").group_version(), ("", "v1"));
    }
}
