//! Surge and unavailability of deployments, step by step. A controller may act on a spec that is older than the
//! newest, but never on one older than it has said it observed; the bounds are those of any spec in between.

use super::objects::{Look, Step, is_active, number, owner, text, uid, within};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
struct Bounds {
    generation: i64,
    replicas: i64,
    most: i64,
    least: i64,
}

/// The specs of a deployment, or the sizes of a ReplicaSet, that its controller may still act on.
#[derive(Default)]
struct Specs(BTreeMap<String, Vec<Bounds>>);

impl Specs {
    fn take(&mut self, object: &Value) {
        let uid = text(object, &["metadata", "uid"]);
        let specs = self.0.entry(uid.to_string()).or_default();
        let bounds = bounds(object);
        if specs.last().is_none_or(|last| last.generation != bounds.generation) {
            specs.push(bounds);
        }
        let observed = number(object, &["status", "observedGeneration"]);
        let first = specs.iter().rposition(|spec| spec.generation <= observed).unwrap_or(0);
        specs.drain(..first);
    }

    fn forget(&mut self, object: &Value) {
        self.0.remove(text(object, &["metadata", "uid"]));
    }

    fn most(&self, uid: &str) -> Option<i64> {
        self.0.get(uid)?.iter().map(|spec| spec.most).max()
    }

    fn least(&self, uid: &str) -> Option<i64> {
        self.0.get(uid)?.iter().map(|spec| spec.least).min()
    }

    fn replicas(&self, uid: &str) -> Option<i64> {
        self.0.get(uid)?.iter().map(|spec| spec.replicas).max()
    }
}

fn bounds(object: &Value) -> Bounds {
    let generation = number(object, &["metadata", "generation"]);
    let replicas = object["spec"]["replicas"].as_i64().unwrap_or(1);
    let rolling = &object["spec"]["strategy"]["rollingUpdate"];
    let recreate = object["spec"]["strategy"]["type"] == "Recreate";
    let surge = if recreate { 0 } else { share(&rolling["maxSurge"], replicas, true) };
    let mut unavailable =
        if recreate { replicas } else { share(&rolling["maxUnavailable"], replicas, false) };
    if surge == 0 && unavailable == 0 {
        unavailable = 1; // both zero after rounding would stop every rollout
    }
    Bounds { generation, replicas, most: replicas + surge, least: replicas - unavailable.min(replicas) }
}

/// A number, or a percentage of the replicas: rounded up for surge, down for unavailability.
fn share(value: &Value, replicas: i64, up: bool) -> i64 {
    if let Some(number) = value.as_i64() {
        return number;
    }
    let percent = value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|n| n.parse::<i64>().ok());
    let hundredths = percent.unwrap_or(25) * replicas;
    if up { (hundredths + 99) / 100 } else { hundredths / 100 }
}

/// A rollout never asks for more than replicas + maxSurge, and a ReplicaSet never makes more than it is asked for.
#[derive(Default)]
pub struct Surge {
    deployments: Specs,
    sets: Specs,
    looked_at: u64,
    /// Revisions right behind a change of the active manager: what the one before it asked for may still arrive.
    excused: Vec<(i64, i64)>,
}

impl Look for Surge {
    fn step(&mut self, step: &Step<'_>) -> Result<(), Vec<String>> {
        let Some(new) = step.new else { return Ok(()) };
        match step.resource {
            "deployments" => self.deployments.take(new),
            "replicasets" => {
                self.sets.take(new);
                return self.asked(step, new);
            }
            "pods" if step.old.is_none() => return self.made(step, new),
            _ => {}
        }
        Ok(())
    }

    fn looked_at(&self) -> (u64, &'static str) {
        (self.looked_at, "steps of scaling")
    }
}

impl Surge {
    pub fn excusing(excused: Vec<(i64, i64)>) -> Self {
        Surge { excused, ..Surge::default() }
    }

    fn asked(&mut self, step: &Step<'_>, new: &Value) -> Result<(), Vec<String>> {
        let wants = number(new, &["spec", "replicas"]);
        let wanted = step.old.map_or(0, |old| number(old, &["spec", "replicas"]));
        let Some((deployment, name)) = owner(new).filter(|_| wants > wanted) else { return Ok(()) };
        let Some(most) = self.deployments.most(deployment) else { return Ok(()) };
        if within(&self.excused, step.revision) {
            return Ok(());
        }
        self.looked_at += 1;
        let others = step.all.owned("replicasets", deployment).filter(|(key, _)| *key != step.key);
        let total = wants + others.map(|(_, set)| number(set, &["spec", "replicas"])).sum::<i64>();
        if total > most {
            return Err(vec![format!("deployment {name} asks for {total} pods in all; its bound is {most}")]);
        }
        Ok(())
    }

