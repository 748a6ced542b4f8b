//! What is wished for in the cluster's objects and is not so yet. Every deployment and Job complete, every pod ready,
//! nothing on its way out, every node ready: then there is nothing.

use super::settle::is_ready;
use crate::check::inventory::Inventory;
use crate::check::job;
use crate::check::objects::{is_active, is_finished, is_leaving, number, owner, resource_of, text, uid};
use crate::history::{Nanos, Text, seen::State};
use crate::nemesis::now;
use crate::plan::Plan;
use serde_json::Value;
use std::collections::BTreeSet;

/// The objects as the observer knew them at the last look: a value is read only when it has changed.
#[derive(Default)]
pub struct Wishes {
    all: Inventory,
    /// What was said at the last look, if nothing has changed since that counts.
    said: Option<Option<String>>,
}

/// What nobody wishes for and nothing else belongs to; of these there are the most, and they change the most.
const OF_NO_INTEREST: [&str; 2] = ["events", "leases"];

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or("?")
}

impl Wishes {
    /// One that is still open, in words.
    pub fn open(&mut self, state: &mut State, plan: &Plan) -> Option<String> {
        if let Some((user, wish)) = state.busy.first_key_value() {
            return Some(format!("{user} still waits to {wish}"));
        }
        self.look(state);
        if self.said.is_none() {
            self.said = Some(self.say(plan));
        }
        self.said.clone().flatten().or_else(|| overdue(state, now(), plan.knobs().node_lease_ms))
    }

    fn say(&self, plan: &Plan) -> Option<String> {
        let deployments = || self.all.of_resource("deployments").find_map(|(_, object)| deployment(object));
        let pods = || self.all.of_resource("pods").find_map(|(_, object)| pod(object));
        let homeless = || self.all.of_resource("pods").find_map(|(_, object)| fits_nowhere(object));
        let sets = || self.all.of_resource("replicasets").find_map(|(_, set)| self.set(set));
        let jobs = || job::at_work(&self.all);
        let all = homeless().or_else(deployments).or_else(jobs).or_else(pods).or_else(sets);
        all.or_else(|| self.orphan()).or_else(|| self.nodes(plan))
    }

    /// Takes in what has changed since the last look; at the first, everything there is.
    fn look(&mut self, state: &mut State) {
        let first = || state.live.keys().cloned().collect();
        for key in state.changed.take().unwrap_or_else(first) {
            if resource_of(&key).is_none_or(|resource| OF_NO_INTEREST.contains(&resource)) {
                continue;
            }
            let value = state.live.get(&key).and_then(|(_, value)| serde_json::from_str(value).ok());
            self.all.set(&key, value);
            self.said = None;
        }
        state.changed = Some(BTreeSet::new());
    }

    /// A ReplicaSet has as many pods as it wants, whatever its status says: its controller may not have seen all.
    fn set(&self, set: &Value) -> Option<String> {
        let owned = self.all.owned("pods", uid(set));
        let owned = owned.filter(|(_, pod)| is_active(pod)).count() as i64;
        let wanted = number(set, &["spec", "replicas"]);
        (owned != wanted).then(|| format!("ReplicaSet {} has {owned} pods, wanted {wanted}", name(set)))
    }

    /// A dependent whose owner is gone is the garbage collector's to delete.
    fn orphan(&self) -> Option<String> {
        let waits =
            |object: &&Value| owner(object).is_some_and(|(uid, _)| self.all.of_uid(uid).next().is_none());
        let find = |resource| self.all.of_resource(resource).map(|(_, object)| object).find(waits);
        let (kind, orphan) = find("replicasets")
            .map(|set| ("ReplicaSet", set))
            .or_else(|| find("pods").map(|pod| ("pod", pod)))?;
        Some(format!("{kind} {} waits for the garbage collector: its owner is gone", name(orphan)))
    }

    fn nodes(&self, plan: &Plan) -> Option<String> {
        let count = self.all.of_resource("nodes").count() as u64;
        if count < plan.cluster.nodes {
            return Some(format!("{count} of {} nodes are registered", plan.cluster.nodes));
        }
        let mut nodes = self.all.of_resource("nodes").map(|(_, node)| node);
        nodes.find(|node| !is_ready(node)).map(|node| format!("node {} is not ready", name(node)))
    }
}

