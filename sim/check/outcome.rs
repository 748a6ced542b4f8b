//! What a run came to: caches against the store, rest, quiet, expectations, and the twin without harm.

use super::{Verdict, objects::resource_of};
use crate::history::{Event, Nanos, seconds};
use crate::scenario::Expect;
use base::Note;
use serde_json::Value;
use std::collections::BTreeMap;

/// What each cache says it holds at a revision, against the store at that revision.
pub fn caches(notes: &[(Nanos, String, Note)], log: &BTreeMap<i64, Vec<Event>>) -> Verdict {
    let mut claims: Vec<(i64, &str, &str, u64, u64)> = vec![];
    for (_, process, note) in notes {
        if let Note::Cache { resource, revision, objects, hash, .. } = note {
            claims.push((*revision, process, resource, *objects, *hash));
        }
    }
    claims.sort_unstable();
    let mut held: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let mut log = log.iter().peekable();
    let (mut last, mut count) = (1, 0);
    for (revision, process, resource, objects, hash) in claims {
        while let Some((next, events)) = log.next_if(|(next, _)| **next <= revision) {
            if *next != last + 1 {
                // history with holes proves nothing about what is there
                return Verdict::Idle;
            }
            last = *next;
            events.iter().for_each(|event| take(&mut held, event));
        }
        let plural = resource.trim_end_matches('?');
        if revision > last || plural.contains('?') || revision == 0 {
            continue;
        }
        count += 1;
        let empty = BTreeMap::new();
        let there = held.get(plural).unwrap_or(&empty);
        if there.len() as u64 != objects {
            let text = format!(
                "{process}: at revision {revision} its cache of {plural} holds {objects} objects, the store {}",
                there.len()
            );
            return Verdict::Broken(vec![text]);
        }
        // only an informer's own hash is over what the store has; a watch cache names its keys in its own way
        if resource.ends_with('?') && base::note::versions_hash(there) != hash {
            let text = format!(
                "{process}: at revision {revision} its cache of {plural} holds other versions than the store"
            );
            return Verdict::Broken(vec![text]);
        }
    }
    if count == 0 { Verdict::Idle } else { Verdict::Held(format!("{count} looks at caches")) }
}

fn take(held: &mut BTreeMap<String, BTreeMap<String, u64>>, event: &Event) {
    let Some(resource) = resource_of(&event.kv.key) else { return };
    let name = event.kv.key["/registry/".len() + resource.len()..].trim_start_matches('/').to_string();
    let of_kind = held.entry(resource.to_string()).or_default();
    if event.delete {
        of_kind.remove(&name);
    } else {
        of_kind.insert(name, event.kv.modified as u64);
    }
}

/// Writes while nothing changes. Leases are renewed and Events age; a node may post its status once in a while.
pub fn quiet(writes: &BTreeMap<String, u64>) -> Verdict {
    let excused = ["/registry/leases/", "/registry/events/", "compact_rev_key", "load/"];
    let needless: Vec<String> = writes
        .iter()
        .filter(|(key, _)| !excused.iter().any(|prefix| key.starts_with(prefix)))
        .filter(|(key, count)| !key.starts_with("/registry/nodes/") || **count > 2)
        .map(|(key, count)| format!("{key}: {count} writes while nothing changed"))
        .collect();
    if needless.is_empty() { Verdict::Held("no needless write".into()) } else { Verdict::Broken(needless) }
}

/// A process that ended by itself, unless a disk that failed excuses it; a panic is never excused.
pub fn deaths(
    panic: Option<&str>,
    deaths: &[(Nanos, String, String)],
    excused: &dyn Fn(&str) -> bool,
) -> Verdict {
    if let Some(panic) = panic {
        return Verdict::Broken(vec![panic.to_string()]);
    }
    match deaths.iter().find(|(_, name, _)| !excused(name)) {
        Some((at, name, why)) => {
            Verdict::Broken(vec![format!("{name} ended by itself at {}: {why}", seconds(*at))])
        }
        None => Verdict::Held(format!("{} ends by failing disks", deaths.len())),
    }
}

pub fn settles(settled: Option<Nanos>, unsettled: Option<&str>, limit: Nanos) -> Verdict {
    match (settled, unsettled) {
        (Some(after), _) => Verdict::Held(format!("after {}", seconds(after))),
        (None, reason) => {
            let reason = reason.unwrap_or("it never came to rest").to_string();
            Verdict::Broken(vec![format!("not at rest {} after the heal", seconds(limit)), reason])
        }
    }
}

pub fn expected(expect: &[Expect], deployments: &[Value], reached: &BTreeMap<String, u64>) -> Verdict {
    let find = |wanted: &str| deployments.iter().find(|d| d["metadata"]["name"] == wanted);
    for one in expect {
        let wrong = match one {
            Expect::Reached(mark) => {
                (!reached.contains_key(mark)).then(|| format!("`{mark}` was never reached"))
            }
            Expect::Absent { deployment } => {
                find(deployment).map(|_| format!("deployment {deployment} is still there"))
            }
            Expect::Deployment { name, ready, image } => match find(name) {
                None => Some(format!("there is no deployment {name}")),
                Some(found) => {
                    let is_ready = found["status"]["readyReplicas"].as_u64().unwrap_or(0);
                    let is_image =
                        found["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or("");
                    match (ready, image) {
                        (Some(ready), _) if *ready != is_ready => {
                            Some(format!("deployment {name} has {is_ready} ready replicas, expected {ready}"))
                        }
                        (_, Some(image)) if image != is_image => {
                            Some(format!("deployment {name} runs {is_image}, expected {image}"))
                        }
                        _ => None,
                    }
                }
            },
        };
        if let Some(wrong) = wrong {
            return Verdict::Broken(vec![wrong]);
        }
    }
    if expect.is_empty() { Verdict::Idle } else { Verdict::Held(format!("{} expectations", expect.len())) }
}

/// The final objects against those of the same seed without harm.
pub fn twin(ours: &[String], theirs: &[String]) -> Verdict {
    let missing =
        theirs.iter().filter(|line| !ours.contains(line)).map(|line| format!("without harm: {line}"));
    let extra = ours.iter().filter(|line| !theirs.contains(line)).map(|line| format!("with harm:    {line}"));
    let differences: Vec<String> = missing.chain(extra).collect();
    match differences.is_empty() {
        true if theirs.is_empty() => Verdict::Idle,
        true => Verdict::Held(format!("{} objects", theirs.len())),
        false => Verdict::Broken(differences),
    }
}
