//! Members that are asked to stop: one that leads hands that on first, so that the others do not have to miss it before
//! they go on, and one that is left alone stops all the same.

use crate::harness::{ETCDCTL, Members, etcdctl, eventually, succeed};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

fn wait(members: &Members, size: u16) {
    for number in 1..=size {
        eventually("each member answers", PATIENCE, || {
            let out = etcdctl(&members.client(number), &["get", "none"]).output().expect(ETCDCTL);
            if out.status.success() { Ok(()) } else { Err(members.log()) }
        });
    }
}

fn leads(members: &Members, number: u16) -> bool {
    let status = succeed(etcdctl(&members.client(number), &["endpoint", "status"]), "");
    status.split(", ").nth(4) == Some("true")
}

/// Nobody stands for election by himself before 8 s have passed: who leads after 3 s was told to.
#[test]
fn a_leader_that_is_asked_to_stop_hands_leadership_on() {
    let members = Members::new("stopping", "http", 3);
    let mut running = members.start_all(&["--election-timeout=8000"]);
    wait(&members, 3);
    let leader = (1..=3).find(|number| leads(&members, *number)).expect("one leads");
    assert!(running[usize::from(leader - 1)].interrupt(), "{}", members.log());
    for number in (1..=3).filter(|number| *number != leader) {
        succeed(etcdctl(&members.client(number), &["put", "a", "1", "--command-timeout=3s"]), "");
    }
}

#[test]
fn a_member_that_is_left_alone_stops_when_it_is_asked_to() {
    let members = Members::new("left-alone", "http", 3);
    let mut running = members.start_all(&[]);
    wait(&members, 3);
    // the leader has somebody to hand on to, as far as it knows
    let leader = (1..=3).find(|number| leads(&members, *number)).expect("one leads");
    for number in (1..=3).filter(|number| *number != leader) {
        running[usize::from(number - 1)].kill();
    }
    assert!(running[usize::from(leader - 1)].interrupt(), "{}", members.log());
}
