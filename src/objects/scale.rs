//! The scale subresource: the number of replicas, and nothing else, of anything that has one.

use serde_json::{Value, json};

use crate::field_error::FieldError;
use crate::object::Object;
use crate::podspec::validate::not_negative;
use crate::workload;

/// The autoscaling/v1 Scale of an object.
pub fn scale_of(object: &Object) -> Object {
    let mut scale = Object::new("autoscaling/v1", "Scale");
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.get(&["metadata", field]) {
            scale.set(&["metadata", field], value.clone());
        }
    }
    let number = |path: &[&str]| object.get_i64(path).unwrap_or(0);
    scale.set(&["spec", "replicas"], number(&["spec", "replicas"]));
    scale.set(&["status", "replicas"], number(&["status", "replicas"]));
    if let Ok(selector) = workload::selector(object) {
        scale.set(&["status", "selector"], selector.to_string());
    }
    scale
}

/// What is wrong with a Scale for an object of this name and namespace.
pub fn validate(scale: &Object) -> Vec<FieldError> {
    not_negative(scale.get(&["spec", "replicas"]), "spec.replicas")
}

/// Sets the object's replicas to the Scale's; a missing number is 0.
pub fn apply_scale(object: &mut Object, scale: &Object) {
    object.set(&["spec", "replicas"], scale.get_i64(&["spec", "replicas"]).unwrap_or(0));
}

/// A Scale with only a number: for clients that change it.
pub fn scale_to(namespace: &str, name: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": name, "namespace": namespace}, "spec": {"replicas": replicas},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let mut d = Object::new("apps/v1", "Deployment");
        d.set_name("web");
        d.set_namespace("n");
        d.set_resource_version("7");
        d.set(&["spec"], json!({"replicas": 3, "selector": {"matchLabels": {"b": "2", "a": "1"}}}));
        d.set(&["status", "replicas"], 2);
        let mut scale = scale_of(&d);
        assert_eq!(scale.value()["status"], json!({"replicas": 2, "selector": "a=1,b=2"}));
        assert_eq!((scale.key().as_str(), scale.resource_version()), ("n/web", "7"));
        scale.set(&["spec", "replicas"], 5);
        assert!(validate(&scale).is_empty());
        apply_scale(&mut d, &scale);
        assert_eq!(d.get_i64(&["spec", "replicas"]), Some(5));
        scale.set(&["spec", "replicas"], -5);
        assert_eq!(
            validate(&scale)[0].to_string(),
            "spec.replicas: Invalid value: -5: must be greater than or equal to 0"
        );
    }
}
