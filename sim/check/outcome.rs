//! What a run came to: caches against the store, rest, quiet, expectations, and the twin without harm.

use super::{Verdict, job, objects::resource_of};
use crate::history::{Event, Nanos, damage::Damage, seconds};
use crate::scenario::Expect;
use base::{Note, note::version_digest};
use serde_json::Value;
use std::collections::BTreeMap;

/// What each cache says it holds at a revision, against the store at that revision.
pub fn caches(notes: &[(Nanos, String, Note)], log: &BTreeMap<i64, Vec<Event>>) -> Verdict {
    let mut claims: Vec<Claim<'_>> = notes.iter().filter_map(|(_, _, note)| Claim::of(note)).collect();
    claims.sort_unstable();
    let mut held: BTreeMap<&str, Held<'_>> = BTreeMap::new();
    let mut log = log.iter().peekable();
    let (mut last, mut count) = (1, 0);
    for claim in claims {
        while let Some((next, events)) = log.next_if(|(next, _)| **next <= claim.revision) {
            if *next != last + 1 {
                // history with holes proves nothing about what is there
                return Verdict::Idle;
            }
            last = *next;
            events.iter().for_each(|event| take(&mut held, event));
        }
        if claim.revision > last {
            continue;
        }
        count += 1;
        if let Some(wrong) = claim.wrong(held.get(claim.resource).unwrap_or(&Held::default())) {
            return Verdict::Broken(vec![wrong]);
        }
    }
    if count == 0 { Verdict::Idle } else { Verdict::Held(format!("{count} looks at caches")) }
}

/// What one cache of a whole kind says of itself.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Claim<'a> {
    revision: i64,
    process: &'a str,
    resource: &'a str,
    objects: u64,
    hash: u64,
}

impl<'a> Claim<'a> {
    /// None for a cache that is still empty, and for one with a selector, which holds part of the kind.
    fn of(note: &'a Note) -> Option<Self> {
        let Note::Cache { process, resource, revision, objects, hash } = note else { return None };
        let resource = resource.strip_suffix('?').unwrap_or(resource);
        let whole = *revision > 0 && !resource.contains('?');
        whole.then_some(Claim { revision: *revision, process, resource, objects: *objects, hash: *hash })
    }

    fn wrong(&self, held: &Held<'_>) -> Option<String> {
        let Claim { revision, process, resource, objects, hash } = self;
        let says = format!("{process}: at revision {revision} its cache of {resource} holds");
        match held.versions.len() as u64 {
            there if there != *objects => Some(format!("{says} {objects} objects, the store {there}")),
            _ if held.hash != *hash => Some(format!("{says} other versions than the store")),
            _ => None,
        }
    }
}

/// What the store holds of one kind: the version of each object, and their hash as a cache has it.
#[derive(Default)]
struct Held<'a> {
    versions: BTreeMap<&'a str, u64>,
    hash: u64,
}

fn take<'a>(held: &mut BTreeMap<&'a str, Held<'a>>, event: &'a Event) {
    let Some(resource) = resource_of(&event.kv.key) else { return };
    let name = event.kv.key["/registry/".len() + resource.len()..].trim_start_matches('/');
    let of_kind = held.entry(resource).or_default();
    if let Some(before) = of_kind.versions.remove(name) {
        of_kind.hash ^= version_digest(name, before);
    }
    if !event.delete {
        let version = event.kv.modified as u64;
        of_kind.versions.insert(name, version);
        of_kind.hash ^= version_digest(name, version);
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
    excused: &dyn Fn(&str, &str) -> bool,
) -> Verdict {
    if let Some(panic) = panic {
        return Verdict::Broken(vec![panic.to_string()]);
    }
    match deaths.iter().find(|(_, name, why)| !excused(name, why)) {
        Some((at, name, why)) => {
            Verdict::Broken(vec![format!("{name} ended by itself at {}: {why}", seconds(*at))])
        }
        None => Verdict::Held(format!("{} ends by failing disks", deaths.len())),
    }
}

/// Files that were read though they were damaged.
pub fn damage(damage: &Damage) -> Verdict {
    match (&damage.served[..], damage.put_right, damage.ended_for.len()) {
        ([], 0, 0) => Verdict::Idle,
        ([], right, ends) => Verdict::Held(format!("{right} files put right, {ends} ends that name a file")),
        (served, ..) => Verdict::Broken(served.to_vec()),
    }
}

/// `why`: what the system was waiting for when time was up, and whatever else tells of it.
pub fn settles(settled: Option<Nanos>, why: &[String], limit: Nanos) -> Verdict {
    if let Some(after) = settled {
        return Verdict::Held(format!("after {}", seconds(after)));
    }
    let (first, rest) = why.split_first().map_or(("it never stayed at rest", &[][..]), |(a, b)| (a, b));
    let first = format!("{first}: not at rest {} after the heal", seconds(limit));
    Verdict::Broken([&[first], rest].concat())
}

pub fn expected(
    expect: &[Expect],
    deployments: &[Value],
    jobs: &[Value],
    reached: &BTreeMap<String, u64>,
) -> Verdict {
    let find = |wanted: &str| deployments.iter().find(|d| d["metadata"]["name"] == wanted);
    for one in expect {
        let wrong = match one {
            Expect::Reached(mark) => {
                (!reached.contains_key(mark)).then(|| format!("`{mark}` was never reached"))
            }
            Expect::Job { .. } => job::unexpected(one, jobs),
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
    let differences = differences(ours, theirs);
    match differences.is_empty() {
        true if theirs.is_empty() => Verdict::Idle,
        true => Verdict::Held(format!("{} objects", theirs.len())),
        false => Verdict::Broken(differences),
    }
}

/// Which objects are not as in the same seed without harm.
pub fn differences(ours: &[String], theirs: &[String]) -> Vec<String> {
    let missing =
        theirs.iter().filter(|line| !ours.contains(line)).map(|line| format!("without harm: {line}"));
    let extra = ours.iter().filter(|line| !theirs.contains(line)).map(|line| format!("with harm:    {line}"));
    missing.chain(extra).collect()
}
