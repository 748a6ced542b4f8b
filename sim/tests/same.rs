//! What no seed decides is found, with the process that did it: `same` against a planted unordered map.
#![cfg(madsim)]

use std::path::Path;
use std::process::Command;

fn same(more: &[&str]) -> (Option<i32>, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tank stands in the workspace");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tank"));
    let output = command.current_dir(root).args(["same", "kv-swarm", "--seeds", "1..2"]).args(more).output();
    let output = output.expect("the tank can be run");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_first_event_that_no_seed_decides_is_shown_with_its_process() {
    let (code, said) = same(&["--bug", "UNORDERED"]);
    assert_eq!(code, Some(4), "{said}");
    let differing: Vec<&str> =
        said.lines().filter(|line| line.starts_with("  one:") || line.starts_with("  other:")).collect();
    assert_eq!(differing.len(), 2, "{said}");
    for line in differing {
        assert!(line.contains(" unordered note Said { text: \"number "), "{said}");
    }
    assert!(said.ends_with("again: cargo tank same kv-swarm --seeds 1 --bug UNORDERED\n"), "{said}");
}

#[test]
fn what_seeds_decide_is_the_same_in_every_process() {
    let (code, said) = same(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 seeds, each in two processes: no difference in "), "{said}");
}
