//! What etcd's tests/common claim of several members and no other test here holds; `claims.md` says which is which.
//! Codes and texts are read by our client, what operators do by Debian's etcdctl.

use crate::harness::{ETCDCTL, Members, Process, etcdctl, eventually, succeed, wavetank};
use base::Knobs;
use etcd::{Client, pb};
use pb::authpb::{Permission, permission::Type};
use std::{collections::BTreeSet, fmt::Debug, net::SocketAddr, path::Path, process::Stdio, time::Duration};
use tonic::{Code, Status};

pub const PATIENCE: Duration = Duration::from_secs(30);
pub const DENIED: (Code, &str) = (Code::PermissionDenied, "etcdserver: permission denied");
const UNHEALTHY: (Code, &str) = (Code::Unavailable, "etcdserver: unhealthy cluster");

/// Members that answer.
pub struct Running {
    pub members: Members,
    pub processes: Vec<Process>,
    pub size: u16,
}

impl Running {
    pub fn start(name: &str, size: u16) -> Self {
        Self::start_with(name, size, &["--bcrypt-cost=4"])
    }

    pub fn start_with(name: &str, size: u16, flags: &[&str]) -> Self {
        let members = Members::new(name, "http", size);
        let processes = members.start_all(flags);
        let running = Self { members, processes, size };
        running.wait();
        running
    }

    /// A single member that is made of a backup.
    pub fn restored(name: &str, file: &Path) -> Self {
        let members = Members::new(name, "http", 1);
        succeed(wavetank(&members.restore(1, file, &[])), "");
        let processes = members.start_all(&[]);
        let running = Self { members, processes, size: 1 };
        running.wait();
        running
    }

    pub fn wait(&self) {
        for number in 1..=self.size {
            let endpoint = self.members.client(number);
            eventually("each member answers", PATIENCE, || {
                let out = etcdctl(&endpoint, &["get", "none"]).output().expect(ETCDCTL);
                let errors = String::from_utf8_lossy(&out.stderr).into_owned();
                if out.status.success() { Ok(()) } else { Err(errors + &self.members.log()) }
            });
        }
    }

    /// Of this member alone.
    pub fn client(&self, number: u16) -> Client {
        let endpoint: SocketAddr = self.members.client(number).parse().expect("an address");
        Client::new(vec![endpoint], &Knobs::default())
    }

    pub fn clients(&self) -> Vec<Client> {
        (1..=self.size).map(|number| self.client(number)).collect()
    }

    /// The number of the member that leads.
    pub async fn leader(&self, clients: &[Client]) -> u16 {
        let deadline = rt::now() + PATIENCE;
        while rt::now() < deadline {
            for (number, client) in (1..).zip(clients) {
                let (id, leader) = id_and_leader(client).await;
                if id == leader {
                    return number;
                }
            }
            rt::sleep(Duration::from_millis(50)).await;
        }
        panic!("nobody leads\n{}", self.members.log());
    }
}

/// Fails, and says of which call, unless it was refused with this code and text.
#[track_caller]
pub fn refused<T: Debug>(call: &str, answer: Result<T, Status>, (code, text): (Code, &str)) {
    let status = answer.expect_err(call);
    assert_eq!((status.code(), status.message()), (code, text), "{call}");
}

pub async fn id_and_leader(client: &Client) -> (u64, u64) {
    let status = client.status(pb::StatusRequest {}).await.expect("its state");
    (status.header.expect("a header").member_id, status.leader)
}

/// The id of the cluster and its members.
pub async fn list(client: &Client) -> (u64, Vec<pb::Member>) {
    let list = client.member_list(pb::MemberListRequest { linearizable: true }).await.expect("the members");
    (list.header.expect("a header").cluster_id, list.members)
}

pub fn ids(members: &[pb::Member]) -> BTreeSet<u64> {
    members.iter().map(|member| member.id).collect()
}

pub fn add(url: &str, is_learner: bool) -> pb::MemberAddRequest {
    pb::MemberAddRequest { peer_urls: vec![url.into()], is_learner }
}

pub fn remove(id: u64) -> pb::MemberRemoveRequest {
    pb::MemberRemoveRequest { id }
}

/// Root, and alice, who may read and write foo.
pub async fn tell_users_apart(client: &Client) {
    for (name, password) in [("root", "secret"), ("alice", "pw")] {
        let (name, password) = (name.into(), password.into());
        client
            .user_add(pb::AuthUserAddRequest { name, password, ..Default::default() })
            .await
            .expect("a user");
    }
    client.role_add(pb::AuthRoleAddRequest { name: "r".into() }).await.expect("a role");
    let perm =
        Some(Permission { perm_type: Type::Readwrite.into(), key: "foo".into(), range_end: "".into() });
    let grant = pb::AuthRoleGrantPermissionRequest { name: "r".into(), perm };
    client.role_grant_permission(grant).await.expect("a permission");
    for (user, role) in [("root", "root"), ("alice", "r")] {
        let grant = pb::AuthUserGrantRoleRequest { user: user.into(), role: role.into() };
        client.user_grant_role(grant).await.expect("a role for a user");
    }
    client.auth_enable(pb::AuthEnableRequest {}).await.expect("users told apart");
}

