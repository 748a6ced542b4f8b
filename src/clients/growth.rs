//! What etcd's end-to-end tests claim of clusters that grow, shrink, and are recovered, and no other test here holds
//! (`claims-e2e.md`), with the real binary.

use crate::{
    claims::{PATIENCE, Running, add, contents, ids, list, remove},
    harness::{Members, Process, etcdctl, eventually, succeed, wavetank},
};
use base::Knobs;
use etcd::{Client, pb};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Adds a member that learns, starts it, and gives it a vote once it holds what the others do. Only then may the next come:
/// no cluster is one failure away from its end meanwhile.
fn grow(running: &mut Running, number: u16) {
    let (client, url) = (running.client(1), format!("http://{}", running.members.peer(number)));
    let added = rt::run(client.member_add(add(&url, true))).expect("added");
    running.processes.push(running.members.start(number, &["--initial-cluster-state=existing"]));
    promote(running, added.member.expect("the new one").id);
    running.size = running.size.max(number);
    running.wait();
}

fn promote(running: &Running, id: u64) {
    let client = running.client(1);
    eventually("it is promoted", PATIENCE, || {
        let promoted = rt::run(client.member_promote(pb::MemberPromoteRequest { id }));
        promoted.map(drop).map_err(|status| format!("{status}\n{}", running.members.log()))
    });
}

/// Removes the member of a number, and waits until it has ended.
fn shrink(running: &mut Running, number: u16) {
    let client = running.client(1);
    let url = format!("http://{}", running.members.peer(number));
    let there = rt::run(list(&client)).1;
    let id = there.iter().find(|member| member.peer_urls == [url.clone()]).expect("it is listed").id;
    // the answer may get lost with the leader that goes
    eventually("it is removed", PATIENCE, || {
        let removed = rt::run(client.member_remove(remove(id)));
        let listed = ids(&rt::run(list(&client)).1).contains(&id);
        if listed { Err(format!("{removed:?}\n{}", running.members.log())) } else { Ok(()) }
    });
    running.size = number - 1;
    eventually("it ends", PATIENCE, || match running.processes[usize::from(number - 1)].0.try_wait() {
        Ok(Some(_)) => Ok(()),
        other => Err(format!("{other:?}\n{}", running.members.log())),
    });
}

/// Every member takes a put and has what was put.
fn all_serve(running: &Running, value: &str) {
    for (number, client) in (1..).zip(running.clients()) {
        let key = format!("from{number}");
        rt::run(client.put(pb::PutRequest::of(key, value.to_string()))).expect("a put");
    }
    let all: Vec<_> = running.clients().iter().map(|client| rt::run(contents(client))).collect();
    assert!(all.iter().all(|one| *one == all[0] && !one.is_empty()), "{all:?}");
}

#[test]
fn a_cluster_grows_member_by_member_and_shrinks_again() {
    for (name, from, to) in [("growth-three", 1, 3), ("growth-five", 3, 5)] {
        let mut running = Running::start(name, from);
        all_serve(&running, "first");
        for number in from + 1..=to {
            grow(&mut running, number);
            all_serve(&running, &number.to_string());
        }
        for number in (from + 1..=to).rev() {
            shrink(&mut running, number);
            all_serve(&running, "back");
        }
        assert_eq!(rt::run(list(&running.client(1))).1.len(), usize::from(from));
    }
}

/// etcd-io/etcd#20340: those that began as learners are found as well.
#[test]
fn a_member_that_is_started_anew_after_another_was_removed_finds_the_rest() {
    let mut running = Running::start("growth-anew", 1);
    grow(&mut running, 2);
    grow(&mut running, 3);
    all_serve(&running, "1");
    shrink(&mut running, 2);
    running.processes[0].kill();
    running.processes[0] = running.members.start(1, &[]);
    running.wait();
    all_serve(&running, "2");
    assert_eq!(rt::run(contents(&running.client(3))), rt::run(contents(&running.client(1))));
    assert_eq!(rt::run(list(&running.client(1))).1.len(), 2);
}

