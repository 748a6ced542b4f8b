//! etcdctl against three members.

use crate::harness::{ETCDCTL, Members, Process, Served, etcdctl, eventually, free_ports, succeed, text_of};
use std::{io::Read, process::Stdio, thread, time::Duration};

fn served(name: &str) -> Served {
    let served = Served::start(name, 3, 0);
    eventually("the store answers", Duration::from_secs(30), || {
        let out = served.etcdctl(&["put", "hello", "world"]).output().expect(ETCDCTL);
        if out.status.success() {
            return Ok(());
        }
        Err(format!("{}\n{}", String::from_utf8_lossy(&out.stderr), served.log()))
    });
    served
}

#[test]
fn etcdctl_does_its_everyday_work() {
    let served = served("etcdctl");
    let run = |args: &[&str]| succeed(served.etcdctl(args), "");
    assert_eq!(run(&["get", "hello"]), "hello\nworld\n");
    for i in 0..5 {
        assert_eq!(run(&["put", &format!("dir/{i}"), &i.to_string()]), "OK\n");
    }
    assert_eq!(run(&["get", "dir/", "--prefix", "--keys-only", "--limit", "2"]), "dir/0\n\ndir/1\n\n");
    assert_eq!(
        run(&["get", "dir/", "--prefix", "--print-value-only", "--order", "DESCEND"]),
        "4\n3\n2\n1\n0\n"
    );
    assert_eq!(run(&["del", "dir/", "--prefix"]), "5\n");
    let txn = "value(\"hello\") = \"world\"\n\nput hello there\n\nput hello nobody\n\n";
    assert_eq!(succeed(served.etcdctl(&["txn"]), txn), "SUCCESS\n\nOK\n");
    assert_eq!(run(&["get", "hello", "--print-value-only"]), "there\n");
    lease(&run);
    compaction(&served, &run);
    let status = run(&["endpoint", "status", "--write-out", "simple"]);
    assert_eq!(status.lines().count(), 3, "{status}");
    assert_eq!(status.lines().filter(|line| line.contains(", true,")).count(), 1, "one leader:\n{status}");
    assert_eq!(run(&["member", "list"]).lines().count(), 3);
    let hashes = run(&["endpoint", "hashkv"]);
    let sums: Vec<&str> = hashes.lines().filter_map(|line| line.split(", ").nth(1)).collect();
    assert!(sums.len() == 3 && sums.iter().all(|sum| *sum == sums[0]), "{hashes}");
}

fn lease(run: &dyn Fn(&[&str]) -> String) {
    let granted = run(&["lease", "grant", "60"]);
    let id = granted.split(' ').nth(1).expect("lease ID granted with ...").to_string();
    run(&["put", "leased", "x", "--lease", &id]);
    let left = run(&["lease", "timetolive", &id, "--keys"]);
    assert!(left.contains("granted with TTL(60s)") && left.contains("leased"), "{left}");
    run(&["lease", "keep-alive", "--once", &id]);
    assert!(run(&["lease", "list"]).contains(&id));
    run(&["lease", "revoke", &id]);
    assert_eq!(run(&["get", "leased"]), "");
}

