//! What etcd's end-to-end tests claim of members that stop (`claims-e2e.md`): what one answers by itself after kill -9, who
//! leads when a leader is told to stop, and that a member of which all is well says nothing.

use crate::{
    claims::{PATIENCE, Running, id_and_leader},
    harness::{ETCDCTL, etcdctl, succeed},
};
use base::Knobs;
use etcd::pb;
use std::time::Duration;

/// What a member that has just been started says a key is, as soon as it says anything.
fn first_answer(running: &Running, serializable: bool) -> String {
    let read = pb::RangeRequest { serializable, ..pb::RangeRequest::of_key("a") };
    let client = running.client(1);
    rt::run(async {
        let deadline = rt::now() + PATIENCE;
        loop {
            match client.range(read.clone()).await {
                Ok(answer) => {
                    let value = answer.kvs.first().map(|kv| kv.value.to_vec()).unwrap_or_default();
                    return String::from_utf8(value).expect("text");
                }
                Err(status) => assert!(rt::now() < deadline, "{status}\n{}", running.members.log()),
            }
            rt::sleep(Duration::from_millis(1)).await;
        }
    })
}

#[test]
fn a_member_that_was_killed_never_answers_from_before_what_it_acknowledged() {
    let mut running = Running::start("stops-killed", 1);
    for round in 0..6 {
        let value = format!("{round}");
        succeed(etcdctl(&running.members.client(1), &["put", "a", &value]), "");
        running.processes[0].kill();
        running.processes[0] = running.members.start(1, &[]);
        assert_eq!(first_answer(&running, round % 3 < 2), value, "round {round}");
    }
}

/// etcd-io/etcd#20732, for which upstream has no answer yet.
#[test]
fn a_member_that_is_killed_while_it_takes_snapshots_leaves_no_heap_of_them() {
    let flags = ["--snapshot-count=1"];
    let mut running = Running::start_with("stops-snapshots", 1, &flags);
    for round in 0..8 {
        let client = running.client(1);
        for n in 0..10 {
            rt::run(client.put(pb::PutRequest::of(format!("r{round}-{n}"), "v"))).expect("a put");
        }
        running.processes[0].kill();
        running.processes[0] = running.members.start(1, &flags);
        running.wait();
    }
    let files = std::fs::read_dir(running.members.data(1)).expect("its folder").flatten();
    let names: Vec<String> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    assert!(names.len() < 12, "{names:?}");
}

/// The others need not find out that it is gone, which takes them an election time-out at the least.
#[test]
fn a_leader_that_is_told_to_stop_hands_on_its_leadership() {
    let mut running = Running::start("stops-leader", 3);
    let clients = running.clients();
    for _ in 0..2 {
        let old = rt::run(running.leader(&clients));
        let (of_old, _) = rt::run(id_and_leader(&clients[usize::from(old - 1)]));
        let before = rt::run(clients[usize::from(old - 1)].status(pb::StatusRequest {})).expect("its state");
        assert!(running.processes[usize::from(old - 1)].interrupt(), "{}", running.members.log());
        let others = (1..=3).filter(|number| *number != old).map(|number| &clients[usize::from(number - 1)]);
        rt::run(async {
            let deadline = rt::now() + Knobs::default().election_timeout() / 3;
            for client in others {
                let mut leader = of_old;
                while leader == of_old || leader == 0 {
                    assert!(rt::now() < deadline, "another leads at once\n{}", running.members.log());
                    leader = id_and_leader(client).await.1;
                }
                let after = client.status(pb::StatusRequest {}).await.expect("its state");
                assert_eq!(after.raft_term, before.raft_term + 1, "one election was enough");
            }
        });
        running.processes[usize::from(old - 1)] = running.members.start(old, &[]);
        running.wait();
    }
}

#[test]
fn a_member_that_is_left_alone_stops_when_it_is_told_to() {
    let mut running = Running::start("stops-alone", 3);
    // it has somebody to hand on to, as far as it knows
    let leader = rt::run(running.leader(&running.clients()));
    for number in (1..=3).filter(|number| *number != leader) {
        running.processes[usize::from(number - 1)].kill();
    }
    assert!(running.processes[usize::from(leader - 1)].interrupt(), "{}", running.members.log());
}

#[test]
fn members_of_which_all_is_well_say_nothing() {
    let mut running = Running::start("stops-silent", 3);
    let begun = running.members.log().len();
    let endpoints = running.members.clients();
    let run = |args: &[&str]| succeed(etcdctl(&endpoints, args), "");
    for n in 0..20 {
        run(&["put", &format!("k{n}"), "v"]);
    }
    run(&["get", "k", "--prefix"]);
    run(&["del", "k", "--prefix"]);
    run(&["member", "list"]);
    run(&["endpoint", "health"]);
    let refused = etcdctl(&endpoints, &["put", "", "v"]).output().expect(ETCDCTL);
    assert!(!refused.status.success());
    let said = running.members.log()[begun..].to_string();
    assert_eq!(said, "", "nothing while they serve");
    // the last one has nobody to whom it could hand on
    for process in &mut running.processes {
        assert!(process.interrupt());
    }
    let said = running.members.log()[begun..].to_lowercase();
    let wrong =
        ["error", "panic", "failed", "refused", "damage"].into_iter().find(|word| said.contains(word));
    assert_eq!(wrong, None, "{said}");
}
