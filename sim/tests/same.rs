//! What no seed decides is found, with the process that did it: `same` against a planted unordered map.
#![cfg(madsim)]

use std::path::Path;
use std::process::Command;

fn tank(words: &[&str]) -> (Option<i32>, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tank stands in the workspace");
    let output = Command::new(env!("CARGO_BIN_EXE_tank")).current_dir(root).args(words).output();
    let output = output.expect("the tank can be run");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn same(more: &[&str]) -> (Option<i32>, String) {
    tank(&[&["same", "kv-swarm", "--seeds", "1..2"], more].concat())
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
    assert!(said.contains("2 runs, each in two processes: no difference in "), "{said}");
}

#[test]
fn a_sweep_that_was_written_down_is_run_once_more_and_compared() {
    let file = std::env::temp_dir().join(format!("tank-same-{}.jsonl", std::process::id()));
    let name = file.to_str().expect("a path in letters");
    let (code, said) = tank(&["sweep", "kv-swarm", "elections-swarm", "--seeds", "1..3", "--results", name]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = tank(&["same", "--results", name, "--seeds", "2..3"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("4 runs, each in two processes: no difference in "), "{said}");

    let text = std::fs::read_to_string(&file).expect("the sweep wrote it");
    let at = text.find("\"digest\":\"").expect("a digest") + 10;
    let other = [&text[..at], "0000000000000000", &text[at + 16..]].concat();
    std::fs::write(&file, other).expect("it can be written");
    let (code, said) = tank(&["same", "--results", name]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains(": 0000000000000000"), "{said}");
    assert!(said.contains("is the file of another build?"), "{said}");

    let (code, said) = tank(&["same", "--results", name, "--seeds", "7..9"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("none of 0 runs with such seeds has a digest to compare with"), "{said}");
    let _ = std::fs::remove_file(&file);
}
