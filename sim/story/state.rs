//! What is known of a process at an event of the record: all it had said of itself by then, what had been done to
//! it, and what its operations had come to. Folded from the beginning, so that any event can be asked about.

use super::{Happening, Story};
use crate::history::{Nanos, Outcome, seconds};
use crate::scenario::units::say_size;
use base::Note;
use std::collections::BTreeMap;

/// What a process held when it held more than it may.
const OUT_OF_MEMORY: &str = "out of memory";

/// Aspects of a process by name, in words.
pub type Known = BTreeMap<String, String>;

/// Everything known of a process when event number `event` had happened.
pub fn known(story: &Story, process: &str, event: usize) -> Known {
    let mut known = Known::new();
    let Some(now) = story.events.get(event).map(|event| event.at) else { return known };
    known.insert("process".into(), "up".into());
    let mut clock = 0.0;
    for happening in story.events[..=event].iter().filter(|happening| happening.process == process) {
        fate(happening, &mut known, &mut clock);
        if let Some(note) = story.notes.get(&happening.number) {
            say(note, &mut known);
        }
    }
    operation(story, process, now, &mut known);
    known
}

/// What is done to a process from outside.
fn fate(happening: &Happening, known: &mut Known, clock: &mut f64) {
    let process = match happening.kind.as_str() {
        "kill" if happening.detail == "Power" => "down: its machine has no power",
        "kill" if known.contains_key(OUT_OF_MEMORY) => "down: it was out of memory",
        "kill" => "down: it crashed",
        "exit" => "down: it ended by itself",
        "pause" => "paused",
        "restart" | "resume" => "up",
        "holds" => {
            if let Some((part, bytes)) = happening.detail.split_once(": ") {
                let bytes = bytes.parse().unwrap_or(0);
                known.insert(format!("memory of {part}"), format!("about {}", say_size(bytes)));
            }
            return;
        }
        "out of memory" => return drop(known.insert(OUT_OF_MEMORY.into(), happening.detail.clone())),
        "memory" => {
            let limit = happening.detail.parse().map_or("none".into(), say_size);
            return drop(known.insert("limit of memory".into(), limit));
        }
        "clock step" => {
            *clock += happening.detail.parse::<f64>().unwrap_or(0.0) / 1e9;
            known.insert("clock".into(), format!("{clock:+.3} s from where it began"));
            return;
        }
        _ => return,
    };
    if happening.kind == "kill" || happening.kind == "exit" {
        // what a process knows dies with it
        known.retain(|aspect, _| {
            aspect == "clock" || aspect == "limit of memory" || aspect.starts_with("container ")
        });
    }
    known.insert("process".into(), process.into());
}

