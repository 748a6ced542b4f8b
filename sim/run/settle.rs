//! Has the system come to rest? If not, the reason: who waits for whom, which object differs.

use crate::check::objects::{is_active, is_finished, owner};
use crate::history::seen::{Seen, State};
use crate::plan::Plan;
use crate::scenario::Role;
use etcd::{Client, pb};
use serde_json::Value;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// Asks each member for itself.
pub struct Judge {
    plan: Plan,
    seen: Seen,
    members: Vec<(String, Client)>,
    all: Client,
}

impl Judge {
    pub fn new(plan: &Plan, seen: &Seen, stores: &[SocketAddr]) -> Self {
        let mut knobs = plan.knobs();
        knobs.client_timeout_ms = 2_000;
        let client = |stores: Vec<SocketAddr>| Client::new(stores, &knobs);
        let members = plan.cluster.processes(Role::Member).map(|process| process.to_string());
        let members = members.zip(stores.iter().map(|store| client(vec![*store]))).collect();
        Judge { plan: plan.clone(), seen: seen.clone(), members, all: client(stores.to_vec()) }
    }

    /// None when the system is at rest.
    pub async fn unsettled(&self) -> Option<String> {
        if let Some(reason) = self.store().await {
            return Some(reason);
        }
        if self.plan.has_kube() { objects(&self.seen, &self.plan) } else { None }
    }

    async fn store(&self) -> Option<String> {
        let mut applied = BTreeMap::new();
        for (name, client) in &self.members {
            match client.status(pb::StatusRequest {}).await {
                Err(status) => return Some(format!("{name} does not answer: {}", status.message())),
                Ok(status) if status.leader == 0 => return Some(format!("{name} knows no leader")),
                Ok(status) => applied.insert(name.as_str(), status.raft_applied_index),
            };
        }
        let revision = match self.revision().await {
            Ok(revision) => revision,
            Err(status) => return Some(format!("the store does not answer a read: {}", status.message())),
        };
        let observed = self.seen.lock().observed;
        if observed < revision {
            return Some(format!("the observer has seen revision {observed} of {revision}"));
        }
        let (least, most) = (applied.values().min().copied()?, applied.values().max().copied()?);
        if most - least > 50 {
            let behind = applied.iter().find(|(_, index)| **index == least).map_or("?", |(name, _)| name);
            return Some(format!("{behind} has applied {least} entries, others {most}"));
        }
        None
    }

    /// The store's revision now.
    pub async fn revision(&self) -> Result<i64, tonic::Status> {
        let request = pb::RangeRequest { count_only: true, ..pb::RangeRequest::of_key("load/") };
        let response = self.all.range(request).await?;
        Ok(response.header.map_or(0, |header| header.revision))
    }

    /// Each member's hash of all keys at one revision. Only hashes over the same kept history can be compared: when
    /// a compaction comes between, all are asked again.
    pub async fn hashes(&self) -> Result<BTreeMap<String, u32>, String> {
        for _ in 0..5 {
            let answers = self.answers().await?;
            let mut compacted = answers.values().map(|answer| answer.compact_revision);
            let first = compacted.next();
            if compacted.all(|other| Some(other) == first) {
                return Ok(answers.into_iter().map(|(name, answer)| (name, answer.hash)).collect());
            }
            rt::sleep(Duration::from_millis(500)).await;
        }
        Err("members never had compacted up to the same revision when they were asked".into())
    }

    async fn answers(&self) -> Result<BTreeMap<String, pb::HashKvResponse>, String> {
        let failed = |status: tonic::Status| status.message().to_string();
        let revision = self.revision().await.map_err(failed)?;
        let mut answers = BTreeMap::new();
        for (name, client) in &self.members {
            let answer =
                hash(client, revision).await.map_err(|status| format!("{name}: {}", failed(status)))?;
            answers.insert(name.clone(), answer);
        }
        Ok(answers)
    }
}

