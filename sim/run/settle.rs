//! Has the system come to rest? If not, the reason: who waits for whom, which object differs.

use super::{cluster::peer_url, wishes::Wishes};
use crate::history::{Text, seen::Seen, seen::State};
use crate::plan::Plan;
use crate::scenario::{Process, Role};
use crate::workload::users;
use etcd::{Client, pb};
use serde_json::Value;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// Asks each member for itself.
pub struct Judge {
    plan: Plan,
    seen: Seen,
    wishes: Wishes,
    /// By their numbers, all that are members or may be.
    members: Vec<(u64, Client)>,
    all: Client,
}

impl Judge {
    pub fn new(plan: &Plan, seen: &Seen, stores: &[SocketAddr]) -> Self {
        let mut knobs = plan.knobs();
        knobs.client_timeout_ms = 2_000;
        let client = |stores: Vec<SocketAddr>| users::root(stores, &knobs, plan.has_users());
        let members = plan.cluster.all_members().map(|process| process.number);
        let members = members.zip(stores.iter().map(|store| client(vec![*store]))).collect();
        let (plan, seen, all) = (plan.clone(), seen.clone(), client(stores.to_vec()));
        Judge { plan, seen, wishes: Wishes::default(), members, all }
    }

    /// None when the system is at rest.
    pub async fn unsettled(&mut self) -> Option<String> {
        if let Some(reason) = self.store().await {
            return Some(reason);
        }
        let of_kube = self.plan.has_kube().then(|| self.wishes.open(&mut self.seen.lock(), &self.plan));
        of_kube.flatten()
    }

    async fn store(&self) -> Option<String> {
        let mut applied = BTreeMap::new();
        let members = match self.present().await {
            Ok(members) => members,
            Err(status) => return Some(format!("the store does not list its members: {}", status.message())),
        };
        for (name, client) in &members {
            match client.status(pb::StatusRequest {}).await {
                Err(status) => return Some(format!("{name} does not answer: {}", status.message())),
                Ok(status) if status.leader == 0 => return Some(format!("{name} knows no leader")),
                Ok(status) if status.is_learner => return Some(format!("{name} does not know of its vote")),
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

    /// Those that are members now. Where nobody changes them, those are the ones that founded the store.
    async fn present(&self) -> Result<Vec<(String, Client)>, tonic::Status> {
        let name = |number: &u64| Process { role: Role::Member, number: *number }.to_string();
        let all = self.members.iter();
        if self.plan.operators.is_empty() {
            let founders = all.take(self.plan.cluster.members as usize);
            return Ok(founders.map(|(number, client)| (name(number), client.clone())).collect());
        }
        let list = self.all.member_list(pb::MemberListRequest { linearizable: true }).await?;
        // a learner answers no questions about its keys
        let voters = list.members.iter().filter(|member| !member.is_learner);
        let urls: Vec<&String> = voters.flat_map(|member| &member.peer_urls).collect();
        let present = all.filter(|(number, _)| urls.contains(&&peer_url(*number)));
        Ok(present.map(|(number, client)| (name(number), client.clone())).collect())
    }

    /// The store's revision now.
    pub async fn revision(&self) -> Result<i64, tonic::Status> {
        let request = pb::RangeRequest { count_only: true, ..pb::RangeRequest::of_key("load/") };
        let response = self.all.range(request).await?;
        Ok(response.header.map_or(0, |header| header.revision))
    }

    /// Each member's hash of all keys at one revision. Only hashes over the same kept history can be compared: when
    /// a compaction comes between, all are asked again, for what they hold now. One that was compacted is remembered by
    /// those only that were there.
    pub async fn hashes(&self) -> Result<BTreeMap<String, u32>, String> {
        for attempt in 0..5 {
            let revision = if attempt % 2 == 0 { patiently(|| self.revision()).await? } else { 0 };
            let answers = self.answers(revision).await?;
            let mut of = answers.values().map(|answer| (answer.compact_revision, answer.hash_revision));
            let first = of.next();
            if of.all(|other| Some(other) == first) {
                return Ok(answers.into_iter().map(|(name, answer)| (name, answer.hash)).collect());
            }
            rt::sleep(Duration::from_millis(500)).await;
        }
        Err("members never were at one revision, with the same history, when they were asked".into())
    }

    async fn answers(&self, revision: i64) -> Result<BTreeMap<String, pb::HashKvResponse>, String> {
        let mut answers = BTreeMap::new();
        for (name, client) in patiently(|| self.present()).await? {
            let answer = patiently(|| client.hash_kv(pb::HashKvRequest { revision })).await;
            answers.insert(name.clone(), answer.map_err(|error| format!("{name}: {error}"))?);
        }
        Ok(answers)
    }
}

/// Asks until there is an answer, for ten seconds: a member may not have applied the revision yet, and a network
/// that loses packets may take one of a question and then one of the new connection's, which costs three.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, tonic::Status>>,
{
    let limit = rt::now() + Duration::from_secs(10);
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(status) if rt::now() >= limit => return Err(status.message().to_string()),
            Err(_) => rt::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Objects of a resource (`pods`, `deployments`) as the observer knows them.
pub fn live_of(state: &State, resource: &str) -> Vec<Value> {
    let prefix = format!("/registry/{resource}/");
    let objects =
        state.live.range(Text::from(prefix.as_str())..).take_while(|(key, _)| key.starts_with(&prefix));
    objects.filter_map(|(_, (_, value))| serde_json::from_str(value).ok()).collect()
}

pub fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

/// How long the system must stay settled before it counts, and is then watched for needless work.
pub fn calm(plan: &Plan) -> Duration {
    if plan.has_kube() { Duration::from_secs(10) } else { Duration::from_secs(2) }
}
