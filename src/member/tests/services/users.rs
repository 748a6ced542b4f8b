//! Users over the wire: who may do what, and what becomes of tokens.

use super::{core::Core, error, with_member};
use base::{Knobs, knobs::ms};
use etcd::{Client, Error, pb};
use pb::alarm_request::AlarmAction;
use pb::authpb::{Permission, UserAddOptions, permission::Type};

pub fn knobs() -> Knobs {
    Knobs { bcrypt_cost: 4, client_timeout_ms: 2_000, ..Knobs::default() }
}

pub fn user(name: &str, password: &str) -> pb::AuthUserAddRequest {
    pb::AuthUserAddRequest { name: name.into(), password: password.into(), ..Default::default() }
}

pub fn give(user: &str, role: &str) -> pb::AuthUserGrantRoleRequest {
    pb::AuthUserGrantRoleRequest { user: user.into(), role: role.into() }
}

pub fn allow(
    role: &str,
    key: &'static str,
    end: &'static str,
    kind: Type,
) -> pb::AuthRoleGrantPermissionRequest {
    let perm = Permission { perm_type: kind.into(), key: key.into(), range_end: end.into() };
    pb::AuthRoleGrantPermissionRequest { name: role.into(), perm: Some(perm) }
}

/// Root, and alice, who may read and write what begins with a/ and read b.
pub async fn with_users(member: &Core) -> (Client, Client) {
    let client = member.client();
    client.user_add(user("root", "secret")).await.unwrap();
    client.user_grant_role(give("root", "root")).await.unwrap();
    client.user_add(user("alice", "pw")).await.unwrap();
    client.role_add(pb::AuthRoleAddRequest { name: "r".into() }).await.unwrap();
    client.role_grant_permission(allow("r", "a/", "a0", Type::Readwrite)).await.unwrap();
    client.role_grant_permission(allow("r", "b", "", Type::Read)).await.unwrap();
    client.user_grant_role(give("alice", "r")).await.unwrap();
    client.auth_enable(pb::AuthEnableRequest {}).await.unwrap();
    (client.for_user("root", "secret"), client.for_user("alice", "pw"))
}

#[test]
fn users_do_what_they_may() {
    with_member(knobs(), async |member: Core| {
        let (root, alice) = with_users(&member).await;
        root.put(pb::PutRequest::of("b", "1")).await.unwrap();
        alice.put(pb::PutRequest::of("a/1", "1")).await.unwrap();
        let denied = Some(Error::PermissionDenied);
        assert_eq!(error(alice.put(pb::PutRequest::of("b", "2")).await), denied);
        assert_eq!(alice.range(pb::RangeRequest::of_key("b")).await.unwrap().count, 1);
        assert_eq!(error(alice.range(pb::RangeRequest::of_prefix("")).await), denied);
        assert_eq!(
            error(
                alice.range(pb::RangeRequest { serializable: true, ..pb::RangeRequest::of_key("c") }).await
            ),
            denied
        );
        let reads = |key: &'static str| pb::TxnRequest {
            success: vec![pb::RequestOp {
                request: Some(pb::request_op::Request::RequestRange(pb::RangeRequest::of_key(key))),
            }],
            ..Default::default()
        };
        alice.txn(reads("b")).await.unwrap();
        assert_eq!(error(alice.txn(reads("c")).await), denied);
        assert_eq!(error(member.client().put(pb::PutRequest::of("a/1", "2")).await), Some(Error::UserEmpty));
        assert_eq!(
            error(member.client().range(pb::RangeRequest::of_key("a/1")).await),
            Some(Error::UserEmpty)
        );
    });
}

#[test]
fn administration_is_roots() {
    with_member(knobs(), async |member: Core| {
        let (root, alice) = with_users(&member).await;
        let denied = Some(Error::PermissionDenied);
        assert_eq!(error(alice.user_add(user("carl", "pw")).await), denied);
        for action in [AlarmAction::Activate, AlarmAction::Deactivate] {
            let alarm = pb::AlarmRequest { action: action.into(), member_id: 1, alarm: 1 };
            assert_eq!(error(alice.alarm(alarm).await), denied);
        }
        assert_eq!(
            error(alice.compact(pb::CompactionRequest { revision: 1, physical: false }).await),
            denied
        );
        assert_eq!(error(alice.auth_disable(pb::AuthDisableRequest {}).await), denied);
        assert_eq!(error(alice.member_remove(pb::MemberRemoveRequest { id: 1 }).await), denied);
        let nobody = member.client();
        assert_eq!(error(nobody.status(pb::StatusRequest {}).await), Some(Error::UserEmpty));
        assert_eq!(error(nobody.member_list(pb::MemberListRequest::default()).await), Some(Error::UserEmpty));
        assert_eq!(
            error(nobody.lease_grant(pb::LeaseGrantRequest { ttl: 9, id: 9 }).await),
            Some(Error::UserEmpty)
        );
        assert_eq!(error(nobody.lease_leases(pb::LeaseLeasesRequest {}).await), Some(Error::UserEmpty));
        alice.member_list(pb::MemberListRequest::default()).await.unwrap();
        // how a member is, and whether there is an alarm, every user is told
        assert_eq!(error(nobody.alarm(pb::AlarmRequest::default()).await), Some(Error::UserEmpty));
        assert_eq!(alice.alarm(pb::AlarmRequest::default()).await.unwrap().alarms, []);
        assert_eq!(alice.status(pb::StatusRequest {}).await.unwrap().leader, 1);
        // of herself, and of her role, alice is told
        let of = |name: &str| pb::AuthUserGetRequest { name: name.into() };
        assert_eq!(alice.user_get(of("alice")).await.unwrap().roles, ["r"]);
        assert_eq!(error(alice.user_get(of("root")).await), denied);
        assert_eq!(alice.role_get(pb::AuthRoleGetRequest { role: "r".into() }).await.unwrap().perm.len(), 2);
        let status = root.auth_status(pb::AuthStatusRequest {}).await.unwrap();
        assert_eq!((status.enabled, status.auth_revision), (true, 8));
        root.status(pb::StatusRequest {}).await.unwrap();
    });
}

