//! Who has a lane, in which order: the store, its deployments, every process of the cluster, clients, and last who
//! only looks on.

use crate::story::Story;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lane {
    pub name: String,
    pub kind: &'static str,
    /// Evidence of a broken promise names it, or one of its operations.
    pub named: bool,
}

/// The kind of lanes that the page hides until they are asked for.
pub const LOOKER_ON: &str = "looker-on";

pub struct Lanes {
    pub all: Vec<Lane>,
    by_name: BTreeMap<String, usize>,
}

impl Lanes {
    pub fn of(story: &Story) -> Self {
        let mut lanes = Lanes { all: vec![], by_name: BTreeMap::new() };
        let evidence: Vec<String> = super::work::evidence(story).collect();
        let mut add = |name: &str, kind: &'static str| {
            if lanes.by_name.contains_key(name) {
                return;
            }
            let named = evidence.iter().any(|line| names(line, name));
            lanes.by_name.insert(name.to_string(), lanes.all.len());
            lanes.all.push(Lane { name: name.to_string(), kind, named });
        };
        if !story.writes.is_empty() {
            add("store", "store");
        }
        for key in deployments(story) {
            add(&key, "deployment");
        }
        for name in story.processes() {
            add(&name, kind_of(&name));
        }
        let others: BTreeSet<&str> = story.events.iter().map(|event| event.process.as_str()).collect();
        for name in others {
            add(name, kind_of(name));
        }
        for client in story.wishes.iter().map(|wish| &wish.client) {
            add(client, "client");
        }
        lanes
    }

    pub fn get(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

/// `deployment default/web` for each that there ever was, in the order of names.
fn deployments(story: &Story) -> BTreeSet<String> {
    let keys = story.writes.iter().map(|write| write.event.kv.key.as_str());
    keys.filter_map(deployment).collect()
}

/// The lane of a deployment by its key in the store.
pub fn deployment(key: &str) -> Option<String> {
    key.strip_prefix("/registry/deployments/").map(|name| format!("deployment {name}"))
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit_once('-').map_or(name, |(kind, _)| kind) {
        "member" => "member",
        "apiserver" => "apiserver",
        "manager" => "manager",
        "scheduler" => "scheduler",
        "node" => "node",
        "client" | "user" | "operator" | "watcher" => "client",
        _ => LOOKER_ON,
    }
}

/// A line names `member-1`, but not with `member-10`; of `deployment default/web` it is enough to say
/// `deployment web`.
fn names(line: &str, name: &str) -> bool {
    let short = name.split_once('/').map(|(_, short)| format!("deployment {short}"));
    let name = short.as_deref().unwrap_or(name);
    line.match_indices(name).any(|(at, found)| {
        let part_of_name = |c: char| c.is_alphanumeric() || c == '-' || c == '.';
        let before = line[..at].chars().next_back().is_some_and(part_of_name);
        let after = line[at + found.len()..].chars().next().is_some_and(|c| c.is_alphanumeric() || c == '-');
        !before && !after
    }) && name != "store"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_names_whole_names() {
        assert!(names("client-1: get load/2", "client-1"));
        assert!(!names("client-10: get load/2", "client-1"));
        assert!(!names("app-4-7758c46796 has pods", "app-4"));
        assert!(names("deployment app-4 shrinks a set", "deployment default/app-4"));
        assert!(!names("deployment app-41 shrinks a set", "deployment default/app-4"));
        assert!(!names("the store said so", "store"), "evidence speaks of the store all the time");
    }
}