/// The name, the addresses and the folder are those of the one before; what was in the folder is gone.
fn replaced_in_place(name: &str, learner: bool) {
    let mut running = Running::start(name, 3);
    all_serve(&running, "1");
    running.processes[2].kill();
    let client = running.client(1);
    let url = format!("http://{}", running.members.peer(3));
    let old = rt::run(list(&client)).1;
    let gone = old.iter().find(|member| member.name == "m3").expect("it is listed").id;
    rt::run(client.member_remove(remove(gone))).expect("removed");
    std::fs::remove_dir_all(running.members.data(3)).expect("its folder");
    let added = rt::run(client.member_add(add(&url, learner))).expect("added again");
    let id = added.member.expect("the new one").id;
    assert!(!ids(&old).contains(&id), "no id is given twice");
    running.processes[2] = running.members.start(3, &["--initial-cluster-state=existing"]);
    if learner {
        promote(&running, id);
    }
    running.wait();
    all_serve(&running, "2");
    let there = rt::run(list(&client)).1;
    assert!(there.len() == 3 && there.iter().all(|member| !member.is_learner), "{there:?}");
}

#[test]
fn a_member_is_replaced_where_it_was() {
    replaced_in_place("growth-replaced", false);
    replaced_in_place("growth-learnt", true);
}

fn save(running: &Running) -> PathBuf {
    let file = running.members.folder.0.join("backup");
    let args = ["snapshot", "save", &file.display().to_string()];
    succeed(etcdctl(&running.members.client(1), &args), "");
    file
}

/// etcd-io/etcd#6361: what was in the backup comes along, too.
#[test]
fn a_member_that_joins_one_made_of_a_backup_gets_everything() {
    let before = Running::start("growth-saved", 1);
    let client = before.client(1);
    for n in 0..3 {
        rt::run(client.put(pb::PutRequest::of(format!("foo{n}"), "v"))).expect("a put");
    }
    let (file, there) = (save(&before), rt::run(contents(&client)));
    let mut after = Running::restored("growth-restored", &file);
    assert_eq!(rt::run(contents(&after.client(1))), there);
    grow(&mut after, 2);
    assert_eq!(rt::run(contents(&after.client(2))), there);
    after.processes[1].kill();
    after.processes[1] = after.members.start(2, &["--initial-cluster-state=existing"]);
    after.wait();
    assert_eq!(rt::run(contents(&after.client(2))), there);
}

/// What a watch from a revision is told first: which revisions it sees, or what is compacted.
fn watched(client: &Client, start_revision: i64) -> Result<Vec<i64>, i64> {
    rt::run(async {
        let mut stream = client.watch().await.expect("a stream");
        stream.send(pb::WatchCreateRequest::of_prefix("k", start_revision)).await.expect("it is asked");
        loop {
            let answer = rt::timeout(PATIENCE, stream.recv()).await.expect("in time").expect("an answer");
            if answer.canceled {
                return Err(answer.compact_revision);
            }
            if !answer.events.is_empty() {
                let of = |event: &pb::Event| event.kv.as_ref().expect("what changed").mod_revision;
                return Ok(answer.events.iter().map(of).collect());
            }
        }
    })
}

#[test]
fn watches_from_before_a_recovery_end_and_later_ones_miss_nothing() {
    let before = Running::start("growth-bumped", 1);
    let put = |client: &Client, keys: std::ops::Range<i64>| {
        keys.fold(0, |_, n| {
            let answer = rt::run(client.put(pb::PutRequest::of(format!("k{n}"), "v"))).expect("a put");
            answer.header.expect("a header").revision
        })
    };
    let saved = put(&before.client(1), 0..10);
    let file = save(&before);
    // of these the backup knows nothing
    let lost = put(&before.client(1), 10..13);
    let members = Members::new("growth-raised", "http", 1);
    let bump = ["--bump-revision=1000", "--mark-compacted"];
    succeed(wavetank(&members.restore(1, &file, &bump)), "");
    let processes = members.start_all(&[]);
    let after = Running { members, processes, size: 1 };
    after.wait();
    let client = after.client(1);
    let raised = saved + 1_000;
    for revision in [1, saved, lost, raised - 1] {
        assert_eq!(watched(&client, revision), Err(raised), "from {revision}");
    }
    let next = put(&client, 20..21);
    assert_eq!(next, raised + 1);
    assert_eq!(watched(&client, next), Ok(vec![next]));
    assert_eq!(rt::run(contents(&client)).len(), 11, "what was saved, and the new one");
}