#[test]
fn root_alone_moves_leadership_and_every_member_says_where_it_went() {
    let running = Running::start("claims-leader", 3);
    rt::run(async {
        tell_users_apart(&running.client(1)).await;
        let of = |name, password| {
            running.clients().iter().map(|client| client.for_user(name, password)).collect::<Vec<_>>()
        };
        let (root, alice) = (of("root", "secret"), of("alice", "pw"));
        for client in &root {
            client.defragment(pb::DefragmentRequest {}).await.expect("root defragments each");
        }
        let leader = running.leader(&root).await;
        let at = usize::from(leader - 1);
        let (before, _) = id_and_leader(&root[at]).await;
        let (target_id, _) = id_and_leader(&root[(at + 1) % 3]).await;
        let to = pb::MoveLeaderRequest { target_id };
        refused("alice moves leadership", alice[at].move_leader(to).await, DENIED);
        assert_eq!(id_and_leader(&alice[at]).await.1, before, "it stayed where it was");
        root[at].move_leader(to).await.expect("root moves it");
        for client in &root {
            let deadline = rt::now() + PATIENCE;
            while id_and_leader(client).await.1 != target_id {
                assert!(rt::now() < deadline, "{target_id:x} leads\n{}", running.members.log());
                rt::sleep(Duration::from_millis(50)).await;
            }
        }
    });
}

#[test]
fn root_alone_adds_and_removes_members_where_users_are_told_apart() {
    let running = Running::start("claims-root", 3);
    rt::run(async {
        tell_users_apart(&running.client(1)).await;
        let (root, alice) =
            (running.client(1).for_user("root", "secret"), running.client(1).for_user("alice", "pw"));
        let url = format!("http://{}", running.members.peer(4));
        refused("alice adds", alice.member_add(add(&url, false)).await, DENIED);
        let added = root.member_add(add(&url, false)).await.expect("root adds");
        let member = added.member.expect("the new member");
        assert!(member.id != 0 && member.peer_urls == [url] && !member.is_learner, "{member:?}");
        root.member_remove(remove(member.id)).await.expect("root removes it again");

        let (cluster, members) = list(&alice).await;
        let (me, leader) = id_and_leader(&root).await;
        let follower = members.iter().map(|member| member.id).find(|id| *id != me && *id != leader);
        let follower = follower.expect("one that neither leads nor is asked");
        refused("alice removes", alice.member_remove(remove(follower)).await, DENIED);
        assert_eq!(ids(&list(&root).await.1), ids(&members), "nobody went");
        let answer = root.member_remove(remove(follower)).await.expect("root removes");
        assert_eq!(answer.header.expect("a header").cluster_id, cluster);
        let mut left = ids(&members);
        left.remove(&follower);
        assert_eq!((left.len(), ids(&answer.members)), (2, left));
    });
}

#[test]
fn members_are_added_and_removed_while_all_voters_are_heard_and_the_answers_name_them() {
    let mut running = Running::start("claims-changes", 3);
    let url = format!("http://{}", running.members.peer(4));
    let down = rt::run(async {
        let client = running.client(1);
        let (cluster, before) = list(&client).await;
        for learner in [false, true] {
            let answer = client.member_add(add(&url, learner)).await.expect("added");
            let member = answer.member.clone().expect("the new member");
            assert!(member.id != 0 && member.peer_urls == [url.clone()], "{member:?}");
            assert_eq!((member.is_learner, member.name.as_str()), (learner, ""));
            assert!(answer.members.contains(&member) && answer.members.len() == 4, "{answer:?}");
            let answer = client.member_remove(remove(member.id)).await.expect("removed");
            assert_eq!(answer.header.expect("a header").cluster_id, cluster);
            assert_eq!(ids(&answer.members), ids(&before));
        }
        // a follower goes down, so that nobody has to be elected
        running.leader(&running.clients()).await % 3 + 1
    });
    running.processes[usize::from(down - 1)].kill();
    let up: Vec<u16> = (1..=3).filter(|number| *number != down).collect();
    rt::run(async {
        // as long as the leader may hold it for heard
        rt::sleep(4 * Knobs::default().election_timeout()).await;
        for number in &up {
            let client = running.client(*number);
            refused("a voter", client.member_add(add(&url, false)).await, UNHEALTHY);
            refused("a learner", client.member_add(add(&url, true)).await, UNHEALTHY);
            let (me, _) = id_and_leader(&client).await;
            refused("one that is up", client.member_remove(remove(me)).await, UNHEALTHY);
        }
        assert_eq!(list(&running.client(up[0])).await.1.len(), 3);
    });
    // one that is down may go
    rt::run(async {
        let client = running.client(up[0]);
        let members = list(&client).await.1;
        let name = format!("m{down}");
        let gone = members.iter().find(|member| member.name == name).expect("it is listed").id;
        let answer = client.member_remove(remove(gone)).await.expect("removed");
        assert!(answer.members.len() == 2 && !ids(&answer.members).contains(&gone), "{answer:?}");
    });
}

