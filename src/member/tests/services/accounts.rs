//! Users who come and go: one who comes again is another one.

use super::{
    core::Core,
    error,
    users::{give, knobs, user, with_users},
    with_member,
};
use etcd::{Error, pb};

#[test]
fn a_user_who_was_deleted_can_be_added_again() {
    with_member(knobs(), async |member: Core| {
        let (root, alice) = with_users(&member).await;
        let put = || pb::PutRequest::of("a/1", "1");
        alice.put(put()).await.unwrap();
        root.user_delete(pb::AuthUserDeleteRequest { name: "alice".into() }).await.unwrap();
        assert_eq!(error(alice.put(put()).await), Some(Error::AuthFailed));
        root.user_add(user("alice", "other")).await.unwrap();
        // neither the password of before is good, nor what she might with it
        assert_eq!(error(alice.put(put()).await), Some(Error::AuthFailed));
        let again = member.client().for_user("alice", "other");
        assert_eq!(error(again.put(put()).await), Some(Error::PermissionDenied));
        root.user_grant_role(give("alice", "r")).await.unwrap();
        again.put(put()).await.unwrap();
        // the same password again does as well
        root.user_delete(pb::AuthUserDeleteRequest { name: "alice".into() }).await.unwrap();
        root.user_add(user("alice", "other")).await.unwrap();
        root.user_grant_role(give("alice", "r")).await.unwrap();
        again.put(put()).await.unwrap();
    });
}
