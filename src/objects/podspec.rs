//! What pods, and the templates that make pods, have in common: a pod spec.

pub mod defaults;
pub mod qos;
pub mod resources;
pub mod update;
pub mod validate;

use serde_json::Value;

/// The items of a list of the spec, or none.
pub fn list<'a>(spec: &'a Value, field: &str) -> &'a [Value] {
    spec.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Containers and init containers, with the path of each below the spec.
pub fn all_containers(spec: &Value) -> impl Iterator<Item = (String, &Value)> {
    ["initContainers", "containers"].into_iter().flat_map(move |field| {
        list(spec, field).iter().enumerate().map(move |(index, c)| (format!("{field}[{index}]"), c))
    })
}