/// A member that has not applied the revision yet is given the time to.
async fn hash(client: &Client, revision: i64) -> Result<pb::HashKvResponse, tonic::Status> {
    let limit = rt::now() + Duration::from_secs(5);
    loop {
        match client.hash_kv(pb::HashKvRequest { revision }).await {
            Ok(response) => return Ok(response),
            Err(status) if status.code() != tonic::Code::OutOfRange || rt::now() >= limit => {
                return Err(status);
            }
            Err(_) => rt::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Objects of a resource (`pods`, `deployments`) as the observer knows them.
pub fn live(seen: &Seen, resource: &str) -> Vec<Value> {
    live_of(&seen.lock(), resource)
}

pub fn live_of(state: &State, resource: &str) -> Vec<Value> {
    let prefix = format!("/registry/{resource}/");
    let objects = state.live.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
    objects.filter_map(|(_, (_, value))| serde_json::from_str(value).ok()).collect()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or("?")
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Every deployment complete, every pod ready, nothing on its way out, every node ready.
fn objects(seen: &Seen, plan: &Plan) -> Option<String> {
    if let Some((user, wish)) = seen.lock().busy.first_key_value() {
        return Some(format!("{user} still waits to {wish}"));
    }
    for deployment in live(seen, "deployments") {
        let (spec, status) = (&deployment["spec"], &deployment["status"]);
        let wanted = number(&spec["replicas"]);
        let name = name(&deployment);
        if !deployment["metadata"]["deletionTimestamp"].is_null() {
            return Some(format!("deployment {name} is still being deleted"));
        }
        if number(&status["observedGeneration"]) < number(&deployment["metadata"]["generation"]) {
            return Some(format!("deployment {name}: its controller has not seen the newest spec"));
        }
        let told = ["replicas", "updatedReplicas", "availableReplicas"];
        if let Some(field) = told.iter().find(|field| number(&status[**field]) != wanted) {
            return Some(format!(
                "deployment {name}: {field} is {}, wanted {wanted}",
                number(&status[*field])
            ));
        }
    }
    for pod in live(seen, "pods") {
        let name = name(&pod);
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            return Some(format!("pod {name} is still being deleted"));
        }
        if is_finished(&pod) {
            continue; // refused by its node, say: it stays as it is, and another takes its place
        }
        if pod["spec"]["nodeName"].as_str().unwrap_or("").is_empty() {
            return Some(format!("pod {name} has no node"));
        }
        if !is_ready(&pod) {
            let phase = pod["status"]["phase"].as_str().unwrap_or("unknown");
            return Some(format!("pod {name} is not ready ({phase})"));
        }
    }
    if let Some(reason) = sets(seen).or_else(|| orphan(seen)) {
        return Some(reason);
    }
    let nodes = live(seen, "nodes");
    if (nodes.len() as u64) < plan.cluster.nodes {
        return Some(format!("{} of {} nodes are registered", nodes.len(), plan.cluster.nodes));
    }
    nodes.iter().find(|node| !is_ready(node)).map(|node| format!("node {} is not ready", name(node)))
}

/// Every ReplicaSet has as many pods as it wants, whatever its status says: its controller may not have seen all.
fn sets(seen: &Seen) -> Option<String> {
    let mut pods = live(seen, "pods");
    pods.retain(is_active);
    let wrong = |set: &Value| {
        let uid = set["metadata"]["uid"].as_str()?;
        let owned =
            pods.iter().filter(|pod| owner(pod).is_some_and(|(owner, _)| owner == uid)).count() as i64;
        let wanted = number(&set["spec"]["replicas"]);
        (owned != wanted).then(|| format!("ReplicaSet {} has {owned} pods, wanted {wanted}", name(set)))
    };
    live(seen, "replicasets").iter().find_map(wrong)
}

/// A dependent whose owner is gone is the garbage collector's to delete.
fn orphan(seen: &Seen) -> Option<String> {
    let (deployments, sets, pods) =
        (live(seen, "deployments"), live(seen, "replicasets"), live(seen, "pods"));
    let owners: Vec<&str> =
        deployments.iter().chain(&sets).filter_map(|object| object["metadata"]["uid"].as_str()).collect();
    let waits = |object: &&Value| owner(object).is_some_and(|(uid, _)| !owners.contains(&uid));
    let (kind, orphan) = sets
        .iter()
        .map(|set| ("ReplicaSet", set))
        .chain(pods.iter().map(|pod| ("pod", pod)))
        .find(|(_, object)| waits(object))?;
    Some(format!("{kind} {} waits for the garbage collector: its owner is gone", name(orphan)))
}

pub fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

/// How long the system must stay settled before it counts, and is then watched for needless work.
pub fn calm(plan: &Plan) -> Duration {
    if plan.has_kube() { Duration::from_secs(10) } else { Duration::from_secs(2) }
}