/// The flags with another folder and another token.
fn elsewhere(args: &[String], folder: &Path) -> Vec<String> {
    let other = |arg: &String| match arg.starts_with("--data-dir=") {
        true => format!("--data-dir={}", folder.display()),
        false => arg.clone(),
    };
    args.iter().map(other).chain(["--initial-cluster-token=recovered".into()]).collect()
}

/// Members of the old cluster and of the new one meet at the same addresses for a while; nobody takes the others for
/// damaged.
#[test]
fn a_cluster_is_recovered_where_it_is_one_member_after_the_other() {
    let check = ["--corrupt-check-time=500ms", "--initial-corrupt-check"];
    let mut running = Running::start_with("growth-in-place", 3, &check);
    all_serve(&running, "saved");
    let file = save(&running);
    let before = rt::run(list(&running.client(1))).0;
    all_serve(&running, "lost");
    for number in 1..=3 {
        let folder = running.members.folder.0.join(format!("new{number}"));
        let restore = elsewhere(&running.members.restore(number, &file, &[]), &folder);
        succeed(wavetank(&restore), "");
        running.processes[usize::from(number - 1)].kill();
        let mut args = elsewhere(&running.members.args(number), &folder);
        args.extend(check.map(str::to_string));
        running.processes[usize::from(number - 1)] =
            Process::start(&args, &running.members.folder.0.join("log"));
    }
    running.wait();
    // for several comparisons
    std::thread::sleep(std::time::Duration::from_millis(2_000));
    for client in running.clients() {
        assert_ne!(rt::run(list(&client)).0, before, "it is another cluster");
        assert!(rt::run(contents(&client)).iter().all(|(_, value, _)| value == "saved"));
        let alarms = rt::run(client.alarm(pb::AlarmRequest::default())).expect("the alarms").alarms;
        assert_eq!(alarms, []);
    }
    all_serve(&running, "new");
}

/// `--force-new-cluster`.
#[test]
fn one_of_three_is_made_a_cluster_of_its_own_and_others_join_it() {
    let mut running = Running::start("growth-sole", 3);
    all_serve(&running, "before");
    let there = rt::run(contents(&running.client(1)));
    running.processes.iter_mut().for_each(|process| process.kill());
    let nowhere = elsewhere(&running.members.args(1), &running.members.folder.0.join("nowhere"));
    let refused = wavetank(&nowhere).arg("--force-new-cluster").output().expect("it ends");
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && why.contains("has no log: expected the folder of a member"),
        "{why}"
    );
    running.size = 1;
    running.processes.truncate(1);
    running.processes[0] = running.members.start(1, &["--force-new-cluster"]);
    running.wait();
    let client = running.client(1);
    assert_eq!(rt::run(contents(&client)), there);
    let only = rt::run(list(&client)).1;
    assert!(only.len() == 1 && only[0].name == "m1", "{only:?}");
    running.processes[0].kill();
    running.processes[0] = running.members.start(1, &[]);
    running.wait();
    all_serve(&running, "alone");
    std::fs::remove_dir_all(running.members.data(2)).expect("the folder of one that is lost");
    grow(&mut running, 2);
    all_serve(&running, "two");
    let mut names: Vec<_> = rt::run(list(&client)).1.into_iter().map(|member| member.name).collect();
    names.sort();
    assert_eq!(names, ["m1", "m2"]);
}

/// Each entry makes a snapshot due, and the log ends right behind it.
#[test]
fn members_that_take_a_snapshot_at_each_entry_stay_well() {
    let flags = ["--snapshot-count=1"];
    let mut running = Running::start_with("growth-snapshots", 3, &flags);
    let endpoints: Vec<_> =
        (1..=3).map(|n| running.members.client(n).parse::<SocketAddr>().expect("an address")).collect();
    rt::run(async {
        let writers = (0..10).map(|writer| {
            let client = Client::new(endpoints.clone(), &Knobs::default());
            rt::spawn(async move {
                for n in 0..30 {
                    let put = pb::PutRequest::of(format!("w{writer}"), format!("{n}"));
                    client.put(put).await.expect("a put");
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("a writer");
        }
    });
    running.processes[2].kill();
    let client = running.client(1);
    for n in 0..20 {
        rt::run(client.put(pb::PutRequest::of("without", format!("{n}")))).expect("a put");
    }
    running.processes[2] = running.members.start(3, &flags);
    running.wait();
    all_serve(&running, "v");
}
