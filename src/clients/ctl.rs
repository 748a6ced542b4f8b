//! What etcd's end-to-end tests claim of etcdctl and no other test here holds (`claims-e2e.md`): locks, elections, members and
//! their leader, as an operator goes about them.

use crate::{
    claims::{PATIENCE, Running, add, id_and_leader, list, remove, tell_users_apart},
    harness::{ETCDCTL, Process, etcdctl, eventually, succeed},
    secure::{Secured, refused},
};
use etcd::{Client, pb};
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// Long enough for what comes to come, and short enough to wait for what does not.
const WHILE: Duration = Duration::from_millis(700);

/// etcdctl, run until it is stopped, and what it prints.
struct Holding {
    process: Process,
    lines: Receiver<String>,
}

impl Holding {
    #[allow(clippy::disallowed_methods)] // a real client's output, as it comes
    fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process(command.spawn().expect(ETCDCTL));
        let (out, lines) = channel();
        let printed = BufReader::new(process.0.stdout.take().expect("its output"));
        thread::spawn(move || printed.lines().map_while(Result::ok).try_for_each(|line| out.send(line)));
        Self { process, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }

    #[track_caller]
    fn says_nothing(&self) {
        assert_eq!(self.lines.recv_timeout(WHILE).ok(), None);
    }
}

#[test]
fn who_holds_a_lock_of_etcdctls_keeps_the_next_one_waiting() {
    let running = Running::start("ctl-lock", 3);
    let endpoints = running.members.clients();
    let lock = |name: &str| Holding::spawn(etcdctl(&endpoints, &["lock", name]));
    let mut first = lock("a");
    assert!(first.next().starts_with("a/"));
    assert!(lock("b").next().starts_with("b/"), "another name is another lock");
    let second = lock("a");
    second.says_nothing();
    first.process.interrupt();
    assert!(second.next().starts_with("a/"));
    // one that is gone without a word is waited for no longer than its lease lives
    let mut third = Holding::spawn(etcdctl(&endpoints, &["lock", "a", "--ttl=2"]));
    third.says_nothing();
    drop(second);
    assert!(third.next().starts_with("a/"));
    third.process.kill();
    let echo = etcdctl(&endpoints, &["lock", "a", "echo", "had it"]);
    assert_eq!(succeed(echo, ""), "had it\n", "a lock for as long as a command runs");
}

#[test]
fn who_is_elected_by_etcdctl_leads_until_it_stops() {
    let running = Running::start("ctl-elect", 3);
    let endpoints = running.members.clients();
    let elect = |value: &str| Holding::spawn(etcdctl(&endpoints, &["elect", "e", value]));
    let listener = Holding::spawn(etcdctl(&endpoints, &["elect", "e", "--listen"]));
    let mut first = elect("p1");
    assert!(first.next().starts_with("e/"));
    assert_eq!(first.next(), "p1");
    let second = elect("p2");
    second.says_nothing();
    first.process.interrupt();
    assert!(second.next().starts_with("e/"));
    assert_eq!(second.next(), "p2");
    let heard: Vec<String> = (0..4).map(|_| listener.next()).collect();
    assert!(heard[0].starts_with("e/") && heard[2].starts_with("e/"), "{heard:?}");
    assert_eq!((heard[1].as_str(), heard[3].as_str()), ("p1", "p2"));
}

/// The hexadecimal id of the member at an endpoint, and whether it leads.
fn status(mut command: Command) -> (String, bool) {
    command.args(["endpoint", "status"]);
    let line = succeed(command, "");
    let cells: Vec<&str> = line.trim().split(", ").collect();
    (cells[1].into(), cells[4] == "true")
}

/// Asks a follower to hand on leadership, then the leader.
fn moves(size: u16, at: impl Fn(&[u16]) -> Command) {
    let mut all = vec![];
    eventually("one leads", PATIENCE, || {
        all = (1..=size).map(|number| (number, status(at(&[number])))).collect();
        if all.iter().filter(|(_, (_, leads))| *leads).count() == 1 {
            Ok(())
        } else {
            Err(format!("{all:?}"))
        }
    });
    let (leader, (old, _)) = all.iter().find(|(_, (_, leads))| *leads).expect("a leader").clone();
    let (follower, (new, _)) = all.iter().find(|(_, (_, leads))| !*leads).expect("a follower").clone();
    let to = |numbers: &[u16]| {
        let mut command = at(numbers);
        command.args(["move-leader", &new]);
        command
    };
    let why = refused(to(&[follower]));
    assert!(why.contains("no leader endpoint given at "), "{why}");
    let moved = format!("Leadership transferred from {old} to {new}\n");
    assert_eq!(succeed(to(&[follower, leader]), ""), moved);
    eventually("it leads", PATIENCE, || {
        let now = status(at(&[follower]));
        if now == (new.clone(), true) { Ok(()) } else { Err(format!("{now:?}")) }
    });
}

