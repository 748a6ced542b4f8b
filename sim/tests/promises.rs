//! Every promise has failed for a bug that it should catch, and fails for it still: no check is a check before that.
#![cfg(madsim)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tank::check::promises::PROMISES;

/// A promise, a bug that breaks it, and a scenario in which it does.
type Break = (&'static str, &'static str, &'static str);

const STORE: &[Break] = &[
    ("one leader a term", "R19", "kv-swarm"),
    ("votes are on disk before they count", "R08", "elections-swarm"),
    ("log matching", "S20", "disks-swarm"),
    ("leader completeness", "R03", "elections-swarm"),
    ("committed stays committed", "UNMATCHED", "kv-swarm"),
    ("commit and revision never go back", "BACK", "kv-swarm"),
    ("equal state at equal index", "M01", "kv-swarm"),
    ("acknowledged is on a quorum of disks", "S01", "kv-swarm"),
    ("what is damaged is never served", "S20", "disks-swarm"),
    ("linearizable", "T07", "kv-swarm"),
    ("watch: ordered", "W05", "kv-swarm"),
    ("watch: unique", "AGAIN", "kv-swarm"),
    ("watch: atomic", "ATOMIC", "kv-swarm"),
    ("watch: reliable", "LATE", "kv-swarm"),
    ("watch: resumable", "W04", "kv-swarm"),
    ("watch: bookmark", "W03", "kv-swarm"),
    ("watch: filtered", "FILTER", "kv-swarm"),
    ("watch: previous value", "PREV", "kv-swarm"),
    ("watch: compacted only when gone", "GONE", "kv-swarm"),
    ("lease: not before its time", "L01", "kv-swarm"),
    ("lease: not never", "L03", "leases-swarm"),
    ("users do no more than they may", "T05", "users-swarm"),
    ("users do no less than they may", "EDGE", "users-swarm"),
    ("a lock has one holder", "L08", "locks-swarm"),
    ("what frees space is let through", "T06", "users-swarm"),
    ("no process dies by itself", "S02", "kv-swarm"),
    ("settles", "R24", "kv-swarm"),
];

const CLUSTER: &[Break] = &[
    ("API watch: no gap after a list", "A06", "swarm"),
    ("resourceVersion never goes back", "A01", "swarm"),
    ("a pod is bound once", "BOUND", "swarm"),
    ("phases only go forward", "K06", "pod-pending-after-a-reboot"),
    ("no node over its allocatable", "K02", "more-pods-than-room"),
    ("surge", "C01-expired", "creation-that-nobody-saw"),
    ("unavailable", "P03", "swarm"),
];

const WORKLOADS: &[Break] = &[
    ("a Job counts each pod once", "J01", "indexed-job-under-crashes"),
    ("no index runs again", "INDEX", "indexed-job-under-crashes"),
    ("parallelism", "J02", "indexed-job-under-crashes"),
    ("finalizers are honoured", "FINALIZER", "views-swarm"),
    ("owners", "G05", "namesake-after-a-gap"),
    ("no write by one that lost its lock", "E01", "swarm"),
    ("no mass eviction", "N01", "nodes-swarm"),
    ("caches equal the store", "A11", "swarm"),
    ("no hot loop", "HOT", "swarm"),
    ("as expected", "N01", "all-nodes-fall-silent"),
    ("twin run", "LIMIT", "sweep-as-a-job"),
];

/// So many seeds are tried in the order that a sweep tries them.
const MOST: u64 = 120;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tank stands in the workspace").to_path_buf()
}

/// What this run said of the promise.
fn breaks(promise: &str, bug: &str, scenario: &str, seed: u64) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tank"));
    command.current_dir(root()).args(["run", scenario, "--bug", bug, "--json", "--seed", &seed.to_string()]);
    command.args((promise != "twin run").then_some("--no-twin"));
    let output = command.output().expect("the tank can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    let said = said.lines().last().unwrap_or_default();
    let said: serde_json::Value = serde_json::from_str(said).unwrap_or_else(|why| panic!("{why}: {said}"));
    let findings = said["findings"].as_array().expect("findings");
    findings.iter().any(|found| found["promise"] == promise && found["verdict"].get("Broken").is_some())
}

fn are_broken(by: &[Break]) {
    let holds =
        |(promise, bug, scenario): &&Break| !(1..=MOST).any(|seed| breaks(promise, bug, scenario, seed));
    let held: Vec<&Break> = by.iter().filter(holds).collect();
    assert!(held.is_empty(), "not broken by {MOST} seeds: {held:?}");
}

#[test]
fn each_promise_of_the_store_is_broken_by_its_bug() {
    are_broken(STORE);
}

#[test]
fn each_promise_of_the_cluster_is_broken_by_its_bug() {
    are_broken(CLUSTER);
}

#[test]
fn each_promise_of_workloads_is_broken_by_its_bug() {
    are_broken(WORKLOADS);
}

#[test]
fn no_promise_is_without_a_bug() {
    let all: BTreeSet<&str> = PROMISES.iter().map(|promise| promise.name).collect();
    let broken: Vec<&str> =
        STORE.iter().chain(CLUSTER).chain(WORKLOADS).map(|(promise, ..)| *promise).collect();
    assert_eq!(broken.len(), all.len(), "each once");
    assert_eq!(broken.into_iter().collect::<BTreeSet<_>>(), all);
}
