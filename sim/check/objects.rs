//! What the store's own history says of pods, nodes, deployments, owners and finalizers: every write is one step,
//! and each promise is looked at after every step.

use super::{Verdict, inventory::Inventory};
use crate::history::{Event, Nanos, seconds};
use base::Note;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One write of one object.
pub struct Step<'a> {
    pub revision: i64,
    pub resource: &'a str,
    pub key: &'a str,
    pub old: Option<&'a Value>,
    pub new: Option<&'a Value>,
    /// All objects as they were before it.
    pub all: &'a Inventory,
}

/// Judges every step of a history; stops at the first complaint.
pub trait Look {
    fn step(&mut self, step: &Step<'_>) -> Result<(), Vec<String>>;
    fn looked_at(&self) -> (u64, &'static str);
    /// Called when all steps are done.
    fn end(&mut self, _all: &Inventory) -> Result<(), Vec<String>> {
        Ok(())
    }
}

/// Runs several looks over one history. `times`: when each revision was seen.
pub fn judge(
    log: &BTreeMap<i64, Vec<Event>>,
    times: &BTreeMap<i64, Nanos>,
    looks: &mut [Box<dyn Look>],
) -> Vec<Verdict> {
    let mut all = Inventory::default();
    let mut broken: Vec<Option<Vec<String>>> = looks.iter().map(|_| None).collect();
    for (revision, events) in log {
        for event in events {
            let Some(resource) = resource_of(&event.kv.key) else { continue };
            let new: Option<Value> =
                if event.delete { None } else { serde_json::from_str(&event.kv.value).ok() };
            let step = Step {
                revision: *revision,
                resource,
                key: &event.kv.key,
                old: all.get(&event.kv.key),
                new: new.as_ref(),
                all: &all,
            };
            for (look, broken) in looks.iter_mut().zip(&mut broken).filter(|(_, broken)| broken.is_none()) {
                if let Err(evidence) = look.step(&step) {
                    let at =
                        times.get(revision).map_or(String::new(), |at| format!(", seen at {}", seconds(*at)));
                    let place = format!("revision {revision}{at}: {}", event.kv.key);
                    *broken = Some([vec![place], evidence].concat());
                }
            }
            all.set(&event.kv.key, new);
        }
    }
    let verdicts = looks.iter_mut().zip(broken).map(|(look, broken)| {
        if let Some(evidence) = broken.or_else(|| look.end(&all).err()) {
            return Verdict::Broken(evidence);
        }
        match look.looked_at() {
            (0, _) => Verdict::Idle,
            (count, what) => Verdict::Held(format!("{count} {what}")),
        }
    });
    verdicts.collect()
}

/// `pods` of `/registry/pods/default/web-0`.
pub fn resource_of(key: &str) -> Option<&str> {
    key.strip_prefix("/registry/")?.split('/').next()
}

pub fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    path.iter().fold(object, |value, part| &value[*part]).as_str().unwrap_or("")
}

pub fn number(object: &Value, path: &[&str]) -> i64 {
    path.iter().fold(object, |value, part| &value[*part]).as_i64().unwrap_or(0)
}

pub fn uid(object: &Value) -> &str {
    text(object, &["metadata", "uid"])
}

fn same(old: Option<&Value>, new: Option<&Value>) -> bool {
    matches!((old, new), (Some(old), Some(new)) if uid(old) == uid(new))
}

/// It was asked to go.
pub fn is_leaving(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// Whether a revision lies in one of these spans.
pub fn within(spans: &[(i64, i64)], revision: i64) -> bool {
    spans.iter().any(|(from, to)| (*from..=*to).contains(&revision))
}

pub fn is_finished(pod: &Value) -> bool {
    matches!(text(pod, &["status", "phase"]), "Succeeded" | "Failed")
}

/// Active: counts towards what its ReplicaSet wants.
pub fn is_active(pod: &Value) -> bool {
    !is_finished(pod) && !is_leaving(pod)
}

pub fn owner(object: &Value) -> Option<(&str, &str)> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some((owner["uid"].as_str()?, owner["name"].as_str()?))
}

/// Once a pod is assigned to a node, it stays there until it ends.
#[derive(Default)]
pub struct BoundOnce(u64);

impl Look for BoundOnce {
    fn step(&mut self, step: &Step<'_>) -> Result<(), Vec<String>> {
        if step.resource != "pods" || !same(step.old, step.new) {
            return Ok(());
        }
        let (Some(old), Some(new)) = (step.old, step.new) else { return Ok(()) };
        let (was, is) = (text(old, &["spec", "nodeName"]), text(new, &["spec", "nodeName"]));
        self.0 += u64::from(was.is_empty() && !is.is_empty());
        if was.is_empty() || was == is {
            Ok(())
        } else {
            Err(vec![format!("bound to {was}, then to `{is}`")])
        }
    }

