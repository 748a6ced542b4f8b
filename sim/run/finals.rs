//! What is there at the end, in short form: what must be equal after a refactoring, and in the twin without harm.

use super::settle::is_ready;
use crate::check::job::has;
use crate::check::objects::{is_finished, number, owner, resource_of, text};
use crate::history::seen::State;
use serde_json::Value;
use std::collections::BTreeMap;

fn image(object: &Value) -> &str {
    object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or("?")
}

fn pod_image(pod: &Value) -> &str {
    pod["spec"]["containers"][0]["image"].as_str().unwrap_or("?")
}

/// One line an object, or one for pods that differ in nothing that matters.
pub fn finals(state: &State) -> Vec<String> {
    let mut lines = vec![];
    let mut pods: BTreeMap<String, u64> = BTreeMap::new();
    for (key, (_, value)) in &state.live {
        let (Some(resource), Ok(object)) = (resource_of(key), serde_json::from_str::<Value>(value)) else {
            continue;
        };
        let name = text(&object, &["metadata", "name"]);
        match resource {
            "deployments" => lines.push(format!(
                "deployment {name}: {} of {} ready, {}",
                object["status"]["readyReplicas"].as_u64().unwrap_or(0),
                object["spec"]["replicas"].as_u64().unwrap_or(1),
                image(&object)
            )),
            "jobs" => lines.push(format!(
                "job {name}: {} of {} succeeded, {}",
                number(&object, &["status", "succeeded"]),
                object["spec"]["completions"],
                if has(&object, "Complete") { "complete" } else { "not complete" }
            )),
            // a pod that has ended tells of the way, not of the end
            "pods" if !is_finished(&object) => {
                let set = owner(&object).map_or(name, |(_, set)| set);
                let group = set.rsplit_once('-').map_or(set, |(deployment, _)| deployment);
                let ready = if is_ready(&object) { "ready" } else { "not ready" };
                *pods.entry(format!("pods of {group}, {}, {ready}", pod_image(&object))).or_insert(0) += 1;
            }
            "nodes" => {
                lines.push(format!("node {name}: {}", if is_ready(&object) { "ready" } else { "not ready" }))
            }
            _ => {}
        }
    }
    lines.extend(pods.into_iter().map(|(group, count)| format!("{group}: {count}")));
    lines.sort();
    lines
}