/// A node that does not renew its lease will be taken for a silent one before long. `every`: how often it should, in
/// milliseconds.
fn overdue(state: &State, now: Nanos, every: u64) -> Option<String> {
    const PREFIX: &str = "/registry/leases/kube-node-lease/";
    let due = now.saturating_sub(2 * every * 1_000_000);
    let leases = state.live.range(Text::from(PREFIX)..).take_while(|(key, _)| key.starts_with(PREFIX));
    let mut renewed = leases.filter_map(|(key, (revision, _))| Some((key, *state.times.get(revision)?)));
    let (key, at) = renewed.find(|(_, at)| *at < due)?;
    let seconds = (now - at) as f64 / 1e9;
    Some(format!("{} has not renewed its lease for {seconds:.1} s", &key[PREFIX.len()..]))
}

fn deployment(deployment: &Value) -> Option<String> {
    let wanted = number(deployment, &["spec", "replicas"]);
    let name = name(deployment);
    if is_leaving(deployment) {
        return Some(format!("deployment {name} is still being deleted"));
    }
    let observed = number(deployment, &["status", "observedGeneration"]);
    if observed < number(deployment, &["metadata", "generation"]) {
        return Some(format!("deployment {name}: its controller has not seen the newest spec"));
    }
    let told = ["replicas", "updatedReplicas", "availableReplicas"];
    let told = told.map(|field| (field, number(deployment, &["status", field])));
    let (field, count) = told.into_iter().find(|(_, count)| *count != wanted)?;
    Some(format!("deployment {name}: {field} is {count}, wanted {wanted}"))
}

/// The scheduler has said so: whatever else is missing, this may be why.
fn fits_nowhere(pod: &Value) -> Option<String> {
    if !text(pod, &["spec", "nodeName"]).is_empty() || is_leaving(pod) {
        return None;
    }
    let mut conditions = pod["status"]["conditions"].as_array()?.iter();
    let refused = conditions.find(|condition| condition["reason"] == "Unschedulable")?;
    let why = refused["message"].as_str().unwrap_or("no reason given");
    Some(format!("pod {} fits on no node: {why}", name(pod)))
}

fn pod(pod: &Value) -> Option<String> {
    let name = name(pod);
    if is_leaving(pod) {
        return Some(format!("pod {name} is still being deleted"));
    }
    if is_finished(pod) {
        return None; // refused by its node, say: it stays as it is, and another takes its place
    }
    if text(pod, &["spec", "nodeName"]).is_empty() {
        return Some(format!("pod {name} has no node"));
    }
    let phase = pod["status"]["phase"].as_str().unwrap_or("unknown");
    (!is_ready(pod)).then(|| format!("pod {name} is not ready ({phase})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::seen::Seen;
    use serde_json::json;

    #[test]
    fn a_pod_that_fits_nowhere_is_said_to_with_the_schedulers_reason() {
        let conditions = json!([{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/2 nodes are available: 2 Insufficient cpu." }]);
        let mut pod = json!({ "metadata": { "name": "web-1" }, "status": { "conditions": conditions } });
        let said = fits_nowhere(&pod);
        let words = "pod web-1 fits on no node: 0/2 nodes are available: 2 Insufficient cpu.";
        assert_eq!(said.as_deref(), Some(words));
        pod["spec"]["nodeName"] = "node-1".into();
        assert_eq!(fits_nowhere(&pod), None);
    }

    #[test]
    fn a_node_that_is_overdue_with_its_lease_keeps_the_cluster_from_rest() {
        const SECOND: Nanos = 1_000_000_000;
        let seen = Seen::new(1);
        let mut state = seen.lock();
        for (revision, node) in [(7, "node-1"), (9, "node-2")] {
            let key = format!("/registry/leases/kube-node-lease/{node}");
            state.live.insert(Text::from(key.as_str()), (revision, Text::from("{}")));
            state.times.insert(revision, revision as Nanos * SECOND);
        }
        assert_eq!(overdue(&state, 9 * SECOND, 1_000), None);
        let said = overdue(&state, 10 * SECOND, 1_000);
        assert_eq!(said.as_deref(), Some("node-1 has not renewed its lease for 3.0 s"));
    }
}
