//! What etcd's tests/common claim of one member and no other test here holds; `src/clients/claims.md` says which is which.

use super::users::{allow, give, knobs, user, with_users};
use super::{core::Core, with_member};
use base::Knobs;
use etcd::{Client, pb};
use pb::authpb::{Permission, permission::Type};
use tonic::{Code, Status};

const EMPTY: (Code, &str) = (Code::InvalidArgument, "etcdserver: user name is empty");
const DENIED: (Code, &str) = (Code::PermissionDenied, "etcdserver: permission denied");

/// Fails, and says of which call, unless it was refused with this code and text.
#[track_caller]
fn refused<T: std::fmt::Debug>(call: &str, answer: Result<T, Status>, (code, text): (Code, &str)) {
    let status = answer.expect_err(call);
    assert_eq!((status.code(), status.message()), (code, text), "{call}");
}

fn role(name: &str) -> pb::AuthRoleAddRequest {
    pb::AuthRoleAddRequest { name: name.into() }
}

fn take(name: &str, role: &str) -> pb::AuthUserRevokeRoleRequest {
    pb::AuthUserRevokeRoleRequest { name: name.into(), role: role.into() }
}

fn forbid(role: &str, key: &'static str, end: &'static str) -> pb::AuthRoleRevokePermissionRequest {
    pb::AuthRoleRevokePermissionRequest { role: role.into(), key: key.into(), range_end: end.into() }
}

async fn roles_of(client: &Client, name: &str) -> Vec<String> {
    client.user_get(pb::AuthUserGetRequest { name: name.into() }).await.unwrap().roles
}

async fn permissions(client: &Client, role: &str) -> Vec<Permission> {
    client.role_get(pb::AuthRoleGetRequest { role: role.into() }).await.unwrap().perm
}

fn permission(kind: Type, key: &'static str, end: &'static str) -> Permission {
    Permission { perm_type: kind.into(), key: key.into(), range_end: end.into() }
}

/// The key alone, with its value.
async fn value(client: &Client, key: &'static str) -> String {
    let answer = client.range(pb::RangeRequest::of_key(key)).await.unwrap();
    assert_eq!(answer.count, 1, "{key}");
    String::from_utf8(answer.kvs[0].value.to_vec()).unwrap()
}

#[test]
fn what_makes_no_sense_of_users_is_refused_with_its_code_and_text() {
    with_member(knobs(), async |member: Core| {
        let (root, _) = with_users(&member).await;
        let delete = |name: &str| root.user_delete(pb::AuthUserDeleteRequest { name: name.into() });
        let password = pb::AuthUserChangePasswordRequest { password: "pw".into(), ..Default::default() };
        let of_nobody = pb::AuthUserChangePasswordRequest { name: "nobody".into(), ..password };
        let mgmt = (Code::InvalidArgument, "etcdserver: invalid auth management");
        let exists = |text| (Code::FailedPrecondition, text);
        let role_exists = exists("etcdserver: role name already exists");
        let user_exists = exists("etcdserver: user name already exists");
        let no_user = exists("etcdserver: user name not found");
        let not_granted = exists("etcdserver: permission is not granted to the role");
        let no_role_name = (Code::InvalidArgument, "etcdserver: role name is empty");
        refused("delete root", delete("root").await, mgmt);
        refused("take root from root", root.user_revoke_role(take("root", "root")).await, mgmt);
        refused("a role twice", root.role_add(role("r")).await, role_exists);
        refused("a role without a name", root.role_add(role("")).await, no_role_name);
        refused("what was not given", root.role_revoke_permission(forbid("r", "c", "")).await, not_granted);
        refused(
            "only the start of it",
            root.role_revoke_permission(forbid("r", "a/", "")).await,
            not_granted,
        );
        refused("a user twice", root.user_add(user("alice", "other")).await, user_exists);
        refused("a user without a name", root.user_add(user("", "pw")).await, EMPTY);
        refused("delete nobody", delete("nobody").await, no_user);
        refused("nobody's password", root.user_change_password(of_nobody).await, no_user);
        delete("alice").await.unwrap();
        refused("delete alice twice", delete("alice").await, no_user);
        // none of it changed who root is
        assert_eq!(roles_of(&root, "root").await, ["root"]);
    });
}

