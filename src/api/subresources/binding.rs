//! pods/binding: a pod gets its node, once.

use super::done;
use crate::{
    answer, decode,
    pipeline::{Answer, Call},
    refusal::Refusal,
    registry::modify::{self, Part},
};
use base::{bug, reached};
use objects::{Kind, Object, object, status::Status};
use serde_json::{Value, json};

pub async fn bind(call: &Call) -> Answer {
    let options = decode::WriteOptions::parse(&call.query)?;
    let binding = decode::value_as("core.v1.Binding", &call.content_type, &call.body)?;
    let node = object::get_str(&binding, &["target", "name"]);
    let of = object::get_str(&binding, &["target", "kind"]);
    if node.is_empty() || !["", "Node"].contains(&of) {
        return Err(Refusal::bad_request("a Binding must have a target of kind Node, and its name"));
    }
    let now = rt::wall().rfc3339();
    let assign = |pod: &Object| assign(call.target.kind, pod, &binding, node, &now);
    modify::modify(&call.server, &call.target, Part::Anything, options.dry_run, assign).await?;
    Ok(answer::value(201, &done()))
}

fn assign(kind: &Kind, pod: &Object, binding: &Value, node: &str, now: &str) -> Result<Object, Refusal> {
    let (uid, version) = (binding_meta(binding, "uid"), binding_meta(binding, "resourceVersion"));
    if !uid.is_empty() && uid != pod.uid() {
        reached!("api: a binding was meant for a namesake");
        return Err(Status::uid_mismatch(kind, pod.name(), uid, pod.uid()).into());
    }
    if !version.is_empty() && version != pod.resource_version() {
        return Err(Status::version_mismatch(kind, pod.name(), version, pod.resource_version()).into());
    }
    if pod.deletion_timestamp().is_some() {
        reached!("api: a pod was to be bound while it is being deleted");
        let why = format!("pod {} is being deleted, cannot be assigned to a host", pod.name());
        return Err(conflict(kind, pod, &why));
    }
    let has = pod.get_str(&["spec", "nodeName"]);
    if !has.is_empty() && !bug!("BOUND") {
        reached!("api: a pod was to be bound a second time");
        let why = format!("pod {} is already assigned to node {has:?}", pod.name());
        return Err(conflict(kind, pod, &why));
    }
    let mut new = pod.clone();
    new.set(&["spec", "nodeName"], node);
    for (key, value) in
        object::get(binding, &["metadata", "annotations"]).and_then(Value::as_object).into_iter().flatten()
    {
        new.set(&["metadata", "annotations", key], value.clone());
    }
    set_scheduled(&mut new, now);
    Ok(new)
}

fn binding_meta<'a>(binding: &'a Value, field: &str) -> &'a str {
    object::get_str(binding, &["metadata", field])
}

fn conflict(kind: &Kind, pod: &Object, why: &str) -> Refusal {
    let mut status = Status::conflict(kind, pod.name(), why);
    status.message = format!("Operation cannot be fulfilled on pods/binding {:?}: {why}", pod.name());
    status.into()
}

/// The condition PodScheduled becomes True.
fn set_scheduled(pod: &mut Object, now: &str) {
    let mut conditions = pod.get_array(&["status", "conditions"]).to_vec();
    conditions.retain(|condition| object::get_str(condition, &["type"]) != "PodScheduled");
    conditions.push(json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
    }));
    pod.set(&["status", "conditions"], conditions);
}

#[cfg(test)]
mod tests {
    use super::*;
    use objects::kinds::by_kind;

    #[test]
    fn a_pod_is_bound_once_and_never_when_it_goes() {
        let kind = by_kind("v1", "Pod").unwrap();
        let mut pod = Object::new("v1", "Pod");
        pod.set_name("a");
        pod.set_uid("u");
        let to = |pod: &Object, binding: Value| assign(kind, pod, &binding, "x", "now");
        let bound = to(&pod, json!({ "metadata": { "uid": "u", "annotations": { "k": "v" } } })).unwrap();
        assert_eq!(bound.get_str(&["spec", "nodeName"]), "x");
        assert_eq!(bound.annotation("k"), Some("v"));
        assert_eq!(bound.get_array(&["status", "conditions"])[0]["status"], "True");
        let refusal = to(&bound, json!({})).unwrap_err();
        assert_eq!(
            refusal.status.message,
            r#"Operation cannot be fulfilled on pods/binding "a": pod a is already assigned to node "x""#
        );
        assert_eq!(to(&pod, json!({ "metadata": { "uid": "v" } })).unwrap_err().status.code, 409);
        pod.set(&["metadata", "deletionTimestamp"], "then");
        assert_eq!(to(&pod, json!({})).unwrap_err().status.code, 409);
    }
}