fn compaction(served: &Served, run: &dyn Fn(&[&str]) -> String) {
    let json = run(&["get", "hello", "--write-out", "json"]);
    let revision = json.split("\"revision\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
    let revision = revision.expect("a revision").to_string();
    assert_eq!(run(&["compaction", &revision]), format!("compacted revision {revision}\n"));
    let out = served.etcdctl(&["get", "hello", "--rev", "1"]).output().expect(ETCDCTL);
    let errors = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(errors.contains("etcdserver: mvcc: required revision has been compacted"), "{errors}");
}

#[test]
fn etcdctl_watches() {
    let served = served("etcdctl-watch");
    let mut watch =
        served.etcdctl(&["watch", "w/", "--prefix"]).stdout(Stdio::piped()).spawn().expect(ETCDCTL);
    let mut out = watch.stdout.take().expect("its output");
    thread::sleep(Duration::from_millis(700));
    succeed(served.etcdctl(&["put", "w/a", "1"]), "");
    succeed(served.etcdctl(&["del", "w/a"]), "");
    let wanted = "PUT\nw/a\n1\nDELETE\nw/a\n\n";
    let mut seen = vec![0; wanted.len()];
    out.read_exact(&mut seen).expect("the events");
    assert_eq!(String::from_utf8_lossy(&seen), wanted);
    let _ = watch.kill();
    let _ = watch.wait();
}

/// A member more, as an operator does it: added as a learner, started, promoted; then the leader goes to it, and one of
/// the old ones leaves.
#[test]
fn etcdctl_changes_the_members() {
    let served = served("etcdctl-members");
    let folder = crate::harness::Folder::new("joined");
    let first = free_ports(2);
    let (client, peer) = (format!("127.0.0.1:{first}"), format!("127.0.0.1:{}", first + 1));
    succeed(served.etcdctl(&["put", "before", "1"]), "");
    let added = succeed(
        served.etcdctl(&["member", "add", "four", "--learner", &format!("--peer-urls=http://{peer}")]),
        "",
    );
    let id = added.split_whitespace().nth(1).expect(&added).to_string();
    let list = || succeed(served.etcdctl(&["member", "list"]), "");
    let line = |text: &str, id: &str| text.lines().find(|line| line.starts_with(id)).map(str::to_string);
    let unstarted = line(&list(), &id).expect("the new member");
    assert_eq!(unstarted, format!("{id}, unstarted, , http://{peer}, , true"));
    let refused = served.etcdctl(&["member", "promote", &id]).output().expect(ETCDCTL);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("can only promote a learner member which is in sync with leader"), "{why}");

    let printed = |name: &str| {
        let line = added.lines().find_map(|line| line.strip_prefix(name)).expect(&added);
        line.trim_matches('"').to_string()
    };
    let args = [
        "member".to_string(),
        format!("--data-dir={}", folder.0.join("data").display()),
        format!("--name={}", printed("ETCD_NAME=")),
        format!("--initial-cluster={}", printed("ETCD_INITIAL_CLUSTER=")),
        format!("--initial-cluster-state={}", printed("ETCD_INITIAL_CLUSTER_STATE=")),
        format!("--listen-peer-urls=http://{peer}"),
        format!("--listen-client-urls=http://{client}"),
    ];
    let log = folder.0.join("log");
    let _four = Process::start(&args, &log);
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    eventually("the learner is promoted", Duration::from_secs(30), || {
        let out = served.etcdctl(&["member", "promote", &id]).output().expect(ETCDCTL);
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        if out.status.success() { Ok(()) } else { Err(errors + &said()) }
    });
    assert_eq!(
        line(&list(), &id),
        Some(format!("{id}, started, four, http://{peer}, http://{client}, false"))
    );
    eventually("it leads", Duration::from_secs(30), || {
        let out = served.etcdctl(&["move-leader", &id]).output().expect(ETCDCTL);
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        if out.status.success() { Ok(()) } else { Err(errors + &said()) }
    });
    assert_eq!(succeed(etcdctl(&client, &["get", "before", "--print-value-only"]), ""), "1\n");
    let removed = succeed(etcdctl(&client, &["member", "remove", &id]), "");
    assert!(removed.contains("removed from cluster"), "{removed}");
    eventually("every member has heard of it", Duration::from_secs(20), || {
        line(&list(), &id).map_or(Ok(()), Err)
    });
    succeed(served.etcdctl(&["put", "after", "1"]), "");
    eventually("a member that was removed ends", Duration::from_secs(20), || {
        if said().contains("was removed from the cluster") { Ok(()) } else { Err(said()) }
    });
}