#[test]
fn a_wrong_password_gives_no_token() {
    with_member(knobs(), async |member: Core| {
        let early = member.client().for_user("root", "x");
        early.put(pb::PutRequest::of("k", "v")).await.expect("nobody is told apart yet");
        let (root, _) = with_users(&member).await;
        for (name, password) in [("root", "x"), ("nobody", "secret"), ("root", "")] {
            let client = member.client().for_user(name, password);
            assert_eq!(error(client.put(pb::PutRequest::of("a/1", "2")).await), Some(Error::AuthFailed));
        }
        let options = Some(UserAddOptions { no_password: true });
        root.user_add(pb::AuthUserAddRequest { options, ..user("cert", "pw") }).await.unwrap();
        let client = member.client().for_user("cert", "pw");
        assert_eq!(error(client.put(pb::PutRequest::of("a/1", "2")).await), Some(Error::AuthFailed));
        let long = root.user_add(user("long", &"x".repeat(73))).await.unwrap_err();
        assert_eq!(long.message(), "expected a password of at most 72 bytes, got 73");
    });
}

/// A client does not notice that its token ended; a user who was deleted, or whose password is another, does.
#[test]
fn tokens_end_with_disuse_and_with_their_users() {
    let knobs = Knobs { auth_token_ttl_ms: 1_000, ..knobs() };
    with_member(knobs, async |member: Core| {
        let (root, alice) = with_users(&member).await;
        alice.put(pb::PutRequest::of("a/1", "1")).await.unwrap();
        rt::sleep(ms(1_500)).await;
        alice.put(pb::PutRequest::of("a/1", "2")).await.unwrap();
        let (name, password) = ("alice".to_string(), "new".to_string());
        let change = pb::AuthUserChangePasswordRequest { name, password, ..Default::default() };
        root.user_change_password(change).await.unwrap();
        assert_eq!(error(alice.put(pb::PutRequest::of("a/1", "3")).await), Some(Error::AuthFailed));
        let alice = member.client().for_user("alice", "new");
        alice.put(pb::PutRequest::of("a/1", "3")).await.unwrap();
        root.user_delete(pb::AuthUserDeleteRequest { name: "alice".into() }).await.unwrap();
        assert_eq!(error(alice.put(pb::PutRequest::of("a/1", "4")).await), Some(Error::AuthFailed));
        // users are told apart no more, and root's token is nobody's business
        root.auth_disable(pb::AuthDisableRequest {}).await.unwrap();
        root.put(pb::PutRequest::of("a/1", "5")).await.unwrap();
        member.client().put(pb::PutRequest::of("a/1", "6")).await.unwrap();
    });
}

/// GHSA-xg4h-6gfc-h4m8: the end of the watch counts, too.
#[test]
fn a_watch_shows_what_its_user_may_read() {
    with_member(knobs(), async |member: Core| {
        let (_, alice) = with_users(&member).await;
        let watch = async |client: &Client, key: &'static str, range_end: &'static str| {
            let mut stream = client.watch().await.unwrap();
            let (key, range_end) = (key.into(), range_end.into());
            stream.send(pb::WatchCreateRequest { key, range_end, ..Default::default() }).await.unwrap();
            let answer = stream.recv().await.unwrap();
            (answer.created, answer.canceled, answer.watch_id, answer.cancel_reason)
        };
        let fine = (true, false, 0, String::new());
        let refused = |why: &str| (true, true, -1, format!("rpc error: code = {why}"));
        assert_eq!(watch(&alice, "b", "").await, fine);
        assert_eq!(watch(&alice, "a/", "a0").await, fine);
        let denied = refused("PermissionDenied desc = etcdserver: permission denied");
        assert_eq!(watch(&alice, "b", "\0").await, denied);
        assert_eq!(watch(&alice, "c", "").await, denied);
        base::marks::plant(Some("W09"));
        let seen = if base::marks::COUNTED { fine } else { denied.clone() };
        assert_eq!(watch(&alice, "b", "\0").await, seen, "planted, it is seen");
        base::marks::plant(None);
        let empty = refused("InvalidArgument desc = etcdserver: user name is empty");
        assert_eq!(watch(&member.client(), "b", "").await, empty);
    });
}

/// CVE-2023-32082: which keys hang on a lease is not everybody's business.
#[test]
fn the_keys_of_a_lease_are_told_to_those_who_may_read_them() {
    with_member(knobs(), async |member: Core| {
        let (root, alice) = with_users(&member).await;
        root.lease_grant(pb::LeaseGrantRequest { id: 7, ttl: 60 }).await.unwrap();
        root.put(pb::PutRequest { lease: 7, ..pb::PutRequest::of("c", "1") }).await.unwrap();
        let ask = |keys| pb::LeaseTimeToLiveRequest { id: 7, keys };
        assert_eq!(root.lease_time_to_live(ask(true)).await.unwrap().keys, ["c"]);
        assert_eq!(alice.lease_time_to_live(ask(false)).await.unwrap().granted_ttl, 60);
        assert_eq!(error(alice.lease_time_to_live(ask(true)).await), Some(Error::PermissionDenied));
        assert_eq!(
            error(alice.lease_revoke(pb::LeaseRevokeRequest { id: 7 }).await),
            Some(Error::PermissionDenied)
        );
    });
}