    fn looked_at(&self) -> (u64, &'static str) {
        (self.0, "bindings")
    }
}

/// A pod that has ended never runs again.
#[derive(Default)]
pub struct Phases(u64);

impl Look for Phases {
    fn step(&mut self, step: &Step<'_>) -> Result<(), Vec<String>> {
        if step.resource != "pods" || !same(step.old, step.new) {
            return Ok(());
        }
        let (Some(old), Some(new)) = (step.old, step.new) else { return Ok(()) };
        let (was, is) = (text(old, &["status", "phase"]), text(new, &["status", "phase"]));
        self.0 += u64::from(was != is);
        let rank = |phase: &str| match phase {
            "Pending" | "" => 0,
            "Running" => 1,
            _ => 2,
        };
        if rank(is) < rank(was) { Err(vec![format!("{was}, then {is}")]) } else { Ok(()) }
    }

    fn looked_at(&self) -> (u64, &'static str) {
        (self.0, "changes of phase")
    }
}

/// An object goes only when its finalizers are empty, or when an update takes the last of them.
#[derive(Default)]
pub struct Finalizers {
    looked_at: u64,
    /// By key, the revision each object was last written at.
    written: BTreeMap<String, i64>,
    /// Objects that an update freed, by key and the revision it was made from.
    freed: BTreeSet<(String, i64)>,
}

impl Finalizers {
    pub fn freeing(notes: &[(Nanos, String, Note)]) -> Self {
        let freed = notes.iter().filter_map(|(_, _, note)| match note {
            Note::LastFinalizer { object, revision } => Some((format!("/registry/{object}"), *revision)),
            _ => None,
        });
        Finalizers { freed: freed.collect(), ..Finalizers::default() }
    }
}

impl Look for Finalizers {
    fn step(&mut self, step: &Step<'_>) -> Result<(), Vec<String>> {
        if step.new.is_some() {
            self.written.insert(step.key.to_string(), step.revision);
            return Ok(());
        }
        let (Some(old), Some(written)) = (step.old, self.written.remove(step.key)) else { return Ok(()) };
        self.looked_at += 1;
        let left = old["metadata"]["finalizers"].as_array().map_or(0, Vec::len);
        let freed = self.freed.contains(&(step.key.to_string(), written));
        if left == 0 || freed {
            base::reached!("tank: an object went with its last finalizer", freed && left > 0);
            Ok(())
        } else {
            Err(vec![format!("removed with finalizers {}", old["metadata"]["finalizers"])])
        }
    }

