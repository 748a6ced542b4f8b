//! Exact small worlds: bugs that hang on one point between two writes, or on one order of deliveries, are found by
//! walking all of them, and each is shown again by one command.
#![cfg(madsim)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tank stands in the workspace").to_path_buf()
}

fn tank(words: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tank"));
    let output = command.current_dir(root()).args(words.split(' ')).output().expect("the tank can be run");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

fn again(said: &str) -> String {
    let line = said.lines().find_map(|line| line.trim().strip_prefix("cargo tank replay "));
    format!("replay {}", line.unwrap_or_else(|| panic!("no command in\n{said}")))
}

#[test]
fn every_crash_point_of_a_manager_that_forgets_orphans_is_walked() {
    let (code, said) = tank("enumerate deletion-of-one --bug G02 --no-twin");
    assert_eq!(code, Some(1), "{said}");
    let rows = |verdict: &str| said.lines().filter(|line| line.contains(verdict)).count();
    // only who dies after the owner went and before its last dependent did leaves something behind
    assert!(said.contains("and DELETE replicasets/web-") && rows(" BROKE settles") >= 2, "{said}");
    assert!(rows(" held") > rows(" BROKE settles"), "{said}");
    assert!(said.contains("  it makes ") && said.contains(" points walked: "), "{said}");
    let (code, shown) = tank(&again(&said));
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("BROKE settles") && shown.contains("the same record"), "{shown}");
}

#[test]
fn every_order_of_three_deliveries_is_walked() {
    let (code, said) = tank("enumerate rollout-of-two --orders 3 --bug C01 --no-twin");
    assert_eq!(code, Some(1), "{said}");
    let broke: Vec<&str> = said.lines().filter(|line| line.contains(" BROKE surge")).collect();
    assert!(broke.iter().any(|line| line.contains("deployments, replicasets, replicasets")), "{said}");
    assert!(
        said.lines()
            .any(|line| line.contains("deployments, deployments, replicasets") && line.ends_with("held"))
    );
    let (code, shown) = tank(&again(&said));
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("BROKE surge") && shown.contains("the same record"), "{shown}");
}

#[test]
fn what_is_not_broken_holds_in_every_order_and_a_kubelet_may_die_at_every_point() {
    for words in ["enumerate rollout-of-two --orders 4 --no-twin", "enumerate deletion-of-one --who node-1"] {
        let (code, said) = tank(words);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(", 0 broke") && !said.contains("  0 "), "{said}");
    }
}

#[test]
fn whoever_cannot_die_or_hear_is_refused() {
    for (words, expected) in [
        ("enumerate rollout-of-two --who leader", "`leader` is not one process; expected the active manager"),
        ("enumerate rollout-of-two --who member-1", "`member-1` is no client of the API"),
        ("enumerate rollout-of-two --who node-7", "this cluster has no `node-7`"),
        ("enumerate rollout-of-two --orders 2 --of podz", "there is no kind podz; did you mean pods?"),
        ("enumerate kv-swarm", "nobody asks the API for anything here"),
    ] {
        let (code, said) = tank(words);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}
