//! What etcd's tests claim of members that learn and no other test here holds (`claims-e2e.md`, `claims-integration.md`): what
//! metrics say of one, and how many there may be.

use crate::{
    claims::{PATIENCE, Running, add, remove},
    curl::{get, request},
    harness::eventually,
};
use etcd::pb;
use rt::http::{Client, ClientOptions};

const SUCCESSES: &str = "etcd_server_learner_promote_successes";
const EARLY: &str = "etcdserver: can only promote a learner member which is in sync with leader";

/// What one metric of a member is.
fn metric(running: &Running, number: u16, name: &str) -> Option<String> {
    let addr = running.members.client(number).parse().expect("an address");
    let client = Client::new(ClientOptions::default());
    let (status, text) = rt::run(request(&client, addr, get("/metrics")));
    assert_eq!(status, 200);
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_string);
    text.lines().find_map(value)
}

/// Which of the first so many learn, by what each says of itself.
fn learn(running: &Running, size: u16) -> Vec<String> {
    let of = |number| metric(running, number, "etcd_server_is_learner").expect("the metric");
    (1..=size).map(of).collect()
}

/// Waits until the first so many have what was put, and say of themselves that they learn, or do not.
fn settled(running: &Running, expected: &[&str]) {
    for number in 1..=expected.len() as u16 {
        let client = running.client(number);
        eventually("it has what was put", PATIENCE, || {
            let read = pb::RangeRequest { serializable: true, ..pb::RangeRequest::of_key("last") };
            match rt::run(client.range(read)) {
                Ok(answer) if answer.kvs.len() == 1 => Ok(()),
                other => Err(format!("{other:?}\n{}", running.members.log())),
            }
        });
    }
    let size = expected.len() as u16;
    eventually("each says what it is", PATIENCE, || match learn(running, size) {
        said if said == expected => Ok(()),
        said => Err(format!("{said:?}\n{}", running.members.log())),
    });
}

fn put(running: &Running, keys: usize) {
    let client = running.client(1);
    for key in (0..keys).map(|n| format!("k{n}")).chain(["last".into()]) {
        rt::run(client.put(pb::PutRequest::of(key, "v"))).expect("a put");
    }
}

fn restart(running: &mut Running, flags: &[&str]) {
    running.processes.iter_mut().for_each(|process| process.kill());
    running.processes = vec![running.members.start(1, flags)];
    let flags = [&["--initial-cluster-state=existing"][..], flags].concat();
    running.processes.push(running.members.start(2, &flags));
}

/// One that is added to a single member, and what both say of it until it has a vote. `before`: so many keys are put before
/// it starts.
fn learns_until_it_is_promoted(name: &str, flags: &[&str], before: usize) {
    let mut running = Running::start_with(name, 1, flags);
    let client = running.client(1);
    let url = format!("http://{}", running.members.peer(2));
    let id = rt::run(client.member_add(add(&url, true))).expect("added").member.expect("the new one").id;
    put(&running, before);
    let promote = || rt::run(client.member_promote(pb::MemberPromoteRequest { id }));
    assert_eq!(promote().expect_err("it has not started").message(), EARLY);
    let failures = format!("etcd_server_learner_promote_failures{{Reason=\"{EARLY}\"}}");
    assert_eq!(metric(&running, 1, &failures).as_deref(), Some("1"));
    let started = [&["--initial-cluster-state=existing"][..], flags].concat();
    running.processes.push(running.members.start(2, &started));
    settled(&running, &["0", "1"]);
    put(&running, 20);
    restart(&mut running, flags);
    settled(&running, &["0", "1"]);
    assert_eq!(metric(&running, 1, SUCCESSES).as_deref(), Some("0"));
    eventually("it is promoted", PATIENCE, || promote().map(drop).map_err(|status| status.to_string()));
    settled(&running, &["0", "0"]);
    let by_whom = [1, 2].map(|number| metric(&running, number, SUCCESSES).unwrap_or_default());
    assert_eq!(by_whom, ["1", "0"], "by the one that led");
    restart(&mut running, flags);
    settled(&running, &["0", "0"]);
}

#[test]
fn a_member_says_that_it_learns_until_it_is_promoted_also_when_it_is_started_anew() {
    learns_until_it_is_promoted("learners-say", &[], 0);
}

/// Of the log behind a snapshot one entry is kept: the learner could not have it in another way.
#[test]
fn a_member_that_got_a_snapshot_says_so_too() {
    let flags = ["--snapshot-count=5", "--snapshot-catchup-entries=1"];
    learns_until_it_is_promoted("learners-snapshot", &flags, 50);
}

#[test]
fn there_are_as_many_learners_as_the_operator_allows() {
    for (name, flag) in
        [("learners-two", "--max-learners=2"), ("learners-old", "--experimental-max-learners=2")]
    {
        let running = Running::start_with(name, 3, &[flag]);
        let client = running.client(1);
        let learner = |port: u16| rt::run(client.member_add(add(&format!("http://127.0.0.1:{port}"), true)));
        let first = learner(11_111).expect("the first").member.expect("it is listed").id;
        learner(11_112).expect("the second");
        let refused = learner(11_113).expect_err("a third");
        assert_eq!(refused.message(), "etcdserver: too many learner members in cluster");
        rt::run(client.member_remove(remove(first))).expect("removed");
        learner(11_113).expect("there is room for one again");
    }
}