fn refused(mut command: std::process::Command) -> String {
    let out = command.output().expect(ETCDCTL);
    assert!(!out.status.success(), "{command:?} was not refused");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[test]
fn etcdctl_tells_users_apart() {
    let served = served("etcdctl-users");
    let run = |args: &[&str]| succeed(served.etcdctl(args), "");
    let as_user = |user: &str, args: &[&str]| {
        let user = format!("--user={user}");
        served.etcdctl(&[&[user.as_str()][..], args].concat())
    };
    assert_eq!(run(&["user", "add", "root:secret"]), "User root created\n");
    run(&["user", "grant-role", "root", "root"]);
    assert_eq!(run(&["role", "add", "rw"]), "Role rw created\n");
    run(&["role", "grant-permission", "rw", "readwrite", "dir/", "--prefix"]);
    run(&["user", "add", "alice:pw"]);
    run(&["user", "grant-role", "alice", "rw"]);
    assert_eq!(run(&["auth", "enable"]), "Authentication Enabled\n");

    assert_eq!(succeed(as_user("alice:pw", &["put", "dir/1", "x"]), ""), "OK\n");
    assert_eq!(succeed(as_user("alice:pw", &["get", "dir/", "--prefix", "--print-value-only"]), ""), "x\n");
    assert!(refused(as_user("alice:pw", &["put", "other", "x"])).contains("permission denied"));
    assert!(refused(as_user("alice:pw", &["user", "list"])).contains("permission denied"));
    assert!(refused(as_user("alice:no", &["put", "dir/1", "x"])).contains("invalid user ID or password"));
    assert!(refused(served.etcdctl(&["put", "dir/1", "x"])).contains("user name is empty"));
    assert_eq!(succeed(as_user("root:secret", &["user", "list"]), ""), "alice\nroot\n");
    let role = succeed(as_user("root:secret", &["role", "get", "rw"]), "");
    assert!(role.contains("dir/") && role.contains("KV Write"), "{role}");
    let status = succeed(as_user("root:secret", &["endpoint", "status"]), "");
    assert_eq!(status.lines().count(), 3, "{status}");
    succeed(as_user("root:secret", &["role", "revoke-permission", "rw", "dir/", "--prefix"]), "");
    assert!(refused(as_user("alice:pw", &["get", "dir/1"])).contains("permission denied"));
    assert_eq!(succeed(as_user("root:secret", &["auth", "disable"]), ""), "Authentication Disabled\n");
    assert_eq!(run(&["get", "dir/1", "--print-value-only"]), "x\n");
}

/// A member that is full takes nothing more until there is space and the alarm is taken back.
#[test]
fn etcdctl_frees_a_full_member() {
    let members = Members::new("full", "http", 1);
    let client = members.client(1);
    let _member = members.start(1, &["--quota-backend-bytes=50000"]);
    eventually("the member answers", Duration::from_secs(30), || {
        let out = etcdctl(&client, &["put", "a", "b"]).output().expect(ETCDCTL);
        if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
    });
    let value = "x".repeat(10_000);
    let mut puts = (0..9).map(|_| etcdctl(&client, &["put", "a", &value]).output().expect(ETCDCTL));
    let full = puts.find(|out| !out.status.success()).expect("it gets full");
    let why = String::from_utf8_lossy(&full.stderr).into_owned();
    assert!(why.contains("mvcc: database space exceeded"), "{why}");
    let run = |args: &[&str]| succeed(etcdctl(&client, args), "");
    assert_eq!(run(&["alarm", "list"]), "memberID:1 alarm:NOSPACE \n");
    let revision = run(&["get", "a", "--write-out=fields"]);
    let revision =
        revision.lines().find_map(|line| line.strip_prefix("\"ModRevision\" : ")).expect("a revision");
    run(&["compact", revision]);
    run(&["defrag"]);
    assert_eq!(run(&["alarm", "disarm"]), "memberID:1 alarm:NOSPACE \n");
    assert_eq!(run(&["put", "a", &value]), "OK\n");
}

#[test]
fn the_store_runs_as_processes_of_its_own() {
    let members = Members::new("members", "http", 3);
    let mut running = members.start_all(&[]);
    let endpoints = members.clients();
    let put = |key: &str| etcdctl(&endpoints, &["put", key, "v"]).output().expect(ETCDCTL).status.success();
    let log = || members.log();
    eventually("the store answers", Duration::from_secs(30), || put("a").then_some(()).ok_or_else(log));
    for round in 0..3u16 {
        running[round as usize].kill();
        let key = format!("k{round}");
        eventually("two of three serve", Duration::from_secs(30), || put(&key).then_some(()).ok_or_else(log));
        if round == 2 {
            std::fs::remove_dir_all(members.data(3)).expect("a disk can be lost");
        }
        running[round as usize] = members.start(round + 1, &[]);
    }
    let third = members.client(3);
    eventually("the member that lost its disk serves again", Duration::from_secs(30), || {
        let out = etcdctl(&third, &["get", "k2", "--print-value-only"]).output().expect(ETCDCTL);
        if text_of(&out) == "v\n" { Ok(()) } else { Err(text_of(&out) + &log()) }
    });
    eventually("all keys are there", Duration::from_secs(30), || {
        let out = etcdctl(&endpoints, &["get", "k", "--prefix", "--keys-only"]).output().expect(ETCDCTL);
        if text_of(&out) == "k0\n\nk1\n\nk2\n\n" { Ok(()) } else { Err(text_of(&out) + &log()) }
    });
}