#[test]
fn leadership_is_moved_by_asking_the_leader() {
    let running = Running::start("ctl-move", 3);
    let endpoints = |numbers: &[u16], client: &dyn Fn(u16) -> String| {
        numbers.iter().map(|number| client(*number)).collect::<Vec<_>>().join(",")
    };
    moves(3, |numbers| etcdctl(&endpoints(numbers, &|n| running.members.client(n)), &[]));
    let secured = Secured::start("ctl-move-tls", 3);
    secured.wait();
    moves(3, |numbers| {
        let of = |n| format!("https://{}", secured.members.client(n));
        secured.at(&endpoints(numbers, &of), "root", &[])
    });
}

#[test]
fn what_etcdctl_gets_has_each_of_its_forms() {
    let running = Running::start("ctl-forms", 1);
    let run = |args: &[&str]| etcdctl(&running.members.client(1), args);
    succeed(run(&["put", "abc", "123"]), "");
    let get = |form: &str| run(&["get", "abc", &format!("--write-out={form}")]);
    assert_eq!(succeed(get("simple"), ""), "abc\n123\n");
    let fields = succeed(get("fields"), "");
    for field in ["\"Key\" : \"abc\"", "\"Value\" : \"123\"", "\"ModRevision\" : 2", "\"Count\" : 1"] {
        assert!(fields.contains(field), "{field} in {fields}");
    }
    let json: serde_json::Value = serde_json::from_str(&succeed(get("json"), "")).expect("JSON");
    assert_eq!((&json["kvs"][0]["key"], &json["count"]), (&"YWJj".into(), &1.into()), "{json}");
    let protobuf = get("protobuf").output().expect(ETCDCTL).stdout;
    let holds = |bytes: &[u8]| protobuf.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(b"\x0a\x03abc") && holds(b"\x2a\x03123"), "{protobuf:?}");
}

#[test]
fn root_alone_says_where_a_member_is_reached_and_the_list_says_so() {
    let running = Running::start("ctl-update", 1);
    rt::run(tell_users_apart(&running.client(1)));
    let as_user = |user: &str, args: &[&str]| {
        let mut command = etcdctl(&running.members.client(1), args);
        command.arg(format!("--user={user}"));
        command
    };
    let (id, _) = status(as_user("root:secret", &[]));
    let update = ["member", "update", &id, "--peer-urls=http://127.0.0.1:11111"];
    assert!(refused(as_user("alice:pw", &update)).contains("permission denied"));
    let said = succeed(as_user("root:secret", &update), "");
    assert!(said.contains(&format!(" {id} updated in cluster ")), "{said}");
    let list = succeed(as_user("root:secret", &["member", "list"]), "");
    assert!(list.contains(", http://127.0.0.1:11111, "), "{list}");
    let hex = succeed(as_user("root:secret", &["member", "list", "--write-out=json"]), "");
    assert!(hex.contains("\"peerURLs\":[\"http://127.0.0.1:11111\"]"), "{hex}");
}

#[test]
fn to_remove_who_is_no_member_changes_nothing() {
    let mut running = Running::start("ctl-nobody", 1);
    let endpoint = running.members.client(1);
    let why = refused(etcdctl(&endpoint, &["member", "remove", "abcdef"]));
    assert!(why.contains("etcdserver: member not found"), "{why}");
    rt::run(async {
        let answer = running.client(1).member_remove(remove(0xab_cdef)).await;
        crate::claims::refused("nobody", answer, (tonic::Code::NotFound, "etcdserver: member not found"));
    });
    running.processes[0].kill();
    running.processes[0] = running.members.start(1, &[]);
    running.wait();
    assert_eq!(rt::run(list(&running.client(1))).1.len(), 1);
}

/// A started member that learns, and its id.
fn learner(running: &mut Running, by: &Client, number: u16, flags: &[&str]) -> u64 {
    let url = format!("http://{}", running.members.peer(number));
    let added = rt::run(by.member_add(add(&url, true))).expect("added");
    let flags = [&["--initial-cluster-state=existing"][..], flags].concat();
    running.processes.push(running.members.start(number, &flags));
    added.member.expect("the learner").id
}

