//! What the store's history says of pods and deployments over time, of its revisions, and how far caches lag.

use super::lanes::{self, Lanes};
use crate::history::Nanos;
use crate::story::{Story, Write};
use base::Note;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A pod on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pod {
    pub lane: usize,
    pub name: String,
    pub from: Nanos,
    pub to: Nanos,
    /// Spans in which it was ready.
    pub ready: Vec<(Nanos, Nanos)>,
}

fn new(write: &Write) -> Option<Value> {
    if write.event.delete { None } else { serde_json::from_str(&write.event.kv.value).ok() }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
        && pod["metadata"]["deletionTimestamp"].is_null()
}

fn has_ended(pod: &Value) -> bool {
    pod["status"]["phase"] == "Succeeded" || pod["status"]["phase"] == "Failed"
}

pub fn pods(story: &Story, lanes: &Lanes) -> Vec<Pod> {
    const PODS: &str = "/registry/pods/";
    let mut open: BTreeMap<&str, Pod> = BTreeMap::new();
    let mut pods = vec![];
    for write in &story.writes {
        let key = write.event.kv.key.as_str();
        let Some(name) = key.strip_prefix(PODS) else { continue };
        let now = new(write);
        let lane = now.as_ref().and_then(|pod| lanes.get(pod["spec"]["nodeName"].as_str()?));
        let (Some(now), Some(lane)) = (now.filter(|pod| !has_ended(pod)), lane) else {
            pods.extend(open.remove(key).map(|pod| closed(pod, write.at)));
            continue;
        };
        let (name, at) = (name.to_string(), write.at);
        let pod = open.entry(key).or_insert(Pod { lane, name, from: at, to: at, ready: vec![] });
        let was = pod.ready.last().is_some_and(|span| span.1 == Nanos::MAX);
        match (was, is_ready(&now)) {
            (false, true) => pod.ready.push((at, Nanos::MAX)),
            (true, false) => pod.ready.last_mut().into_iter().for_each(|span| span.1 = at),
            _ => {}
        }
    }
    pods.extend(open.into_values().map(|pod| closed(pod, story.end())));
    pods.sort_by_key(|pod| (pod.lane, pod.from));
    pods
}

fn closed(mut pod: Pod, at: Nanos) -> Pod {
    pod.to = at;
    pod.ready.iter_mut().for_each(|span| span.1 = span.1.min(at));
    pod
}

/// A node has so many pods from now on, and so many of them are ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Population {
    pub lane: usize,
    pub at: Nanos,
    pub bound: i64,
    pub ready: i64,
}

pub fn populations(pods: &[Pod]) -> Vec<Population> {
    let mut changes: BTreeMap<(usize, Nanos), (i64, i64)> = BTreeMap::new();
    for pod in pods {
        changes.entry((pod.lane, pod.from)).or_default().0 += 1;
        changes.entry((pod.lane, pod.to)).or_default().0 -= 1;
        for (from, to) in &pod.ready {
            changes.entry((pod.lane, *from)).or_default().1 += 1;
            changes.entry((pod.lane, *to)).or_default().1 -= 1;
        }
    }
    let (mut of, mut bound, mut ready) = (usize::MAX, 0, 0);
    let step = |((lane, at), (more, more_ready)): ((usize, Nanos), (i64, i64))| {
        if of != lane {
            (of, bound, ready) = (lane, 0, 0);
        }
        bound += more;
        ready += more_ready;
        Population { lane, at, bound, ready }
    };
    changes.into_iter().map(step).collect()
}

/// A deployment from now on: pods wanted, asked for by its sets, there, and available; and the bounds of its newest
/// spec. A controller may still act on an older one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rollout {
    pub lane: usize,
    pub at: Nanos,
    pub wanted: i64,
    pub asked: i64,
    pub there: i64,
    pub available: i64,
    /// Available by the status of its sets, which is what its controller goes by.
    pub said: i64,
    pub least: i64,
    pub most: i64,
}

/// A ReplicaSet was asked for another number of pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scaling {
    pub lane: usize,
    pub at: Nanos,
    pub set: String,
    pub from: i64,
    pub to: i64,
}

/// A ReplicaSet: its uid and its deployment's, the pods it was asked for, and those it says are available.
struct Set {
    uid: String,
    owner: String,
    replicas: i64,
    said: i64,
}

/// Objects as the store has them, as far as deployments need them.
#[derive(Default)]
struct Objects {
    /// By uid: its lane, and its newest spec.
    deployments: BTreeMap<String, (usize, Value)>,
    sets: BTreeMap<String, Set>,
    /// By key: the set's uid, and whether it is ready.
    pods: BTreeMap<String, (String, bool)>,
}

pub fn rollouts(story: &Story, lanes: &Lanes) -> (Vec<Rollout>, Vec<Scaling>) {
    let mut objects = Objects::default();
    let (mut rollouts, mut scalings): (Vec<Rollout>, Vec<Scaling>) = (vec![], vec![]);
    let mut last: BTreeMap<usize, Rollout> = BTreeMap::new();
    for write in &story.writes {
        let Some(touched) = objects.take(write, lanes, &mut scalings) else { continue };
        let Some(now) = objects.rollout(&touched, write.at) else { continue };
        if last.get(&now.lane).is_none_or(|last| Rollout { at: now.at, ..last.clone() } != now) {
            last.insert(now.lane, now.clone());
            rollouts.push(now);
        }
    }
    rollouts.sort_by_key(|rollout| (rollout.lane, rollout.at));
    scalings.sort_by_key(|scaling| (scaling.lane, scaling.at));
    (rollouts, scalings)
}

