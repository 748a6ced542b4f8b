//! The binding subresource: a pod is given to a node, once.

use base::reached;
use serde_json::{Value, json};

use crate::conditions::{self, Beat, Condition};
use crate::field_error::FieldError;
use crate::kinds::pod;
use crate::object::Object;
use crate::status::Status;

/// The Binding that gives a pod to a node.
pub fn binding(pod: &Object, node: &str) -> Object {
    let mut binding = Object::new("v1", "Binding");
    binding.set_name(pod.name());
    binding.set_namespace(pod.namespace().unwrap_or(""));
    binding.set_uid(pod.uid());
    binding.set(&["target"], json!({"apiVersion": "v1", "kind": "Node", "name": node}));
    binding
}

fn validate(binding: &Object) -> Vec<FieldError> {
    let kind = binding.get_str(&["target", "kind"]);
    let mut errors = Vec::new();
    if !["", "Node"].contains(&kind) {
        errors.push(FieldError::not_supported("target.kind", kind, &["Node", "<empty>"]));
    }
    if binding.get_str(&["target", "name"]).is_empty() {
        errors.push(FieldError::required("target.name", ""));
    }
    errors
}

/// Binds the pod as the Binding says. A pod that is bound already, is going away, or is another one than the
/// Binding means, is left alone.
pub fn bind(pod: &mut Object, binding: &Object, now: u64) -> Result<(), Status> {
    let errors = validate(binding);
    let name = pod.name().to_string();
    if !errors.is_empty() {
        return Err(Status::invalid_kind("Binding", "", &name, &errors));
    }
    let conflict = |why: String| Err(Status::conflict(&pod::KIND, &name, &why));
    if !binding.uid().is_empty() && binding.uid() != pod.uid() {
        return Err(Status::uid_mismatch(&pod::KIND, &name, binding.uid(), pod.uid()));
    }
    let wanted = binding.resource_version();
    if !wanted.is_empty() && wanted != pod.resource_version() {
        return Err(Status::version_mismatch(&pod::KIND, &name, wanted, pod.resource_version()));
    }
    if pod.deletion_timestamp().is_some() {
        return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    let bound = pod.get_str(&["spec", "nodeName"]);
    if !bound.is_empty() {
        reached!("a pod was to be bound a second time");
        return conflict(format!("pod {name} is already assigned to node {bound:?}"));
    }
    if !pod.get_array(&["spec", "schedulingGates"]).is_empty() {
        return conflict(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    pod.set(&["spec", "nodeName"], binding.get_str(&["target", "name"]));
    for (key, value) in binding.annotations() {
        pod.set_annotation(key, value);
    }
    conditions::set(pod, &Condition::new("PodScheduled", "True", "", ""), Beat::None, now);
    Ok(())
}

/// The body of a successful binding.
pub fn bound() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Object {
        let mut pod = Object::new("v1", "Pod");
        pod.set_name("p");
        pod.set_namespace("n");
        pod.set_uid("u");
        pod
    }

    #[test]
    fn a_pod_is_bound_once() {
        let mut bound = pod();
        let binding = binding(&bound, "n1");
        bind(&mut bound, &binding, 0).unwrap();
        assert_eq!(bound.get_str(&["spec", "nodeName"]), "n1");
        assert!(conditions::is_true(&bound, "PodScheduled"));
        let error = bind(&mut bound, &binding, 0).unwrap_err();
        assert_eq!(error.code, 409);
        assert_eq!(
            error.message,
            "Operation cannot be fulfilled on pods \"p\": pod p is already assigned to node \"n1\""
        );
    }

    #[test]
    fn refusals() {
        let good = binding(&pod(), "n1");
        let mut going = pod();
        going.set(&["metadata", "deletionTimestamp"], "1970-01-01T00:00:00Z");
        assert!(bind(&mut going, &good, 0).unwrap_err().message.contains("is being deleted"));
        let mut other = pod();
        other.set_uid("v");
        assert!(
            bind(&mut other, &good, 0)
                .unwrap_err()
                .message
                .contains("UID in precondition: u, UID in object meta: v")
        );
        let mut gated = pod();
        gated.set(&["spec", "schedulingGates"], json!([{"name": "g"}]));
        assert!(bind(&mut gated, &good, 0).unwrap_err().message.contains("schedulingGates"));
        let mut nowhere = good.clone();
        nowhere.set(&["target"], json!({"kind": "Rack"}));
        let error = bind(&mut pod(), &nowhere, 0).unwrap_err();
        assert_eq!(error.code, 422);
        assert!(
            error.message.contains("target.kind: Unsupported value") && error.message.contains("target.name")
        );
    }
}