/// What becomes of a call that is root's: by nobody, by alice, by root.
async fn maintain(client: &Client) -> [(&'static str, Result<(), Status>); 4] {
    let activate = pb::alarm_request::AlarmAction::Activate.into();
    [
        ("defragment", client.defragment(pb::DefragmentRequest {}).await.map(drop)),
        ("hash_kv", client.hash_kv(pb::HashKvRequest { revision: 0 }).await.map(drop)),
        ("snapshot", client.snapshot().await.map(drop)),
        (
            "alarm",
            client.alarm(pb::AlarmRequest { action: activate, member_id: 1, alarm: 1 }).await.map(drop),
        ),
    ]
}

#[test]
fn maintenance_is_done_for_root_and_for_nobody_else() {
    with_member(knobs(), async |member: Core| {
        let (root, alice) = with_users(&member).await;
        let nobody = member.client();
        for (client, why) in [(&nobody, EMPTY), (&alice, DENIED)] {
            for (call, answer) in maintain(client).await {
                refused(call, answer, why);
            }
            // root's are not tried here: there is no Raft behind these services (see src/clients/claims.rs)
            let target = pb::MoveLeaderRequest { target_id: 1 };
            refused("move_leader", client.move_leader(target).await, why);
            refused("downgrade", client.downgrade(pb::DowngradeRequest::default()).await, why);
            let more =
                pb::MemberAddRequest { peer_urls: vec!["http://127.0.0.1:1".into()], ..Default::default() };
            refused("member_add", client.member_add(more).await, why);
            let gone = client.member_remove(pb::MemberRemoveRequest { id: 1 }).await;
            refused("member_remove", gone, why);
        }
        for (call, answer) in maintain(&root).await {
            answer.unwrap_or_else(|status| panic!("{call}: {status}"));
        }
        assert!(root.defragment(pb::DefragmentRequest {}).await.unwrap().header.is_none());
        let mut pieces = root.snapshot().await.unwrap();
        let mut left = None;
        while let Some(piece) = pieces.message().await.unwrap() {
            left = Some(piece.remaining_bytes);
        }
        assert_eq!(left, Some(0), "all of it came");
    });
}

#[test]
fn users_are_told_apart_from_when_it_is_said_and_the_state_says_so() {
    with_member(knobs(), async |member: Core| {
        let nobody = member.client();
        let status = async |client: &Client| client.auth_status(pb::AuthStatusRequest {}).await;
        let before = status(&nobody).await.unwrap();
        assert_eq!((before.enabled, before.auth_revision), (false, 1));
        let (root, alice) = with_users(&member).await;
        assert!(status(&root).await.unwrap().enabled);
        refused("alice", status(&alice).await, DENIED);
    });
}

#[test]
fn lists_of_users_and_roles_are_those_that_were_added() {
    with_member(knobs(), async |member: Core| {
        let client = member.client();
        let users = async |client: &Client| client.user_list(pb::AuthUserListRequest {}).await;
        let roles = async |client: &Client| client.role_list(pb::AuthRoleListRequest {}).await;
        assert_eq!(users(&client).await.unwrap().users, Vec::<String>::new());
        assert_eq!(roles(&client).await.unwrap().roles, Vec::<String>::new());
        client.user_add(user("barb", "pw")).await.unwrap();
        assert_eq!(users(&client).await.unwrap().users, ["barb"]);
        let (root, alice) = with_users(&member).await;
        assert_eq!(users(&root).await.unwrap().users, ["alice", "barb", "root"]);
        // nobody added the role that root has
        assert_eq!(roles(&root).await.unwrap().roles, ["r"]);
        refused("alice asks for users", users(&alice).await, DENIED);
        refused("alice asks for roles", roles(&alice).await, DENIED);
    });
}

#[test]
fn of_roles_root_is_told_all_and_users_are_told_their_own() {
    with_member(knobs(), async |member: Core| {
        let (root, alice) = with_users(&member).await;
        let all = [permission(Type::Readwrite, "a/", "a0"), permission(Type::Read, "b", "")];
        assert_eq!(permissions(&root, "r").await, all);
        assert_eq!(permissions(&alice, "r").await, all);
        let of_root = alice.role_get(pb::AuthRoleGetRequest { role: "root".into() }).await;
        refused("the role root", of_root, DENIED);
        assert_eq!(roles_of(&root, "alice").await, ["r"]);
    });
}

#[test]
fn the_role_root_may_everything_whatever_it_is_given() {
    with_member(knobs(), async |member: Core| {
        let client = member.client();
        client.role_add(role("root")).await.unwrap();
        let everything = [permission(Type::Readwrite, "", "\0")];
        assert_eq!(permissions(&client, "root").await, everything);
        client.role_grant_permission(allow("root", "foo", "", Type::Readwrite)).await.unwrap();
        assert_eq!(permissions(&client, "root").await, everything);
    });
}

#[test]
fn what_is_taken_from_a_user_leaves_him_the_rest() {
    with_member(knobs(), async |member: Core| {
        let (root, alice) = with_users(&member).await;
        root.role_add(role("r2")).await.unwrap();
        root.role_grant_permission(allow("r2", "hoo", "", Type::Readwrite)).await.unwrap();
        root.role_grant_permission(allow("r2", "foo", "", Type::Readwrite)).await.unwrap();
        root.user_grant_role(give("alice", "r2")).await.unwrap();
        assert_eq!(roles_of(&root, "alice").await, ["r", "r2"]);
        let put = |key: &'static str, value: &'static str| alice.put(pb::PutRequest::of(key, value));
        for key in ["a/1", "foo", "hoo"] {
            put(key, "1").await.unwrap();
        }
        // one permission of a role
        root.role_revoke_permission(forbid("r2", "foo", "")).await.unwrap();
        refused("foo", put("foo", "2").await, DENIED);
        put("hoo", "2").await.unwrap();
        assert_eq!(value(&alice, "hoo").await, "2");
        // one of two roles, taken from her
        root.user_revoke_role(take("alice", "r")).await.unwrap();
        refused("a/1", put("a/1", "3").await, DENIED);
        put("hoo", "3").await.unwrap();
        assert_eq!(value(&alice, "hoo").await, "3");
        // one of two roles, deleted
        root.user_grant_role(give("alice", "r")).await.unwrap();
        root.role_delete(pb::AuthRoleDeleteRequest { role: "r2".into() }).await.unwrap();
        assert_eq!(roles_of(&root, "alice").await, ["r"]);
        refused("hoo", put("hoo", "4").await, DENIED);
        put("a/1", "4").await.unwrap();
        assert_eq!(value(&alice, "a/1").await, "4");
    });
}

#[test]
fn leases_are_listed_for_every_user_and_there_are_none_at_first() {
    with_member(knobs(), async |member: Core| {
        let leases = async |client: &Client| client.lease_leases(pb::LeaseLeasesRequest {}).await;
        assert_eq!(leases(&member.client()).await.unwrap().leases, []);
        let (root, alice) = with_users(&member).await;
        let id = root.lease_grant(pb::LeaseGrantRequest { id: 0, ttl: 10 }).await.unwrap().id;
        for client in [&root, &alice] {
            assert_eq!(leases(client).await.unwrap().leases, [pb::LeaseStatus { id }]);
        }
        refused("nobody", leases(&member.client()).await, EMPTY);
    });
}

#[test]
fn the_keys_of_a_lease_are_shown_until_one_of_them_may_not_be_read() {
    with_member(knobs(), async |member: Core| {
        let (root, alice) = with_users(&member).await;
        let id = alice.lease_grant(pb::LeaseGrantRequest { id: 0, ttl: 10 }).await.unwrap().id;
        let hang = |key: &'static str| pb::PutRequest { lease: id, ..pb::PutRequest::of(key, "1") };
        let ask = |keys| alice.lease_time_to_live(pb::LeaseTimeToLiveRequest { id, keys });
        alice.put(hang("a/1")).await.unwrap();
        assert_eq!(ask(true).await.unwrap().keys, ["a/1"]);
        root.put(hang("c")).await.unwrap();
        refused("with keys", ask(true).await, DENIED);
        let without = ask(false).await.unwrap();
        assert_eq!((without.granted_ttl, without.keys.len()), (10, 0));
    });
}

/// etcd hashes nothing as readily as anything else.
#[test]
fn an_empty_password_is_a_password() {
    with_member(knobs(), async |member: Core| {
        let client = member.client();
        client.user_add(user("foo", "")).await.unwrap();
        with_users(&member).await;
        // that foo is known is seen by what he may: nothing yet, and not by what is said of a wrong password
        let put =
            async |password: &str| client.for_user("foo", password).put(pb::PutRequest::of("b", "1")).await;
        refused("with it", put("").await, DENIED);
        let failed = "etcdserver: authentication failed, invalid user ID or password";
        refused("with another", put("x").await, (Code::InvalidArgument, failed));
    });
}

#[test]
fn a_key_of_a_kibibyte_is_a_key_like_any_other() {
    with_member(Knobs::default(), async |member: Core| {
        let (client, key) = (member.client(), "k".repeat(1024));
        let mut stream = client.watch().await.unwrap();
        let watch = pb::WatchCreateRequest { key: key.clone().into(), ..Default::default() };
        stream.send(watch).await.unwrap();
        assert!(stream.recv().await.unwrap().created);
        client.put(pb::PutRequest::of(key.clone(), "v")).await.unwrap();
        let read = client.range(pb::RangeRequest::of_key(key.clone())).await.unwrap();
        assert_eq!(
            (read.count, &read.kvs[0].key[..], &read.kvs[0].value[..]),
            (1, key.as_bytes(), &b"v"[..])
        );
        let seen = stream.recv().await.unwrap().events;
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].kv, Some(read.kvs[0].clone()));
        // it is all of the key that counts
        assert_eq!(client.range(pb::RangeRequest::of_key(key[1..].to_string())).await.unwrap().count, 0);
    });
}
