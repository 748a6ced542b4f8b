use super::{core::Core, error, with_member};
use base::Knobs;
use etcd::{Client, Error, pb};
use std::time::Duration;

async fn grant(client: &Client, id: i64, ttl: i64) -> pb::LeaseGrantResponse {
    client.lease_grant(pb::LeaseGrantRequest { ttl, id }).await.unwrap()
}

async fn left(client: &Client, id: i64) -> pb::LeaseTimeToLiveResponse {
    client.lease_time_to_live(pb::LeaseTimeToLiveRequest { id, keys: true }).await.unwrap()
}

#[test]
fn a_lease_that_is_not_renewed_ends_with_its_keys() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let lease = grant(&client, 0, 3).await;
        client.put(pb::PutRequest { lease: lease.id, ..pb::PutRequest::of("a", "1") }).await.unwrap();
        let answer = left(&client, lease.id).await;
        assert_eq!((answer.granted_ttl, answer.keys.len()), (3, 1));
        rt::sleep(Duration::from_millis(2_000)).await;
        assert_eq!(client.range(pb::RangeRequest::of_key("a")).await.unwrap().count, 1);
        rt::sleep(Duration::from_millis(2_000)).await;
        assert_eq!(client.range(pb::RangeRequest::of_key("a")).await.unwrap().count, 0);
        assert_eq!(left(&client, lease.id).await.ttl, -1);
    });
}

#[test]
fn a_renewed_lease_lives_on() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let lease = grant(&client, 7, 2).await;
        assert_eq!((lease.id, lease.ttl), (7, 2));
        let mut stream = client.lease_keep_alive().await.unwrap();
        for _ in 0..6 {
            stream.send(pb::LeaseKeepAliveRequest { id: 7 }).await.unwrap();
            assert_eq!(stream.recv().await.unwrap().ttl, 2);
            rt::sleep(Duration::from_millis(1_000)).await;
        }
        let leases = client.lease_leases(pb::LeaseLeasesRequest {}).await.unwrap().leases;
        assert_eq!(leases, [pb::LeaseStatus { id: 7 }]);
        client.lease_revoke(pb::LeaseRevokeRequest { id: 7 }).await.unwrap();
        stream.send(pb::LeaseKeepAliveRequest { id: 7 }).await.unwrap();
        assert_eq!(stream.recv().await.unwrap().ttl, 0);
    });
}

#[test]
fn a_lease_has_a_least_and_a_most_time() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        assert_eq!(grant(&client, 1, 0).await.ttl, 2);
        let long = pb::LeaseGrantRequest { ttl: 9_000_000_001, id: 2 };
        assert_eq!(error(client.lease_grant(long).await), Some(Error::LeaseTtlTooLarge));
        let taken = pb::LeaseGrantRequest { ttl: 5, id: 1 };
        assert_eq!(error(client.lease_grant(taken).await), Some(Error::LeaseExist));
        let unknown = client.lease_revoke(pb::LeaseRevokeRequest { id: 3 }).await;
        assert_eq!(error(unknown), Some(Error::LeaseNotFound));
    });
}

#[test]
fn a_leader_that_cannot_prove_itself_ends_no_lease() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let lease = grant(&client, 0, 2).await;
        client.put(pb::PutRequest { lease: lease.id, ..pb::PutRequest::of("a", "1") }).await.unwrap();
        *member.reachable.lock().unwrap() = false;
        rt::sleep(Duration::from_secs(10)).await;
        assert_eq!(member.handle.with_store(store::Store::len), 1);
        *member.reachable.lock().unwrap() = true;
        rt::sleep(Duration::from_secs(2)).await;
        assert_eq!(member.handle.with_store(store::Store::len), 0);
    });
}

#[test]
fn a_follower_asks_the_leader_about_time() {
    rt::testing::run(7, || async {
        let members = Core::start_group(2, Knobs::default()).await;
        let (leader, follower) = (members[0].client(), members[1].client());
        grant(&leader, 7, 5).await;
        assert_eq!(left(&follower, 7).await.granted_ttl, 5);
        let mut stream = follower.lease_keep_alive().await.unwrap();
        for (id, ttl) in [(7, 5), (8, 0)] {
            stream.send(pb::LeaseKeepAliveRequest { id }).await.unwrap();
            assert_eq!(stream.recv().await.unwrap().ttl, ttl);
        }
    });
}

#[test]
fn members_that_hold_each_other_for_the_leader_do_not_ask_in_circles() {
    let knobs = Knobs { request_timeout_ms: 1_000, ..Knobs::default() };
    rt::testing::run(7, || async {
        let members = Core::start_group(2, knobs).await;
        members[0].follow(Some(base::MemberId(2)));
        members[1].follow(Some(base::MemberId(1)));
        let mut stream = members[0].client().lease_keep_alive().await.unwrap();
        stream.send(pb::LeaseKeepAliveRequest { id: 7 }).await.unwrap();
        assert_eq!(error(stream.recv().await), Some(Error::Timeout));
    });
}

#[test]
fn a_new_leader_gives_leases_their_whole_time() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        let lease = grant(&client, 0, 2).await;
        for _ in 0..4 {
            rt::sleep(Duration::from_millis(1_500)).await;
            member.lead(false);
            member.lead(true);
        }
        assert!(left(&client, lease.id).await.ttl > 0);
        rt::sleep(Duration::from_secs(5)).await;
        assert_eq!(left(&client, lease.id).await.ttl, -1);
    });
}
