//! Pods as those see them who make them from a template: what the template describes, and who goes first. Pure.

use crate::shared::ready_since;
use objects::{Object, OwnerRef};
use serde_json::json;
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

/// Whom to delete first (upstream: ActivePodsWithRanks): not bound, pending, not ready, cheap by annotation,
/// many of them on one node, ready for a short time, restarted often, young.
pub fn ranked(pods: &[Arc<Object>]) -> Vec<Arc<Object>> {
    let mut on_node: BTreeMap<&str, u32> = BTreeMap::new();
    for pod in pods {
        *on_node.entry(pod.get_str(&["spec", "nodeName"])).or_insert(0) += 1;
    }
    let rank = |pod: &Arc<Object>| {
        let node = pod.get_str(&["spec", "nodeName"]);
        let phase = match pod.get_str(&["status", "phase"]) {
            "Pending" => 0,
            "Unknown" => 1,
            _ => 2,
        };
        let cost = pod.annotation("controller.kubernetes.io/pod-deletion-cost");
        let cost: i64 = cost.and_then(|text| text.parse().ok()).unwrap_or(0);
        let restarts: i64 = pod
            .get_array(&["status", "containerStatuses"])
            .iter()
            .filter_map(|c| c["restartCount"].as_i64())
            .sum();
        let ready = ready_since(pod).map(str::to_string);
        let age = Reverse(pod.creation_timestamp().to_string());
        let together = Reverse(on_node.get(node).copied().unwrap_or(0));
        let name = pod.name().to_string(); // so that equal pods are told apart the same way every time
        (
            !node.is_empty(),
            phase,
            ready.is_some(),
            cost,
            together,
            (Reverse(ready), Reverse(restarts), age, name),
        )
    };
    let mut ranked: Vec<_> = pods.iter().map(|pod| (rank(pod), pod.clone())).collect();
    ranked.sort_by(|a, b| a.0.cmp(&b.0));
    ranked.into_iter().map(|(_, pod)| pod).collect()
}

/// The pod that the owner's template describes.
pub fn pod_of(owner: &Object) -> Object {
    let mut pod = Object::new("v1", "Pod");
    if let Some(template) = owner.get(&["spec", "template"]) {
        for field in ["labels", "annotations", "finalizers"] {
            if let Some(value) = objects::object::get(template, &["metadata", field]) {
                pod.set(&["metadata", field], value.clone());
            }
        }
        pod.set(&["spec"], template.get("spec").cloned().unwrap_or_else(|| json!({})));
    }
    pod.set(&["metadata", "generateName"], format!("{}-", owner.name()));
    pod.set_namespace(owner.namespace().unwrap_or_default());
    pod.set_owner_refs(&[OwnerRef::controller_of(owner)]);
    pod
}
