//! Every scenario, run with its recorded seed in a process of its own, gives the recorded answer.
#![cfg(madsim)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tank stands in the workspace").to_path_buf()
}

fn check(name: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_tank"))
        .current_dir(root())
        .args(["run", name, "--snapshot"])
        .output()
        .expect("the tank can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    let answer = format!("{}{}", said.trim_end(), wrong.trim_end());
    insta::with_settings!({ snapshot_path => root().join("snapshots"), prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, answer);
    });
}

/// Our own bugs: each holds now, and breaks the promise it broke when its bug is planted again.
#[test]
fn bugs_of_ours_stay_fixed() {
    let folder = std::fs::read_dir(root().join("scenarios/bugs")).expect("there are bugs");
    let mut paths: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a scenario");
        let said = |what: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("# {what}: ")));
            line.unwrap_or_else(|| panic!("{} does not say `# {what}: `", path.display())).to_string()
        };
        let (broke, bug) = (said("broke"), said("planted as"));
        said("found by");
        let run = |more: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tank"));
            command.current_dir(root()).arg("run").arg(&path).args(more);
            let output = command.output().expect("the tank can be run");
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let (code, held) = run(&[]);
        assert_eq!(code, Some(0), "{held}");
        let (code, broken) = run(&["--bug", &bug]);
        assert_eq!(code, Some(1), "{broken}");
        let verdict = broken.lines().find(|line| line.trim_start().starts_with("BROKE"));
        assert!(verdict.is_some_and(|line| line.contains(&broke)), "{broken}");
    }
}

macro_rules! scenarios {
    ($($test:ident: $name:literal,)+) => {
        $(#[test] fn $test() { check($name) })+

        #[test]
        fn no_scenario_is_without_an_answer() {
            let known = [$($name),+];
            let folder = std::fs::read_dir(root().join("scenarios")).expect("there are scenarios");
            for path in folder.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "yaml")) {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                assert!(known.contains(&name.as_str()), "{name} is not run by this test");
            }
        }
    };
}

scenarios! {
    a_leader_lost_during_a_rollout: "leader-lost-during-rollout",
    members_that_compare_what_they_hold: "members-that-compare-what-they-hold",
    members_that_compare_what_was_compacted: "members-that-compare-what-was-compacted",
    a_creation_that_comes_late: "a-creation-that-comes-late",
    leases_outlived_by_leaders: "leases-outlived-by-leaders",
    an_api_server_in_the_minority: "api-server-in-the-minority",
    all_members_lose_power: "all-members-lose-power",
    all_nodes_fall_silent: "all-nodes-fall-silent",
    a_one_way_partition_of_the_leader: "one-way-partition-of-the-leader",
    a_manager_paused_past_its_lease: "manager-paused-past-its-lease",
    a_node_lost_and_its_pods_moved: "node-lost-and-its-pods-moved",
    an_api_server_killed_under_watches: "api-server-killed-under-watches",
    compaction_under_a_slow_watcher: "compaction-under-a-slow-watcher",
    history_compacted_by_the_leader: "history-compacted-by-the-leader",
    clocks_skewed_by_seconds: "clocks-skewed-by-seconds",
    a_manager_that_dies_midway: "manager-dies-midway",
    more_pods_than_room: "more-pods-than-room",
    a_rollout_taken_back: "rollout-and-back",
    snapshots_in_small_pieces: "snapshots-in-small-pieces",
    watches_that_stand_still: "watches-that-stand-still",
    an_api_server_that_lags: "api-server-that-lags",
    disks_that_fail: "disks-that-fail",
    bits_that_rot: "bit-rot-in-closed-files",
    writes_that_go_astray: "writes-that-go-astray",
    every_operation_of_a_disk_fails: "every-operation-of-a-disk-fails",
    a_lost_disk_comes_back_empty: "a-lost-disk-comes-back-empty",
    a_snapshot_that_rots_is_not_sent: "a-snapshot-that-rots-is-not-sent",
    more_disks_lost_than_copies_allow: "more-disks-lost-than-copies-allow",
    disks_under_a_swarm: "disks-swarm",
    the_store_under_a_swarm: "kv-swarm",
    the_control_plane_under_a_swarm: "swarm",
    the_store_under_leaders_that_never_last: "elections-swarm",
    members_under_a_swarm: "members-swarm",
    changes_of_members_under_a_swarm: "changes-swarm",
    users_under_a_swarm: "users-swarm",
    locks_under_a_swarm: "locks-swarm",
    leases_under_a_swarm: "leases-swarm",
    views_under_a_swarm: "views-swarm",
    nodes_under_a_swarm: "nodes-swarm",
    an_indexed_job_under_crashes: "indexed-job-under-crashes",
    a_sweep_as_a_job: "sweep-as-a-job",
    harms_that_overlap: "harms-that-overlap",
    cpus_that_are_slow: "slow-cpus",
    processes_out_of_memory: "processes-out-of-memory",
    a_rolling_upgrade: "rolling-upgrade",
    machines_that_are_replaced: "machines-replaced",
    a_retry_storm_on_a_hot_key: "retry-storm-on-a-hot-key",
    objects_that_are_large: "large-objects",
    ten_thousand_watchers: "ten-thousand-watchers",
    a_hundred_nodes: "a-hundred-nodes",
    processes_under_a_swarm: "processes-swarm",
}