    fn looked_at(&self) -> (u64, &'static str) {
        (self.looked_at, "removals")
    }
}

/// Nothing is deleted whose owner lives and wants it; nothing stays whose owner is gone.
#[derive(Default)]
pub struct Owners {
    looked_at: u64,
    /// False when the run never settled: orphans are then no surprise.
    settled: bool,
}

impl Owners {
    pub fn of(settled: bool) -> Self {
        Owners { settled, ..Owners::default() }
    }
}

impl Look for Owners {
    fn step(&mut self, step: &Step<'_>) -> Result<(), Vec<String>> {
        if step.resource != "replicasets" {
            return Ok(());
        }
        let Some(old) = step.old.filter(|old| !is_leaving(old)) else {
            return Ok(());
        };
        let leaves = step.new.is_none_or(is_leaving);
        let (true, Some((owner, name))) = (leaves, owner(old)) else { return Ok(()) };
        self.looked_at += 1;
        let mut owners = step.all.of_uid(owner);
        let alive = owners.any(|other| !is_leaving(other));
        let wanted = number(old, &["spec", "replicas"]);
        if alive && wanted > 0 {
            return Err(vec![format!(
                "deleted with {wanted} replicas wanted, though its owner {name} lives"
            )]);
        }
        Ok(())
    }

    fn end(&mut self, all: &Inventory) -> Result<(), Vec<String>> {
        if !self.settled {
            return Ok(());
        }
        for (key, object) in all.all() {
            let Some((owner, name)) = owner(object) else { continue };
            self.looked_at += 1;
            if all.of_uid(owner).next().is_none() {
                return Err(vec![format!("{key} is left over: its owner {name} ({owner}) is gone")]);
            }
        }
        Ok(())
    }

    fn looked_at(&self) -> (u64, &'static str) {
        (self.looked_at, "dependents")
    }
}

/// The sum of the requests of a node's pods never exceeds what is allocatable.
#[derive(Default)]
pub struct Capacity(u64);

impl Look for Capacity {
    fn step(&mut self, step: &Step<'_>) -> Result<(), Vec<String>> {
        let Some(new) = step.new.filter(|_| step.resource == "pods") else { return Ok(()) };
        let node = text(new, &["spec", "nodeName"]);
        let was = step.old.map_or("", |old| text(old, &["spec", "nodeName"]));
        if node.is_empty() || node == was {
            return Ok(());
        }
        let Some(there) = step.all.get(&format!("/registry/nodes/{node}")) else { return Ok(()) };
        self.0 += 1;
        let others = step.all.on_node(node).filter(|(key, pod)| *key != step.key && !is_finished(pod));
        let others: Vec<&Value> = others.map(|(_, pod)| pod).collect();
        let allocatable = &there["status"]["allocatable"];
        for resource in ["cpu", "memory"] {
            let Some(limit) = allocatable[resource].as_str().and_then(milli) else { continue };
            let asked: i128 = others.iter().copied().chain([new]).map(|pod| requests(pod, resource)).sum();
            if asked > limit {
                return Err(vec![format!("{node} is given {asked} of {limit} thousandths of {resource}")]);
            }
        }
        let limit = allocatable["pods"].as_str().and_then(milli).map_or(i128::MAX, |limit| limit / 1_000);
        if others.len() as i128 + 1 > limit {
            return Err(vec![format!("{node} is given {} of {limit} pods", others.len() + 1)]);
        }
        Ok(())
    }

    fn looked_at(&self) -> (u64, &'static str) {
        (self.0, "bindings")
    }
}

fn requests(pod: &Value, resource: &str) -> i128 {
    let containers = pod["spec"]["containers"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    containers.iter().filter_map(|c| quantity(&c["resources"]["requests"][resource])).sum()
}

fn quantity(value: &Value) -> Option<i128> {
    value.as_str().and_then(milli).or_else(|| value.as_i64().map(|n| i128::from(n) * 1_000))
}

/// A quantity in thousandths.
pub fn milli(text: &str) -> Option<i128> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale: i128 = match &text[digits.len()..] {
        "m" => 1,
        "" => 1_000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "Ki" => 1_000 << 10,
        "Mi" => 1_000 << 20,
        "Gi" => 1_000 << 30,
        _ => return None,
    };
    digits.parse::<i128>().ok().map(|number| number * scale)
}