impl Objects {
    /// Takes one write in; gives the uid of the deployment it belongs to.
    fn take(&mut self, write: &Write, lanes: &Lanes, scalings: &mut Vec<Scaling>) -> Option<String> {
        let key = &write.event.kv.key;
        let resource = key.strip_prefix("/registry/")?.split('/').next()?;
        let now = new(write);
        match (resource, now) {
            ("deployments", Some(now)) => {
                let (uid, lane) = (uid(&now), lanes.get(&lanes::deployment(key)?)?);
                self.deployments.insert(uid.clone(), (lane, now));
                Some(uid)
            }
            ("replicasets", Some(now)) => {
                let (owner, to) = (owner(&now)?, now["spec"]["replicas"].as_i64().unwrap_or(1));
                let said = now["status"]["availableReplicas"].as_i64().unwrap_or(0);
                let set = Set { uid: uid(&now), owner: owner.clone(), replicas: to, said };
                let from = self.sets.insert(key.to_string(), set).map_or(0, |before| before.replicas);
                if let Some((lane, _)) = self.deployments.get(&owner).filter(|_| from != to) {
                    let name = key.rsplit('/').next().unwrap_or_default();
                    let hash = name.rsplit('-').next().unwrap_or(name).to_string();
                    scalings.push(Scaling { lane: *lane, at: write.at, set: hash, from, to });
                }
                Some(owner)
            }
            ("replicasets", None) => self.sets.remove(key.as_str()).map(|set| set.owner),
            ("pods", Some(now)) if !has_ended(&now) => {
                let set = owner(&now)?;
                self.pods.insert(key.to_string(), (set.clone(), is_ready(&now)));
                self.deployment_of(&set)
            }
            ("pods", _) => self.pods.remove(key.as_str()).and_then(|(set, _)| self.deployment_of(&set)),
            _ => None,
        }
    }

    fn deployment_of(&self, set: &str) -> Option<String> {
        self.sets.values().find(|one| one.uid == set).map(|one| one.owner.clone())
    }

    fn rollout(&self, deployment: &str, at: Nanos) -> Option<Rollout> {
        let (lane, spec) = self.deployments.get(deployment)?;
        let (wanted, least, most) = bounds(spec);
        let sets: Vec<_> = self.sets.values().filter(|set| set.owner == deployment).collect();
        let pods = || self.pods.values().filter(|(set, _)| sets.iter().any(|one| one.uid == *set));
        Some(Rollout {
            lane: *lane,
            at,
            wanted,
            least,
            most,
            asked: sets.iter().map(|set| set.replicas).sum(),
            said: sets.iter().map(|set| set.said).sum(),
            there: pods().count() as i64,
            available: pods().filter(|(_, ready)| *ready).count() as i64,
        })
    }
}

fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().unwrap_or_default().to_string()
}

fn owner(object: &Value) -> Option<String> {
    object["metadata"]["ownerReferences"][0]["uid"].as_str().map(str::to_string)
}

/// Wanted, least available, most in all.
fn bounds(deployment: &Value) -> (i64, i64, i64) {
    let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    let strategy = &deployment["spec"]["strategy"];
    if strategy["type"] == "Recreate" {
        return (wanted, 0, wanted);
    }
    let share = |value: &Value, up: bool| match value.as_i64() {
        Some(number) => number,
        None => {
            let percent = value.as_str().and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok());
            let hundredths = percent.unwrap_or(25) * wanted;
            if up { (hundredths + 99) / 100 } else { hundredths / 100 }
        }
    };
    let surge = share(&strategy["rollingUpdate"]["maxSurge"], true);
    let mut unavailable = share(&strategy["rollingUpdate"]["maxUnavailable"], false);
    if surge == 0 && unavailable == 0 {
        unavailable = 1; // upstream does so: both zero would stop every rollout
    }
    (wanted, (wanted - unavailable).max(0), wanted + surge)
}

/// A change of the store: when, its revision, and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written(pub Nanos, pub i64, pub String);

pub fn writes(story: &Story) -> Vec<Written> {
    /// Objects are long; `step` shows them whole.
    const LONGEST: usize = 60;
    let written = |write: &Write| {
        let kv = &write.event.kv;
        let text = match write.event.delete {
            true => format!("delete {}", kv.key),
            false if kv.value.len() <= LONGEST => format!("put {} = {}", kv.key, kv.value),
            false => format!("put {}, {} bytes", kv.key, kv.value.len()),
        };
        Written(write.at, kv.modified, text)
    };
    story.writes.iter().map(written).collect()
}

/// A watch cache or informer is so many changes of its resource behind what the observer has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lag {
    pub lane: usize,
    pub at: Nanos,
    pub resource: String,
    pub behind: usize,
}

pub fn lags(story: &Story, lanes: &Lanes) -> Vec<Lag> {
    let mut changes: BTreeMap<&str, Vec<(Nanos, i64)>> = BTreeMap::new();
    for write in &story.writes {
        let resource = write.event.kv.key.strip_prefix("/registry/").and_then(|key| key.split('/').next());
        let Some(resource) = resource else { continue };
        changes.entry(resource).or_default().push((write.at, write.event.kv.modified));
    }
    let lag = |(number, note): (&u64, &Note)| {
        let Note::Cache { resource, revision, .. } = note else { return None };
        let event = story.events.get(*number as usize)?;
        let resource = resource.strip_suffix('?').unwrap_or(resource);
        // of a cache with a selector nothing is found: what it lacks may not be its own
        let seen = changes.get(resource)?;
        let until = seen.partition_point(|(at, _)| *at <= event.at);
        let behind = seen[..until].iter().rev().take_while(|(_, modified)| modified > revision).count();
        let lane = lanes.get(&event.process)?;
        (behind > 0).then(|| Lag { lane, at: event.at, resource: resource.to_string(), behind })
    };
    story.notes.iter().filter_map(lag).collect()
}