/// What a process says of itself.
fn say(note: &Note, known: &mut Known) {
    let mut set = |aspect: &str, text: String| {
        known.insert(aspect.to_string(), text);
    };
    match note {
        Note::MemberStarted { term, last, applied, .. } => {
            set("raft", format!("follower in term {}", term.0));
            set("log", format!("up to {}", last.0));
            set("applied", format!("up to {}", applied.0));
        }
        Note::Leader { term, .. } => set("raft", format!("leader of term {}", term.0)),
        Note::Deposed { term, .. } => set("raft", format!("follower in term {}", term.0)),
        Note::Appended { first, entries, .. } => {
            let last = first.0 + entries.len() as u64;
            let term = entries.last().map_or(String::new(), |(term, _)| format!(", of term {}", term.0));
            set("log", format!("up to {}{term}", last.saturating_sub(1)));
        }
        Note::Configured { index, voters, outgoing, .. } => {
            let list =
                |half: &[base::MemberId]| half.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let left = match outgoing.is_empty() {
                true => String::new(),
                false => format!(", and of {} as well", list(outgoing)),
            };
            set("members", format!("a quorum of {}{left}, by entry {}", list(voters), index.0));
        }
        Note::Received { index, .. } => set("log", format!("up to {} (a snapshot that came)", index.0)),
        Note::Synced { last, .. } => set("on disk", format!("up to {}", last.0)),
        Note::Committed { index, .. } => set("committed", format!("up to {}", index.0)),
        Note::Applied { index, revision, hash, .. } => {
            set("applied", format!("up to {}", index.0));
            set("store", format!("revision {}, state {hash:016x}", revision.0));
        }
        Note::Restored { index, revision, hash, .. } => {
            set("applied", format!("up to {} (a snapshot)", index.0));
            set("store", format!("revision {}, state {hash:016x}", revision.0));
        }
        Note::Acknowledged { index, .. } => set("acknowledged", format!("up to {}", index.0)),
        Note::LeaseEnded { lease, expired, .. } => {
            let how = if *expired { "its time was up" } else { "revoked" };
            set("last lease to end", format!("{lease:x}: {how}"));
        }
        Note::Elected { lock, held, .. } => {
            set(&format!("lock {lock}"), if *held { "held" } else { "not held" }.to_string());
        }
        Note::FencedWrite { what, .. } | Note::Write { what } => set("last write", what.clone()),
        Note::Container { namespace, pod, running, .. } => {
            let aspect = format!("container {namespace}/{pod}");
            set(&aspect, if *running { "runs" } else { "ended" }.to_string());
        }
        Note::Cache { resource, revision, objects, .. } => {
            let resource = resource.strip_suffix('?').unwrap_or(resource);
            set(&format!("cache of {resource}"), format!("{objects} objects at revision {revision}"));
        }
        Note::Evicting { node, silent, nodes } => {
            set("evicts", format!("the pods of {node}, when {silent} of {nodes} nodes are silent"));
        }
        Note::HeardAgain => set("nodes", "heard of again, after all were silent".into()),
        Note::LastFinalizer { object, .. } => set("frees", format!("{object}, of its last finalizer")),
        Note::Worked { queue, key, failed, waiting } => {
            let how = if *failed { "in vain" } else { "done" };
            set(&format!("queue {queue}"), format!("{key} {how}, {waiting} more"));
        }
        Note::Said { text } => set("said", text.clone()),
        Note::Compacted { revision, .. } => set("compacted", format!("up to revision {}", revision.0)),
        Note::Repaired { what, .. } => set("repaired", what.clone()),
    }
}

/// The operation a client is at, or its last one.
fn operation(story: &Story, process: &str, now: Nanos, known: &mut Known) {
    let own =
        story.operations.iter().filter(|operation| operation.client == process && operation.call <= now);
    for operation in own {
        let said = match operation.ret <= now {
            true => operation.to_string(),
            false => format!("{}, called at {}, no answer yet", operation.request, seconds(operation.call)),
        };
        known.insert("operation".into(), said);
        if let Outcome::Done(answer) = &operation.outcome
            && operation.ret <= now
        {
            known.insert("knows of".into(), format!("revision {}", answer.revision));
        }
    }
    for wish in story.wishes.iter().filter(|wish| wish.client == process && wish.call <= now) {
        let said = match (&wish.outcome, wish.ret <= now) {
            (_, false) => "no answer yet".to_string(),
            (Ok(()), _) => format!("granted at {}", seconds(wish.ret)),
            (Err(why), _) => format!("refused at {}: {why}", seconds(wish.ret)),
        };
        known.insert("wish".into(), format!("{}, {said}", wish.what));
    }
}

/// Objects of the store whose keys contain `part`, as the observer knew them: key to (revision, value).
pub fn objects<'a>(story: &'a Story, part: &str, event: usize) -> BTreeMap<&'a str, (i64, &'a str)> {
    let now = story.events.get(event).map_or(0, |event| event.at);
    let mut objects = BTreeMap::new();
    for write in story.writes.iter().filter(|write| write.at <= now && write.event.kv.key.contains(part)) {
        let kv = &write.event.kv;
        match write.event.delete {
            true => objects.remove(kv.key.as_str()),
            false => objects.insert(kv.key.as_str(), (kv.modified, kv.value.as_str())),
        };
    }
    objects
}

/// What differs between two states, a line an aspect.
pub fn difference(before: &Known, after: &Known) -> Vec<String> {
    let aspects: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let line = |aspect: &&String| match (before.get(*aspect), after.get(*aspect)) {
        (was, is) if was == is => None,
        (Some(was), Some(is)) => Some(format!("{aspect}: {was} -> {is}")),
        (None, Some(is)) => Some(format!("{aspect}: {is}")),
        (Some(was), None) => Some(format!("{aspect}: {was} -> not known any more")),
        (None, None) => None,
    };
    aspects.iter().filter_map(line).collect()
}