/// Once it holds what the others do.
fn promote(running: &Running, by: &Client, id: u64) {
    eventually("it is promoted", PATIENCE, || {
        let promoted = rt::run(by.member_promote(pb::MemberPromoteRequest { id }));
        promoted.map(drop).map_err(|status| format!("{status}\n{}", running.members.log()))
    });
}

#[test]
fn root_promotes_a_learner_by_way_of_any_member() {
    let mut running = Running::start("ctl-promote", 3);
    rt::run(tell_users_apart(&running.client(1)));
    for (number, to_leader) in [(4, true), (5, false)] {
        let root: Vec<Client> =
            running.clients().iter().map(|client| client.for_user("root", "secret")).collect();
        let leader = usize::from(rt::run(running.leader(&root)) - 1);
        let at = if to_leader { leader } else { (leader + 1) % root.len() };
        let id = learner(&mut running, &root[at], number, &["--bcrypt-cost=4"]);
        let alice = running.clients()[at].for_user("alice", "pw");
        let denied = rt::run(alice.member_promote(pb::MemberPromoteRequest { id }));
        crate::claims::refused("alice", denied, crate::claims::DENIED);
        promote(&running, &root[at], id);
        let there = rt::run(list(&root[at])).1;
        assert!(there.iter().any(|member| member.id == id && !member.is_learner), "{there:?}");
        running.size = number;
    }
}

#[test]
fn who_the_members_are_is_the_same_after_they_were_started_anew() {
    let mut running = Running::start("ctl-list", 1);
    let client = running.client(1);
    let id = learner(&mut running, &client, 2, &[]);
    promote(&running, &client, id);
    let second = rt::run(client.member_add(add("http://127.0.0.1:1", true))).expect("one that never starts");
    let id = second.member.expect("the learner").id;
    rt::run(client.member_remove(remove(id))).expect("removed");
    running.size = 2;
    running.wait();
    // what a member says of itself comes a little later
    let both = || rt::run(async { (list(&running.client(1)).await, list(&running.client(2)).await) });
    eventually("both say the same, and where they serve", PATIENCE, || {
        let (one, two) = both();
        let said =
            one == two && one.1.len() == 2 && one.1.iter().all(|member| !member.client_urls.is_empty());
        if said { Ok(()) } else { Err(format!("{one:?}\n{two:?}")) }
    });
    let before = both().0;
    for process in &mut running.processes {
        process.kill();
    }
    running.processes = vec![running.members.start(1, &[])];
    running.processes.push(running.members.start(2, &["--initial-cluster-state=existing"]));
    running.wait();
    for number in [1, 2] {
        let client = running.client(number);
        assert_eq!(rt::run(list(&client)), before);
        let by_itself = rt::run(client.member_list(pb::MemberListRequest { linearizable: false }));
        assert_eq!(by_itself.expect("by itself").members, before.1);
    }
}

/// etcd-io/etcd#14571: users come along with a snapshot, too.
#[test]
fn a_member_that_got_a_snapshot_tells_users_apart_as_the_others_do() {
    let mut running = Running::start_with("ctl-users", 1, &["--bcrypt-cost=4", "--snapshot-count=2"]);
    rt::run(tell_users_apart(&running.client(1)));
    let root = running.client(1).for_user("root", "secret");
    for n in 0..10 {
        rt::run(root.put(pb::PutRequest::of("foo", format!("{n}")))).expect("a put");
    }
    let id = learner(&mut running, &root, 2, &["--bcrypt-cost=4", "--snapshot-count=2"]);
    promote(&running, &root, id);
    running.size = 2;
    let alice: Vec<Client> = running.clients().iter().map(|client| client.for_user("alice", "pw")).collect();
    eventually("the second tells alice from nobody", PATIENCE, || {
        let put = rt::run(alice[1].put(pb::PutRequest::of("foo", "1")));
        put.map(drop).map_err(|status| format!("{status}\n{}", running.members.log()))
    });
    rt::run(async {
        for client in &alice {
            client.put(pb::PutRequest::of("foo", "2")).await.expect("what she may write");
            crate::claims::refused(
                "hers",
                client.put(pb::PutRequest::of("z", "")).await,
                crate::claims::DENIED,
            );
        }
        let mut hashes = vec![];
        for client in running.clients() {
            let root = client.for_user("root", "secret");
            root.range(pb::RangeRequest::of_key("foo")).await.expect("all there is");
            hashes.push(root.hash_kv(pb::HashKvRequest { revision: 0 }).await.expect("a hash").hash);
            let (me, _) = id_and_leader(&root).await;
            assert_ne!(me, 0);
        }
        assert_eq!(hashes[0], hashes[1]);
    });
}