#[test]
fn the_last_member_stays() {
    let running = Running::start("claims-last", 1);
    rt::run(async {
        let client = running.client(1);
        let (me, _) = id_and_leader(&client).await;
        let text = "etcdserver: re-configuration failed due to not enough started members";
        refused("the last", client.member_remove(remove(me)).await, (Code::FailedPrecondition, text));
        assert_eq!(ids(&list(&client).await.1), BTreeSet::from([me]));
        let url = format!("http://{}", running.members.peer(2));
        let added = client.member_add(add(&url, true)).await.expect("one that learns, at once");
        assert_eq!(added.members.len(), 2);
        refused(
            "the last that votes",
            client.member_remove(remove(me)).await,
            (Code::FailedPrecondition, text),
        );
    });
}

/// What etcdctl holds for healthy: that it answers, be it with a refusal.
#[test]
fn etcdctl_finds_members_healthy_whoever_asks() {
    let running = Running::start("claims-health", 3);
    let endpoints = running.members.clients();
    let health = |user: &[&str]| {
        let mut command = etcdctl(&endpoints, &["endpoint", "health"]);
        let out = command.args(user).output().expect(ETCDCTL);
        let text =
            format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "{text}");
        assert_eq!(text.matches(" is healthy: successfully committed proposal").count(), 3, "{text}");
    };
    health(&[]);
    rt::run(tell_users_apart(&running.client(1)));
    health(&["--user=root:secret"]);
    health(&["--user=alice:pw"]);
}

/// One revision more: both keys are put, or one of them is deleted.
async fn step(client: &Client, n: i64) -> i64 {
    use pb::request_op::Request;
    let op = |request| pb::RequestOp { request: Some(request) };
    let put = |key: &'static str| op(Request::RequestPut(pb::PutRequest::of(key, n.to_string())));
    let success = match n % 10 {
        0 => vec![op(Request::RequestDeleteRange(pb::DeleteRangeRequest::of_key("key0")))],
        _ => vec![put("key0"), put("key1")],
    };
    let answer = client.txn(pb::TxnRequest { success, ..Default::default() }).await.expect("a change");
    answer.header.expect("a header").revision
}

/// Every hash there is of each member, by revision: they must be the same.
async fn hashes(clients: &[Client], compacted: i64, newest: i64) -> Vec<u32> {
    let text = "etcdserver: mvcc: required revision has been compacted";
    let mut all = vec![];
    for client in clients {
        // it has then applied what was written through another
        client.range(pb::RangeRequest::of_key("key0")).await.expect("a read");
        let early = client.hash_kv(pb::HashKvRequest { revision: compacted - 1 }).await;
        refused("before the compaction", early, (Code::OutOfRange, text));
        let mut of_this = vec![];
        for revision in compacted + 1..=newest {
            let answer = client.hash_kv(pb::HashKvRequest { revision }).await.expect("a hash");
            assert_eq!((answer.hash_revision, answer.compact_revision), (revision, compacted));
            of_this.push(answer.hash);
        }
        all.push(of_this);
    }
    assert!(all.iter().all(|hashes| *hashes == all[0]), "from {compacted} to {newest}: {all:x?}");
    let different: BTreeSet<&u32> = all[0].iter().collect();
    assert_eq!(different.len(), all[0].len(), "each change makes another");
    all.remove(0)
}

/// Of forty changes every tenth is a deletion.
/// What each member says of one revision.
async fn hashes_of(clients: &[Client], revision: i64) -> Vec<(u32, i64)> {
    let mut all = vec![];
    for client in clients {
        // it has then applied what was written through another
        client.range(pb::RangeRequest::of_key("key0")).await.expect("a read");
        let answer = client.hash_kv(pb::HashKvRequest { revision }).await.expect("a hash");
        all.push((answer.hash, answer.compact_revision));
    }
    assert!(all.iter().all(|one| *one == all[0]), "at {revision}: {all:x?}");
    all
}

