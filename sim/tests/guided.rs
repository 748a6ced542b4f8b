//! A guided sweep is a function of its first seed, and what a variation of it breaks is shown again by one command.
#![cfg(madsim)]

use std::path::Path;
use std::process::Command;

fn tank(words: &str) -> (Option<i32>, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tank stands in the workspace");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tank"));
    let output = command.current_dir(root).args(words.split(' ')).output().expect("the tank can be run");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Scenario, seed and digest of each run, in order.
fn runs(words: &str) -> Vec<(String, u64, String)> {
    let (code, said) = tank(words);
    assert_eq!(code, Some(0), "{said}");
    let run = |line: &str| {
        let ran: serde_json::Value = serde_json::from_str(line).expect("a run");
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_string();
        (text(&ran["scenario"]), ran["seed"].as_u64().expect("a seed"), text(&ran["outcome"]["Ok"]["digest"]))
    };
    said.lines().map(run).collect()
}

#[test]
fn what_is_tried_does_not_hang_on_how_many_run_at_once() {
    let one = runs("sweep kv-swarm --guided --seeds 1..24 --json --jobs 1");
    assert_eq!(one, runs("sweep kv-swarm --guided --seeds 1..24 --json --jobs 3"));
    assert_eq!(one.len(), 24);
    let varied =
        one.iter().filter(|(scenario, ..)| scenario.starts_with("target/guided/kv-swarm-1-")).count();
    assert_eq!(varied, 8, "half of all but the first round");
    assert_ne!(one, runs("sweep kv-swarm --guided --seeds 2..25 --json --jobs 3"));
}

#[test]
fn a_variation_that_breaks_a_promise_breaks_it_again() {
    let (code, said) = tank("sweep kv-swarm --guided --seeds 1..32 --bug R18 --json");
    assert_eq!(code, Some(1), "{said}");
    let broke = said.lines().filter(|line| line.contains("{\"Broken\":")).find_map(|line| {
        let ran: serde_json::Value = serde_json::from_str(line).expect("a run");
        ran["scenario"].as_str().filter(|name| name.starts_with("target/guided/")).map(str::to_string)
    });
    let (code, shown) = tank(&format!("replay {} --bug R18", broke.expect("a variation broke a promise")));
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("  ✗ linearizable") && shown.contains("the same record"), "{shown}");
}