    fn made(&mut self, step: &Step<'_>, new: &Value) -> Result<(), Vec<String>> {
        let Some((set, name)) = owner(new) else { return Ok(()) };
        let Some(wanted) = self.sets.replicas(set) else { return Ok(()) };
        if within(&self.excused, step.revision) {
            base::reached!("tank: a pod was made right behind a change of the active manager");
            return Ok(());
        }
        self.looked_at += 1;
        let active = step.all.owned("pods", set).filter(|(_, pod)| is_active(pod)).count() as i64 + 1;
        if active > wanted {
            return Err(vec![format!("ReplicaSet {name} now has {active} pods; it was asked for {wanted}")]);
        }
        Ok(())
    }
}

/// A rollout never takes away pods that it needs to stay above replicas - maxUnavailable.
#[derive(Default)]
pub struct Unavailable {
    deployments: Specs,
    looked_at: u64,
    /// Changes of objects so far. What else is written to the store takes revisions and says nothing of how late a
    /// controller may be.
    now: u64,
    /// When each pod was last seen ready.
    ready: BTreeMap<String, u64>,
    /// Since when each pod has been ready without a break.
    since: BTreeMap<String, u64>,
}

/// What a deployment wrote on a set as the size it was scaling to.
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// Changes after which a controller must have seen that a pod is no longer ready.
const RECENT: u64 = 50;
/// And that one has become ready: the swarm has shown a status that told so 40 changes late.
const NEWS: u64 = 60;

impl Look for Unavailable {
    fn step(&mut self, step: &Step<'_>) -> Result<(), Vec<String>> {
        self.now += 1;
        match (step.resource, step.new) {
            ("deployments", Some(new)) if !goes_with_its_pods(new) => self.deployments.take(new),
            // none of its pods is to stay: a controller that does not know yet may take one more away
            ("deployments", _) => step.old.into_iter().for_each(|old| self.deployments.forget(old)),
            ("pods", Some(new)) => {
                let was_ready = step.old.is_some_and(crate::run::settle::is_ready);
                let is_ready = crate::run::settle::is_ready(new);
                if was_ready || is_ready {
                    self.ready.insert(step.key.to_string(), self.now);
                }
                if !is_ready {
                    self.since.remove(step.key);
                } else if !was_ready {
                    self.since.insert(step.key.to_string(), self.now);
                }
            }
            ("pods", None) => {
                self.ready.insert(step.key.to_string(), self.now);
            }
            ("replicasets", Some(new)) => return self.asked(step, new),
            _ => {}
        }
        Ok(())
    }

    fn looked_at(&self) -> (u64, &'static str) {
        (self.looked_at, "steps of scaling down")
    }
}

/// Whether it was deleted, and what it owns with it.
fn goes_with_its_pods(deployment: &Value) -> bool {
    let metadata = &deployment["metadata"];
    let stays = |finalizers: &Vec<Value>| finalizers.iter().any(|finalizer| finalizer == "orphan");
    metadata["deletionTimestamp"].is_string() && !metadata["finalizers"].as_array().is_some_and(stays)
}

impl Unavailable {
    fn asked(&mut self, step: &Step<'_>, new: &Value) -> Result<(), Vec<String>> {
        let wants = number(new, &["spec", "replicas"]);
        let wanted = step.old.map_or(0, |old| number(old, &["spec", "replicas"]));
        let Some((deployment, name)) = owner(new).filter(|_| wants < wanted) else { return Ok(()) };
        let Some(least) = self.deployments.least(deployment) else { return Ok(()) };
        // when the deployment itself is scaled, its sets shrink in proportion, available or not
        let desired = |set: &Value| text(set, &["metadata", "annotations", DESIRED]).to_string();
        if step.old.is_some_and(|old| desired(old) != desired(new)) {
            return Ok(());
        }
        self.looked_at += 1;
        // of each set, the ready pods that are left when it has shrunk to its size; unready ones go first
        let ready = |set: &Value, counts: &dyn Fn(&str, &Value) -> bool| {
            let all = step.all.owned("pods", uid(set));
            all.filter(|(key, pod)| is_active(pod) && counts(key, pod)).count() as i64
        };
        let sum = |counts: &dyn Fn(&str, &Value) -> bool, size: &dyn Fn(&str, &Value) -> i64| -> i64 {
            step.all
                .owned("replicasets", deployment)
                .map(|(key, set)| ready(set, counts).min(size(key, set)))
                .sum()
        };
        let lately = |key: &str| self.ready.get(key).is_some_and(|seen| self.now - seen < RECENT);
        let long = |key: &str| self.since.get(key).is_some_and(|since| self.now - since >= NEWS);
        // Taking away pods that are not ready makes nothing worse, seen by any eyes: a controller behind a bad
        // link may not know yet that a pod has become ready, nor that another no longer is.
        let before = sum(&|key, _| long(key), &|_, set| number(set, &["spec", "replicas"]));
        let after = sum(&|key, pod| crate::run::settle::is_ready(pod) || lately(key), &|key, set| {
            if key == step.key { wants } else { number(set, &["spec", "replicas"]) }
        });
        if after < least && after < before {
            let text = format!(
                "deployment {name} shrinks a set from {wanted} to {wants}: {after} of at least {least} pods stay available"
            );
            return Err(vec![text]);
        }
        Ok(())
    }
}