#[test]
fn all_members_have_the_same_hash_at_every_revision_after_a_compaction() {
    let check = ["--compact-hash-check-enabled", "--compact-hash-check-time=200ms"];
    let running = Running::start_with("claims-hashes", 3, &check);
    let (of_them, compacted, newest) = rt::run(async {
        let clients = running.clients();
        let mut last = (vec![], 0, 0);
        for (case, at) in [
            ("between two deletions", &[25][..]),
            ("at a deletion", &[20]),
            ("at one and at the next", &[10, 20]),
            ("at the last, which is the newest revision", &[40]),
            ("at one, for a backup", &[30]),
        ] {
            let mut revisions = vec![];
            for n in 1..=40 {
                revisions.push(step(&clients[n as usize % 3], n).await);
            }
            for n in at {
                let revision = revisions[n - 1];
                let compaction = pb::CompactionRequest { revision, physical: true };
                let before = hashes_of(&clients, revision).await;
                clients[0].compact(compaction).await.unwrap_or_else(|status| panic!("{case}: {status}"));
                assert_eq!(hashes_of(&clients, revision).await, before, "{case}");
            }
            let (compacted, newest) = (revisions[at[at.len() - 1] - 1], revisions[39]);
            last = (hashes(&clients, compacted, newest).await, compacted, newest);
        }
        rt::sleep(std::time::Duration::from_millis(500)).await;
        let alarms = clients[0].alarm(pb::AlarmRequest::default()).await.expect("the alarms").alarms;
        assert_eq!(alarms, [], "no hash differs");
        last
    });
    let file = running.members.folder.0.join("backup");
    let saved = ["snapshot", "save", &file.display().to_string()];
    succeed(etcdctl(&running.members.client(2), &saved), "");
    let restored = Running::restored("claims-hashes-again", &file);
    let again = rt::run(async { hashes(&restored.clients(), compacted, newest).await });
    assert_eq!(again, of_them, "a backup brings the history along");
}

/// Keys, values and versions of all of it, in the order in which they were put.
pub async fn contents(client: &Client) -> Vec<(String, String, i64)> {
    let everything = pb::RangeRequest {
        sort_target: pb::range_request::SortTarget::Mod.into(),
        sort_order: pb::range_request::SortOrder::Ascend.into(),
        ..pb::RangeRequest::of_prefix("")
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let kvs = client.range(everything).await.expect("a range").kvs;
    kvs.iter().map(|kv| (text(&kv.key), text(&kv.value), kv.version)).collect()
}

/// Three keys, the first of them before the mirror begins; then what is at the destination.
fn mirror(name: &str, tls: bool, flags: &[&str], (from, to): (&str, &str)) {
    let (scheme, more): (_, &[&str]) =
        if tls { ("https", &["--auto-tls", "--peer-auto-tls"]) } else { ("http", &[]) };
    let source = Members::new(&format!("{name}-from"), scheme, 1);
    let _process = source.start(1, more);
    let at_source = |args: &[&str]| {
        let mut command = etcdctl(&source.client(1), args);
        if tls {
            command.arg("--cacert").arg(source.data(1).join("fixtures/client/cert.pem"));
        }
        command
    };
    let put = |n: u32| at_source(&["put", &format!("{from}key{n}"), &format!("val{n}")]);
    eventually("the source answers", PATIENCE, || {
        let out = at_source(&["get", "none"]).output().expect(ETCDCTL);
        if out.status.success() { Ok(()) } else { Err(source.log()) }
    });
    let destination = Running::start(&format!("{name}-to"), 1);
    succeed(put(1), "");
    if !from.is_empty() {
        succeed(at_source(&["put", "beside", "it"]), "");
    }
    let mut command = at_source(&["make-mirror"]);
    command.args(flags).arg(destination.members.client(1)).stdout(Stdio::null()).stderr(Stdio::null());
    let mut mirror = Process(command.spawn().expect(ETCDCTL));
    let expected = |n: u32| (format!("{to}key{n}"), format!("val{n}"), 1);
    let reaches = |last: u32| {
        let wanted: Vec<_> = (1..=last).map(expected).collect();
        eventually("the keys are there, each once, in their order", PATIENCE, || {
            let there = rt::run(contents(&destination.client(1)));
            if there == wanted { Ok(()) } else { Err(format!("{name}: {there:?}, expected {wanted:?}")) }
        });
    };
    reaches(1);
    succeed(put(2), "");
    succeed(put(3), "");
    reaches(3);
    mirror.kill();
}

#[test]
fn etcdctl_mirrors_what_is_put_to_another_cluster() {
    mirror("mirror", false, &[], ("", ""));
    mirror("mirror-other", false, &["--prefix=o_", "--dest-prefix=d_"], ("o_", "d_"));
    mirror("mirror-none", false, &["--prefix=o_", "--no-dest-prefix"], ("o_", ""));
    mirror("mirror-tls", true, &["--prefix=o_", "--no-dest-prefix"], ("o_", ""));
}
